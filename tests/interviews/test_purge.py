"""What is too old goes, and what must stay stays; and nobody who taps waits for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import store
from canvas_app.interviews import emptied, forward, ledger, purge, write_back
from canvas_app.interviews.ask import ask
from canvas_app.interviews.states import OPEN_STATES, STATES, UNFINISHED_STATES
from canvas_app.interviews.tables import api_requests, decisions, deliveries, interviews
from canvas_app.koji.results import KojiResult
from tests.interviews.asks import make_ask
from tests.interviews.results import event, receive, sent_and_ready, writes
from tests.support.world import CONTACT, CONVERSATION, KOJI_ID, World, texts

ENDED = tuple(state for state in STATES if state not in UNFINISHED_STATES)
LIVING = ("ENQUEUED", "DELAYED", "PENDING")


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "PAUSE", 0.0)


def row(world: World) -> dict[str, Any]:
    """The one interview, as it stands in the table."""
    with store.reading(world.engine) as connection:
        return dict(connection.execute(sa.select(interviews)).mappings().one())


def old(world: World, **values: Any) -> dict[str, Any]:
    """An interview with a result, written back, and just too old."""
    sent_and_ready(world)
    receive(world)
    world.let_time_pass(days=366)
    if values:
        world.set_interview(**values)
    return row(world)


# The ledger


def test_an_old_interview_loses_whatever_leads_to_a_person(world: World) -> None:
    before = old(world, personal_line="planted line", written_as_id="7")
    assert purge.purge_ledger(world.services) is False
    after = row(world)
    for name in (
        "conversation_id",
        "asked_by_id",
        "asked_by_name",
        "contact_name",
        "contact_email",
        "personal_line",
        "koji_interview_id",
        "koji_link",
        "written_as_id",
        "attribute_names",
        "contact_tags",
        "conversation_tags",
    ):
        assert before[name] is not None, f"{name} would be empty anyway"
        assert after[name] is None
    assert (after["contact_id"], after["link_token"]) == (emptied.NOBODY, after["id"])
    assert after["purged_at"] is not None
    # Short numbers may stand in a time or an id by chance.
    assert {CONVERSATION, "991", "7"}.isdisjoint(str(value) for value in after.values())
    text = json.dumps({name: str(value) for name, value in after.items()})
    for planted in (CONTACT, KOJI_ID, "Mia", "mia@", "Ada", "koji.so", before["link_token"]):
        assert planted not in text


def test_what_was_asked_when_and_what_came_of_it_stays(world: World) -> None:
    before = old(world, request_key="a" * 64)
    purge.purge_ledger(world.services)
    after = row(world)
    for name in (
        "id",
        "state",
        "study",
        "origin",
        "created_at",
        "sent_at",
        "written_back_at",
        "workspace_id",
    ):
        assert after[name] == before[name] is not None
    assert after["request_key"] == "a" * 64
    result = KojiResult.model_validate(after["result"])
    assert (result.sentiment, result.quality, result.top_theme) == ("negative", 4, "Pricing friction")
    assert len(result.themes) == 4
    assert result.transcript_url is None


def test_nothing_is_purged_before_its_time_nor_twice(world: World) -> None:
    sent_and_ready(world)
    receive(world)
    world.let_time_pass(days=364)
    purge.purge_ledger(world.services)
    assert row(world)["purged_at"] is None
    world.let_time_pass(days=2)
    purge.purge_ledger(world.services)
    first = row(world)
    assert first["purged_at"] is not None
    purge.purge_ledger(world.services)
    assert row(world) == first


@pytest.mark.parametrize("state", STATES)
def test_what_has_not_ended_keeps_its_data_until_it_has(sqlite_world: World, state: str) -> None:
    old(sqlite_world, state=state)
    purge.purge_ledger(sqlite_world.services)
    assert (row(sqlite_world)["purged_at"] is not None) == (state in ENDED)
    assert (row(sqlite_world)["contact_name"] is None) == (state in ENDED)


def test_what_a_late_result_is_on_its_way_for_keeps_its_data(sqlite_world: World) -> None:
    world = sqlite_world
    old(world)
    world.koji_event(event(world, quality_score=5))
    # Its first attempt has found whom it is about.
    with store.writing(world.engine) as connection:
        connection.execute(sa.update(deliveries).values(interview_id=row(world)["id"]))
    purge.purge_ledger(world.services)
    assert row(world)["purged_at"] is None
    world.run_jobs()
    purge.purge_ledger(world.services)
    assert row(world)["purged_at"] is not None


def test_what_a_late_result_is_merged_into_after_it_was_found_keeps_its_data(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    old(world)
    world.koji_event(event(world, sentiment="positive", quality_score=1))
    begin = store.writing

    def a_worker_first(engine: Engine) -> AbstractContextManager[Connection]:
        monkeypatch.setattr(store, "writing", begin)
        with store.reading(world.engine) as connection:
            stored = deliveries.c.state == "stored"
            [id_] = connection.execute(sa.select(deliveries.c.id).where(stored)).scalars()
        forward.take_in(world.services, id_)
        return begin(engine)

    monkeypatch.setattr(store, "writing", a_worker_first)
    purge.purge_ledger(world.services)
    assert row(world)["purged_at"] is None
    world.run_jobs()
    purge.purge_ledger(world.services)
    after = row(world)
    assert after["purged_at"] is not None
    assert after["result"]["sentiment"] == "positive", "and what it corrected is not lost"
    assert "koji.so" not in str(after["result"])


def test_what_somebody_is_changing_right_now_does_not_hold_up_the_purge(world: World) -> None:
    if world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    id_ = old(world)["id"]
    with store.writing(world.engine) as connection:
        ledger.get(connection, id_, lock=True)
        purge.purge_ledger(world.services)
        assert row(world)["purged_at"] is None
    purge.purge_ledger(world.services)
    assert row(world)["purged_at"] is not None


def test_nothing_is_written_about_what_was_purged(sqlite_world: World) -> None:
    id_ = old(sqlite_world)["id"]
    purge.purge_ledger(sqlite_world.services)
    before = writes(sqlite_world)
    for write in (write_back.write_attributes, write_back.write_note, write_back.write_tags):
        assert write(sqlite_world.services, id_)["kind"] == "stop"
    assert writes(sqlite_world) == before


def test_the_link_of_a_purged_interview_is_kindly_over(world: World) -> None:
    token = old(world)["link_token"]
    assert world.get(f"/i/{token}").status_code == 200
    purge.purge_ledger(world.services)
    answer = world.get(f"/i/{token}")
    assert answer.status_code == 410
    assert "This interview is over" in answer.text


@pytest.mark.parametrize("by", ["reference", "koji", "contact"])
def test_a_late_result_for_a_purged_interview_is_nobodys(sqlite_world: World, by: str) -> None:
    world = sqlite_world
    before = old(world)
    purge.purge_ledger(world.services)
    already = writes(world)
    metadata = {"interview_ref": before["id"]} if by == "reference" else {}
    late = event(world, metadata=metadata, quality_score=5)
    if by == "contact":
        late["data"]["interview_id"] = "0b7f6a4e-0001-4000-8000-000000000002"
    world.koji_event(late)
    for _ in range(5):
        world.run_jobs(delayed=True)
    with store.reading(world.engine) as connection:
        newest = connection.execute(
            sa.select(deliveries).order_by(deliveries.c.received_at.desc()).limit(1)
        ).one()
    assert (newest.state, newest.reason) == ("ignored", "unknown_interview")
    assert writes(world) == already
    assert row(world)["koji_interview_id"] is None


def test_the_card_of_a_customer_whose_data_is_gone_begins_anew(world: World) -> None:
    old(world)
    assert "Pricing friction" in texts(world.initialize())
    purge.purge_ledger(world.services)
    assert "Pricing friction" not in texts(world.initialize())
    world.submit("send")
    assert world.interview().state == "queued"


def test_many_are_purged_in_batches(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = sqlite_world
    monkeypatch.setattr(purge, "BATCH", 2)
    monkeypatch.setattr(purge, "_BATCHES_A_STEP", 2)
    for number in range(5):
        asked = ask(world.engine, world.services.jobs, world.settings, make_ask(contact_id=f"c{number}"))
        with store.writing(world.engine) as connection:
            ledger.change(connection, asked.interview.id, only_from=OPEN_STATES, state="failed")
    world.let_time_pass(days=400)
    assert purge.purge_ledger(world.services) is True
    with store.reading(world.engine) as connection:
        left = sa.select(sa.func.count()).where(interviews.c.purged_at.is_(None))
        assert connection.execute(left).scalar_one() == 1
        assert purge.purge_ledger(world.services) is False
        assert connection.execute(left).scalar_one() == 0


# Deliveries


def test_what_is_left_of_old_deliveries_goes_and_says_no_more_whom_it_was_about(world: World) -> None:
    sent_and_ready(world)
    receive(world)
    with store.writing(world.engine) as connection:
        connection.execute(sa.update(deliveries).values(state="failed", content={"planted": True}))
    world.let_time_pass(days=364)
    purge.purge_deliveries(world.services)
    assert "planted" in str(delivery(world))
    world.let_time_pass(days=2)
    assert KOJI_ID in str(delivery(world))
    assert purge.purge_deliveries(world.services) is False
    after = delivery(world)
    assert (after.state, after.content) == ("failed", None)
    assert KOJI_ID not in str(after)


def test_a_delivery_that_is_still_worked_on_keeps_what_it_says(sqlite_world: World) -> None:
    world = sent_and_ready(sqlite_world)
    world.koji_event(event(world))
    world.let_time_pass(days=400)
    purge.purge_deliveries(world.services)
    assert delivery(world).content is not None


def delivery(world: World) -> Any:
    with store.reading(world.engine) as connection:
        return connection.execute(sa.select(deliveries)).one()


def test_old_decisions_are_about_nobody_and_the_keys_of_the_apis_callers_stay(world: World) -> None:
    asked = old(world)
    with store.writing(world.engine) as connection:
        now = store.now(connection)
        for number, age in enumerate((400, 1)):
            moment = now - timedelta(days=age)
            connection.execute(
                sa.insert(decisions).values(
                    id=f"e{number}",
                    delivery_id="d",
                    rule=f"r{number}",
                    workspace_id="ws1",
                    contact_id=CONTACT,
                    conversation_id=CONVERSATION,
                    verdict="skipped",
                    decided_at=moment,
                )
            )
            connection.execute(
                sa.insert(api_requests).values(
                    key=f"k{number}", body_hash="h", interview_id=asked["id"], created_at=moment
                )
            )
    assert purge.purge_traces(world.services) is False
    with store.reading(world.engine) as connection:
        told = connection.execute(sa.select(decisions.c.contact_id).order_by(decisions.c.id)).scalars().all()
        keys = connection.execute(sa.select(api_requests.c.key)).scalars().all()
    assert (told, keys) == (["purged:e0", CONTACT], ["k0", "k1"])


# The engine's history


def history(world: World) -> dict[str, int]:
    """How many jobs there are in each state, by the engine's own table."""
    listed = world.services.jobs._client.list_workflows(load_input=False, load_output=False)
    states = [job.status for job in listed]
    return {state: states.count(state) for state in set(states)}


