"""A link that is of no use any more leaves the contact's attributes, and no newer one does."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from canvas_app import store
from canvas_app.interviews import ask, ledger, link_clearing, outcomes
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.states import LINK_STATES, STATES, State
from tests.interviews.asks import read
from tests.interviews.test_delivering import put, unknown
from tests.support.world import CONTACT, INTERCOM, PUBLIC_URL, World

GET = f"{INTERCOM}/contacts/{CONTACT}"
READY, URL = "koji_interview_ready_at", "koji_interview_url"


def written(world: World, state: State = "expired", **changes: Any) -> Interview:
    """An interview whose link stands in the contact's attributes, and that has come to this state."""
    id_ = put(world, "attribute")
    at = world.interview().created_at
    world.set_interview(**{"state": state, "sent_at": at, "link_attribute_at": at, **changes})
    return read(world.engine, id_)


def intercom_has(world: World, url: str | None, contact: str = CONTACT) -> None:
    attributes = {URL: url, READY: 1_700_000_000}
    world.outside.upsert(
        "GET",
        f"{INTERCOM}/contacts/{contact}",
        json={"type": "contact", "id": contact, "custom_attributes": attributes},
    )


def link(interview: Interview) -> str:
    return f"{PUBLIC_URL}/i/{interview.link_token}"


def puts(world: World) -> list[dict[str, Any]]:
    return [call["custom_attributes"] for call in world.calls("PUT", f"/contacts/{CONTACT}$")]


def test_first_the_time_and_then_the_link_are_cleared_once(world: World) -> None:
    interview = written(world)
    intercom_has(world, link(interview))
    world.intercom_takes("attributes")
    assert link_clearing.clear(world.services, interview.id) == outcomes.done()
    assert puts(world) == [{READY: None}, {URL: None}]
    assert read(world.engine, interview.id).link_attribute_cleared_at is not None
    assert link_clearing.clear(world.services, interview.id) == outcomes.stop("nothing_to_clear")
    assert len(puts(world)) == 2


@pytest.mark.parametrize("status", [400, 422])
def test_where_null_is_refused_an_empty_text_is_written(sqlite_world: World, status: int) -> None:
    world = sqlite_world
    interview = written(world)
    intercom_has(world, link(interview))
    refused = {"status": status, "json": {"type": "error.list", "errors": [{"code": "x", "message": "y"}]}}
    for _ in range(2):
        world.outside.put(GET, **refused)
        world.outside.put(GET, json={"type": "contact", "id": CONTACT})
    assert link_clearing.clear(world.services, interview.id) == outcomes.done()
    assert puts(world) == [{READY: None}, {READY: ""}, {URL: None}, {URL: ""}]


def test_attributes_that_are_not_there_need_no_clearing(sqlite_world: World) -> None:
    world = sqlite_world
    interview = written(world)
    intercom_has(world, link(interview))
    world.outside.put(GET, status=400, json=unknown(READY))
    world.outside.put(GET, status=400, json=unknown(URL))
    assert link_clearing.clear(world.services, interview.id) == outcomes.done()


@pytest.mark.parametrize("there", [None, "", "https://elsewhere.example/i/x"])
def test_what_is_not_our_link_is_left_alone(sqlite_world: World, there: str | None) -> None:
    interview = written(sqlite_world)
    intercom_has(sqlite_world, there)
    assert link_clearing.clear(sqlite_world.services, interview.id) == outcomes.done("not_there")
    assert puts(sqlite_world) == []
    assert read(sqlite_world.engine, interview.id).link_attribute_cleared_at is not None


def test_a_newer_interviews_link_is_left_alone_also_before_intercom_shows_it(world: World) -> None:
    old = written(world)
    world.submit("send", conversation={"id": "888"})
    newer = world.interview()
    assert newer.id != old.id
    with store.writing(world.engine) as connection:
        ledger.change(connection, newer.id, only_from=STATES, link_attribute_at=store.now(connection))
    calls = len(world.outside.calls)
    assert link_clearing.clear(world.services, old.id) == outcomes.done("newer_link")
    assert [call.request.method for call in world.outside.calls][calls:] in ([], ["GET"])
    assert puts(world) == []
    assert read(world.engine, newer.id).link_attribute_cleared_at is None


