"""The jobs: which steps make up an attempt. How a step is run, the durable engine says.

A job may be repeated from its first unfinished step on. Every fault of ours ends as an outcome too, so that
no interview stays in a state that nobody leads it out of.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from canvas_app import log, store
from canvas_app.errors import NotConfigured, WireError
from canvas_app.interviews import (
    alarms,
    closing,
    departures,
    forward as forwarding,
    link_clearing,
    measures,
    outcomes,
    probing,
    provisions,
    purge,
    reconcile,
    rehearsed,
    rehearsing,
    reminders,
    replays,
    send as sending,
    triggers,
    workspace,
    write_back,
)
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

_RECONCILE: tuple[tuple[str, Callable[[Services], int]], ...] = (
    ("probe", probing.probe),
    # Asked before it expires: an answer of its last day counts.
    ("ask_about_the_quiet", reconcile.ask_about_the_quiet),
    ("expire", reconcile.expire),
    ("end_abandoned_sends", reconcile.end_abandoned_sends),
    ("revive_deliveries", reconcile.revive_deliveries),
    ("lead_on", reconcile.lead_on),
    # After those that end interviews.
    ("clear_links", link_clearing.sweep),
    # New steps come last: a tick that a deploy interrupts goes on with those that it has begun with.
    ("revive_planned", reconcile.revive_planned),
    ("remind", reminders.enqueue_due),
    ("forget_rehearsals", rehearsed.forget),
)

_PURGE: tuple[tuple[str, Callable[[Services], bool]], ...] = (
    ("purge_ledger", purge.purge_ledger),
    ("purge_deliveries", purge.purge_deliveries),
    ("purge_traces", purge.purge_traces),
    ("purge_requests", purge.purge_requests),
    ("purge_history", purge.purge_history),
)

_ALERTS: tuple[tuple[str, Callable[[Services], int]], ...] = (
    ("look", alarms.look),
    ("tell", alarms.tell),
)

# A tick of the clock that is begun later than this is not made up for: the next one does the same.
_RECONCILE_WITHIN = _ALERTS_WITHIN = timedelta(minutes=5)
_PURGE_WITHIN = timedelta(days=1)

# So that a day's purge ends, whatever happens: two million rows of each kind.
_MOST_PURGE_STEPS = 1000


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
    services.tally.count(measures.ATTEMPTS, "send", outcome["kind"])


def forward(run_step: RunStep, services: Services, delivery_id: str, attempt: int) -> None:
    """One attempt to bring a delivery's result to Intercom."""
    taken: TakenIn = forwarding.NOT_TAKEN_IN
    outcome: Outcome
    try:
        taken = run_step("take_in", take_in_and_write, services, delivery_id)
        written = taken.get("written")
        if written is not None:
            outcome = written
        elif _is_to_be_written(taken):
            # Of a version that kept each write as a step of its own, and died before the last of them.
            outcome = _write_all(run_step, services, taken["interview_id"] or "")
        else:
            outcome = forwarding.outcome_without_writing(taken)
    except Exception as error:  # noqa: BLE001 - a fault of ours must not lose the result
        outcome = _our_fault("forward", error)
    run_step("settle", forwarding.settle, services, delivery_id, attempt, taken, outcome)
    services.tally.count(measures.ATTEMPTS, "forward", outcome["kind"])


def take_in_and_write(services: Services, delivery_id: str) -> TakenIn:
    """Take a delivery in and, where its result is to be written, write it.

    One step, since keeping a step takes the database longer than most writes take: each part may be repeated
    and says itself whether it was done before. After an outage of the database a part begins anew, and not
    what was done before it.
    """
    taken = store.patiently(forwarding.take_in, services, delivery_id)
    if _is_to_be_written(taken):
        try:
            taken["written"] = _write_all(_run_part, services, taken["interview_id"] or "")
        except Exception as error:  # noqa: BLE001 - whose result it is, is known by now and must be settled
            taken["written"] = _our_fault("forward", error)
    return taken


def react(run_step: RunStep, services: Services, delivery_id: str, attempt: int) -> None:
    """One attempt to let the rules decide about what has happened in Intercom."""
    outcome: Outcome
    try:
        outcome = run_step("decide", triggers.decide, services, delivery_id)
    except Exception as error:  # noqa: BLE001 - a fault of ours must not lose the event
        outcome = _our_fault("react", error)
    run_step("settle", triggers.settle, services, delivery_id, attempt, outcome)
    services.tally.count(measures.ATTEMPTS, "react", outcome["kind"])


def remind(run_step: RunStep, services: Services, interview_id: str) -> None:
    """One attempt to remind a customer; the clock makes the next one."""
    outcome: Outcome
    try:
        outcome = run_step("remind", reminders.remind, services, interview_id)
    except Exception as error:  # noqa: BLE001 - a fault of ours is tried again with the clock
        outcome = _our_fault("remind", error)
    run_step("settle", reminders.settle, services, interview_id, outcome)
    services.tally.count(measures.ATTEMPTS, "remind", outcome["kind"])


def close_again(run_step: RunStep, services: Services, interview_id: str, attempt: int) -> None:
    """One attempt to close a conversation that an automatic message has reopened."""
    outcome: Outcome
    try:
        outcome = run_step("close", closing.close_again, services, interview_id)
    except Exception as error:  # noqa: BLE001 - a fault of ours is tried again, and given up as any other
        outcome = _our_fault("close_again", error)
    run_step("settle", closing.settle, services, interview_id, attempt, outcome)
    services.tally.count(measures.ATTEMPTS, "close_again", outcome["kind"])


