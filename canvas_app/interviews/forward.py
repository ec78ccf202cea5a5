"""The way back: what a delivery means for its interview, and whether there is more to wait for.

Each function is one step of a durable attempt and may be repeated. Writing to Intercom is
:mod:`canvas_app.interviews.write_back`.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any, Literal, TypedDict

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import log, store
from canvas_app.engine import Jobs
from canvas_app.errors import NotConfigured, PermanentError, WireError
from canvas_app.interviews import ledger, outcomes, rules
from canvas_app.interviews.ask import partition
from canvas_app.interviews.ledger import Interview
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.services import Services
from canvas_app.interviews.states import AWAITING_RESULT, HAS_RESULT
from canvas_app.interviews.tables import deliveries
from canvas_app.koji.events import KojiEvent
from canvas_app.koji.results import KojiResult, merge

logger = logging.getLogger(__name__)


class TakenIn(TypedDict):
    """What :func:`take_in` found: the interview, and what is to be done with its result."""

    interview_id: str | None
    verdict: Literal["write", "record", "stop", "later"]
    reason: str | None
    after: float | None


# Where the attempt died before it had found out anything.
NOT_TAKEN_IN: TakenIn = {"interview_id": None, "verdict": "write", "reason": None, "after": None}


def outcome_without_writing(taken: TakenIn) -> Outcome:
    """How an attempt ends that has nothing to write (now)."""
    if taken["verdict"] == "later":
        return outcomes.later(taken["reason"] or "try_later", taken["after"])
    return outcomes.stop(taken["reason"] or "nothing_to_do")


def enqueue_forward(
    connection: Connection,
    jobs: Jobs,
    delivery_id: str,
    *,
    attempt: int,
    partition: str,
    delay: float = 0.0,
) -> None:
    jobs.enqueue(
        connection,
        "forward",
        delivery_id,
        attempt,
        job_id=f"forward:{delivery_id}:{attempt}",
        partition=partition,
        delay=delay,
    )


def take_in(services: Services, delivery_id: str, attempt: int) -> TakenIn:
    """Merge a delivery into its interview's result and decide what follows.

    Koji is asked for what is missing, a few times and ever more rarely; then there is what there is.
    """
    with store.writing(services.engine) as connection:
        delivery = connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id)).first()
        if delivery is None or delivery.state != "stored" or delivery.content is None:
            return _taken(None, "stop", "nothing_to_do")
        event = KojiEvent.model_validate(delivery.content)
        interview = _find(connection, event)
        if interview is None:
            # It may be about an interview whose start is not recorded yet.
            wait = rules.unknown_pause(attempt, chance=services.chance())
            return _taken(None, "stop" if wait is None else "later", "unknown_interview", wait)
        before = interview
        if delivery.interview_id is None:
            connection.execute(
                sa.update(deliveries).where(deliveries.c.id == delivery_id).values(interview_id=interview.id)
            )
            interview = _merge(connection, interview, event.result, delivery.received_at)
        # Else a former attempt has merged it: what has come since is newer than this delivery.
        result = result_of(interview)
        if (
            before.result != interview.result
            and event.kind != "failed_quality_gate"
            and _judge(services, result, may_fill=False).kind == "write"
        ):
            # What was written already has to be written anew, also if this attempt does not get to it.
            ledger.move(
                connection, interview.id, "analysed", only_from=("written_back",), now=store.now(connection)
            )
    if before.state == "written_back" and before.result == interview.result:
        return _taken(interview.id, "stop", "nothing_new")
    if event.kind == "failed_quality_gate":
        return _record(services, interview, "low_quality")
    may_fill = _fill_pause(services, attempt) is not None and result.koji_interview_id is not None
    verdict = _verdict(services, interview, result, may_fill=may_fill)
    after: float | None = None
    if verdict.kind == "fill":
        result, interview, after = _fill(services, interview, attempt)
        verdict = _verdict(services, interview, result, may_fill=after is not None)
    if verdict.kind == "fill":
        return _taken(interview.id, "later", "result_incomplete", after)
    if verdict.kind == "record" and not result.analysed and result.identity != "anonymous":
        # The interview is over and not analysed; the event that brings the analysis may still come.
        return _taken(interview.id, "stop", "awaiting_analysis")
    if verdict.kind == "record":
        return _record(services, interview, verdict.reason or "low_quality")
    return _taken(interview.id, "write")


def settle(services: Services, delivery_id: str, attempt: int, taken: TakenIn, outcome: Outcome) -> None:
    """Write down how an attempt ended, and enqueue the next one where there is to be one."""
    interview_id = taken["interview_id"]
    kind, reason = outcome["kind"], outcome["reason"]
    with store.writing(services.engine) as connection:
        now = store.now(connection)
        delivery = connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id)).first()
        if delivery is None or not _take_attempt(connection, delivery_id, attempt):
            return
        interview = ledger.get(connection, interview_id) if interview_id else None
        if kind in ("later", "credentials", "unknown"):
            pause: float | None = outcome["after"]
            if taken["verdict"] == "write":
                tries = _count_try(connection, delivery_id)
                pause = rules.result_pause(tries, outcome["after"], chance=services.chance())
            if pause is not None:
                key = partition(interview.workspace_id, interview.contact_id) if interview else delivery_id
                enqueue_forward(
                    connection, services.jobs, delivery_id, attempt=attempt + 1, partition=key, delay=pause
                )
                _note_reason(connection, interview, reason)
            else:
                _finish(connection, delivery_id, "failed", reason, now)
                _fail(connection, interview, reason, now)
        elif kind == "permanent":
            _finish(connection, delivery_id, "failed", reason, now)
            _fail(connection, interview, reason, now)
        elif kind == "done":
            _finish(connection, delivery_id, "done", reason, now)
            if interview is not None:
                ledger.move(
                    connection,
                    interview.id,
                    "written_back",
                    only_from=("analysed", "failed"),
                    now=now,
                    written_back_at=now,
                    reason=reason,
                )
        else:
            _finish(connection, delivery_id, "ignored" if interview is None else "done", reason, now)
    log.event(
        logger,
        logging.INFO if kind in ("done", "stop", "later") else logging.WARNING,
        "forward_attempt",
        delivery=delivery_id,
        interview=interview_id,
        attempt=attempt,
        outcome=kind,
        reason=reason,
    )


def result_of(interview: Interview) -> KojiResult:
    return KojiResult.model_validate(interview.result or {})


def _taken(
    interview_id: str | None,
    verdict: Literal["write", "record", "stop", "later"],
    reason: str | None = None,
    after: float | None = None,
) -> TakenIn:
    return {"interview_id": interview_id, "verdict": verdict, "reason": reason, "after": after}


def _find(connection: Connection, event: KojiEvent) -> Interview | None:
    result = event.result
    return ledger.for_result(
        connection,
        ref=result.metadata.get("interview_ref"),
        koji_interview_id=result.koji_interview_id,
        external_id=result.external_id,
    )


def _merge(
    connection: Connection, interview: Interview, newer: KojiResult, received_at: datetime
) -> Interview:
    """Put what has come into the ledger. They come in any order: nothing known is overwritten by less."""
    result = merge(result_of(interview), newer)
    # The earliest moment heard of is when it was answered: later events speak of its analysis. A sender's
    # clock that runs ahead must not make this the newest interview for ever.
    moments = [interview.result_at, newer.occurred_at, received_at]
    moment = min(moment for moment in moments if moment is not None)
    values: dict[str, Any] = {
        "result": _kept(result),
        "result_at": moment,
        "completed_at": interview.completed_at or moment,
    }
    if interview.koji_interview_id is None and result.koji_interview_id is not None:
        values["koji_interview_id"] = result.koji_interview_id
    now = store.now(connection)
    ledger.move(connection, interview.id, "completed", only_from=AWAITING_RESULT, now=now)
    ledger.change(connection, interview.id, only_from=HAS_RESULT, **values)
    return _reread(connection, interview.id)


def _kept(result: KojiResult) -> dict[str, Any]:
    """What the ledger keeps of a result. The content of an anonymous answer is not tied to the contact."""
    if result.identity == "anonymous":
        result = KojiResult(
            koji_interview_id=result.koji_interview_id,
            identity="anonymous",
            quality=result.quality,
            occurred_at=result.occurred_at,
        )
    return result.model_dump(mode="json", exclude={"email", "external_id", "metadata"})


def _fill(
    services: Services, interview: Interview, attempt: int
) -> tuple[KojiResult, Interview, float | None]:
    """Ask Koji for what is missing. The last value is the pause until it may be asked again, if it may."""
    result = result_of(interview)
    after = _fill_pause(services, attempt)
    if result.koji_interview_id is None:
        return result, interview, None
    try:
        newer = services.koji.get_interview(result.koji_interview_id)
    except (PermanentError, NotConfigured) as error:
        log.event(logger, logging.WARNING, "fill_refused", interview=interview.id, reason=error.reason)
        return result, interview, None
    except WireError as error:
        log.event(logger, logging.INFO, "fill_failed", interview=interview.id, reason=error.reason)
        return result, interview, after
    with store.writing(services.engine) as connection:
        # What the webhook said is the event; the answer only fills its gaps.
        current = _reread(connection, interview.id)
        filled = merge(newer, result_of(current))
        ledger.change(connection, interview.id, only_from=HAS_RESULT, result=_kept(filled))
        return filled, _reread(connection, interview.id), after


def _fill_pause(services: Services, attempt: int) -> float | None:
    return rules.fill_pause(attempt, None, chance=services.chance())


def _verdict(
    services: Services, interview: Interview, result: KojiResult, *, may_fill: bool
) -> rules.Verdict:
    verdict = _judge(services, result, may_fill=may_fill)
    if verdict.kind == "write":
        with store.writing(services.engine) as connection:
            now = store.now(connection)
            # A result that was not written for want of a score is written once the score has come.
            ledger.move(
                connection,
                interview.id,
                "analysed",
                only_from=("completed", "not_written", "failed"),
                now=now,
            )
    return verdict


def _judge(services: Services, result: KojiResult, *, may_fill: bool) -> rules.Verdict:
    return rules.verdict(
        result,
        study_anonymous=services.study.anonymous,
        min_quality=services.settings.min_quality,
        may_fill=may_fill,
    )


def _record(services: Services, interview: Interview, reason: str) -> TakenIn:
    with store.writing(services.engine) as connection:
        ledger.move(
            connection,
            interview.id,
            "not_written",
            only_from=("completed", "analysed"),
            now=store.now(connection),
            reason=reason,
        )
    return _taken(interview.id, "record", reason)


def _reread(connection: Connection, interview_id: str) -> Interview:
    interview = ledger.get(connection, interview_id)
    if interview is None:
        raise LookupError("an interview of the ledger has vanished")
    return interview


def _take_attempt(connection: Connection, delivery_id: str, attempt: int) -> bool:
    result = connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.attempt == attempt)
        .values(attempt=attempt + 1)
    )
    return result.rowcount == 1


def _count_try(connection: Connection, delivery_id: str) -> int:
    """How often it was tried to write this delivery's result, this time included."""
    connection.execute(
        sa.update(deliveries).where(deliveries.c.id == delivery_id).values(tries=deliveries.c.tries + 1)
    )
    tries: int = connection.execute(
        sa.select(deliveries.c.tries).where(deliveries.c.id == delivery_id)
    ).scalar_one()
    return tries


def _note_reason(connection: Connection, interview: Interview | None, reason: str | None) -> None:
    if interview is not None:
        ledger.change(connection, interview.id, only_from=("completed", "analysed"), reason=reason)


def _finish(
    connection: Connection,
    delivery_id: str,
    state: Literal["done", "ignored", "failed"],
    reason: str | None,
    now: datetime,
) -> None:
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery_id)
        # What the delivery said is in the ledger now, as far as it is kept at all.
        .values(
            state=state, reason=reason, finished_at=now, **({} if state == "failed" else {"content": None})
        )
    )


def _fail(connection: Connection, interview: Interview | None, reason: str | None, now: datetime) -> None:
    if interview is not None:
        ledger.move(
            connection,
            interview.id,
            "failed",
            only_from=("completed", "analysed"),
            now=now,
            reason=reason or "not_written_back",
        )