def make_jobs(world: World, **days_by_status: float) -> None:
    """One job for each status, enqueued so many days ago."""
    client = world.services.jobs._client
    with store.writing(world.engine) as connection:
        for status in days_by_status:
            world.services.jobs.enqueue(connection, "send", "i", 1, job_id=status, partition=status)
    tables = client._sys_db.tables
    jobs, steps = tables.workflow_status, tables.operation_outputs
    with client._sys_db.engine.begin() as connection:
        for status, days in days_by_status.items():
            this = jobs.c.workflow_uuid == status
            older = jobs.c.created_at - int(days * 86_400_000)
            connection.execute(sa.update(jobs).where(this).values(status=status, created_at=older))
            connection.execute(
                sa.insert(steps).values(
                    workflow_uuid=status, function_id=1, function_name="start", retention_timestamp=0
                )
            )


def kept(world: World) -> dict[str, set[str]]:
    """The ids of the jobs that each of the engine's tables still knows."""
    tables = world.services.jobs._client._sys_db.tables
    found: dict[str, set[str]] = {}
    with world.services.jobs._client._sys_db.engine.connect() as connection:
        for name in ("workflow_status", "workflow_input", "operation_outputs"):
            column = getattr(tables, name).c.workflow_uuid
            found[name] = set(connection.execute(sa.select(column)).scalars())
    return found


