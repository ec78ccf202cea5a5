from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import responses
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeSerializer
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import InternalError, OperationalError
from werkzeug.test import TestResponse

from canvas_app import create_app, leases, store
from canvas_app.interviews import links
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.tables import interviews, outside_writes, workspaces
from canvas_app.settings import Settings
from tests.support.postgres import free_port
from tests.support.world import KOJI_LINK, World, full_settings

PEOPLE = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0 Safari/537.36",
    # The browser inside Telegram.
    "Mozilla/5.0 (Linux; Android 14; SM-S918B) Chrome/130.0.0.0 Telegram-Android/11.3.3 (SDK 34; HIGH)",
    # A telephone of the maker Cubot.
    "Mozilla/5.0 (Linux; Android 12; CUBOT P60 Build/SP1A) AppleWebKit/537.36 Chrome/141.0 Mobile",
    "",
]
PREVIEWERS = [
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "facebookexternalhit/1.1",
    "WhatsApp/2.23.20.0",
    "TelegramBot (like TwitterBot)",
    "Twitterbot/1.0",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (Windows NT 5.1) Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "Intercom-Link-Preview/1.0",
    "Mozilla/5.0 (compatible; Embedly/0.2; +http://support.embed.ly/)",
    "some-crawler",
]


@pytest.fixture
def world(sqlite_world: World) -> World:
    """With an interview that is sent, as the ledger has it."""
    sqlite_world.initialize()
    sqlite_world.submit("send")
    sqlite_world.set_interview(state="sent", koji_link=KOJI_LINK)
    return sqlite_world


def tap(world: World, *, token: str | None = None, **headers: str) -> TestResponse:
    return world.get(f"/i/{token or world.interview().link_token}", headers=headers)


def opened(interview: Interview) -> bool:
    assert (interview.state == "opened") == (interview.opened_at is not None)
    return interview.opened_at is not None


