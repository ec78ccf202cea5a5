"""A process dies at the worst moment: the customer still gets one message, the conversation one note."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from canvas_app import store
from canvas_app.interviews.tables import interviews, outside_writes
from sandbox.faults import Fault, Kind, Wire
from tests.processes.stage import LEASE_LOST, PATIENCE, Stage, Talk, Worker, until, words
from tests.support.databases import on_postgresql, on_sqlite

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Point:
    """A moment in a worker's life: a call that hangs at a vendor, before or after its effect."""

    wire: Wire
    method: str
    path: str
    kind: Kind
    skip: int = 0

    def set(self, stage: Stage, talk: Talk) -> Fault:
        """Let the next such call hang, after ``skip`` others."""
        return stage.spoil(self.wire, self.method, self.path_of(talk), self.kind, skip=self.skip)

    def path_of(self, talk: Talk) -> str:
        return self.path.format(conversation=talk.conversation.id, contact=talk.contact.id)

    def calls(self, stage: Stage, talk: Talk) -> int:
        """How often the call was made, by all workers together."""
        calls = stage.koji.calls if self.wire == "koji" else stage.intercom.calls
        return sum(call.method == self.method and call.path == self.path_of(talk) for call in calls)


START = "/api/v1/interviews/start"
REPLY = "/conversations/{conversation}/reply"
CONTACT = "/contacts/{contact}"

KOJI_HAS_NOT_STARTED = Point("koji", "POST", START, "hang_before")
KOJI_HAS_STARTED = Point("koji", "POST", START, "hang_after")
REPLY_IS_NOT_THERE = Point("intercom", "POST", REPLY, "hang_before")
REPLY_IS_THERE = Point("intercom", "POST", REPLY, "hang_after")
# The very first PUT is refused, because the attributes do not exist yet.
ATTRIBUTES_ARE_NOT_THERE = Point("intercom", "PUT", CONTACT, "hang_before", skip=1)
ATTRIBUTES_ARE_THERE = Point("intercom", "PUT", CONTACT, "hang_after")
TAG_EXISTS = Point("intercom", "POST", "/tags", "hang_after")
CONVERSATION_IS_TAGGED = Point("intercom", "POST", "/conversations/{conversation}/tags", "hang_after")
CONTACT_IS_TAGGED = Point("intercom", "POST", "/contacts/{contact}/tags", "hang_after")


# Each point on both kinds of database: tests/processes/test_points.py.
@on_sqlite
@pytest.mark.parametrize(
    ("points", "calls"),
    [
        # Koji is asked a third time, and an interview that nobody uses costs nothing.
        pytest.param([KOJI_HAS_NOT_STARTED, KOJI_HAS_STARTED], 3, id="koji_start"),
        # Two messages and the note: the third worker finds the message of the second.
        pytest.param([REPLY_IS_NOT_THERE, REPLY_IS_THERE], 3, id="message"),
    ],
)
def test_workers_killed_while_sending_send_one_message(stage: Stage, points: list[Point], calls: int) -> None:
    worker, talk = stage.start_worker(), stage.customer()
    stage.wait_until_healthy()
    fault = points[0].set(stage, talk)
    tap = stage.tap_aside(talk)
    for following in (*points[1:], None):
        worker, fault = kill_at(stage, worker, fault, following, talk)
    tap.join()
    stage.until_card(talk, "Interview sent")
    assert stage.logged(1, "send_attempt") == []
    stage.check_round_trip(talk, stage.answer(talk))
    assert points[0].calls(stage, talk) == calls


@on_postgresql
@pytest.mark.parametrize(
    ("points", "calls"),
    [
        pytest.param([ATTRIBUTES_ARE_NOT_THERE, ATTRIBUTES_ARE_THERE], None, id="attributes"),
        # The message, and two notes: the third worker finds the note of the second.
        pytest.param([REPLY_IS_NOT_THERE, REPLY_IS_THERE], 3, id="note"),
        pytest.param([TAG_EXISTS, CONVERSATION_IS_TAGGED, CONTACT_IS_TAGGED], None, id="tags"),
    ],
)
def test_workers_killed_while_writing_back_write_one_note(
    stage: Stage, points: list[Point], calls: int | None
) -> None:
    worker, talk = stage.start_worker(), stage.customer()
    stage.wait_until_healthy()
    stage.tap(talk)
    stage.until_card(talk, "Interview sent")
    fault = points[0].set(stage, talk)
    koji_id = stage.answer(talk)
    for following in (*points[1:], None):
        worker, fault = kill_at(stage, worker, fault, following, talk)
    stage.check_round_trip(talk, koji_id)
    # What may be repeated, both of Koji's events may have written.
    assert calls is None or points[0].calls(stage, talk) == calls


