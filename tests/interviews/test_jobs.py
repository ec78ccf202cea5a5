"""Which steps make up an attempt, and that every fault ends as an outcome."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from canvas_app import store
from canvas_app.interviews import forward, jobs, outcomes, write_back
from canvas_app.interviews.forward import NOT_TAKEN_IN
from canvas_app.interviews.measures import Tally
from canvas_app.interviews.outcomes import Outcome
from tests.support.world import World

SERVICES: Any = SimpleNamespace(tally=Tally())
WRITE = {"interview_id": "i1", "verdict": "write", "reason": None, "after": None}


class Steps:
    """Runs no step, but gives the answer that a test has for it; an exception is raised."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {"settle": None, **answers}
        self.ran: list[str] = []
        self.settled: tuple[Any, ...] = ()

    def __call__(self, name: str, _function: Callable[..., Any], *args: Any) -> Any:
        self.ran.append(name)
        if name == "settle":
            self.settled = args
        answer = self.answers[name]
        if isinstance(answer, Exception):
            raise answer
        return json.loads(json.dumps(answer))

    @property
    def outcome(self) -> Outcome:
        outcome: Outcome = self.settled[-1]
        return outcome


def test_a_send_starts_posts_and_settles() -> None:
    steps = Steps(start=outcomes.done(), post=outcomes.done())
    jobs.send(steps, SERVICES, "i1", 3)
    assert steps.ran == ["start", "post", "settle"]
    assert steps.settled == (SERVICES, "i1", 3, outcomes.done())


@pytest.mark.parametrize(
    "start", [outcomes.later("unreachable"), outcomes.permanent("x"), outcomes.stop("x")]
)
def test_nothing_is_posted_when_the_start_did_not_work(start: Outcome) -> None:
    steps = Steps(start=start)
    jobs.send(steps, SERVICES, "i1", 1)
    assert steps.ran == ["start", "settle"]
    assert steps.outcome == start


@pytest.mark.parametrize("broken", ["start", "post"])
def test_a_fault_of_ours_in_a_send_is_tried_again(broken: str) -> None:
    steps = Steps(**{"start": outcomes.done(), "post": outcomes.done(), broken: ZeroDivisionError()})
    jobs.send(steps, SERVICES, "i1", 1)
    assert steps.outcome == outcomes.later("internal_error")


