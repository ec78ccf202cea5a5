"""What the clock finds and what becomes of it: the quiet, the abandoned, the forgotten and the overdue."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from canvas_app import gates, store
from canvas_app.interviews import deliveries, forward, ledger, once, probing, purge, reconcile
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.tables import deliveries as deliveries_table, interviews
from canvas_app.koji.events import KojiEvent
from canvas_app.koji.results import KojiResult
from canvas_app.settings import Settings
from tests.interviews.asks import make_ask
from tests.interviews.results import GET, anonymous_study, event, notes, receive, sent_and_ready, writes
from tests.support.world import KOJI, KOJI_ID, World

LogLines = Callable[[], list[dict[str, Any]]]

IN_PROGRESS = {"interview_id": KOJI_ID, "status": "in_progress", "completed_at": None, "analysis": None}
ANALYSED = {
    "interview_id": KOJI_ID,
    "status": "completed",
    "completed_at": "2026-11-20T10:00:00Z",
    "analysis": {
        "sentiment": "negative",
        "quality_score": 4,
        "themes": ["Pricing friction"],
        "transcript_url": "https://koji.so/t/1",
    },
}
COMPLETED = {**IN_PROGRESS, "status": "completed"}


def stored(world: World) -> list[Any]:
    """All deliveries, oldest first."""
    with store.reading(world.engine) as connection:
        return list(connection.execute(sa.select(deliveries_table).order_by(deliveries_table.c.received_at)))


def age_of(world: World, moment: Any) -> timedelta:
    """How long ago a moment is by the database's clock; negative for one to come."""
    with store.reading(world.engine) as connection:
        age: timedelta = store.now(connection) - moment
        return age


def quiet(world: World, **values: Any) -> World:
    """An interview is out, and it is time to ask about it."""
    sent_and_ready(world)
    world.let_time_pass(hours=2)
    if values:
        world.set_interview(**values)
    return world


def write_row(world: World, number: int, *, state: str = "sent", **values: Any) -> str:
    """A row of its own contact, in a state."""
    id_ = ledger.new_id()
    with store.writing(world.engine) as connection:
        now = store.now(connection)
        created = ledger.create(
            connection,
            make_ask(contact_id=f"contact-{number}"),
            id_=id_,
            link_token=f"token-{id_}",
            public_url=None,
            now=now,
            send_before=now,
        )
        assert created is not None
        ledger.change(connection, id_, only_from=("queued",), state=state, **values)
    return id_


def the(world: World, id_: str) -> Interview:
    with store.reading(world.engine) as connection:
        return ledger.existing(connection, id_)


def test_the_clock_never_reads_the_whole_ledger(sqlite_world: World) -> None:
    world = sqlite_world
    looked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if statement.startswith("SELECT") and ("interviews" in statement or "deliveries" in statement):
            looked.append((statement, parameters))

    sa.event.listen(world.engine, "before_cursor_execute", note)
    for step in (
        reconcile.expire,
        reconcile.end_abandoned_sends,
        reconcile.revive_deliveries,
        reconcile.lead_on,
        reconcile.ask_about_the_quiet,
        purge.purge_ledger,
        purge.purge_deliveries,
        lambda services: probing._ask_koji(services, gates.key_of("koji", "pk_live_key")),
    ):
        step(world.services)
    # A webhook may name nothing but Koji's id and the contact; it is asked about inside the door's write.
    with store.reading(world.engine) as connection:
        for koji_id in ("k-1", None):
            ledger.for_result(connection, ref=None, koji_interview_id=koji_id, external_id="contact1")
    sa.event.remove(world.engine, "before_cursor_execute", note)
    assert len(looked) == 11
    with store.reading(world.engine) as connection:
        for statement, parameters in looked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            [outer] = [
                row.detail for row in plan if " interviews " in row.detail or " deliveries " in row.detail
            ][:1]
            assert "USING INDEX ix_" in outer, (statement, plan)
            # Many have no id of Koji's: all that were purged.
            assert "ix_interviews_koji_interview_id" not in outer or "koji_interview_id = " in statement
            # Whether a delivery waits for an interview is asked of its own, not of all that wait.
            assert not any(row.detail.endswith("ix_deliveries_by_state (state=?)") for row in plan), statement