@pytest.mark.parametrize(
    ("database_url", "table"),
    [
        # SQLite can be locked as a whole only, so that nothing at all is written down.
        pytest.param("sqlite", outside_writes, id="sqlite-unsettled"),
        pytest.param("postgresql", outside_writes, id="postgresql-unsettled", marks=pytest.mark.postgres),
        pytest.param("postgresql", interviews, id="postgresql-settled", marks=pytest.mark.postgres),
    ],
    indirect=["database_url"],
)
def test_a_worker_killed_when_the_message_is_answered_but_not_recorded(stage: Stage, table: sa.Table) -> None:
    first, talk = stage.start_worker(), stage.customer()
    stage.wait_until_healthy()
    fault = REPLY_IS_THERE.set(stage, talk)
    tap = stage.tap_aside(talk)
    assert fault.reached.wait(PATIENCE)
    # What is locked here cannot be written down by the worker, which has its answer meanwhile.
    with store.writing(stage.engine) as connection:
        connection.execute(sa.select(table).with_for_update()).all()
        fault.release.set()
        [call] = stage.intercom.calls_to("POST", "/reply")
        until("the message is answered", lambda: call.status)
        if connection.dialect.name == "postgresql":
            until("the worker waits for the lock", lambda: waits_for_lock(stage))
        stage.kill_worker(first)
        stage.start_worker()
    tap.join()
    stage.until_card(talk, "Interview sent")
    assert stage.logged(1, "send_attempt") == []
    stage.check_round_trip(talk, stage.answer(talk))


@on_sqlite
@pytest.mark.parametrize("stage", [{"QUICK_CLAIM_SECONDS": "14"}], indirect=True)
def test_a_message_that_is_still_on_its_way_is_waited_for(stage: Stage) -> None:
    first, talk = stage.start_worker(), stage.customer()
    stage.wait_until_healthy()
    # Intercom has the request, and acts on it when the worker is dead and its successor at work.
    fault = stage.spoil("intercom", "POST", ".*/reply", "latency", delay=9.0)
    tap = stage.tap_aside(talk)
    assert fault.reached.wait(PATIENCE)
    stage.kill_worker(first)
    stage.start_worker()
    until("the successor has tried", lambda: stage.logged(2, "send_attempt"))
    assert stage.links(talk) == []
    assert stage.logged(2, "send_attempt")[0]["reason"] == "being_verified"
    tap.join()
    stage.until_card(talk, "Interview sent")
    assert len(stage.links(talk)) == 1
    assert len(stage.intercom.calls_to("POST", "/reply")) == 1


@on_sqlite
def test_a_frozen_worker_that_wakes_up_does_nothing_more(stage: Stage) -> None:
    frozen, talk = stage.start_worker(), stage.customer()
    stage.wait_until_healthy()
    fault = KOJI_HAS_STARTED.set(stage, talk)
    tap = stage.tap_aside(talk)
    assert fault.reached.wait(PATIENCE)
    freeze(stage, frozen)
    stage.start_worker()
    stage.until_card(talk, "Interview sent")
    # Koji's answer is there when it wakes up, so that it would go on with the message.
    fault.release.set()
    until("Koji has answered", lambda: stage.koji.calls[0].status)
    os.killpg(frozen.pid, signal.SIGCONT)
    assert frozen.wait(PATIENCE) == LEASE_LOST
    stage.workers.remove(frozen)
    tap.join()
    stage.check_round_trip(talk, stage.answer(talk))


def test_two_workers_in_a_burst_and_one_of_them_dies(stage: Stage) -> None:
    first = stage.start_worker()
    until("the first worker works", lambda: stage.logged(1, "worker_started"))
    stage.start_worker()
    until("the second worker works", lambda: stage.logged(2, "worker_started"))
    talks = [stage.customer(f"Customer {number}") for number in range(20)]
    # Replies take a moment, so that the worker dies with some of them under way.
    stage.spoil("intercom", "POST", ".*/reply", "latency", times=20, delay=0.5)
    taps = [stage.tap_aside(talk) for talk in talks]
    until("the first worker is at it", lambda: stage.jobs_in_hand(1) and stage.links(talks[0]))
    stage.kill_worker(first)
    assert stage.jobs_in_hand(1) != []
    for tap in taps:
        tap.join()
    for talk in talks:
        stage.until_card(talk, "Interview sent")
    stage.until_nothing_is_left_to_do()
    assert [len(stage.intercom.comments(talk.conversation.id)) for talk in talks] == [1] * len(talks)
    assert len({link for talk in talks for link in stage.links(talk)}) == len(talks)


@on_sqlite
def test_a_tap_that_was_acknowledged_outlives_the_web(stage: Stage) -> None:
    talk = stage.customer()
    until("the web answers", lambda: stage.card(talk).canvas)
    assert "Sending" in words(stage.tap(talk))
    stage.app.kill("web")
    stage.app.start("web")
    stage.start_worker()
    stage.wait_until_healthy()
    stage.until_card(talk, "Interview sent")
    stage.until_nothing_is_left_to_do()
    assert len(stage.links(talk)) == 1


def kill_at(
    stage: Stage, worker: Worker, fault: Fault, following: Point | None, talk: Talk
) -> tuple[Worker, Fault]:
    """Kill a worker whose call hangs. Its successor hangs at the ``following`` point, if there is one."""
    assert fault.reached.wait(PATIENCE)
    stage.kill_worker(worker)
    fault.release.set()
    return (stage.start_worker(), following.set(stage, talk) if following else fault)


def freeze(stage: Stage, worker: Worker) -> None:
    """Stop a worker as a machine that is suspended does, at a moment when it does not hold SQLite's lock."""
    while True:
        os.killpg(worker.pid, signal.SIGSTOP)
        os.waitpid(worker.pid, os.WUNTRACED)
        with stage.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout=100")
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError:
                os.killpg(worker.pid, signal.SIGCONT)
            else:
                return
            finally:
                connection.invalidate()


def waits_for_lock(stage: Stage) -> bool:
    query = sa.text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with store.reading(stage.engine) as connection:
        return bool(connection.execute(query).scalar_one())
