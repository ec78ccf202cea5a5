"""A dry run as a job: what the rule would have done, beside the others, and nothing that is done."""

from __future__ import annotations

import json

import pytest

from canvas_app import store
from canvas_app.interviews import rehearsed, rehearsing
from canvas_app.interviews.rehearsed import Rehearsal
from canvas_app.interviews.tables import decisions, interviews, rehearsals
from tests.cli.test_rules import past
from tests.interviews.test_rehearsed import begun, lines, run
from tests.support.events import add_rule
from tests.support.searching import find_everywhere
from tests.support.world import INTERCOM, World


@pytest.fixture
def world(world: World) -> World:
    world.intercom_knows_us(timezone="UTC")
    return world


def low(world: World, **changes: object) -> None:
    values = {"event": "conversation.rating.added", "conditions": {"rating_at_most": 3}, "enabled": False}
    add_rule(world, "low", **values | changes)


def done(world: World, slug: str = "low") -> Rehearsal:
    id_ = begun(world, slug)
    assert world.run_jobs() == ["rehearse"]
    return run(world, id_)


def test_it_says_who_would_have_been_asked_and_who_not(world: World) -> None:
    world.deploy(ask_again_days=30)
    low(world)
    past(world)
    found = done(world)
    assert (found.state, found.asked, found.seen, found.total) == ("done", 1, 6, 6)
    assert found.not_asked == {
        "asked_recently": 1,
        "rating_too_good": 1,
        "do_not_ask": 1,
        "group_conversation": 1,
    }
    first = lines(world, found.id)[0]
    assert (first.contact_id, first.conversation_id, first.reason) == ("c1", "601", None)
    assert (world.count(decisions), world.count(interviews)) == (0, 0)
    sent = [call.request for call in world.outside.calls if call.request.method != "GET"]
    assert {str(request.url) for request in sent} == {f"{INTERCOM}/conversations/search"}


def test_names_and_addresses_stay_nowhere(world: World) -> None:
    low(world)
    past(world)
    done(world)
    assert find_everywhere(world.engine, ["Name of", "mia@example.com", "The export is stuck"]) == []
    kept = json.dumps(world.step_results)
    assert "c1" not in kept
    assert "601" not in kept


def test_the_rules_that_are_on_are_asked_too_in_their_order(world: World) -> None:
    world.deploy(ask_again_days=30)
    add_rule(world, "all", event="conversation.rating.added")
    low(world)
    past(world)
    found = done(world)
    assert found.asked == 0
    assert found.not_asked["another_rule"] == 2
    add_rule(world, "all", event="conversation.rating.added", enabled=False)
    past(world)
    assert done(world).asked == 1


def test_a_tag_on_a_contact_is_not_told_by_the_past(world: World) -> None:
    add_rule(world, "tagged", event="contact.tag.created", conditions={"tag": ["vip"]})
    assert (done(world, "tagged").state, done(world, "tagged").reason) == ("failed", "rule_gone")


@pytest.mark.parametrize("status", [401, 403, 500])
def test_what_intercom_refuses_ends_it_with_the_reason(
    world: World, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(rehearsing, "_MOST_TRIES", 1)
    low(world)
    world.outside.upsert("GET", f"{INTERCOM}/me", status=status, json={})
    found = done(world)
    assert found.state == "failed"
    assert found.reason in ("intercom_token_refused", "intercom_scope_missing", "server_error")


def test_what_is_put_off_is_asked_again(world: World) -> None:
    low(world)
    past(world)
    world.outside.upsert(
        "GET", f"{INTERCOM}/conversations/604", status=429, headers={"Retry-After": "3"}, json={}
    )
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        world.outside.upsert("GET", f"{INTERCOM}/conversations/604", status=404, json={})

    services = world.services
    id_ = begun(world, "low")
    assert rehearsing.play(services, id_, sleep=sleep)["kind"] in ("done", "later")
    assert slept


def test_a_fault_of_ours_ends_it_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    low(world)

    def fault(*_args: object, **_named: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr("canvas_app.interviews.rehearsal.rehearse", fault)
    world.faults_wanted = True
    found = done(world)
    assert (found.state, found.reason) == ("failed", "internal_error")


def test_one_that_is_forgotten_while_it_runs_stops(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    low(world)
    past(world)
    id_ = begun(world, "low")
    take = rehearsed.take

    def and_forget(connection: object, of: str) -> Rehearsal | None:
        found = take(connection, of)  # type: ignore[arg-type]
        connection.execute(rehearsals.delete())  # type: ignore[attr-defined]
        return found

    monkeypatch.setattr(rehearsed, "take", and_forget)
    assert rehearsing.play(world.services, id_) == {"kind": "stop", "reason": "replaced", "after": None}
    assert len(world.calls("GET", "/conversations/")) == 1
    with store.reading(world.engine) as connection:
        assert rehearsed.newest(connection, "ws1", "low") is None


def test_how_far_it_has_come_is_written_down_now_and_then(world: World) -> None:
    low(world)
    past(world)
    id_ = begun(world, "low")
    moments = iter([0.0, 0.2, 0.4, 2.0, 2.1, 2.2])
    told: list[int] = []

    def clock() -> float:
        told.append(run(world, id_).seen)
        return next(moments)

    assert rehearsing.play(world.services, id_, clock=clock)["kind"] == "done"
    assert told == [0, 1, 1, 1, 4, 4]