def test_finished_jobs_go_after_a_week_with_all_that_is_kept_of_them(world: World) -> None:
    finished = {"SUCCESS": 8, "ERROR": 8, "CANCELLED": 8, "MAX_RECOVERY_ATTEMPTS_EXCEEDED": 8}
    make_jobs(world, **finished)
    assert all(ids == set(finished) for ids in kept(world).values()), "there is something to purge"
    assert purge.purge_history(world.services) is False
    assert all(ids == set() for ids in kept(world).values())


def test_what_waits_or_runs_stays_however_old_it_is(world: World) -> None:
    make_jobs(world, ENQUEUED=400, DELAYED=400, PENDING=400)
    purge.purge_history(world.services)
    assert all(ids == set(LIVING) for ids in kept(world).values())


def test_what_finished_in_the_last_week_stays(world: World) -> None:
    make_jobs(world, SUCCESS=6.9)
    purge.purge_history(world.services)
    assert history(world) == {"SUCCESS": 1}


def test_a_purged_job_is_not_run_again_by_a_second_tap(world: World) -> None:
    # The engine has forgotten the job by then; the ledger has not.
    world.vendors_are_well()
    world.initialize()
    tapped = world.last_canvas
    world.submit("send")
    world.run_jobs()
    tomorrow = world.interview().created_at + timedelta(days=1)
    assert world.services.jobs.purge(before=tomorrow, most=100) == 1
    world.submit("send", current_canvas=tapped)
    assert world.run_jobs() == []
    assert world.count(interviews) == 1


