"""SIGTERM: what is under way is finished, and the process is gone within ten seconds."""

from __future__ import annotations

import subprocess
import threading
import time

import pytest

from canvas_app import leases
from sandbox.inbox import Shown
from tests.processes.stage import PATIENCE, Stage, until, words
from tests.support.databases import on_sqlite

# Processes that end by themselves tell what was reached in them.
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("stage", [{"measured": True}], indirect=True)]

GONE_WITHIN = 10.0


def test_a_worker_told_to_stop_finishes_the_message_under_way(stage: Stage) -> None:
    worker, talk = stage.start_worker(quick=False), stage.customer()
    stage.wait_until_healthy()
    fault = stage.spoil("intercom", "POST", ".*/reply", "latency", delay=2.0)
    tap = stage.tap_aside(talk)
    assert fault.reached.wait(PATIENCE)
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
    worker, talk = stage.start_worker(quick=False), stage.customer()
    stage.wait_until_healthy()
    fault = stage.spoil("intercom", "POST", ".*/reply", "hang_after")
    tap = stage.tap_aside(talk)
    assert fault.reached.wait(PATIENCE)
    end(worker)
    stage.workers.remove(worker)
    fault.release.set()
    tap.join()
    stage.start_worker()
    stage.until_card(talk, "Interview sent")
    stage.until_nothing_is_left_to_do()
    assert len(stage.intercom.comments(talk.conversation.id)) == 1


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


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and see that it does so in time and in order."""
    begun = time.monotonic()
    process.terminate()
    try:
        status = process.wait(GONE_WITHIN)
    except subprocess.TimeoutExpired:
        pytest.fail(f"still there {GONE_WITHIN:g} s after SIGTERM")
    assert status == 0, f"ended with {status} after {time.monotonic() - begun:.1f} s"