class TestPersonalLink:
    @pytest.mark.parametrize("agent", PEOPLE)
    def test_leads_a_person_to_the_interview_and_counts_as_opened(self, world: World, agent: str) -> None:
        answer = tap(world, **{"User-Agent": agent})
        assert (answer.status_code, answer.headers["Location"]) == (302, KOJI_LINK)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert opened(world.interview())

    def test_counts_the_first_time_only(self, world: World) -> None:
        tap(world)
        first = world.interview().opened_at
        assert tap(world).status_code == 302
        assert world.interview().opened_at == first

    @pytest.mark.parametrize("agent", PREVIEWERS)
    def test_is_not_opened_by_a_program_that_only_looks(self, world: World, agent: str) -> None:
        assert tap(world, **{"User-Agent": agent}).status_code == 302
        assert not opened(world.interview())

    @pytest.mark.parametrize(
        "headers",
        [{"Sec-Purpose": "prefetch"}, {"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}],
    )
    def test_is_not_opened_by_a_browser_that_reads_ahead(self, world: World, headers: dict[str, str]) -> None:
        assert tap(world, **headers).status_code == 302
        assert not opened(world.interview())

    def test_is_not_opened_by_head(self, world: World) -> None:
        path = f"/i/{world.interview().link_token}"
        answer = world.app.test_client().head(path)
        assert (answer.status_code, answer.headers["Location"], answer.data) == (302, KOJI_LINK, b"")
        assert not opened(world.interview())

    def test_leads_there_also_while_nothing_can_be_written(self, world: World) -> None:
        # As when another program holds SQLite's file for itself.
        def away(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
            if statement.startswith("UPDATE"):
                raise OperationalError("", {}, Exception())

        engine = world.app.extensions["koji_for_intercom"].engine
        sa.event.listen(engine, "before_cursor_execute", away)
        answer = tap(world, **{"User-Agent": PEOPLE[0]})
        sa.event.remove(engine, "before_cursor_execute", away)
        assert (answer.status_code, answer.headers["Location"]) == (302, KOJI_LINK)
        assert not opened(world.interview())

    def test_makes_a_message_of_unknown_fate_a_known_one(self, world: World) -> None:
        world.set_interview(state="unknown")
        tap(world)
        assert world.interview().state == "opened"

    @pytest.mark.parametrize("claimed", [True, False])
    def test_dates_a_message_of_unknown_fate_by_when_it_was_tried(self, world: World, claimed: bool) -> None:
        since = world.interview().created_at - timedelta(days=3)
        tried = since - timedelta(hours=1)
        world.set_interview(state="unknown", state_since=since, sent_at=None)
        if claimed:
            values = {"kind": "message", "claim": "c1", "claimed_at": tried, "tries": 1}
            with store.writing(world.engine) as connection:
                connection.execute(
                    sa.insert(outside_writes).values(interview_id=world.interview().id, **values)
                )
        tap(world)
        assert (world.interview().state, world.interview().sent_at) == ("opened", tried if claimed else since)

    @pytest.mark.parametrize("state", ["sent", "unknown"])
    def test_that_was_opened_before_the_sending_was_written_down_is_opened_now(
        self, world: World, state: str
    ) -> None:
        # A quick customer taps while the worker still waits for Intercom's answer.
        world.set_interview(state="sending")
        assert tap(world).status_code == 302
        first = world.interview()
        assert (first.state, first.opened_at is not None) == ("sending", True)
        world.set_interview(state=state)
        assert tap(world).status_code == 302
        again = world.interview()
        assert (again.state, again.opened_at) == ("opened", first.opened_at)

    @pytest.mark.parametrize("state", ["sent", "opened", "unknown"])
    def test_is_over_when_it_was_not_answered_in_time(self, world: World, state: str) -> None:
        world.set_interview(state=state)
        world.let_time_pass(days=world.settings.open_days - 1)
        assert tap(world, **{"User-Agent": PREVIEWERS[0]}).status_code == 302
        world.let_time_pass(days=2)
        before = world.interview()
        answer = tap(world)
        assert answer.status_code == 410
        assert "This interview is over" in page_of(answer)
        assert world.interview() == before

    def test_may_carry_what_a_mail_program_adds(self, world: World) -> None:
        token = world.interview().link_token
        answer = world.get(f"/i/{token}?utm_source=%00%3Cscript%3E&next=https://evil.example&x=%F0%28")
        assert (answer.status_code, answer.headers["Location"]) == (302, KOJI_LINK)

    def test_is_good_while_the_key_that_signed_it_is_listed(self, world: World) -> None:
        # The world's keys are "new-key,old-key".
        old = links.make_token(world.interview().id, ["old-key"])
        world.set_interview(link_token=old)
        assert tap(world, token=old).status_code == 302
        rotated = full_settings(world.settings.database_url, secret_key="newest-key,new-key")
        client = create_app(rotated).test_client()
        assert client.get(f"/i/{old}").status_code == 404


def test_a_link_works_on_both_databases(
    app: Flask, engine: Engine, settings: Settings, outside: responses.RequestsMock
) -> None:
    world = World(app=app, engine=engine, settings=settings, outside=outside)
    world.initialize()
    world.submit("send")
    world.set_interview(state="sent", koji_link=KOJI_LINK)
    assert tap(world).status_code == 302
    assert opened(world.interview())


def page_of(answer: TestResponse) -> str:
    assert answer.mimetype == "text/html"
    assert answer.headers["Cache-Control"] == "no-store"
    assert KOJI_LINK not in answer.text
    assert "Location" not in answer.headers
    return answer.text


class TestLinkThatDoesNotLead:
    @pytest.mark.parametrize(
        "altered",
        [
            "{whole}x",
            "{whole}.",
            "{without_last}",
            "{without_first}",
            "{swapped}",
            "{unsigned}",
            ".",
            "x",
            "%3Cscript%3Ealert(1)",
            "%00",
            "é",
            "x" * 4000,
        ],
    )
    def test_because_it_was_altered(self, world: World, altered: str) -> None:
        token = world.interview().link_token
        answer = tap(
            world,
            token=altered.format(
                whole=token,
                without_last=token[:-1],
                without_first=token[1:],
                swapped=token.swapcase(),
                unsigned=token.rpartition(".")[0],
            ),
        )
        assert answer.status_code == 404
        assert "This link does not work" in page_of(answer)
        assert "script>" not in answer.text
        assert not opened(world.interview())

    def test_because_another_key_signed_it(self, world: World) -> None:
        token = links.make_token(world.interview().id, ["somebody-elses-key"])
        assert tap(world, token=token).status_code == 404

    def test_because_it_was_signed_for_something_else(self, world: World) -> None:
        for salt in ("session", "itsdangerous"):
            token = str(URLSafeSerializer("new-key", salt=salt).dumps(world.interview().id))
            assert tap(world, token=token).status_code == 404

    def test_because_it_is_not_the_one_that_was_given_out(self, world: World) -> None:
        for value in (world.interview().id, "f" * 32, ["x"], {"id": 1}, None):
            token = str(URLSafeSerializer("old-key", salt="personal-link").dumps(value))
            assert tap(world, token=token).status_code == 404

    def test_because_no_key_is_set(self, world: World) -> None:
        client = create_app(full_settings(world.settings.database_url, secret_key="")).test_client()
        assert client.get(f"/i/{world.interview().link_token}").status_code == 404

    def test_because_it_could_not_be_started(self, world: World) -> None:
        world.set_interview(state="failed")
        answer = tap(world)
        assert answer.status_code == 410
        page = page_of(answer)
        assert "This interview could not be started" in page
        assert "We are sorry" in page
        assert "refresh" not in page

    @pytest.mark.parametrize(
        ("timezone", "when"),
        [
            ("Europe/Berlin", "Dec 3, 2099 at 3:05 PM CET"),
            (None, "Dec 3, 2099 at 2:05 PM UTC"),
            ("Nowhere/At_All", "Dec 3, 2099 at 2:05 PM UTC"),
        ],
    )
    def test_yet_because_it_is_planned(self, world: World, timezone: str | None, when: str) -> None:
        with store.writing(world.engine) as connection:
            connection.execute(
                sa.insert(workspaces).values(
                    workspace_id="ws1",
                    timezone=timezone,
                    admin_id="7",
                    token_fingerprint="x",
                    read_at=store.now(connection),
                )
            )
        world.set_interview(
            state="planned", koji_link=None, not_before=datetime(2099, 12, 3, 14, 5, tzinfo=UTC)
        )
        answer = tap(world)
        assert answer.status_code == 200
        assert f"It is planned for about {when}." in page_of(answer)
        assert '<meta http-equiv="refresh" content="60">' in answer.text
        assert world.interview().opened_at is None

    def test_yet_because_its_time_has_come_and_it_is_about_to_be_prepared(self, world: World) -> None:
        """Nobody is asked to come back at a moment that has passed."""
        planned_for = world.interview().created_at
        world.set_interview(state="planned", koji_link=None, not_before=planned_for)
        page = page_of(tap(world))
        assert "being prepared" in page
        assert "planned for" not in page

    @pytest.mark.parametrize("state", ["cancelled", "expired", "skipped"])
    def test_because_the_interview_is_over(self, world: World, state: str) -> None:
        world.set_interview(state=state)
        answer = tap(world)
        assert answer.status_code == 410
        assert "This interview is over" in page_of(answer)
        assert world.interview().opened_at is None

    @pytest.mark.parametrize("state", ["completed", "analysed", "written_back", "not_written"])
    def test_because_it_was_answered(self, world: World, state: str) -> None:
        world.set_interview(state=state)
        answer = tap(world)
        assert answer.status_code == 200
        assert "already answered" in page_of(answer)

    def test_because_it_was_answered_although_the_write_back_failed(self, world: World) -> None:
        world.set_interview(state="failed", result={"quality": 4})
        assert "already answered" in page_of(tap(world))

    @pytest.mark.parametrize("state", ["queued", "sending", "unknown"])
    def test_yet_because_it_is_being_prepared(self, world: World, state: str) -> None:
        world.set_interview(state=state, koji_link=None)
        answer = tap(world)
        assert answer.status_code == 200
        assert "being prepared" in page_of(answer)
        assert re.search(r'<meta http-equiv="refresh" content="[1-9]">', answer.text)
        assert world.interview().opened_at is None

    @pytest.mark.parametrize(("minutes", "pause"), [(2, 12), (30, 60), (600, 60)])
    def test_yet_and_a_page_that_waits_for_long_asks_more_rarely(
        self, world: World, minutes: int, pause: int
    ) -> None:
        world.set_interview(state="sending", koji_link=None, sent_at=None)
        world.let_time_pass(minutes=minutes)
        found = re.search(r'<meta http-equiv="refresh" content="(\d+)">', tap(world).text)
        assert found is not None
        assert abs(int(found[1]) - pause) <= 2

    @pytest.mark.parametrize(
        "link",
        [
            "https://evil.example/interview/abc",
            "http://koji.so/interview/abc",
            "https://koji.so.evil.example/",
            "https://koji.so@evil.example/",
            "javascript:alert(1)",
        ],
    )
    def test_because_its_host_is_not_allowed_any_more(
        self, world: World, log_lines: Callable[[], list[dict[str, Any]]], link: str
    ) -> None:
        world.set_interview(koji_link=link)
        answer = tap(world)
        # Its card says that it is open, and the setting can be mended.
        assert answer.status_code == 503
        assert "not working on our side" in page_of(answer)
        assert answer.headers["Retry-After"] == "60"
        assert "evil" not in page_of(answer)
        assert not opened(world.interview())
        [line] = [line for line in log_lines() if line["event"] == "link_host_not_allowed"]
        assert line["interview"] == world.interview().id

    def test_because_the_database_is_away(self) -> None:
        settings = full_settings(f"postgresql://koji@127.0.0.1:{free_port()}/koji")
        token = links.make_token("f" * 32, settings.secret_key)
        answer = create_app(settings).test_client().get(f"/i/{token}")
        assert answer.status_code == 503
        assert "in a moment" in page_of(answer)
        assert re.search(r'<meta http-equiv="refresh" content="[0-9]+">', answer.text)
        assert answer.headers["Retry-After"] == "5"


def test_a_link_leads_on_while_the_database_takes_no_writes(sqlite_world: World) -> None:
    class TakesNoWrites(Exception):
        # A standby after a failover: https://www.postgresql.org/docs/current/errcodes-appendix.html
        sqlstate = "25006"

    def refuse(_connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("UPDATE"):
            raise InternalError("", {}, TakesNoWrites())

    sqlite_world.send()
    engine = sqlite_world.app.extensions["koji_for_intercom"].engine
    sa.event.listen(engine, "before_cursor_execute", refuse)
    answer = tap(sqlite_world)
    sa.event.remove(engine, "before_cursor_execute", refuse)
    assert answer.status_code == 302
    assert not opened(sqlite_world.interview())


class TestHome:
    @pytest.fixture
    def client(self, sqlite_world: World) -> FlaskClient:
        return sqlite_world.app.test_client()

    def test_says_that_all_is_set_up_and_what_comes_next(
        self, sqlite_world: World, client: FlaskClient
    ) -> None:
        leases.take(sqlite_world.engine)
        page = client.get("/").text
        assert "Not set up yet" not in page
        assert "pin this app" in page
        for path in ("canvas/initialize", "canvas/submit", "webhooks/intercom", "webhooks/koji"):
            assert f"https://interviews.example.com/{path}" in page

    def test_says_what_is_down(self, client: FlaskClient) -> None:
        page = client.get("/").text
        assert "Not set up yet" in page
        assert "python -m canvas_app worker" in page

    def test_is_there_without_a_database(self) -> None:
        settings = full_settings(f"postgresql://koji:planted@127.0.0.1:{free_port()}/koji")
        answer = create_app(settings).test_client().get("/")
        assert answer.status_code == 200
        assert "The database cannot be reached" in answer.text
        assert "planted" not in answer.text

    def test_tells_no_secret(self, sqlite_world: World, client: FlaskClient) -> None:
        page = client.get("/").text + client.get("/healthz").text
        for secret in ("new-key", "intercom-client-secret", "intercom-token", "pk_live", "koji-webhook"):
            assert secret not in page

    def test_takes_nothing_from_its_query(self, client: FlaskClient) -> None:
        hostile = client.get("/?a=<script>alert(1)</script>&refresh=1&nonce=x&title=%00&command=planted")
        plain = client.get("/")

        def without_nonce(answer: TestResponse) -> str:
            return re.sub(r'nonce="[^"]+"', "", answer.text)

        assert without_nonce(hostile) == without_nonce(plain)


@pytest.mark.parametrize("path", ["/", "/i/wrong"])
def test_a_page_loads_nothing_and_runs_nothing(sqlite_world: World, path: str) -> None:
    first, second = sqlite_world.get(path), sqlite_world.get(path)
    policies = [answer.headers["Content-Security-Policy"] for answer in (first, second)]
    nonces = [re.findall(r"'nonce-([A-Za-z0-9_-]{20,})'", policy) for policy in policies]
    assert len(nonces[0]) == 1
    assert nonces[0] != nonces[1]
    assert policies[0].split("; ") == [
        "default-src 'none'",
        f"style-src 'nonce-{nonces[0][0]}'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    assert re.findall(r"<style[^>]*>", first.text) == [f'<style nonce="{nonces[0][0]}">']
    assert not re.search(r"<script|<link|<img|<iframe|<form|style=|\bon[a-z]+=|src=", first.text)
    assert '<meta name="robots" content="noindex">' in first.text
    assert first.mimetype == "text/html"


def test_the_ledger_is_asked_by_token_alone(sqlite_world: World) -> None:
    # A token that is signed well, for an interview that is gone.
    sqlite_world.initialize()
    sqlite_world.submit("send")
    token = sqlite_world.interview().link_token
    with store.writing(sqlite_world.engine) as connection:
        connection.execute(sa.delete(interviews))
    assert sqlite_world.get(f"/i/{token}").status_code == 404