class Parts:
    """In place of taking in and of the three writes: what each of them gives, or raises."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
        self.ran: list[str] = []
        self.answers = answers
        monkeypatch.setattr(forward, "take_in", self._part("take_in"))
        writes = tuple((name, self._part(name)) for name, _write in jobs._WRITES)
        monkeypatch.setattr(jobs, "_WRITES", writes)

    def _part(self, name: str) -> Callable[..., Any]:
        def part(*_args: Any) -> Any:
            self.ran.append(name)
            answer = self.answers[name]
            answer = answer.pop(0) if isinstance(answer, list) else answer
            if isinstance(answer, Exception):
                raise answer
            return dict(answer)

        return part


def test_a_result_is_taken_in_and_written_in_one_step_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    done = outcomes.done()
    parts = Parts(monkeypatch, take_in=WRITE, attributes=done, note=outcomes.later("x", 9.0), tags=done)
    assert jobs.take_in_and_write(SERVICES, "d1") == {**WRITE, "written": outcomes.later("x", 9.0)}
    assert parts.ran == ["take_in", "attributes", "note"]
    steps = Steps(take_in={**WRITE, "written": outcomes.later("x", 9.0)})
    jobs.forward(steps, SERVICES, "d1", 1)
    assert steps.ran == ["take_in", "settle"]
    assert steps.outcome == outcomes.later("x", 9.0)


def test_what_is_not_to_be_written_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {**WRITE, "verdict": "record", "reason": "anonymous"}
    parts = Parts(monkeypatch, take_in=taken)
    assert jobs.take_in_and_write(SERVICES, "d1") == taken
    assert parts.ran == ["take_in"]


def test_a_fault_of_ours_while_writing_leaves_known_whose_result_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = Parts(monkeypatch, take_in=WRITE, attributes=outcomes.done(), note=ZeroDivisionError())
    taken = jobs.take_in_and_write(SERVICES, "d1")
    assert taken == {**WRITE, "written": outcomes.later("internal_error")}
    assert parts.ran == ["take_in", "attributes", "note"]


def test_after_an_outage_of_the_database_only_the_part_that_met_it_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("canvas_app.store.time.sleep", lambda _seconds: None)
    away = OperationalError("SELECT", {}, Exception("gone"))
    done = outcomes.done()
    parts = Parts(monkeypatch, take_in=WRITE, attributes=done, note=[away, away, done], tags=done)
    assert jobs.take_in_and_write(SERVICES, "d1") == {**WRITE, "written": done}
    assert parts.ran == ["take_in", "attributes", "note", "note", "note", "tags"]


# Jobs of before, which kept each write as a step of its own


def test_a_result_is_taken_in_and_written_in_order() -> None:
    steps = Steps(take_in=WRITE, attributes=outcomes.done(), note=outcomes.done(), tags=outcomes.done())
    jobs.forward(steps, SERVICES, "d1", 1)
    assert steps.ran == ["take_in", "attributes", "note", "tags", "settle"]
    assert steps.outcome == outcomes.done()


def test_a_write_that_will_never_work_does_not_keep_the_others_from_being_made() -> None:
    steps = Steps(
        take_in=WRITE,
        attributes=outcomes.permanent("attribute_archived"),
        note=outcomes.done(),
        tags=outcomes.permanent("not_found"),
    )
    jobs.forward(steps, SERVICES, "d1", 1)
    assert steps.ran == ["take_in", "attributes", "note", "tags", "settle"]
    assert steps.outcome == outcomes.permanent("attribute_archived")


@pytest.mark.parametrize("remark", sorted(write_back.REMARKS))
def test_a_remark_of_the_notes_is_the_reason_of_the_whole(remark: str) -> None:
    steps = Steps(take_in=WRITE, attributes=outcomes.done(), note=outcomes.done(remark), tags=outcomes.done())
    jobs.forward(steps, SERVICES, "d1", 1)
    assert steps.outcome == outcomes.done(remark)


def test_a_remark_does_not_hide_that_another_write_failed() -> None:
    steps = Steps(
        take_in=WRITE,
        attributes=outcomes.permanent("attribute_archived"),
        note=outcomes.done(write_back.CONVERSATION_GONE),
        tags=outcomes.done(),
    )
    jobs.forward(steps, SERVICES, "d1", 1)
    assert steps.outcome == outcomes.permanent("attribute_archived")


@pytest.mark.parametrize("reason", ["newer_exists", "done_before", "found_there", "no_conversation"])
def test_how_a_write_came_about_is_no_remark_for_the_rep(reason: str) -> None:
    done = outcomes.done(reason)
    steps = Steps(take_in=WRITE, attributes=done, note=done, tags=outcomes.done())
    jobs.forward(steps, SERVICES, "d1", 1)
    assert steps.outcome == outcomes.done()


@pytest.mark.parametrize("kind", [outcomes.later("rate_limited", 9.0), outcomes.stop("nothing_to_write")])
def test_a_write_that_has_to_wait_holds_up_those_after_it(kind: Outcome) -> None:
    steps = Steps(take_in=WRITE, attributes=outcomes.done(), note=kind)
    jobs.forward(steps, SERVICES, "d1", 1)
    assert steps.ran == ["take_in", "attributes", "note", "settle"]
    assert steps.outcome == kind


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ({"verdict": "record", "reason": "anonymous"}, outcomes.stop("anonymous")),
        ({"verdict": "stop", "reason": "nothing_new"}, outcomes.stop("nothing_new")),
        ({"verdict": "stop", "reason": None}, outcomes.stop("nothing_to_do")),
        ({"verdict": "later", "reason": "result_incomplete", "after": 30.0}, None),
    ],
)
def test_nothing_is_written_without_that_verdict(taken: dict[str, Any], expected: Outcome | None) -> None:
    steps = Steps(take_in={**WRITE, **taken})
    jobs.forward(steps, SERVICES, "d1", 1)
    assert steps.ran == ["take_in", "settle"]
    assert steps.outcome == (expected or outcomes.later("result_incomplete", 30.0))


def test_a_fault_before_anything_was_found_out_loses_no_result() -> None:
    steps = Steps(take_in=ZeroDivisionError())
    jobs.forward(steps, SERVICES, "d1", 2)
    assert steps.settled == (SERVICES, "d1", 2, NOT_TAKEN_IN, outcomes.later("internal_error"))


def test_a_fault_while_writing_is_tried_again() -> None:
    steps = Steps(take_in=WRITE, attributes=KeyError("x"))
    jobs.forward(steps, SERVICES, "d1", 1)
    assert steps.outcome == outcomes.later("internal_error")


@pytest.mark.parametrize(
    ("ends", "kind", "reason"),
    [
        (["done", "credentials", "done"], "credentials", "note"),
        (["credentials", "credentials", "credentials"], "credentials", "attributes"),
        (["permanent", "credentials", "done"], "credentials", "note"),
        (["credentials", "permanent", "done"], "credentials", "attributes"),
        (["done", "credentials", "later"], "credentials", "note"),
        (["permanent", "done", "done"], "permanent", "attributes"),
        (["permanent", "later", "done"], "later", "note"),
        (["later", "done", "done"], "later", "attributes"),
        (["done", "done", "done"], "done", None),
    ],
)
def test_what_waits_for_a_setting_keeps_nothing_else_from_being_written(
    ends: list[str], kind: str, reason: str | None
) -> None:
    ran: list[str] = []

    def run_step(name: str, *_args: Any) -> dict[str, Any]:
        ran.append(name)
        end = ends[len(ran) - 1]
        return {"kind": end, "reason": None if end == "done" else name, "after": None}

    outcome = jobs._write_all(run_step, SERVICES, "an interview")
    assert (outcome["kind"], outcome["reason"]) == (kind, reason)
    # Only "later" ends it: the vendor is to be left alone for now.
    until = ends.index("later") + 1 if "later" in ends else 3
    assert ran == ["attributes", "note", "tags"][:until]


# The clock

NOON = "2026-11-22T12:00:00Z"
CLOCK = (
    "probe",
    "ask_about_the_quiet",
    "expire",
    "end_abandoned_sends",
    "revive_deliveries",
    "lead_on",
    "clear_links",
    "revive_planned",
    "remind",
    "forget_rehearsals",
)


def test_a_tick_looks_after_everything_and_asks_before_it_expires() -> None:
    steps = Steps(is_due=True, **dict.fromkeys(CLOCK, 0))
    jobs.tick_reconcile(steps, SERVICES, NOON)
    assert steps.ran == ["is_due", *CLOCK]


@pytest.mark.parametrize("tick", [jobs.tick_reconcile, jobs.tick_purge, jobs.tick_alerts])
def test_a_tick_that_comes_too_late_does_nothing(tick: Callable[..., None]) -> None:
    steps = Steps(is_due=False)
    tick(steps, SERVICES, NOON)
    assert steps.ran == ["is_due"]


def test_a_fault_of_ours_in_one_step_of_a_tick_does_not_keep_the_others_from_being_run() -> None:
    steps = Steps(is_due=True, **{**dict.fromkeys(CLOCK, 1), "expire": ZeroDivisionError()})
    jobs.tick_reconcile(steps, SERVICES, NOON)
    assert steps.ran == ["is_due", *CLOCK]


def test_a_purge_goes_on_as_long_as_there_is_more() -> None:
    left = {
        "purge_ledger": 2,
        "purge_deliveries": 0,
        "purge_traces": 1,
        "purge_requests": 0,
        "purge_history": 3,
    }
    ran = []

    def run_step(name: str, *_args: Any) -> bool:
        ran.append(name)
        if name == "is_due":
            return True
        left[name] -= 1
        return left[name] >= 0

    jobs.tick_purge(run_step, SERVICES, NOON)
    assert ran == [
        "is_due",
        *["purge_ledger"] * 3,
        "purge_deliveries",
        *["purge_traces"] * 2,
        "purge_requests",
        *["purge_history"] * 4,
    ]


def test_a_purge_that_finds_ever_more_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_MOST_PURGE_STEPS", 5)
    steps = Steps(
        is_due=True,
        purge_ledger=True,
        purge_deliveries=True,
        purge_traces=True,
        purge_requests=True,
        purge_history=True,
    )
    jobs.tick_purge(steps, SERVICES, NOON)
    assert len(steps.ran) == 1 + 5 * 5


@pytest.mark.parametrize(("minutes", "due"), [(-1, True), (0, True), (4, True), (6, False), (600, False)])
def test_a_tick_is_due_for_a_while_by_the_databases_clock(world: World, minutes: int, due: bool) -> None:
    with store.reading(world.engine) as connection:
        scheduled_at = store.now(connection) - timedelta(minutes=minutes)
    # As the durable engine writes it.
    written = scheduled_at.isoformat().replace("+00:00", "Z")
    assert jobs._is_due(world.services, written, 300) is due


def test_a_worker_whose_clock_is_slow_has_ticks_that_are_not_too_late(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduled_at = datetime.now(UTC)
    ahead = scheduled_at + timedelta(minutes=5, seconds=1)
    monkeypatch.setattr(store, "now", lambda _connection: ahead)
    assert jobs._is_due(sqlite_world.services, scheduled_at.isoformat(), 300)


def test_a_tick_looks_for_what_needs_a_person_and_tells_it() -> None:
    steps = Steps(is_due=True, look=1, tell=1)
    jobs.tick_alerts(steps, SERVICES, NOON)
    assert steps.ran == ["is_due", "look", "tell"]


def test_a_fault_while_looking_does_not_keep_what_is_known_from_being_told() -> None:
    steps = Steps(is_due=True, look=ZeroDivisionError(), tell=0)
    jobs.tick_alerts(steps, SERVICES, NOON)
    assert steps.ran == ["is_due", "look", "tell"]


def test_whoever_waits_for_the_set_up_is_told_of_a_fault_of_ours() -> None:
    written: list[Any] = []

    def run_step(name: str, _function: Callable[..., Any], *args: Any) -> Any:
        if name == "provide":
            raise ZeroDivisionError
        written.append((name, args[-1]["problem"]))

    jobs.set_up(run_step, SERVICES)
    assert written == [("write_down", "internal_error")]


@pytest.mark.parametrize("kind", ["done", "later", "permanent"])
def test_each_attempt_is_counted_with_its_outcome_when_it_has_ended(kind: str) -> None:
    services: Any = SimpleNamespace(tally=Tally())
    outcome = {"kind": kind, "reason": "x", "after": None}
    jobs.send(Steps(start=outcome, post=outcome), services, "i1", 1)
    assert services.tally._counts == {("attempts", ("send", kind)): 1}


def test_an_attempt_that_could_not_be_settled_is_not_counted() -> None:
    services: Any = SimpleNamespace(tally=Tally())
    steps = Steps(start=outcomes.later("unreachable"), settle=ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        jobs.send(steps, services, "i1", 1)
    assert services.tally._counts == {}
