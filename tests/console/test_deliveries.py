"""The page about deliveries: what came in, what was refused, and running it again."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.interviews import replays
from canvas_app.interviews.tables import audit, deliveries
from tests.console.conftest import Person, words
from tests.interviews import many
from tests.interviews.results import PUT, notes, receive
from tests.support.world import PUBLIC_URL, World

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


def put(world: World, number: int, **changes: Any) -> str:
    values = many.delivery(number, **changes)
    with store.writing(world.engine) as connection:
        connection.execute(sa.insert(deliveries).values(**values))
    return str(values["id"])


def failed_result(world: World) -> str:
    """A result that Intercom has refused for good, and takes now; its delivery's id."""
    world.send()
    world.intercom_takes("tags")
    world.outside.put(PUT, status=422, json={"type": "error.list", "errors": []})
    receive(world)
    world.outside.upsert("PUT", PUT, json={"type": "contact", "id": "contact1"})
    with store.reading(world.engine) as connection:
        return str(connection.execute(sa.select(deliveries.c.id)).scalar_one())


class TestList:
    def test_shows_what_came_and_what_became_of_it(self, world: World, viewer: Person) -> None:
        put(world, 1, state="ignored", reason="unknown_event", event="interview.renamed")
        put(world, 100, door="koji", interview_id=many.id_of(3))
        html = viewer.get("deliveries").text
        text = words(html)
        for said in ("interview.renamed", "Nothing follows from an event of this kind.", "Failed", "Koji"):
            assert said in text
        assert f"/console/interviews/{many.id_of(3)}" in html
        assert "Intercom refused it." in text

    def test_failed_ones_stand_on_top(self, world: World, viewer: Person) -> None:
        for number in range(30):
            put(world, number, state="failed" if number == 29 else "done", event=f"event.{number}")
        html = viewer.get("deliveries").text
        assert html.index("event.29") < html.index("event.0<")

    def test_is_picked_by_door_state_and_day(self, world: World, viewer: Person) -> None:
        put(world, 1, door="koji", event="from.koji")
        put(world, 3, door="intercom", event="from.intercom")
        put(world, 5, state="failed", event="that.failed")
        assert "from.intercom" not in viewer.text("deliveries", door="koji")
        assert "from.koji" not in viewer.text("deliveries", state="failed")
        assert "No delivery is like that" in viewer.text("deliveries", until="2020-01-01")
        assert viewer.get("deliveries", state="x", door="y", since="z", after="q").status_code == 200

    def test_says_when_the_next_try_is(self, world: World, viewer: Person) -> None:
        world.send()
        world.intercom_takes("tags")
        world.outside.put(PUT, status=503)
        receive(world)
        html = viewer.get("deliveries").text
        [row] = re.findall(r"<tr>(?:(?!</tr>).)*analysis_ready.*?</tr>", html, re.DOTALL)
        assert re.search(r'data-label="Next try">\d{4}-\d\d-\d\d', row)

    def test_nothing_of_what_was_said_is_shown_and_hostile_words_are_text(
        self, world: World, viewer: Person
    ) -> None:
        put(world, 1, state="failed", event=HOSTILE, reason=HOSTILE, content={"planted": "their words"})
        html = viewer.get("deliveries").text
        assert "their words" not in html
        assert HOSTILE not in html
        assert words(html).count(HOSTILE) >= 2

    def test_goes_on_where_the_page_before_it_ends(self, world: World, viewer: Person) -> None:
        many.fill(world.engine, deliveries_=120)
        path: str | None = "/console/deliveries?state=done"
        rows = 0
        while path is not None:
            html = viewer.client.get(path, base_url=PUBLIC_URL).text
            rows += html.count('data-label="Came"')
            found = re.search(r'href="([^"]*after=[^"]*)">Older', html)
            path = found[1].replace("&amp;", "&") if found else None
        assert rows == 118

    def test_counts_what_was_refused(self, world: World, viewer: Person) -> None:
        client = world.app.test_client()
        for _ in range(3):
            client.post("/webhooks/koji", data=b'{"event": "interview.completed"}')
        client.post("/api/interviews", json={})
        text = viewer.text("deliveries")
        assert "/webhooks/koji It was not signed. 3" in text
        assert "/api/interviews A setting that it needs is missing. 1" in text


class TestRunningOneAgain:
    def test_takes_it_up_once_and_writes_no_second_note(self, world: World, operator: Person) -> None:
        id_ = failed_result(world)
        for _ in range(2):
            assert operator.post(f"deliveries/{id_}/replay").location == "/console/deliveries"
        assert "being worked on already" in operator.text("deliveries")
        world.run_jobs()
        assert world.interview().state == "written_back"
        assert len(notes(world)) == 1
        assert world.count(audit) == 1

    def test_leads_back_to_the_interview_that_it_was_done_from(self, world: World, operator: Person) -> None:
        id_ = failed_result(world)
        about = world.interview().id
        assert "Run again" in operator.get(f"interviews/{about}").text
        answer = operator.post(f"deliveries/{id_}/replay", back=about)
        assert answer.location == f"/console/interviews/{about}"
        elsewhere = operator.post(f"deliveries/{id_}/replay", back="//evil.example.com")
        assert elsewhere.location == "/console/deliveries"

    def test_one_that_says_nothing_any_more_has_no_button(self, world: World, operator: Person) -> None:
        put(world, 1, state="failed", content=None)
        html = operator.get("deliveries").text
        assert "Content is gone" in html
        assert "Run again</button>" not in html


class TestRunningManyAgain:
    def test_shows_how_far_it_has_come(
        self, world: World, operator: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(replays, "PAUSE", 0.0)
        failed_result(world)
        answer = operator.post("deliveries/replay", reason="intercom_refused")
        path = answer.location.removeprefix("/console/")
        html = operator.get(path).text
        assert '<noscript><meta http-equiv="refresh"' in html
        assert "0 of 1" in words(html)
        assert "No worker is running" in words(html)
        figures = operator.get(f"{path}/progress").get_json()
        assert figures == {"seen": 0, "total": 1, "finished": False}
        world.run_jobs()
        done = operator.get(path).text
        assert "1 taken up again" in words(done)
        assert "refresh" not in done
        assert operator.get(f"{path}/progress").get_json()["finished"]
        assert world.interview().state == "written_back"
        assert len(notes(world)) == 1
        assert "Run again lately" in operator.text("deliveries")

    def test_none_that_has_failed_makes_none(self, world: World, operator: Person) -> None:
        failed_result(world)
        for fields in ({"door": "intercom"}, {"reason": "given_up"}, {"until": "2020-01-01"}):
            assert operator.post("deliveries/replay", **fields).location == "/console/deliveries"
        assert world.count(audit) == 0
        assert world.pending() == []

    def test_a_viewer_has_no_button(self, world: World, viewer: Person) -> None:
        failed_result(world)
        assert "<button" not in viewer.get("deliveries").text.split("<h1")[1].replace(
            '<button class="btn btn-sm btn-primary">Show</button>', ""
        )
        assert viewer.post("deliveries/" + "d" * 32 + "/replay").status_code == 403