@pytest.mark.parametrize("first", ["old", "newer"])
def test_an_old_link_in_whose_place_none_came_is_taken_away_with_the_newer_one(
    world: World, first: str
) -> None:
    old = written(world)
    world.submit("send", conversation={"id": "888"})
    newer = world.interview()
    with store.writing(world.engine) as connection:
        now = store.now(connection)
        ledger.change(connection, newer.id, only_from=STATES, link_attribute_at=now)
    intercom_has(world, link(old))
    world.intercom_takes("attributes")
    if first == "old":
        # It may come any moment, and is left alone.
        assert link_clearing.clear(world.services, old.id) == outcomes.done("newer_link")
    with store.writing(world.engine) as connection:
        ledger.move(connection, newer.id, "failed", only_from=STATES, now=now, reason="too_late")
    assert link_clearing.clear(world.services, newer.id) == outcomes.done()
    assert puts(world) == [{READY: None}, {URL: None}]
    intercom_has(world, None)
    assert link_clearing.clear(world.services, old.id) in (
        outcomes.stop("nothing_to_clear"),
        outcomes.done("not_there"),
    )


@pytest.mark.parametrize("state", STATES)
def test_it_is_cleared_in_every_state_in_which_the_link_leads_nowhere(
    sqlite_world: World, state: State
) -> None:
    interview = written(sqlite_world, state)
    intercom_has(sqlite_world, link(interview))
    sqlite_world.intercom_takes("attributes")
    outcome = link_clearing.clear(sqlite_world.services, interview.id)
    assert outcome == (outcomes.stop("still_open") if state in LINK_STATES else outcomes.done())


def test_one_whose_time_is_over_has_ended_although_nobody_has_written_it_down(sqlite_world: World) -> None:
    interview = written(sqlite_world, "sent")
    intercom_has(sqlite_world, link(interview))
    sqlite_world.intercom_takes("attributes")
    sqlite_world.let_time_pass(days=15)
    assert link_clearing.clear(sqlite_world.services, interview.id) == outcomes.done()


def test_a_contact_who_was_merged_is_followed(sqlite_world: World) -> None:
    world = sqlite_world
    interview = written(world)
    world.outside.get(
        GET,
        status=410,
        headers={"Link": f'<{INTERCOM}/contacts/other>; rel="canonical"'},
        json={"type": "error.list", "errors": [{"code": "contact_merged", "message": "x"}]},
    )
    intercom_has(world, link(interview), "other")
    world.outside.put(f"{INTERCOM}/contacts/other", json={"type": "contact", "id": "other"})
    assert link_clearing.clear(world.services, interview.id) == outcomes.done()
    assert len(world.calls("PUT", "/contacts/other$")) == 2


def test_a_contact_who_is_gone_has_no_link(sqlite_world: World) -> None:
    interview = written(sqlite_world)
    sqlite_world.outside.get(GET, status=404, json={"type": "error.list", "errors": []})
    assert link_clearing.clear(sqlite_world.services, interview.id) == outcomes.done("contact_gone")


def test_nothing_is_done_in_another_workspace(sqlite_world: World) -> None:
    interview = written(sqlite_world, workspace_id="ws2")
    assert link_clearing.clear(sqlite_world.services, interview.id) == outcomes.permanent("other_workspace")


