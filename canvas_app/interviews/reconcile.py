"""The clock's look at the ledger: what was forgotten, lost or given up is found here and led on, or ended.

Each function is a step that may be repeated, takes a bounded number of rows at a time, and returns how many
it dealt with. Two at once do no harm: every change is conditional on what it starts from.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import log, store
from canvas_app.engine import Jobs, has_no_job
from canvas_app.errors import CredentialsError, LaterError, PermanentError
from canvas_app.http_outcomes import PUT_OFF
from canvas_app.interviews import ask, deliveries, forward, ledger, rules, send, studies
from canvas_app.interviews.ledger_rows import Interview, result_of
from canvas_app.interviews.seen import Note, no_note
from canvas_app.interviews.services import Services
from canvas_app.interviews.states import EXPIRING_STATES, State
from canvas_app.interviews.tables import deliveries as deliveries_table, interviews, stored, unfinished
from canvas_app.koji.events import KojiEvent
from canvas_app.koji.results import KojiResult

logger = logging.getLogger(__name__)

# Rows that one step deals with in one turn; what is left over has its turn five minutes later.
_MOST = 100

# A fifth of Koji's budget, which is 60 calls a minute and key (https://www.koji.so/docs/headless-api-overview),
# so that taps and results are never kept waiting by the clock.
_MOST_CHECKS = 60
# As many calls in a row as Koji may fail to answer before the rest is left for the next turn.
_MOST_FAILURES = 3
# Somebody who asks has this long; then the interview is asked about again.
_BEING_CHECKED = timedelta(minutes=4)

# Beyond the moments at which jobs conclude by themselves, so that only what is truly left over is touched.
_ABANDONED_AFTER = send.LOOK_FOR + timedelta(minutes=10)
_FORGOTTEN_AFTER = timedelta(minutes=10)
_LED_ON_AFTER = timedelta(hours=1)

# Somebody else, the customer or Koji, is to do something about these.
_QUIET: tuple[State, ...] = (*EXPIRING_STATES, "completed")

_EVENT = "interview.reconciled"
_DOOR: deliveries.Door = "reconcile"


def expire(services: Services) -> int:
    """Unanswered interviews expire, also where nobody looks at them."""
    with store.writing(services.engine) as connection:
        now = store.now(connection)
        return len(ledger.expire(connection, open_days=services.settings.open_days, now=now, most=_MOST))


def end_abandoned_sends(services: Services) -> int:
    """End sends whose time is long up and that no job is at, because the engine gave it up."""
    with store.reading(services.engine) as connection:
        abandoned = connection.execute(
            sa.select(interviews.c.id, interviews.c.send_attempt)
            .where(
                unfinished,
                interviews.c.state.in_(("queued", "sending")),
                interviews.c.send_before < store.now(connection) - _ABANDONED_AFTER,
                has_no_job(connection, ask.newest_send_job()),
            )
            .order_by(interviews.c.state_since)
            .limit(_MOST)
        ).all()
    ended = 0
    for id_, attempt in abandoned:
        with store.writing(services.engine) as connection:
            interview = ledger.existing(connection, id_, lock=True)
            if not ledger.take_attempt(connection, id_, attempt):
                continue
            state = send.give_up(services, connection, interview, store.now(connection))
        ended += 1
        log.event(logger, logging.ERROR, "send_given_up", interview=id_, attempt=attempt, state=state)
    return ended


def revive_deliveries(services: Services) -> int:
    """Give a delivery that is stored, but that no job is at, its next attempt; it costs one of its tries."""
    with store.reading(services.engine) as connection:
        forgotten = connection.execute(
            sa.select(
                deliveries_table.c.id,
                deliveries_table.c.attempt,
                deliveries_table.c.dedupe_key,
                deliveries_table.c.door,
            )
            .where(
                stored,
                deliveries_table.c.received_at < store.now(connection) - _FORGOTTEN_AFTER,
                has_no_job(connection, deliveries.newest_job()),
            )
            .order_by(deliveries_table.c.received_at)
            .limit(_MOST)
        ).all()
    revived = 0
    for id_, attempt, key, door in forgotten:
        with store.writing(services.engine) as connection:
            if not deliveries.take_attempt(connection, id_, attempt):
                continue
            tries = deliveries.count(connection, id_, "tries")
            # Whatever it is that ends the engine's patience with it, once more would not help.
            given_up = rules.result_pause(tries, None, chance=0.0) is None
            if door == "intercom":
                _revive_event(connection, services, id_, attempt + 1, given_up=given_up)
            else:
                _revive_result(connection, services, id_, attempt + 1, key, given_up=given_up)
        revived += 1
        log.event(logger, logging.WARNING, "delivery_revived", delivery=id_, tries=tries, given_up=given_up)
    return revived


def _revive_event(
    connection: Connection, services: Services, delivery_id: str, attempt: int, *, given_up: bool
) -> None:
    if given_up:
        deliveries.finish(connection, delivery_id, "failed", "given_up", store.now(connection))
    else:
        deliveries.enqueue_react(connection, services.jobs, delivery_id, attempt=attempt)


def _revive_result(
    connection: Connection, services: Services, delivery_id: str, attempt: int, key: str, *, given_up: bool
) -> None:
    delivery = deliveries.load(connection, delivery_id)
    if delivery is None:
        return
    if given_up:
        interview = forward.interview_of(connection, services, delivery)
        forward.give_up(connection, delivery_id, interview, "given_up", store.now(connection))
        return
    where = deliveries.partition_of(connection, delivery.event, key)
    deliveries.enqueue_forward(connection, services.jobs, delivery_id, attempt=attempt, partition=where)


def revive_planned(services: Services) -> int:
    """Give a planned interview that no job is at its job again; whether its time has come, the job looks."""
    with store.reading(services.engine) as connection:
        forgotten = connection.execute(
            sa.select(interviews.c.id, interviews.c.send_attempt)
            .where(
                unfinished,
                interviews.c.state == "planned",
                interviews.c.state_since < store.now(connection) - _FORGOTTEN_AFTER,
                has_no_job(connection, ask.newest_send_job()),
            )
            .order_by(interviews.c.not_before)
            .limit(_MOST)
        ).all()
    revived = 0
    for id_, attempt in forgotten:
        with store.writing(services.engine) as connection:
            interview = ledger.existing(connection, id_, lock=True)
            if interview.state != "planned" or not ledger.take_attempt(connection, id_, attempt):
                continue
            ask.enqueue_send(connection, services.jobs, interview, attempt=attempt + 1)
        revived += 1
        log.event(logger, logging.WARNING, "planned_revived", interview=id_, attempt=attempt)
    return revived


def lead_on(services: Services) -> int:
    """Lead on interviews that have an answer, but no delivery that would bring it to its end.

    Where the analysis is not there yet, Koji is asked for it as for one that is quiet; when it has not come
    in OPEN_DAYS it is not waited for any longer. One that is analysed is written back once more.
    """
    with store.reading(services.engine) as connection:
        over_since = store.now(connection) - timedelta(days=services.settings.open_days)
        found = connection.execute(
            sa.select(interviews.c.id)
            .where(
                unfinished,
                interviews.c.state.in_(("completed", "analysed")),
                interviews.c.state_since < store.now(connection) - _LED_ON_AFTER,
                # Nobody can ask about it, or for all the time that there is nobody could.
                sa.or_(interviews.c.check_at.is_(None), interviews.c.state_since < over_since),
                ~deliveries.waiting_for(interviews.c.id).exists(),
            )
            .order_by(interviews.c.state_since)
            .limit(_MOST)
        ).scalars()
        ids = list(found)
    return sum(_lead_on(services, id_) for id_ in ids)


def _lead_on(services: Services, interview_id: str) -> bool:
    with store.writing(services.engine) as connection:
        now = store.now(connection)
        interview = ledger.existing(connection, interview_id, lock=True)
        if interview.state == "completed":
            led = _await_analysis(connection, services, interview, now)
            log.event(logger, logging.INFO, "analysis_awaited", interview=interview_id)
            return led
    if interview.state != "analysed":
        return False
    event, raw = _led_on(interview)
    if not deliveries.keep(services.engine, services.jobs, event, raw, door=_DOOR):
        with store.writing(services.engine) as connection:
            since = ledger.existing(connection, interview_id, lock=True).state_since
            # It may have been stored by a tick before this one, and its job wait or be at it.
            on_its_way = deliveries.is_on_its_way(connection, event, raw, door=_DOOR)
            if on_its_way or since != interview.state_since:
                return False
            ledger.move(
                connection,
                interview_id,
                "failed",
                only_from=("analysed",),
                now=now,
                reason="not_written_back",
            )
    log.event(logger, logging.WARNING, "result_led_on", interview=interview_id)
    return True


def write_back_once_more(engine: Engine, jobs: Jobs, interview: Interview, *, note: Note = no_note) -> bool:
    """Let what is known of a result take its way to Intercom again, once for each time that the interview
    came to be in this state. False when that was done before."""
    event, raw = _led_on(interview)
    return deliveries.keep(engine, jobs, event, raw, door=_DOOR, note=note)


def _led_on(interview: Interview) -> tuple[KojiEvent, bytes]:
    event = _event(interview, "analysis_ready", result_of(interview))
    # One more time for each time that it came to be in this state.
    return event, _raw(event, interview.state_since.isoformat())


def _await_analysis(connection: Connection, services: Services, interview: Interview, now: datetime) -> bool:
    over = now >= interview.state_since + timedelta(days=services.settings.open_days)
    if over or interview.koji_interview_id is None:
        forward.record(connection, interview, "quality_unknown", now)
        return True
    return ledger.change(connection, interview.id, only_from=("completed",), check_at=now)


def ask_about_the_quiet(services: Services) -> int:
    """Ask Koji about interviews whose webhook may have been lost, the longest due first.

    What Koji answers goes the same way as a webhook. Raises nothing: what went wrong is tried again in time.
    """
    with store.reading(services.engine) as connection:
        due = connection.execute(
            sa.select(interviews.c.id, interviews.c.study)
            .where(
                _to_be_checked(),
                interviews.c.check_at <= store.now(connection),
                interviews.c.study.in_(_studies_with_a_key(connection, services)),
            )
            .order_by(interviews.c.check_at)
            .limit(_MOST_CHECKS)
        ).all()
    asked = failures = 0
    for id_, study in due:
        interview = _take_check(services, id_)
        if interview is None or interview.koji_interview_id is None:
            continue
        asked += 1
        try:
            answer = services.koji(services.study(study)).get_interview(interview.koji_interview_id)
        except (CredentialsError, LaterError) as error:
            if error.reason in PUT_OFF:
                # Our own gate: Koji was not asked, and the rest has its turn with the next tick.
                break
            # It stays due, and so do the others when Koji answers none of them.
            failures += 1
            log.event(logger, logging.WARNING, "check_failed", interview=id_, reason=error.reason)
            if isinstance(error, CredentialsError) or error.status == 429 or failures >= _MOST_FAILURES:
                break
            continue
        except PermanentError as error:
            log.event(logger, logging.WARNING, "check_refused", interview=id_, reason=error.reason)
            if error.reason in ("koji_interview_not_found", "id_malformed"):
                _ask_no_more(services, interview)
            else:
                _set_next_check(services, interview)
            continue
        failures = 0
        # Stored first: were the next check written down alone, a crash in between would lose the answer.
        _take_answer(services, interview, answer)
        _set_next_check(services, interview)
    return asked


def _studies_with_a_key(connection: Connection, services: Services) -> list[str]:
    """What cannot be asked about must not stand in the way of what can."""
    return [study.slug for study in studies.listed(connection, services.settings) if study.api_key]


def _to_be_checked() -> sa.ColumnElement[bool]:
    return sa.and_(
        interviews.c.state.in_(_QUIET),
        interviews.c.check_at.is_not(None),
        interviews.c.koji_interview_id.is_not(None),
    )


def _take_check(services: Services, interview_id: str) -> Interview | None:
    """The interview, if nobody else is asking about it; for a moment it is nobody else's."""
    with store.writing(services.engine) as connection:
        now = store.now(connection)
        taken = connection.execute(
            sa.update(interviews)
            .where(interviews.c.id == interview_id, _to_be_checked(), interviews.c.check_at <= now)
            .values(check_at=now + _BEING_CHECKED, checks=interviews.c.checks + 1)
        )
        return ledger.existing(connection, interview_id) if taken.rowcount == 1 else None


