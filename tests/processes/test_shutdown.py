"""SIGTERM: what is under way is finished, and the process is gone within ten seconds."""

from __future__ import annotations

import subprocess
import threading
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa

from canvas_app import leases, store
from canvas_app.interviews.tables import workers
from sandbox.faults import Fault, Kind
from sandbox.inbox import Shown
from tests.processes.stage import PATIENCE, Stage, Talk, Worker, until, words
from tests.support.databases import on_postgresql, on_sqlite

# Processes that end by themselves tell what was reached in them.
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("stage", [{"measured": True}], indirect=True)]

GONE_WITHIN = 10.0


def test_a_worker_told_to_stop_finishes_the_message_under_way(stage: Stage) -> None:
    worker, talk, _, tap = with_a_message_under_way(stage, "latency", delay=2.0)
    end(worker)
    stage.workers.remove(worker)
    tap.join()
    assert stage.logged(1, "send_attempt")[0]["outcome"] == "done"
    assert stage.logged(1, "worker_stopped") != []
    assert "Interview sent" in words(stage.card(talk))
    # The lease was given back, so that the web knows at once that nobody works.
    assert leases.living(stage.engine) == set()
    stage.start_worker()
    until("the next worker works", lambda: stage.logged(2, "worker_started"))
    stage.until_nothing_is_left_to_do()
    assert len(stage.intercom.comments(talk.conversation.id)) == 1
    assert len(stage.intercom.calls_to("POST", "/reply")) == 1


@on_sqlite
def test_a_worker_whose_call_is_not_answered_is_gone_all_the_same(stage: Stage) -> None:
    worker, talk, fault, tap = with_a_message_under_way(stage, "hang_after")
    end(worker)
    stage.workers.remove(worker)
    fault.release.set()
    tap.join()
    stage.start_worker()
    stage.until_card(talk, "Interview sent")
    stage.until_nothing_is_left_to_do()
    assert len(stage.intercom.comments(talk.conversation.id)) == 1


@on_postgresql
def test_a_call_that_is_answered_too_late_for_a_worker_is_no_fault_of_its_job(stage: Stage) -> None:
    # It is answered after the six seconds that a job has.
    worker, talk, _, tap = with_a_message_under_way(stage, "latency", delay=7.8)
    worker.terminate()
    until("it drains", lambda: stage.logged(1, "worker_draining"))
    with store.writing(stage.engine) as connection:
        # So that it is still there when the answer comes, since it cannot give its lease back.
        connection.execute(sa.select(workers).with_for_update()).all()
        assert worker.wait(GONE_WITHIN) == 0
    stage.workers.remove(worker)
    tap.join()
    assert stage.logged(1, "job_failed") == []
    assert stage.logged(1, "send_attempt") == []
    stage.start_worker()
    stage.until_card(talk, "Interview sent")
    stage.until_nothing_is_left_to_do()
    assert len(stage.intercom.comments(talk.conversation.id)) == 1
    assert len(stage.intercom.calls_to("POST", "/reply")) == 1


@on_sqlite
def test_a_worker_that_waits_for_the_database_is_gone_all_the_same(stage: Stage) -> None:
    worker = stage.start_worker()
    stage.wait_until_healthy()
    held = stage.engine.connect()
    held.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        # It renews its lease three times a second, and now waits for the lock to do so.
        until("its lease is not renewed", lambda: _silent_for(stage) > timedelta(seconds=1))
        end(worker)
    finally:
        held.close()
    stage.workers.remove(worker)


def _silent_for(stage: Stage) -> timedelta:
    with store.reading(stage.engine) as connection:
        renewed_at = connection.execute(sa.select(sa.func.max(workers.c.renewed_at))).scalar_one()
        silent: timedelta = store.now(connection) - renewed_at
    return silent


@on_sqlite
def test_a_web_told_to_stop_answers_the_tap_under_way(stage: Stage) -> None:
    talk = stage.customer()
    until("the web answers", lambda: stage.card(talk).canvas)
    shown: list[Shown] = []
    # No worker runs, so that the web watches the send for three seconds before it answers.
    tap = threading.Thread(target=lambda: shown.append(stage.tap(talk)))
    tap.start()
    until("the tap has come in", stage.waiting_jobs)
    end(stage.app.processes.pop("web"))
    tap.join()
    assert "Sending" in words(shown[0])


def with_a_message_under_way(
    stage: Stage, kind: Kind, **options: float
) -> tuple[Worker, Talk, Fault, threading.Thread]:
    """A worker of the product's own waits, whose call to post the message meets this fault."""
    worker, talk = stage.start_worker(quick=False), stage.customer()
    stage.wait_until_healthy()
    fault = stage.spoil("intercom", "POST", ".*/reply", kind, **options)
    tap = stage.tap_aside(talk)
    assert fault.reached.wait(PATIENCE)
    return worker, talk, fault, tap


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and see that it does so in time and in order."""
    begun = time.monotonic()
    process.terminate()
    try:
        status = process.wait(GONE_WITHIN)
    except subprocess.TimeoutExpired:
        pytest.fail(f"still there {GONE_WITHIN:g} s after SIGTERM")
    assert status == 0, f"ended with {status} after {time.monotonic() - begun:.1f} s"