class TestTries:
    """It is tried like a result is."""

    def attempt(
        self, world: World, interview: Interview, outcome: outcomes.Outcome, tries: int
    ) -> list[float]:
        while world._take_job(delayed=True):
            pass
        link_clearing.settle(world.services, interview.id, 3, tries, outcome)
        return [round(pause) for _, pause in world.pending()]

    def test_it_is_tried_again_for_days(self, sqlite_world: World) -> None:
        interview = written(sqlite_world)
        later = outcomes.later("server_error")
        assert self.attempt(sqlite_world, interview, later, 1) == [5]

    def test_it_is_given_up_in_the_end(self, sqlite_world: World) -> None:
        interview = written(sqlite_world)
        assert self.attempt(sqlite_world, interview, outcomes.later("server_error"), 11) == []

    def test_what_is_refused_for_good_is_given_up_at_once(self, sqlite_world: World) -> None:
        interview = written(sqlite_world)
        assert self.attempt(sqlite_world, interview, outcomes.permanent("intercom_refused"), 1) == []
        assert read(sqlite_world.engine, interview.id).link_attribute_cleared_at is not None

    @pytest.mark.parametrize("status", [401, 403])
    def test_what_waits_for_a_person_costs_no_try(self, sqlite_world: World, status: int) -> None:
        interview = written(sqlite_world)
        sqlite_world.outside.get(GET, status=status, json={"type": "error.list", "errors": []})
        outcome = link_clearing.clear(sqlite_world.services, interview.id)
        assert outcome["kind"] == "credentials"
        assert self.attempt(sqlite_world, interview, outcome, 10) == [600]

    def test_a_step_that_is_repeated_enqueues_once(self, sqlite_world: World) -> None:
        interview = written(sqlite_world)
        while sqlite_world._take_job(delayed=True):
            pass
        for _ in range(2):
            link_clearing.settle(sqlite_world.services, interview.id, 1, 1, outcomes.later("server_error"))
        assert len(sqlite_world.pending()) == 1

    def test_one_that_dies_between_its_two_calls_is_finished_by_the_next(self, world: World) -> None:
        interview = written(world)
        intercom_has(world, link(interview))
        world.outside.put(GET, json={"type": "contact", "id": CONTACT})
        world.outside.put(GET, body=httpx.ReadTimeout("slow"))
        assert link_clearing.clear(world.services, interview.id)["kind"] == "later"
        assert read(world.engine, interview.id).link_attribute_cleared_at is None
        world.outside.remove("PUT", GET)
        world.intercom_takes("attributes")
        assert link_clearing.clear(world.services, interview.id) == outcomes.done()


class TestClock:
    """What no job is at is found by the clock."""

    def swept(self, world: World) -> list[str]:
        while world._take_job(delayed=True):
            pass
        link_clearing.sweep(world.services)
        return [name for name, _ in world.pending()]

    def test_what_has_ended_is_cleared(self, world: World) -> None:
        interview = written(world)
        intercom_has(world, link(interview))
        world.intercom_takes("attributes")
        assert self.swept(world) == ["clear_link"]
        assert link_clearing.sweep(world.services) == 0, "a job is at it"
        world.run_jobs()
        assert read(world.engine, interview.id).link_attribute_cleared_at is not None
        assert self.swept(world) == []

    @pytest.mark.parametrize("state", LINK_STATES)
    def test_what_is_open_is_left_alone(self, sqlite_world: World, state: State) -> None:
        written(sqlite_world, state)
        assert self.swept(sqlite_world) == []

    def test_what_was_never_written_is_left_alone(self, sqlite_world: World) -> None:
        written(sqlite_world, link_attribute_at=None)
        assert self.swept(sqlite_world) == []

    def test_what_was_given_up_is_left_as_it_is(self, sqlite_world: World) -> None:
        interview = written(sqlite_world)
        later = outcomes.later("server_error")
        link_clearing.settle(sqlite_world.services, interview.id, 11, 11, later)
        assert self.swept(sqlite_world) == []

    def test_what_ended_while_no_worker_ran_is_cleared_all_the_same(self, sqlite_world: World) -> None:
        written(sqlite_world)
        sqlite_world.let_time_pass(days=100)
        assert self.swept(sqlite_world) == ["clear_link"]

    def test_a_tick_clears_what_it_has_ended_itself(self, sqlite_world: World) -> None:
        interview = written(sqlite_world, "sent")
        sqlite_world.let_time_pass(days=16)
        while sqlite_world._take_job(delayed=True):
            pass
        sqlite_world.tick("reconcile")
        assert read(sqlite_world.engine, interview.id).state == "expired"
        assert [name for name, _ in sqlite_world.pending()] == ["clear_link"]


def test_only_what_may_stand_there_gets_a_job(sqlite_world: World) -> None:
    interview = written(sqlite_world, link_attribute_at=None)
    while sqlite_world._take_job(delayed=True):
        pass
    with store.writing(sqlite_world.engine) as connection:
        ask.enqueue_clear_link(connection, sqlite_world.services.jobs, interview)
    assert sqlite_world.pending() == []