def _ask_no_more(services: Services, asked: Interview) -> None:
    """Koji does not know it. Its event may still come, and counts then."""
    with store.writing(services.engine) as connection:
        interview = ledger.existing(connection, asked.id, lock=True)
        if interview.state != asked.state:
            # A result has come in meanwhile.
            return
        if interview.state == "completed":
            # An answer of which nothing more can be learnt is not waited for.
            forward.record(connection, interview, "quality_unknown", store.now(connection))
        else:
            ledger.change(connection, interview.id, only_from=_QUIET, check_at=None)


def _set_next_check(services: Services, interview: Interview) -> None:
    since = interview.state_since if interview.state == "completed" else interview.sent_at
    with store.writing(services.engine) as connection:
        check_at = rules.next_check(
            since or interview.state_since,
            store.now(connection),
            open_days=services.settings.open_days,
            chance=services.chance(),
        )
        # Only as long as it is the one that was asked about: a result may have come in meanwhile.
        ledger.change(connection, interview.id, only_from=(interview.state,), check_at=check_at)


def _take_answer(services: Services, interview: Interview, answer: KojiResult) -> None:
    kind = rules.event_for(answer)
    if kind is None or (kind == "completed" and interview.state == "completed"):
        return
    event = _event(interview, kind, forward.as_answer(answer, result_of(interview)))
    new = deliveries.keep(services.engine, services.jobs, event, _raw(event, ""), door=_DOOR)
    log.event(logger, logging.INFO, "result_found", interview=interview.id, kind=kind, new=new)


def _event(interview: Interview, kind: rules.AnswerKind, result: KojiResult) -> KojiEvent:
    # It is about the interview that was asked about, whatever else it names.
    metadata = {**result.metadata, "interview_ref": interview.id}
    result = result.model_copy(update={"metadata": metadata})
    return KojiEvent(kind=kind, name=_EVENT, result=result)


def _raw(event: KojiEvent, occasion: str) -> bytes:
    """What stands for the bytes of a webhook: the very same on the same occasion is stored once."""
    content = event.model_dump_json(exclude={"result": {"email": True}})
    return hashlib.sha256(f"{occasion}\0{content}".encode()).digest()
