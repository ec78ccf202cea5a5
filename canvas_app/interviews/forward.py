"""The way back: what a delivery means for its interview, and whether there is more to wait for.

Taking in and settling may each be repeated. Writing to Intercom is :mod:`canvas_app.interviews.write_back`.
"""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import datetime, timedelta
from typing import Literal, NotRequired, TypedDict

from sqlalchemy.engine import Connection

from canvas_app import http_outcomes, log, store
from canvas_app.errors import NotConfigured, PermanentError, WireError
from canvas_app.interviews import deliveries, ledger, measures, once, options, outcomes, rules, studies
from canvas_app.interviews.ask import enqueue_clear_link, partition
from canvas_app.interviews.deliveries import Delivery
from canvas_app.interviews.ledger_rows import Interview, result_of
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.services import Services
from canvas_app.interviews.states import AWAITING_RESULT, HAS_RESULT
from canvas_app.koji.results import KojiResult, merge
from canvas_app.settings import Study

logger = logging.getLogger(__name__)


class TakenIn(TypedDict):
    """What :func:`take_in` found: the interview, and what is to be done with its result."""

    interview_id: str | None
    verdict: Literal["write", "record", "stop", "later"]
    reason: str | None
    after: float | None
    # Tells the result that is to be written from one that has been corrected since. What the durable engine
    # has kept of an older version lacks it.
    digest: NotRequired[str | None]
    # What came of writing it, in the same step.
    written: NotRequired[Outcome]


# Where the attempt died before it had found out anything.
NOT_TAKEN_IN: TakenIn = {"interview_id": None, "verdict": "write", "reason": None, "after": None}


def outcome_without_writing(taken: TakenIn) -> Outcome:
    """How an attempt ends that has nothing to write (now)."""
    if taken["verdict"] == "later":
        return outcomes.later(taken["reason"] or "try_later", taken["after"])
    return outcomes.stop(taken["reason"] or "nothing_to_do")


def take_in(services: Services, delivery_id: str) -> TakenIn:
    """Merge a delivery into its interview's result and decide what follows.

    Koji is asked for what is missing, a few times and ever more rarely; then there is what there is.
    """
    with store.writing(services.engine) as connection:
        delivery = deliveries.load(connection, delivery_id)
        if delivery is None:
            return _taken(None, "stop", "nothing_to_do")
        interview = interview_of(connection, services, delivery, lock=True)
        if interview is None:
            # It may be about an interview whose start is not recorded yet.
            waits = deliveries.count(connection, delivery_id, "waits")
            pause = rules.unknown_pause(waits, chance=services.chance())
            return _taken(None, "stop" if pause is None else "later", "unknown_interview", pause)
        now = store.now(connection)
        # A former attempt may have merged it; what has come since is newer than this delivery.
        if delivery.interview_id is None:
            deliveries.assign(connection, delivery_id, interview.id)
            interview = _merge(connection, services, interview, delivery, now)
            enqueue_clear_link(connection, services.jobs, interview)
        else:
            interview = _take_up_again(connection, interview, now)
        may_fill = interview.koji_interview_id is not None
        taken = _decide(connection, services, interview, now, may_fill=may_fill)
        if taken is not None:
            return taken
        fills = deliveries.count(connection, delivery_id, "fills")
    analysed = result_of(interview).analysed
    pause = rules.fill_pause(fills, analysed=analysed, chance=services.chance())
    return _fill(services, delivery_id, interview, pause)


def settle(services: Services, delivery_id: str, attempt: int, taken: TakenIn, outcome: Outcome) -> None:
    """Write down how an attempt ended, and enqueue the next one where there is to be one."""
    interview_id = taken["interview_id"]
    kind, reason = outcome["kind"], outcome["reason"]
    took: timedelta | None = None
    with store.writing(services.engine) as connection:
        # Before the delivery, as take_in locks them.
        interview = ledger.get(connection, interview_id, lock=True) if interview_id else None
        now = store.now(connection)
        if not deliveries.take_attempt(connection, delivery_id, attempt):
            return
        if kind in ("later", "credentials", "unknown"):
            pause = outcome["after"]
            if taken["verdict"] == "write" and _is_held(connection, delivery_id, outcome, now):
                pause = rules.held_pause(outcome["after"], chance=services.chance())
            elif taken["verdict"] == "write":
                tries = deliveries.count(connection, delivery_id, "tries")
                pause = rules.result_pause(tries, outcome["after"], chance=services.chance())
            if pause is None:
                give_up(connection, delivery_id, interview, reason, now)
            else:
                where = _partition(connection, delivery_id, interview)
                deliveries.enqueue_forward(
                    connection, services.jobs, delivery_id, attempt=attempt + 1, partition=where, delay=pause
                )
                if interview is not None:
                    ledger.change(
                        connection, interview.id, only_from=("completed", "analysed"), reason=reason
                    )
        elif kind == "permanent":
            give_up(connection, delivery_id, interview, reason, now)
        elif kind == "done":
            deliveries.finish(connection, delivery_id, "done", reason, now)
            if interview is not None:
                took = _until_the_note(connection, delivery_id, interview.id)
            if interview is not None and _is_what_was_written(connection, services, interview, taken):
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
            end: deliveries.End = "ignored" if interview is None else "done"
            deliveries.finish(connection, delivery_id, end, reason, now)
    if took is not None:
        services.tally.observe(measures.RESULT_SECONDS, took.total_seconds())
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


