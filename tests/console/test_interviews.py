"""The pages about interviews: what is listed, what a story says, and the file to be kept."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.interviews import ledger, search
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.tables import decisions, deliveries, interviews, outside_writes, rules, workspaces
from tests.console.conftest import Person, person, words
from tests.interviews import many
from tests.interviews.asks import NOW
from tests.interviews.results import receive, sent_and_ready
from tests.support.plans import watched
from tests.support.world import CONTACT, CONVERSATION, KOJI_ID, PUBLIC_URL, WORKSPACE, World

HOSTILE = "<script>alert(1)</script>\"'{{7*7}}"


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


def put(world: World, **changes: Any) -> str:
    """One interview of this workspace; its id."""
    values = many.interview(1, contact_name="Mia Chen", contact_email="mia@example.com", **changes)
    with store.writing(world.engine) as connection:
        connection.execute(sa.insert(interviews).values(**values))
    return str(values["id"])


class TestList:
    def test_shows_who_was_asked_and_what_came_of_it(self, world: World, viewer: Person) -> None:
        result = {"identity": "named", "sentiment": "negative", "quality": 4, "themes": ["Pricing"]}
        put(world, state="written_back", result=result)
        text = viewer.text("interviews")
        for said in ("Mia Chen", "mia@example.com", "Written back", "Negative, 4 of 5", "Rule low"):
            assert said in text
        assert "begins, or a whole id" in text

    def test_is_picked_by_what_is_in_the_address(self, world: World, viewer: Person) -> None:
        many.fill(world.engine, interviews_=40)
        text = viewer.text("interviews", text="person17@", state="")
        assert "Person17@example.com" in text
        assert "Person18@example.com" not in text
        assert "No interview is like that" in viewer.text("interviews", text="nobody")
        assert "No interview is like that" in viewer.text("interviews", since="2031-01-01")

    @pytest.mark.parametrize(
        "query",
        [
            {"after": "nonsense"},
            {"after": "2026-01-01T00:00:00~x"},
            {"after": "2026-01-01T00:00:00+00:00~'; drop"},
            {"since": "0000-99-99", "until": "9999-12-31"},
            {"since": "0001-01-01", "until": "9999-12-30"},
            {"state": "no such state", "study": "\x00", "text": "\x00"},
            {"text": "x" * 5000},
        ],
    )
    def test_what_cannot_be_is_passed_over(self, viewer: Person, query: dict[str, str]) -> None:
        assert viewer.get("interviews", **query).status_code == 200

    def test_goes_on_where_the_page_before_it_ends(self, world: World, viewer: Person) -> None:
        many.fill(world.engine, interviews_=130)
        seen: list[str] = []
        path: str | None = "/console/interviews?origin=rule"
        while path is not None:
            html = viewer.client.get(path, base_url=PUBLIC_URL).text
            seen += re.findall(r"/console/interviews/([0-9a-f]{32})", html)
            found = re.search(r'href="([^"]*after=[^"]*)">Older', html)
            path = found[1].replace("&amp;", "&") if found else None
            assert path is None or "origin=rule" in path
        with store.reading(world.engine) as connection:
            rows = search.page(connection, WORKSPACE, search.Filter(origin="rule"), most=1000).rows
        assert seen == [row.id for row in rows]

    def test_another_workspace_sees_its_own(self, world: World) -> None:
        put(world)
        stranger = person(world, Teammate("ws9", "1", "Zoe")).sign_in()
        assert "Nobody was asked yet" in stranger.text("interviews")
        assert stranger.get(f"interviews/{many.id_of(1)}").status_code == 404
        assert many.id_of(1) not in stranger.get("interviews.csv").text

    def test_who_comes_by_the_command_line_sees_the_token_s_workspace(self, world: World) -> None:
        put(world)
        root = person(world, Teammate(None, "cli", None, by_command=True)).sign_in()
        assert "Nobody was asked yet" in root.text("interviews")
        assert root.get("interviews.csv").status_code == 404
        with store.writing(world.engine) as connection:
            values = {"workspace_id": WORKSPACE, "admin_id": "7", "read_at": NOW}
            token = world.services.token_fingerprint
            connection.execute(sa.insert(workspaces).values(**values, token_fingerprint=token))
        assert "Mia Chen" in root.text("interviews")

    def test_takes_few_queries(self, world: World, viewer: Person) -> None:
        many.fill(world.engine, interviews_=100, deliveries_=100)
        engine = world.app.extensions["koji_for_intercom"].engine
        for path in ("interviews?text=mia", f"interviews/{many.id_of(1)}", "deliveries"):
            with watched(engine) as plans:
                assert viewer.client.get(f"/console/{path}", base_url=PUBLIC_URL).status_code == 200
            assert len(plans.queries) <= 12, path


class TestDownload:
    def test_is_a_row_for_each_of_those_that_were_chosen(self, world: World, viewer: Person) -> None:
        many.fill(world.engine, interviews_=60)
        answer = viewer.get("interviews.csv", state="expired")
        assert answer.headers["Content-Type"].startswith("text/csv")
        assert "attachment" in answer.headers["Content-Disposition"]
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert {row["state"] for row in rows} == {"expired"}
        assert len(rows) == 12
        assert rows[0]["contact_email"].endswith("@example.com")

    def test_no_cell_is_a_formula(self, world: World, viewer: Person) -> None:
        put(world, asked_by_name="=cmd|'/C calc'!A0", result={"top_theme": "+1", "themes": ["@x"]})
        with store.writing(world.engine) as connection:
            connection.execute(sa.update(interviews).values(contact_name="-2+3\n=x"))
        [row] = csv.DictReader(io.StringIO(viewer.get("interviews.csv").text))
        assert row["contact_name"] == "'-2+3 =x"
        assert row["teammate"].startswith("'=")
        assert (row["top_theme"], row["themes"]) == ("'+1", "'@x")

    def test_is_streamed_in_batches(
        self, world: World, viewer: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        many.fill(world.engine, interviews_=60)
        monkeypatch.setattr(search, "BATCH", 10)
        engine = world.app.extensions["koji_for_intercom"].engine
        with watched(engine) as plans:
            answer = viewer.client.get("/console/interviews.csv", base_url=PUBLIC_URL, buffered=False)
            lines = answer.response
            next(iter(lines))
            begun = len(plans.queries)
            assert engine.pool.checkedout() == 0
            rest = list(lines)
        assert len(rest) >= 58
        assert len(plans.queries) - begun >= 5

    def test_has_no_link_of_a_customer_s(self, world: World, viewer: Person) -> None:
        put(world, koji_link="https://koji.so/interview/abc?rid=1", link_token="their-token")
        for path in ("interviews.csv", "interviews", f"interviews/{many.id_of(1)}"):
            html = viewer.get(path).text
            assert "their-token" not in html
            assert "rid=1" not in html

    def test_is_for_who_has_signed_in(self, world: World) -> None:
        answer = world.app.test_client().get("/console/interviews.csv", base_url=PUBLIC_URL)
        assert answer.status_code == 302


class TestStory:
    def test_tells_the_whole_way_in_its_order(self, world: World, viewer: Person) -> None:
        sent_and_ready(world)
        world.get(f"/i/{world.interview().link_token}", headers={"User-Agent": "Mozilla/5.0 Firefox/140.0"})
        receive(world)
        text = viewer.text(f"interviews/{world.interview().id}")
        steps = [
            "Ada Byrne asked for it on the card",
            "The message was sent",
            "Koji told: interview.analysis_ready",
            "Written to Intercom: the note",
            "All of the result is in Intercom",
        ]
        places = [text.index(step) for step in steps]
        assert places == sorted(places)
        for said in (
            "The customer opened the link",
            "The customer answered",
            "Pricing friction",
            "Quality: 4 of 5",
        ):
            assert said in text
        assert "koji_negative_sentiment" in text

    def test_leads_into_intercom_and_to_the_transcript(self, world: World, viewer: Person) -> None:
        sent_and_ready(world)
        receive(world)
        html = viewer.get(f"interviews/{world.interview().id}").text
        assert f"https://app.intercom.com/a/inbox/{WORKSPACE}/inbox/conversation/{CONVERSATION}" in html
        assert f"https://app.intercom.com/a/apps/{WORKSPACE}/users/{CONTACT}/all-conversations" in html
        assert "https://koji.so/t/1" in html
        assert KOJI_ID in html

    def test_leads_to_no_transcript_elsewhere(self, world: World, viewer: Person) -> None:
        sent_and_ready(world)
        receive(world, transcript_url="https://evil.example.com/t")
        assert "evil.example.com" not in viewer.get(f"interviews/{world.interview().id}").text

    def test_says_which_rule_asked_and_why_nothing_came_of_it(self, world: World, viewer: Person) -> None:
        id_ = put(world, state="skipped", reason="asked_recently")
        with store.writing(world.engine) as connection:
            blank: dict[str, Any] = {"conditions": {}, "limits": {}, "study": "default", "delay_seconds": 0}
            times = {"created_at": NOW, "updated_at": NOW}
            connection.execute(
                sa.insert(rules).values(
                    slug="low",
                    title="After a low rating",
                    event="e",
                    position=1,
                    enabled=True,
                    **blank,
                    **times,
                )
            )
            connection.execute(sa.insert(deliveries).values(**many.delivery(5, event="rating.added")))
            connection.execute(
                sa.insert(decisions).values(
                    id="e" * 32,
                    delivery_id=many.id_of(5, "d"),
                    rule="low",
                    workspace_id=WORKSPACE,
                    contact_id="c1",
                    verdict="skipped",
                    reason="asked_recently",
                    detail="3 days ago",
                    interview_id=id_,
                    decided_at=NOW,
                )
            )
        text = viewer.text(f"interviews/{id_}")
        assert "The rule “After a low rating” asked for it" in text
        assert "The rule “After a low rating” said no" in text
        assert "The customer had been asked not long before. (3 days ago)" in text
        assert "rating.added" in text
        assert "It came to this: skipped" in text

    def test_says_that_nobody_knows_whether_a_message_arrived(self, world: World, viewer: Person) -> None:
        id_ = put(world, state="unknown", sent_at=None, reason="no_answer")
        with store.writing(world.engine) as connection:
            write = {"interview_id": id_, "kind": "message", "claim": "x", "claimed_at": NOW, "tries": 2}
            connection.execute(sa.insert(outside_writes).values(**write))
        text = viewer.text(f"interviews/{id_}")
        assert "Whether it arrived could not be learnt. It took 2 tries." in text

    def test_an_anonymous_answer_says_nothing_but_its_quality(self, world: World, viewer: Person) -> None:
        sent_and_ready(world)
        receive(world, respondent_email=None)
        text = viewer.text(f"interviews/{world.interview().id}")
        assert "Anonymously: nothing of it is kept but the quality." in text
        assert "Pricing" not in text

    @pytest.mark.parametrize(
        "state", ["planned", "queued", "sending", "analysed", "completed", "written_back"]
    )
    def test_every_state_has_a_story(self, world: World, viewer: Person, state: str) -> None:
        id_ = put(world, state=state, completed_at=NOW if state != "planned" else None)
        assert viewer.get(f"interviews/{id_}").status_code == 200

    def test_everything_from_outside_is_text(self, world: World, operator: Person) -> None:
        result = {"identity": "named", "sentiment": "negative", "themes": [HOSTILE], "top_theme": HOSTILE}
        changes = dict.fromkeys(("asked_by_name", "personal_line"), HOSTILE)
        id_ = put(world, state="failed", origin="card", reason=HOSTILE[:60], **changes)
        with store.writing(world.engine) as connection:
            connection.execute(sa.update(interviews).values(contact_name=HOSTILE, contact_email=HOSTILE))
        for path in ("interviews", f"interviews/{id_}", f"interviews/{id_}/send-again"):
            html = operator.get(path).text
            assert "<script>alert" not in html, path
            assert "49" not in words(html).replace("{{7*7}}", ""), path
        with store.writing(world.engine) as connection:
            connection.execute(sa.update(interviews).values(result=result, completed_at=NOW))
        html = operator.get(f"interviews/{id_}").text
        assert "<script>alert" not in html
        assert words(html).count(HOSTILE) >= 4

    def test_one_that_there_is_not_is_not_found(self, viewer: Person) -> None:
        assert viewer.get("interviews/" + "0" * 32).status_code == 404
        for id_ in ("x'y", "%00", "x" * 40):
            assert viewer.get(f"interviews/{id_}").status_code == 404
            assert viewer.get(f"deliveries/replays/{id_}").status_code == 404

    def test_one_whose_data_was_removed_names_nobody(self, world: World, viewer: Person) -> None:
        id_ = put(world, purged_at=NOW, conversation_id=None, contact_id="purged")
        with store.writing(world.engine) as connection:
            connection.execute(sa.update(interviews).values(contact_name=None, contact_email=None))
            assert ledger.get(connection, id_) is not None
        html = viewer.get(f"interviews/{id_}").text
        assert "somebody whose data was removed" in html
        assert "intercom.com" not in html
