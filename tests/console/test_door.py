"""The console's door: who comes in, how, and with what every page goes out."""

from __future__ import annotations

import re
import time

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.console import access
from canvas_app.interviews import operators
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.tables import audit, operators as operators_table
from tests.console.conftest import Person, person, token_in, words
from tests.support.world import PUBLIC_URL, REP, WORKSPACE, World

HOSTILE = "<script>alert(1)</script>\"'{{7*7}}"


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


def pages(world: World) -> list[str]:
    """The path of every page that takes no argument; a file to be kept is no page."""
    return [
        rule.rule.removeprefix("/console/")
        for rule in world.app.url_map.iter_rules()
        if rule.endpoint.startswith("console.")
        and "GET" in (rule.methods or ())
        and not rule.arguments
        and rule.endpoint != "console.sign_in"
        and not rule.rule.endswith(".csv")
    ]


def changes(world: World) -> list[str]:
    """The path of everything that changes something and takes no argument."""
    return [
        rule.rule.removeprefix("/console/")
        for rule in world.app.url_map.iter_rules()
        if rule.endpoint.startswith("console.")
        and "POST" in (rule.methods or ())
        and not rule.arguments
        and rule.endpoint not in ("console.use_link", "console.sign_out")
    ]


class TestSigningIn:
    def test_a_link_is_used_by_a_tap_and_works_once(self, world: World) -> None:
        ada = person(world, Teammate(WORKSPACE, REP["id"], "Ada Byrne"))
        path, _, token = ada.link().partition("?token=")
        for _ in range(3):
            assert "Ada Byrne" in words(ada.get(path, token=token).text), "a look does not use it up"
        page = ada.get(path, token=token).text
        assert ada.post(path, token=token, csrf_token=token_in(page)).location == "/console/"
        assert "Ada Byrne" in ada.text()
        other = person(world, ada.teammate)
        again = other.get(path, token=token).text
        refused = other.post(path, token=token, csrf_token=token_in(again))
        assert refused.status_code == 403
        assert "does not work any more" in words(refused.text)
        assert other.get("").status_code == 302

    @pytest.mark.parametrize(
        "spoil", [lambda t: t[:-1] + ("A" if t[-1] != "A" else "B"), lambda t: "x" + t, lambda _t: ""]
    )
    def test_an_altered_link_is_refused(self, world: World, spoil: object) -> None:
        ada = person(world, Teammate(WORKSPACE, REP["id"], "Ada"))
        path, _, token = ada.link().partition("?token=")
        assert callable(spoil)
        assert ada.get(path, token=spoil(token)).status_code == 403
        page = ada.get(path, token=token).text
        assert ada.post(path, token=spoil(token), csrf_token=token_in(page)).status_code == 403
        assert ada.get("").status_code == 302

    def test_an_old_link_is_refused(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        ada = person(world, Teammate(WORKSPACE, REP["id"], "Ada"))
        path, _, token = ada.link().partition("?token=")
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + access.LINK_SECONDS + 2)
        assert ada.get(path, token=token).status_code == 403

    def test_a_session_ends_after_twelve_hours(self, viewer: Person, monkeypatch: pytest.MonkeyPatch) -> None:
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + access.SESSION_SECONDS - 5)
        assert viewer.get("").status_code == 200
        monkeypatch.setattr(time, "time", lambda: now + access.SESSION_SECONDS + 5)
        assert viewer.get("").status_code == 302

    def test_an_operator_can_end_every_session(self, viewer: Person, operator: Person) -> None:
        operator.post("people/end-sessions")
        assert viewer.get("").status_code == 302
        assert operator.get("").status_code == 302
        assert operator.sign_in().get("").status_code == 200

    def test_signing_out_ends_the_session(self, viewer: Person) -> None:
        assert viewer.post("sign-out").location == "/console/sign-in"
        assert viewer.get("").status_code == 302

    def test_the_cookie_is_for_the_console_alone_and_for_no_script(self, world: World) -> None:
        ada = person(world, Teammate(WORKSPACE, REP["id"], "Ada"))
        path, _, token = ada.link().partition("?token=")
        page = ada.get(path, token=token).text
        cookie = ada.post(path, token=token, csrf_token=token_in(page)).headers["Set-Cookie"]
        for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/console"):
            assert part in cookie

    def test_a_token_made_for_something_else_is_no_link(self, world: World) -> None:
        interview = world.send()
        assert (
            person(world, Teammate(WORKSPACE, "1", None))
            .get("sign-in", token=interview.link_token)
            .status_code
            == 403
        )

    def test_without_a_secret_key_nobody_can_sign_in(self, world: World) -> None:
        world.deploy(secret_key="")
        answer = world.app.test_client().get("/console/", base_url=PUBLIC_URL)
        assert answer.status_code == 503
        assert "SECRET_KEY" in words(answer.text)


