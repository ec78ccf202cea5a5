"""The jobs: which steps make up an attempt. How a step is run, the durable engine says.

A job may be repeated from its first unfinished step on. Every fault of ours ends as an outcome too, so that
no interview stays in a state that nobody leads it out of.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from canvas_app import log
from canvas_app.errors import NotConfigured, WireError
from canvas_app.interviews import forward as forwarding
from canvas_app.interviews import outcomes, workspace, write_back
from canvas_app.interviews import send as sending
from canvas_app.interviews.forward import TakenIn
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.services import Services

logger = logging.getLogger(__name__)

# Runs a step: its name, the function, and the function's arguments.
RunStep = Callable[..., Any]

_WRITES: tuple[tuple[str, Callable[[Services, str], Outcome]], ...] = (
    ("attributes", write_back.write_attributes),
    ("note", write_back.write_note),
    ("tags", write_back.write_tags),
)


def send(run_step: RunStep, services: Services, interview_id: str, attempt: int) -> None:
    """One attempt to send an interview."""
    outcome: Outcome
    try:
        outcome = run_step("start", sending.start, services, interview_id)
        if outcome["kind"] == "done":
            outcome = run_step("post", sending.post, services, interview_id)
    except Exception as error:  # noqa: BLE001 - a fault of ours must not leave it in "sending" for ever
        outcome = _our_fault("send", error)
    run_step("settle", sending.settle, services, interview_id, attempt, outcome)


def forward(run_step: RunStep, services: Services, delivery_id: str, attempt: int) -> None:
    """One attempt to bring a delivery's result to Intercom."""
    taken: TakenIn = forwarding.NOT_TAKEN_IN
    outcome: Outcome
    try:
        taken = run_step("take_in", forwarding.take_in, services, delivery_id)
        if taken["verdict"] == "write" and taken["interview_id"] is not None:
            outcome = _write_all(run_step, services, taken["interview_id"])
        else:
            outcome = forwarding.outcome_without_writing(taken)
    except Exception as error:  # noqa: BLE001 - a fault of ours must not lose the result
        outcome = _our_fault("forward", error)
    run_step("settle", forwarding.settle, services, delivery_id, attempt, taken, outcome)


def read_workspace(run_step: RunStep, services: Services) -> None:
    """Learn the workspace's time zone before the first card is drawn; a send would learn it anyway."""
    run_step("read", _read_workspace, services)


def _write_all(run_step: RunStep, services: Services, interview_id: str) -> Outcome:
    """All three writes in order. One that will never work does not keep the others from being made."""
    failed: Outcome | None = None
    remark: str | None = None
    for name, write in _WRITES:
        outcome: Outcome = run_step(name, write, services, interview_id)
        if outcome["kind"] == "permanent":
            failed = failed or outcome
        elif outcome["kind"] != "done":
            return outcome
        elif outcome["reason"] in write_back.REMARKS:
            remark = outcome["reason"]
    return failed or outcomes.done(remark)


def _read_workspace(services: Services) -> Outcome:
    try:
        workspace.read(services)
    except (WireError, NotConfigured) as error:
        log.event(logger, logging.WARNING, "workspace_not_read", reason=error.reason)
        return outcomes.of_error(error)
    return outcomes.done()


def _our_fault(job: str, error: Exception) -> Outcome:
    log.failure(logger, "job_failed", error, job=job)
    return outcomes.later("internal_error")