def _is_held(connection: Connection, delivery_id: str, outcome: Outcome, now: datetime) -> bool:
    """Whether an attempt to write costs none of the delivery's tries."""
    if outcome["reason"] == http_outcomes.TOO_SLOW:
        return now - deliveries.heard_at(connection, delivery_id) < rules.SLOW_AT_MOST
    return outcomes.is_held(outcome)


def interview_of(
    connection: Connection, services: Services, delivery: Delivery, *, lock: bool = False
) -> Interview | None:
    """The interview that a delivery is about; never one of a study whose own secret has not signed it."""
    named = ledger.addressees(delivery.event.result)
    not_meant = studies.not_meant(connection, services.settings, delivery.signed_for)
    interview = ledger.for_result(connection, **named, not_of=not_meant, lock=lock)
    if interview is None and not_meant:
        other = ledger.for_result(connection, **named)
        if other is not None:
            # Somebody should look: a secret was entered for the wrong study, or is in wrong hands.
            log.event(
                logger, logging.WARNING, "signed_for_another_study", delivery=delivery.id, interview=other.id
            )
    return interview


def _until_the_note(connection: Connection, delivery_id: str, interview_id: str) -> timedelta | None:
    """How long after a delivery came the note was written; None where that was before, or never."""
    written_at = once.done_at(connection, interview_id, "note")
    heard_at = deliveries.heard_at(connection, delivery_id)
    return written_at - heard_at if written_at is not None and written_at >= heard_at else None


def _taken(
    interview_id: str | None,
    verdict: Literal["write", "record", "stop", "later"],
    reason: str | None = None,
    after: float | None = None,
) -> TakenIn:
    return {"interview_id": interview_id, "verdict": verdict, "reason": reason, "after": after}