class TestWhoMayDoWhat:
    def test_no_page_is_shown_without_a_session(self, world: World) -> None:
        nobody = world.app.test_client()
        assert len(pages(world)) > 1
        for path in pages(world):
            answer = nobody.get(f"/console/{path}", base_url=PUBLIC_URL)
            assert (answer.status_code, answer.location) == (302, "/console/sign-in"), path

    def test_a_viewer_sees_every_page_and_changes_nothing(self, world: World, viewer: Person) -> None:
        for path in pages(world):
            assert viewer.get(path).status_code == 200, path
        assert len(changes(world)) > 1
        for path in changes(world):
            assert viewer.post(path).status_code == 403, path
        assert world.count(audit) == 0

    def test_a_form_without_its_token_is_refused(self, world: World, operator: Person) -> None:
        for path in changes(world):
            answer = operator.post(path, csrf_token="", teammate_id="77")
            assert answer.status_code == 400, path
            assert "too old" in words(answer.text)
        assert world.count(audit) == 0

    def test_a_form_from_elsewhere_is_refused(self, operator: Person) -> None:
        answer = operator.client.post(
            "/console/people",
            data={"csrf_token": operator.csrf_token(), "teammate_id": "77"},
            base_url=PUBLIC_URL,
            headers={"Referer": "https://elsewhere.example.com/"},
        )
        assert answer.status_code == 400

    def test_who_is_made_an_operator_may_change_things_at_once(
        self, viewer: Person, operator: Person
    ) -> None:
        assert viewer.post("people", teammate_id="5").status_code == 403
        assert operator.post("people", teammate_id=viewer.teammate.id, name="Bo").status_code == 302
        assert viewer.post("people", teammate_id="5").status_code == 302
        operator.post("people/remove", teammate_id=viewer.teammate.id)
        assert viewer.post("people", teammate_id="6").status_code == 403
        log = operator.text("people")
        assert "Let somebody change things" in log
        assert "Let somebody only look" in log

    def test_somebody_of_another_workspace_is_no_operator_here(self, world: World, operator: Person) -> None:
        twin = person(world, Teammate("ws2", operator.teammate.id, "Twin")).sign_in()
        assert twin.post("people", teammate_id="5").status_code == 403

    def test_a_name_is_text_everywhere(self, world: World) -> None:
        with store.writing(world.engine) as connection:
            operators.add(connection, WORKSPACE, REP["id"], HOSTILE)
        somebody = person(world, Teammate(WORKSPACE, REP["id"], HOSTILE)).sign_in()
        for path in pages(world):
            html = somebody.get(path).text
            assert "<script>alert" not in html, path
            assert HOSTILE in words(html), path


@pytest.mark.parametrize(
    ("path", "name", "current"),
    [
        ("rules", "Rules", "page"),
        ("decisions", "Rules", "true"),
        ("new-rule", "Rules", "true"),
        ("new-study", "Studies", "true"),
        ("studies/default/words", "Studies", "true"),
    ],
)
def test_the_navigation_shows_where_a_page_belongs(
    viewer: Person, path: str, name: str, current: str
) -> None:
    marked = re.findall(
        r'<a class="nav-link py-1 active" aria-current="(\w+)" [^>]*>([^<]+)</a>', viewer.get(path).text
    )
    assert marked == [(current, name)]


class TestHeaders:
    def test_nothing_is_kept_framed_or_loaded_from_outside(self, viewer: Person) -> None:
        for path in pages(viewer.world):
            answer = viewer.get(path)
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["Cache-Control"] == "no-store"
            assert "<script>" not in answer.text
            assert ' style="' not in answer.text
            assert "://" not in answer.text.replace(PUBLIC_URL, "").replace("http://www.w3.org/", "")

    def test_bootstrap_is_served_here(self, world: World, viewer: Person) -> None:
        html = viewer.get("").text
        start = html.index("/bootstrap/")
        for path in (html[start : html.index('"', start)], "/console/static/console.css"):
            sheet = viewer.client.get(path, base_url=PUBLIC_URL, buffered=True)
            assert sheet.status_code == 200
            sheet.close()

    def test_what_is_not_there_is_a_page_too(self, viewer: Person) -> None:
        answer = viewer.get("nowhere/at/all")
        assert answer.status_code == 404
        assert "no such page" in words(answer.text)

    def test_the_database_away_is_told(self, viewer: Person, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(*_args: object) -> None:
            raise sa.exc.OperationalError("x", {}, Exception("gone"))

        monkeypatch.setattr(access, "visitor", away)
        answer = viewer.get("")
        assert answer.status_code == 503
        assert "database" in words(answer.text)


def test_where_the_use_of_a_link_could_not_be_kept_nobody_comes_in(world: World) -> None:
    ada = person(world, Teammate(WORKSPACE, REP["id"], "Ada"))
    path, _, token = ada.link().partition("?token=")
    page = ada.get(path, token=token).text

    def away(_connection: object) -> None:
        raise sa.exc.OperationalError("COMMIT", {}, Exception("gone"))

    engine = world.app.extensions["koji_for_intercom"].engine
    sa.event.listen(engine, "commit", away)
    try:
        assert ada.post(path, token=token, csrf_token=token_in(page)).status_code == 503
    finally:
        sa.event.remove(engine, "commit", away)
    assert ada.get("").status_code == 302, "or the link would let somebody in twice"
    assert ada.post(path, token=token, csrf_token=token_in(page)).location == "/console/"


def test_a_fault_of_ours_is_a_page_too(viewer: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_args: object, **_more: object) -> None:
        raise RuntimeError("Mia Chen")

    monkeypatch.setattr(operators, "newest_entries", fault)
    viewer.world.app.config["PROPAGATE_EXCEPTIONS"] = False
    answer = viewer.get("people")
    assert answer.status_code == 500
    assert "<h1" in answer.text
    assert "our side" in words(answer.text)
    assert "Mia Chen" not in answer.text
    assert "Content-Security-Policy" in answer.headers


def test_of_two_who_use_a_link_at_once_one_comes_in(world: World) -> None:
    with store.writing(world.engine) as connection:
        assert operators.use_nonce(connection, "n")
        assert not operators.use_nonce(connection, "n")
    assert world.count(operators_table) == 0