# What a tap feels of it


def test_a_tap_goes_through_while_a_batch_is_being_purged(world: World) -> None:
    """On PostgreSQL, where many write at once: a batch's locks are held open, and the tap does not wait."""
    if world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time; see the next test")
    make_jobs(world, SUCCESS=8, ERROR=8)
    old(world)
    with_locks = threading.Event()
    may_end = threading.Event()

    def hold(connection: sa.Connection) -> None:
        if not with_locks.is_set():
            with_locks.set()
            assert may_end.wait(30)

    held = _hold_before_commit(world, hold, lambda: purge.purge_history(world.services))
    assert with_locks.wait(30)
    try:
        waiting = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        made = ask(world.engine, world.services.jobs, world.settings, make_ask(contact_id="another"))
        assert made.created
        with store.reading(world.engine) as connection:
            assert connection.execute(waiting).scalar_one() == 0
            # The batch is still under way: what it deletes is still seen by the others.
            assert kept(world)["workflow_status"] >= {"SUCCESS", "ERROR"}
    finally:
        may_end.set()
        held.join(30)
    assert not kept(world)["workflow_status"] & {"SUCCESS", "ERROR"}


def test_a_tap_goes_through_while_personal_data_is_being_purged(world: World) -> None:
    if world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time; see the next test")
    old(world)
    with_locks, may_end = threading.Event(), threading.Event()

    def hold(_connection: sa.Connection) -> None:
        if not with_locks.is_set():
            with_locks.set()
            assert may_end.wait(30)

    held = _hold_before_commit(world, hold, lambda: purge.purge_ledger(world.services))
    assert with_locks.wait(30)
    try:
        # The very customer whose old interview is being purged.
        made = ask(world.engine, world.services.jobs, world.settings, make_ask(contact_id=CONTACT))
        assert made.created
    finally:
        may_end.set()
        held.join(30)


def _hold_before_commit(
    world: World, hold: Callable[[sa.Connection], None], work: Callable[[], object]
) -> threading.Thread:
    """Do ``work`` in a thread of its own, and call ``hold`` before its first commit."""

    def run() -> None:
        this = threading.get_ident()

        def before_commit(connection: sa.Connection) -> None:
            if threading.get_ident() == this:
                hold(connection)

        sa.event.listen(world.engine, "commit", before_commit)
        try:
            work()
        finally:
            sa.event.remove(world.engine, "commit", before_commit)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_batch_is_one_transaction_of_few_rows_and_the_lock_is_free_between_two(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sqlite_world
    monkeypatch.setattr(purge, "BATCH", 2)
    make_jobs(world, SUCCESS=8, ERROR=8, CANCELLED=8)
    left: list[int] = []

    def pause(_seconds: float) -> None:
        # Another connection takes the lock that a batch would still hold, and does not wait for it.
        with world.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout=0")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            connection.rollback()
            connection.invalidate()
        left.append(len(kept(world)["workflow_status"]))

    monkeypatch.setattr("canvas_app.interviews.purge.time.sleep", pause)
    assert purge.purge_history(world.services) is False
    assert left == [1]
    assert kept(world)["workflow_status"] == set()