def _digest(interview: Interview) -> str:
    content = json.dumps(interview.result, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _is_what_was_written(
    connection: Connection, services: Services, interview: Interview, taken: TakenIn
) -> bool:
    """Whether an attempt has written the interview's result as it is now.

    Another delivery may have corrected it meanwhile, and leads it on itself; or it has shown that nothing
    should have been written, which must stay to be seen.
    """
    digest = taken.get("digest")
    if digest is not None and digest != _digest(interview):
        return False
    return (
        interview.state != "failed"
        or _verdict(connection, services, interview, may_fill=False).kind == "write"
    )


def _partition(connection: Connection, delivery_id: str, interview: Interview | None) -> str:
    """The contact's partition, also where an attempt has not come so far as to find out whose it is."""
    if interview is not None:
        return partition(interview.workspace_id, interview.contact_id)
    delivery = deliveries.load(connection, delivery_id)
    if delivery is None:
        return delivery_id
    return deliveries.partition_of(connection, delivery.event, delivery_id)


def _take_up_again(connection: Connection, interview: Interview, now: datetime) -> Interview:
    """Of an interview whose result could not be written, and is worked on once more."""
    if not ledger.move(connection, interview.id, "completed", only_from=("failed",), now=now):
        return interview
    return ledger.existing(connection, interview.id)


def _merge(
    connection: Connection, services: Services, interview: Interview, delivery: Delivery, now: datetime
) -> Interview:
    """Put what has come into the ledger. They come in any order: nothing known is overwritten by less."""
    newer = delivery.event.result
    if delivery.event.kind == "failed_quality_gate":
        newer = newer.model_copy(update={"status": rules.FAILED_GATE})
    # The earliest moment heard of is when it was answered: later events speak of its analysis. A sender's
    # clock that runs ahead must not make this the newest interview for ever.
    moments = [interview.result_at, newer.occurred_at, delivery.received_at]
    moment = min(moment for moment in moments if moment is not None)
    ledger.move(connection, interview.id, "completed", only_from=AWAITING_RESULT, now=now)
    return _keep(
        connection,
        services,
        interview,
        merge(result_of(interview), newer),
        now,
        result_at=moment,
        completed_at=interview.completed_at or moment,
        koji_interview_id=interview.koji_interview_id or newer.koji_interview_id,
    )


def _keep(
    connection: Connection,
    services: Services,
    before: Interview,
    result: KojiResult,
    now: datetime,
    **also: datetime | str | None,
) -> Interview:
    """Write a merged result down. What is in Intercom already has to be written anew if it has changed."""
    if _study(connection, services, before).anonymous:
        # For good, also where the study is marked otherwise later. Koji may not know that it is meant so.
        result = result.model_copy(update={"identity": "anonymous", "email": None})
    if rules.FAILED_GATE in (result_of(before).status, result.status):
        result = result.model_copy(update={"status": rules.FAILED_GATE})
    content = deliveries.kept(result).model_dump(mode="json", exclude={"email", "external_id", "metadata"})
    ledger.change(connection, before.id, only_from=HAS_RESULT, result=content, **also)
    if before.result != content and before.state == "written_back":
        ledger.move(connection, before.id, "analysed", only_from=("written_back",), now=now)
    return ledger.existing(connection, before.id)


def _decide(
    connection: Connection, services: Services, interview: Interview, now: datetime, *, may_fill: bool
) -> TakenIn | None:
    """What follows from what is known now, written down; None: Koji is to be asked for more."""
    verdict = _verdict(connection, services, interview, may_fill=may_fill)
    if verdict.kind == "fill":
        return None
    if verdict.kind == "write":
        if interview.state == "written_back":
            return _taken(interview.id, "stop", "nothing_new")
        # A result that was not written for want of a score is written once the score has come.
        ledger.move(
            connection, interview.id, "analysed", only_from=("completed", "not_written", "failed"), now=now
        )
        return {**_taken(interview.id, "write"), "digest": _digest(interview)}
    return _taken(interview.id, "record", record(connection, interview, verdict.reason or "low_quality", now))


def _verdict(
    connection: Connection, services: Services, interview: Interview, *, may_fill: bool
) -> rules.Verdict:
    return rules.verdict(
        result_of(interview),
        study_anonymous=_study(connection, services, interview).anonymous,
        min_quality=options.read(connection, services.settings).min_quality,
        may_fill=may_fill,
    )


def _study(connection: Connection, services: Services, interview: Interview) -> Study:
    return studies.existing(connection, services.settings, interview.study)


def record(connection: Connection, interview: Interview, reason: str, now: datetime) -> str:
    """End an interview whose result is not (or no longer) to be written. Returns the reason it ends with."""
    written = interview.attributes_written_at is not None or bool(interview.contact_tags)
    if written or any(once.is_claimed(connection, interview.id, kind) for kind in once.WRITE_BACK):
        # "Nothing was written to Intercom" would not be true any more, or nobody knows whether it is.
        reason = f"{reason}_after_writing"
        ledger.move(connection, interview.id, "failed", only_from=HAS_RESULT, now=now, reason=reason)
    else:
        ledger.move(connection, interview.id, "not_written", only_from=HAS_RESULT, now=now, reason=reason)
    return reason


def _fill(services: Services, delivery_id: str, interview: Interview, pause: float | None) -> TakenIn:
    """Ask Koji for what is missing. ``pause``: seconds until it may be asked again, None: no more.

    An attempt that the gate kept back, or that Koji refused for the key's sake, has asked nothing and does
    not count: nothing is made do with for that.
    """
    answer: KojiResult | None = None
    reason, held = "result_incomplete", False
    if interview.koji_interview_id is not None and pause is not None:
        try:
            answer = services.koji(services.study(interview.study)).get_interview(interview.koji_interview_id)
        except (PermanentError, NotConfigured) as error:
            log.event(logger, logging.WARNING, "fill_refused", interview=interview.id, reason=error.reason)
            pause = None
            if not result_of(interview).analysed:
                # The event that brings the analysis may still come.
                return _taken(interview.id, "stop", "awaiting_analysis")
        except WireError as error:
            log.event(logger, logging.INFO, "fill_failed", interview=interview.id, reason=error.reason)
            outcome = outcomes.of_error(error)
            if outcomes.is_held(outcome):
                reason, held = error.reason, True
                pause = rules.held_pause(outcome["after"], chance=services.chance())
    with store.writing(services.engine) as connection:
        if held:
            deliveries.count(connection, delivery_id, "fills", by=-1)
        interview = ledger.existing(connection, interview.id, lock=True)
        if interview.purged_at is not None:
            # Its personal data was removed while Koji was asked: it is about nobody now.
            return _taken(None, "stop", "unknown_interview")
        now = store.now(connection)
        interview = _take_up_again(connection, interview, now)
        if answer is not None:
            known = result_of(interview)
            answer = as_answer(answer, known)
            # What the webhook said is the event; the answer only fills its gaps.
            interview = _keep(connection, services, interview, merge(answer, known), now)
        taken = _decide(connection, services, interview, now, may_fill=pause is not None)
    return taken or _taken(interview.id, "later", reason, pause)


def as_answer(answer: KojiResult, known: KojiResult) -> KojiResult:
    """What Koji's API answers, read beside what its webhooks have said.

    The newer API has no field for the address, so that its emptiness there says nothing about somebody whom a
    webhook has named. Where none has, an address that is explicitly empty is respected.
    """
    if known.identity != "named":
        return answer
    return answer.model_copy(update={"identity": "absent", "email": None})


def give_up(
    connection: Connection,
    delivery_id: str,
    interview: Interview | None,
    reason: str | None,
    now: datetime,
) -> None:
    """End a delivery as failed, and its interview with it; both can be taken up again."""
    deliveries.finish(connection, delivery_id, "failed", reason, now)
    if interview is not None:
        ledger.move(
            connection,
            interview.id,
            "failed",
            only_from=("completed", "analysed"),
            now=now,
            reason=reason or "not_written_back",
        )