def clear_link(run_step: RunStep, services: Services, interview_id: str, attempt: int, tries: int) -> None:
    """One attempt to take a link out of the contact's attributes. ``tries`` counts those that could work."""
    outcome: Outcome
    try:
        outcome = run_step("clear", link_clearing.clear, services, interview_id)
    except Exception as error:  # noqa: BLE001 - a fault of ours is tried again, and given up as any other
        outcome = _our_fault("clear_link", error)
    run_step("settle", link_clearing.settle, services, interview_id, attempt, tries, outcome)
    services.tally.count(measures.ATTEMPTS, "clear_link", outcome["kind"])


def replay(run_step: RunStep, services: Services, replay_id: str, batch: int) -> None:
    """Take up again the next of those that an operator wants replayed."""
    try:
        run_step("go_on", replays.go_on, services, replay_id, batch)
    except Exception as error:  # noqa: BLE001 - a fault of ours must not let it stand half done for ever
        log.failure(logger, "job_failed", error, job="replay")
        run_step("give_up", replays.give_up, services, replay_id, batch)


def erase(run_step: RunStep, services: Services, interview_id: str) -> None:
    """Erase an interview's contact on an operator's word, who sees whether it was done."""
    try:
        run_step("erase", departures.erase_on_request, services, interview_id)
    except Exception as error:  # noqa: BLE001 - they ask for it once more
        log.failure(logger, "job_failed", error, job="erase")


def rehearse(run_step: RunStep, services: Services, rehearsal_id: str) -> None:
    """A dry run of a rule: the one job that takes minutes."""
    outcome: Outcome
    try:
        outcome = run_step("play", rehearsing.play, services, rehearsal_id)
    except Exception as error:  # noqa: BLE001 - somebody waits for its end
        outcome = _our_fault("rehearse", error)
    run_step("settle", rehearsing.settle, services, rehearsal_id, outcome)
    services.tally.count(measures.ATTEMPTS, "rehearse", outcome["kind"])


def read_workspace(run_step: RunStep, services: Services) -> None:
    """Learn the workspace's time zone before the first card is drawn; a send would learn it anyway."""
    run_step("read", _read_workspace, services)


def set_up(run_step: RunStep, services: Services) -> None:
    """Make what we need in Intercom, and write down what was found there."""
    found: provisions.Provided
    try:
        found = run_step("provide", provisions.provide, services)
    except Exception as error:  # noqa: BLE001 - whoever waits for it is to be told
        log.failure(logger, "job_failed", error, job="set_up")
        found = {"attributes": {}, "tags": False, "problem": "internal_error"}
    run_step("write_down", provisions.write_down, services, found)


def tick_reconcile(run_step: RunStep, services: Services, scheduled_at: str) -> None:
    """Look after what was forgotten, lost or given up. ``scheduled_at`` is the tick's own time, ISO 8601."""
    if not run_step("is_due", _is_due, services, scheduled_at, _RECONCILE_WITHIN.total_seconds()):
        return
    dealt_with = {name: _apart(run_step, name, step, services) for name, step in _RECONCILE}
    if any(dealt_with.values()):
        log.event(logger, logging.INFO, "reconciled", **dealt_with)


def tick_purge(run_step: RunStep, services: Services, scheduled_at: str) -> None:
    """Remove what is older than it may be kept, a few thousand rows a step."""
    if not run_step("is_due", _is_due, services, scheduled_at, _PURGE_WITHIN.total_seconds()):
        return
    for name, step in _PURGE:
        steps = 1
        while _apart(run_step, name, step, services) and steps < _MOST_PURGE_STEPS:
            steps += 1
        log.event(logger, logging.INFO, "purged", what=name, steps=steps)


def tick_alerts(run_step: RunStep, services: Services, scheduled_at: str) -> None:
    """Look for what needs a person, and say so once."""
    if not run_step("is_due", _is_due, services, scheduled_at, _ALERTS_WITHIN.total_seconds()):
        return
    for name, step in _ALERTS:
        _apart(run_step, name, step, services)


def _is_due(services: Services, scheduled_at: str, within: float) -> bool:
    """Whether a tick is not too late. A worker that was frozen has many of them at once when it wakes up."""
    with store.reading(services.engine) as connection:
        by_database = store.now(connection)
    # The tick was begun by a worker's own clock. One that is slow would never have any that is not too late.
    now = min(by_database, datetime.now(UTC))
    return now - datetime.fromisoformat(scheduled_at) < timedelta(seconds=within)


def _apart(run_step: RunStep, name: str, step: Callable[[Services], int], services: Services) -> int:
    """Run a step of the clock's. A fault of ours in one does not keep the others from being run."""
    try:
        return int(run_step(name, step, services))
    except Exception as error:  # noqa: BLE001 - the next tick tries again
        log.failure(logger, "tick_failed", error, step=name)
        return 0


def _is_to_be_written(taken: TakenIn) -> bool:
    return taken["verdict"] == "write" and taken["interview_id"] is not None


def _run_part(_name: str, function: Callable[..., Any], *args: Any) -> Any:
    """Run a part of a step, which is kept with the whole of it."""
    return store.patiently(function, *args)


def _write_all(run_step: RunStep, services: Services, interview_id: str) -> Outcome:
    """All three writes in order. One that will not work does not keep the others from being made: neither one
    that never will, nor one that waits for a person to mend a setting, such as a single permission."""
    held: Outcome | None = None
    failed: Outcome | None = None
    remark: str | None = None
    for name, write in _WRITES:
        outcome: Outcome = run_step(name, write, services, interview_id)
        if outcome["kind"] == "credentials":
            held = held or outcome
        elif outcome["kind"] == "permanent":
            failed = failed or outcome
        elif outcome["kind"] != "done":
            return held or outcome
        elif outcome["reason"] in write_back.REMARKS:
            remark = outcome["reason"]
    return held or failed or outcomes.done(remark)


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