# Those that were not answered in time


def test_what_is_not_answered_in_time_expires_at_the_moment_when_its_time_is_over(world: World) -> None:
    sent = world.send()
    world.let_time_pass(days=13, hours=23)
    assert reconcile.expire(world.services) == 0
    world.let_time_pass(days=2)
    assert reconcile.expire(world.services) == 1
    after = world.interview()
    assert after.state == "expired"
    assert after.sent_at is not None
    assert sent.sent_at is not None
    assert after.state_since == after.sent_at + timedelta(days=14)
    assert after.check_at is None
    assert reconcile.expire(world.services) == 0


def test_what_somebody_is_changing_right_now_does_not_hold_up_the_clock(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    if world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    busy, free = write_row(world, 1), write_row(world, 2)
    world.let_time_pass(days=20)
    with store.writing(world.engine) as connection:
        ledger.get(connection, busy, lock=True)
        assert reconcile.expire(world.services) == 1
    assert (the(world, busy).state, the(world, free).state) == ("sent", "expired")


def test_a_turn_takes_a_bounded_number(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "_MOST", 2)
    for number in range(3):
        write_row(sqlite_world, number)
    sqlite_world.let_time_pass(days=20)
    assert [reconcile.expire(sqlite_world.services) for _ in range(3)] == [2, 1, 0]


# Sends that nobody is at


@pytest.fixture
def abandoned(world: World) -> World:
    """A tap whose job is gone, as after the engine's last recovery; its time is long up."""
    world.vendors_are_well()
    world.initialize()
    world.submit("send")
    drop_jobs(world)
    world.let_time_pass(hours=2)
    return world


def drop_jobs(world: World) -> None:
    for job in world.services.jobs._client.list_workflows(status=["ENQUEUED", "DELAYED"]):
        world.services.jobs._client.cancel_workflow(job.workflow_id)


@pytest.mark.parametrize("state", ["queued", "sending"])
def test_an_abandoned_send_of_which_nothing_left_has_failed(
    abandoned: World, state: str, log_lines: LogLines
) -> None:
    abandoned.set_interview(state=state)
    assert reconcile.end_abandoned_sends(abandoned.services) == 1
    after = abandoned.interview()
    assert (after.state, after.reason, after.check_at) == ("failed", "given_up", None)
    assert [line["event"] for line in log_lines()] == ["send_given_up"]
    assert reconcile.end_abandoned_sends(abandoned.services) == 0


def test_an_abandoned_send_whose_message_may_be_there_is_of_unknown_fate(abandoned: World) -> None:
    claim(abandoned)
    reconcile.end_abandoned_sends(abandoned.services)
    after = abandoned.interview()
    assert (after.state, after.reason) == ("unknown", "given_up")
    assert after.check_at is not None


def test_an_abandoned_send_whose_message_is_there_was_sent(abandoned: World) -> None:
    claim(abandoned, settled=True)
    reconcile.end_abandoned_sends(abandoned.services)
    after = abandoned.interview()
    assert (after.state, after.reason) == ("sent", None)
    assert after.sent_at is not None
    assert after.check_at is not None


def test_an_abandoned_send_whose_link_was_opened_is_opened(abandoned: World) -> None:
    abandoned.set_interview(state="sending", opened_at=abandoned.interview().created_at)
    reconcile.end_abandoned_sends(abandoned.services)
    after = abandoned.interview()
    assert (after.state, after.sent_at) == ("opened", after.opened_at)


def test_a_send_whose_job_waits_or_is_not_long_up_is_left_alone(world: World) -> None:
    world.vendors_are_well()
    world.initialize()
    world.submit("send")
    world.let_time_pass(hours=2)
    assert reconcile.end_abandoned_sends(world.services) == 0
    drop_jobs(world)
    world.let_time_pass(minutes=-60)
    assert reconcile.end_abandoned_sends(world.services) == 0
    assert world.interview().state == "queued"


def test_an_attempt_that_was_made_meanwhile_is_not_ended(
    abandoned: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ledger.take_attempt
    raced = threading.Event()

    def another_first(connection: Any, id_: str, attempt: int) -> bool:
        if not raced.is_set():
            raced.set()
            assert found(connection, id_, attempt)
        return found(connection, id_, attempt)

    monkeypatch.setattr(ledger, "take_attempt", another_first)
    assert reconcile.end_abandoned_sends(abandoned.services) == 0
    assert raced.is_set()
    assert abandoned.interview().state == "queued"


def claim(world: World, *, settled: bool = False) -> None:
    """The message was claimed; ``settled``: and it is known to have been written."""
    interview = world.interview()
    engine = world.engine
    taken = once._take(engine, interview.id, "message", lambda _connection, _now: None)
    assert isinstance(taken, once._Claim)
    if settled:
        once._settle(engine, interview.id, "message", taken.token)


# Deliveries that nobody is at


def test_a_forgotten_delivery_has_its_next_attempt_once(world: World) -> None:
    sent_and_ready(world)
    world.koji_event(event(world))
    drop_jobs(world)
    world.let_time_pass(minutes=5)
    assert reconcile.revive_deliveries(world.services) == 0, "its time has not come"
    world.let_time_pass(minutes=6)
    assert reconcile.revive_deliveries(world.services) == 1
    assert reconcile.revive_deliveries(world.services) == 0, "a job waits now"
    assert world.run_jobs() == ["forward"]
    assert world.interview().state == "written_back"
    assert len(notes(world)) == 1


def test_a_delivery_that_waits_for_its_job_is_left_alone(world: World) -> None:
    sent_and_ready(world)
    world.koji_event(event(world))
    world.let_time_pass(hours=1)
    assert reconcile.revive_deliveries(world.services) == 0


def test_a_delivery_that_the_engine_gives_up_again_and_again_is_given_up(
    sqlite_world: World, log_lines: LogLines
) -> None:
    world = sent_and_ready(sqlite_world)
    world.outside.get(GET, json=COMPLETED)
    receive(world, "completed", sentiment=..., quality_score=..., themes=...)
    world.let_time_pass(hours=1)
    for _ in range(10):
        drop_jobs(world)
        assert reconcile.revive_deliveries(world.services) == 1
        assert [name for name, _ in world.pending()] == ["forward"]
    drop_jobs(world)
    assert reconcile.revive_deliveries(world.services) == 1
    assert world.pending() == []
    assert [(row.state, row.reason) for row in stored(world)] == [("failed", "given_up")]
    assert (world.interview().state, world.interview().reason) == ("failed", "given_up")
    assert log_lines()[-1]["given_up"] is True


# Interviews with an answer that nobody leads on


def answered(world: World, state: str, **values: Any) -> World:
    """An interview in ``state``, of which no delivery is left."""
    world.send()
    world.intercom_takes("attributes", "tags")
    kept = KojiResult(
        koji_interview_id=KOJI_ID, identity="named", sentiment="negative", quality=4, themes=("A",)
    )
    result = kept.model_dump(mode="json", exclude={"email", "external_id", "metadata"})
    world.set_interview(state=state, check_at=None, result=result if state == "analysed" else None, **values)
    return world


def test_an_answer_without_its_analysis_is_asked_for_after_an_hour(world: World) -> None:
    answered(world, "completed")
    world.outside.get(GET, json=ANALYSED)
    world.let_time_pass(minutes=50)
    assert reconcile.lead_on(world.services) == 0
    world.let_time_pass(minutes=20)
    assert reconcile.lead_on(world.services) == 1
    assert reconcile.lead_on(world.services) == 0, "it is being asked about"
    assert reconcile.ask_about_the_quiet(world.services) == 1
    world.run_jobs()
    assert world.interview().state == "written_back"
    assert len(notes(world)) == 1


def test_an_answer_that_is_being_worked_on_is_left_alone(world: World) -> None:
    sent_and_ready(world)
    world.outside.get(GET, json=COMPLETED)
    receive(world, "completed", sentiment=..., quality_score=..., themes=...)
    assert world.interview().state == "completed"
    world.let_time_pass(hours=3)
    assert reconcile.lead_on(world.services) == 0


@pytest.mark.parametrize("values", [{"koji_interview_id": None}, {}])
def test_an_analysis_is_not_waited_for_for_ever(sqlite_world: World, values: dict[str, Any]) -> None:
    world = answered(sqlite_world, "completed", **values)
    world.let_time_pass(hours=2) if values else world.let_time_pass(days=15)
    assert reconcile.lead_on(world.services) == 1
    after = world.interview()
    assert (after.state, after.reason, after.check_at) == ("not_written", "quality_unknown", None)


def test_while_the_analysis_is_not_there_it_is_asked_for_ever_more_rarely(sqlite_world: World) -> None:
    world = answered(sqlite_world, "completed")
    world.outside.get(GET, json=COMPLETED)
    world.let_time_pass(hours=2)
    reconcile.lead_on(world.services)
    assert reconcile.ask_about_the_quiet(world.services) == 1
    assert stored(world) == [], "that it is completed is known"
    after = world.interview()
    assert after.check_at == after.state_since + timedelta(hours=3)
    assert reconcile.lead_on(world.services) == 0


def test_an_analysis_that_was_left_lying_is_written_back_once(world: World) -> None:
    answered(world, "analysed")
    world.let_time_pass(hours=2)
    assert reconcile.lead_on(world.services) == 1
    world.run_jobs()
    assert world.interview().state == "written_back"
    assert len(notes(world)) == 1
    assert reconcile.lead_on(world.services) == 0


def test_an_analysis_that_is_left_lying_again_has_failed(sqlite_world: World) -> None:
    world = answered(sqlite_world, "analysed")
    world.let_time_pass(hours=2)
    assert reconcile.lead_on(world.services) == 1
    with store.writing(world.engine) as connection:
        [row] = stored(world)
        deliveries.finish(connection, row.id, "done", None, store.now(connection))
    assert reconcile.lead_on(world.services) == 1
    assert (world.interview().state, world.interview().reason) == ("failed", "not_written_back")


@pytest.mark.parametrize("taken_in", [False, True])
def test_an_analysis_whose_delivery_is_on_its_way_has_not_failed(sqlite_world: World, taken_in: bool) -> None:
    world = answered(sqlite_world, "analysed")
    world.let_time_pass(hours=2)
    assert reconcile.lead_on(world.services) == 1
    if taken_in:
        assert forward.take_in(world.services, stored(world)[0].id)["verdict"] == "write"
    # Another tick that has read its list before.
    assert reconcile._lead_on(world.services, world.interview().id) is False
    assert world.interview().state == "analysed"
    world.run_jobs()
    assert world.interview().state == "written_back"


def test_what_is_written_while_a_tick_comes_to_it_has_not_failed(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = answered(sqlite_world, "analysed")
    world.let_time_pass(hours=2)
    reconcile.lead_on(world.services)
    keep = deliveries.keep

    def the_job_ends(*args: Any, **options: Any) -> bool:
        kept = keep(*args, **options)
        world.run_jobs()
        return kept

    monkeypatch.setattr(deliveries, "keep", the_job_ends)
    assert reconcile._lead_on(world.services, world.interview().id) is False
    assert world.interview().state == "written_back"


# Interviews that are quiet


def test_a_sent_interview_is_asked_about_after_an_hour(world: World) -> None:
    sent = world.send()
    assert sent.sent_at is not None
    assert sent.check_at == sent.sent_at + timedelta(hours=1)
    world.let_time_pass(minutes=59)
    assert reconcile.ask_about_the_quiet(world.services) == 0
    world.let_time_pass(minutes=2)
    world.outside.get(GET, json=IN_PROGRESS)
    assert reconcile.ask_about_the_quiet(world.services) == 1
    after = world.interview()
    assert after.sent_at is not None
    assert (after.checks, after.check_at) == (1, after.sent_at + timedelta(hours=3))
    assert world.count(deliveries_table) == 0
    assert reconcile.ask_about_the_quiet(world.services) == 0


@pytest.mark.parametrize("state", ["sent", "opened", "unknown"])
def test_a_lost_result_goes_the_way_of_a_webhook(world: World, state: str) -> None:
    quiet(world, state=state)
    world.outside.get(GET, json=ANALYSED)
    assert reconcile.ask_about_the_quiet(world.services) == 1
    [row] = stored(world)
    assert (row.door, row.event, row.state) == ("reconcile", "interview.reconciled", "stored")
    assert world.run_jobs() == ["forward"]
    after = world.interview()
    assert (after.state, after.check_at) == ("written_back", None)
    assert len(notes(world)) == 1
    world.let_time_pass(days=1)
    assert reconcile.ask_about_the_quiet(world.services) == 0


def test_the_same_answer_twice_is_one_delivery(world: World) -> None:
    quiet(world)
    world.outside.get(GET, json=ANALYSED)
    reconcile.ask_about_the_quiet(world.services)
    world.let_time_pass(hours=2)
    assert reconcile.ask_about_the_quiet(world.services) == 1, "its job has not run yet"
    assert len(stored(world)) == 1
    assert len(world.pending()) == 1


def test_what_is_completed_without_an_analysis_goes_on_as_the_webhook_would(world: World) -> None:
    quiet(world)
    world.outside.get(GET, json=COMPLETED)
    reconcile.ask_about_the_quiet(world.services)
    world.run_jobs()
    assert (world.interview().state, world.interview().check_at) == ("completed", None)
    assert writes(world) == 0


def test_what_failed_kojis_gate_is_recorded_only(sqlite_world: World) -> None:
    world = quiet(sqlite_world)
    world.outside.get(GET, json={**ANALYSED, "status": "failed_quality_gate"})
    reconcile.ask_about_the_quiet(world.services)
    world.run_jobs()
    assert (world.interview().state, world.interview().reason) == ("not_written", "low_quality")
    assert writes(world) == 0


@pytest.mark.parametrize(
    ("told", "state"),
    [
        pytest.param({}, "written_back", id="no word of the address"),
        pytest.param({"respondent_email": "mia@example.com"}, "written_back", id="the address"),
        pytest.param({"respondent_email": None}, "not_written", id="no address"),
        pytest.param({"respondent_email": ""}, "not_written", id="an empty address"),
        pytest.param({"anonymous": True}, "not_written", id="said to be anonymous"),
    ],
)
def test_what_the_answer_says_of_the_person_counts(
    sqlite_world: World, told: dict[str, Any], state: str
) -> None:
    world = quiet(sqlite_world)
    world.outside.get(GET, json={**ANALYSED, **told})
    reconcile.ask_about_the_quiet(world.services)
    world.run_jobs()
    after = world.interview()
    assert (after.state, after.reason) == (state, "anonymous" if state == "not_written" else None)
    assert (writes(world) == 0) == (state == "not_written")
    [row] = stored(world)
    assert row.content is None


def test_an_empty_address_says_nothing_about_somebody_whom_a_webhook_has_named(sqlite_world: World) -> None:
    world = quiet(sqlite_world, state="completed", result={"identity": "named", "koji_interview_id": KOJI_ID})
    world.outside.get(GET, json={**ANALYSED, "respondent_email": None})
    reconcile.ask_about_the_quiet(world.services)
    world.run_jobs()
    assert world.interview().state == "written_back"


def test_of_an_anonymous_study_nothing_is_written(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = quiet(sqlite_world)
    monkeypatch.setattr(Settings, "default_study", property(anonymous_study))
    world.outside.get(GET, json=ANALYSED)
    reconcile.ask_about_the_quiet(world.services)
    world.run_jobs()
    assert (world.interview().state, world.interview().reason) == ("not_written", "anonymous")
    assert writes(world) == 0


def test_the_answer_is_about_the_interview_that_was_asked_about(sqlite_world: World) -> None:
    world = quiet(sqlite_world)
    other = write_row(world, 1)
    world.outside.get(GET, json={**ANALYSED, "metadata": {"interview_ref": other}})
    reconcile.ask_about_the_quiet(world.services)
    world.run_jobs()
    assert the(world, other).state == "sent"
    with store.reading(world.engine) as connection:
        asked = ledger.for_result(
            connection, ref=None, koji_interview_id=KOJI_ID, external_id=None, workspace_id=None
        )
    assert asked is not None
    assert asked.state == "written_back"


def test_what_koji_does_not_know_is_not_asked_about_again(world: World, log_lines: LogLines) -> None:
    quiet(world)
    world.outside.get(GET, status=404, json={"error": "not_found"})
    assert reconcile.ask_about_the_quiet(world.services) == 1
    assert (world.interview().state, world.interview().check_at) == ("sent", None)
    [line] = [line for line in log_lines() if line["event"] == "check_refused"]
    assert line["reason"] == "koji_interview_not_found"


def test_an_answer_that_koji_does_not_know_is_not_asked_about_again_but_its_event_counts(
    sqlite_world: World,
) -> None:
    world = sent_and_ready(sqlite_world)
    world.outside.get(GET, status=404, json={"error": "not_found"})
    receive(world, "completed", sentiment=..., quality_score=..., themes=...)
    assert world.interview().state == "completed"
    before = len(world.calls("GET", KOJI_ID))
    for _ in range(12):
        world.let_time_pass(minutes=30)
        world.tick("reconcile")
        world.run_jobs()
    assert len(world.calls("GET", KOJI_ID)) == before + 1
    assert (world.interview().state, world.interview().reason) == ("not_written", "quality_unknown")
    receive(world)
    assert world.interview().state == "written_back"


def test_that_nothing_was_written_of_what_koji_does_not_know_is_not_claimed_where_something_was(
    sqlite_world: World,
) -> None:
    world = answered(sqlite_world, "completed")
    with store.reading(world.engine) as connection:
        world.set_interview(attributes_written_at=store.now(connection))
    world.outside.get(GET, status=404, json={"error": "not_found"})
    world.let_time_pass(hours=2)
    reconcile.lead_on(world.services)
    reconcile.ask_about_the_quiet(world.services)
    assert (world.interview().state, world.interview().reason) == ("failed", "quality_unknown_after_writing")


def test_a_result_that_comes_while_koji_says_that_it_does_not_know_it_goes_on(sqlite_world: World) -> None:
    world = quiet(sqlite_world)
    asked = world.interview()
    world.set_interview(state="completed")
    reconcile._ask_no_more(world.services, asked)
    assert world.interview().state == "completed"


def test_what_koji_refuses_otherwise_is_asked_about_in_its_time(sqlite_world: World) -> None:
    world = quiet(sqlite_world)
    world.outside.get(GET, status=422, json={"error": "invalid"})
    reconcile.ask_about_the_quiet(world.services)
    after = world.interview()
    assert after.sent_at is not None
    assert after.check_at == after.sent_at + timedelta(hours=3)


@pytest.mark.parametrize(("status", "asked"), [(401, 1), (403, 1), (429, 1), (500, 3), (503, 3)])
def test_while_koji_does_not_answer_everything_is_left_to_the_next_turn(
    sqlite_world: World, status: int, asked: int, log_lines: LogLines
) -> None:
    world = sqlite_world
    world.outside.get(f"{KOJI}/api/v1/interviews/k-1", status=status, json={})
    with store.reading(world.engine) as connection:
        now = store.now(connection)
    ids = [
        write_row(world, number, koji_interview_id="k-1", check_at=now - timedelta(hours=1), sent_at=now)
        for number in range(5)
    ]
    assert reconcile.ask_about_the_quiet(world.services) == asked
    assert len(world.calls("GET", "/interviews/")) == asked
    # Beside it, what the gate of the wire says of it.
    assert {line["event"] for line in log_lines()} - {"wire_paused", "wire_blocked"} == {"check_failed"}
    world.let_time_pass(minutes=5)
    due = [the(world, id_) for id_ in ids]
    assert all(row.check_at is not None and age_of(world, row.check_at) > timedelta(0) for row in due)
    # Those that were not asked about come first now.
    assert reconcile.ask_about_the_quiet(world.services) == asked
    assert [the(world, id_).checks for id_ in ids] == ([1, 1, 0, 0, 0] if asked == 1 else [2, 1, 1, 1, 1])


def test_a_single_fault_does_not_keep_the_others_from_being_asked_about(sqlite_world: World) -> None:
    world = sqlite_world
    with store.reading(world.engine) as connection:
        now = store.now(connection)
    for number in range(8):
        koji_id = f"k-{number}"
        status = 500 if number % 2 else 200
        world.outside.get(f"{KOJI}/api/v1/interviews/{koji_id}", status=status, json=IN_PROGRESS)
        write_row(world, number, koji_interview_id=koji_id, check_at=now, sent_at=now)
    assert reconcile.ask_about_the_quiet(world.services) == 8


def test_a_turn_asks_about_a_bounded_number_the_longest_due_first(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_MOST_CHECKS", 2)
    world = sqlite_world
    world.outside.get(f"{KOJI}/api/v1/interviews/k-1", json=IN_PROGRESS)
    with store.reading(world.engine) as connection:
        now = store.now(connection)
    ids = [
        write_row(world, hours, koji_interview_id="k-1", check_at=now - timedelta(hours=hours), sent_at=now)
        for hours in (1, 3, 2)
    ]
    assert reconcile.ask_about_the_quiet(world.services) == 2
    assert [the(world, id_).checks for id_ in ids] == [0, 1, 1]


@pytest.mark.parametrize("state", ["queued", "sending", "analysed", "written_back", "expired", "failed"])
def test_nobody_asks_about_what_is_not_quiet(sqlite_world: World, state: str) -> None:
    with store.reading(sqlite_world.engine) as connection:
        now = store.now(connection)
    write_row(sqlite_world, 1, state=state, koji_interview_id="k-1", check_at=now)
    assert reconcile.ask_about_the_quiet(sqlite_world.services) == 0


def test_two_turns_at_once_ask_once(world: World) -> None:
    quiet(world)
    interview = world.interview()
    assert reconcile._take_check(world.services, interview.id) is not None
    assert reconcile._take_check(world.services, interview.id) is None
    assert reconcile.ask_about_the_quiet(world.services) == 0


def test_a_result_that_comes_in_while_koji_is_asked_keeps_its_state(sqlite_world: World) -> None:
    world = quiet(sqlite_world)
    before = world.interview()
    receive(world)
    assert world.interview().state == "written_back"
    # The answer to the question that was asked before is here only now.
    reconcile._set_next_check(world.services, before)
    reconcile._take_answer(world.services, before, KojiResult(status="in_progress"))
    assert (world.interview().state, world.interview().check_at) == ("written_back", None)


def test_without_a_key_nobody_is_asked(sqlite_world: World) -> None:
    world = quiet(sqlite_world)
    without_key = world.settings.model_copy(update={"koji_api_key": None})
    world.services = dataclasses.replace(world.services, settings=without_key)
    assert reconcile.ask_about_the_quiet(world.services) == 0
    assert world.interview().checks == 0


def test_no_address_is_kept_of_what_koji_answers(sqlite_world: World) -> None:
    world = quiet(sqlite_world)
    world.outside.get(GET, json={**ANALYSED, "respondent_email": "planted@example.com"})
    reconcile.ask_about_the_quiet(world.services)
    [row] = stored(world)
    assert "planted" not in str(row)
    kept = KojiEvent.model_validate(row.content)
    assert kept.result.identity == "named"
    assert world.count(interviews) == 1
