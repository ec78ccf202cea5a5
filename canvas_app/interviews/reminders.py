"""One reminder, where the study wants it and the customer has not opened the link.

The clock finds whose time has come and enqueues a job. The reminder is a write of its own kind that must not
be repeated: see :mod:`canvas_app.interviews.once`.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import log, store
from canvas_app.engine import Jobs
from canvas_app.errors import NotConfigured, WireError
from canvas_app.interviews import (
    closing,
    ledger,
    links,
    once,
    outcomes,
    planning,
    studies,
    wording,
    words,
    workspace,
)
from canvas_app.interviews.ask import partition
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.seen import Note, Person, Seen, no_note, unchanged
from canvas_app.interviews.services import Services
from canvas_app.interviews.states import STATES
from canvas_app.interviews.tables import interviews
from canvas_app.settings import Settings

logger = logging.getLogger(__name__)

_MOST: Final = 100
# When a reminder whose job has died, or could not be written just now, is looked at again.
_AGAIN_AFTER: Final = timedelta(hours=1)
# What the customer has from us as a message; to the others we have said nothing.
_BY_MESSAGE: Final = ("conversation", "message")


def due_at(
    connection: Connection, settings: Settings, interview: Interview, sent_at: datetime
) -> datetime | None:
    """When the customer of an interview that is sent now is to be reminded; None: not at all."""
    study = studies.find(connection, settings, interview.study)
    if study is None or study.remind_after_days is None or interview.deliver not in _BY_MESSAGE:
        return None
    return sent_at + timedelta(days=study.remind_after_days)


def enqueue_due(services: Services) -> int:
    """The clock's step: enqueue the reminders whose time has come; how many."""
    unopened = sa.and_(
        interviews.c.state == "sent", interviews.c.opened_at.is_(None), interviews.c.reminded_at.is_(None)
    )
    with store.reading(services.engine) as connection:
        due = connection.execute(
            sa.select(interviews.c.id, unopened.label("unopened"))
            .where(interviews.c.remind_at.is_not(None), interviews.c.remind_at <= store.now(connection))
            .order_by(interviews.c.remind_at)
            .limit(_MOST)
        ).all()
    enqueued = 0
    for id_, wanted in due:
        with store.writing(services.engine) as connection:
            now = store.now(connection)
            taken = connection.execute(
                sa.update(interviews)
                .where(interviews.c.id == id_, interviews.c.remind_at <= now)
                .values(remind_at=now + _AGAIN_AFTER if wanted else None)
            )
            if taken.rowcount == 1 and wanted:
                _enqueue(connection, services.jobs, ledger.existing(connection, id_), now)
                enqueued += 1
    return enqueued


def remind_now(
    engine: Engine, jobs: Jobs, settings: Settings, person: Person, what: Seen, *, note: Note = no_note
) -> Literal["queued", "changed"]:
    """Remind the customer on a person's word, also where the study reminds nobody by itself."""
    with store.writing(engine) as connection:
        now = store.now(connection)
        interview = unchanged(connection, what, person)
        if interview is None or not can_be_reminded(interview, now, open_days=settings.open_days):
            return "changed"
        ledger.change(
            connection,
            interview.id,
            only_from=("sent",),
            remind_by_hand=True,
            # Where the job finds that it has to wait, the clock enqueues the next one.
            remind_at=now + _AGAIN_AFTER,
            reminder_reason=None,
        )
        _enqueue(connection, jobs, interview, now)
        note(connection)
        return "queued"


def can_be_reminded(interview: Interview, now: datetime, *, open_days: int) -> bool:
    """Whether a reminder can be written that was not asked for by a person before."""
    return (
        _to_be_reminded(interview, now, open_days=open_days)
        and interview.deliver in _BY_MESSAGE
        and interview.conversation_id is not None
        and not interview.remind_by_hand
    )


def remind(services: Services, interview_id: str) -> Outcome:
    """Write the reminder into the conversation, once."""
    with store.reading(services.engine) as connection:
        interview = ledger.get(connection, interview_id)
        study = interview and studies.find(connection, services.settings, interview.study)
        now = store.now(connection)
    if interview is None or not _to_be_reminded(interview, now, open_days=services.settings.open_days):
        return outcomes.stop("not_to_be_reminded")
    if not study or not study.enabled or (study.remind_after_days is None and not interview.remind_by_hand):
        return outcomes.stop("reminder_off")
    if interview.conversation_id is None:
        return outcomes.stop("no_conversation")
    try:
        return _remind(services, interview, interview.conversation_id)
    except (WireError, NotConfigured) as error:
        return outcomes.of_error(error)


def settle(services: Services, interview_id: str, outcome: Outcome) -> None:
    """Write down how it went. What could not be done just now has its turn with the clock again."""
    if outcome["kind"] == "done":
        with store.writing(services.engine) as connection:
            now = store.now(connection)
            ledger.change(
                connection,
                interview_id,
                only_from=STATES,
                reminded_at=now,
                remind_at=None,
                reminder_reason=None,
            )
            closing.enqueue(connection, services.jobs, ledger.existing(connection, interview_id))
    elif outcome["reason"] == planning.NOT_YET:
        with store.writing(services.engine) as connection:
            opens_at = store.now(connection) + timedelta(seconds=outcome["after"] or 0.0)
            ledger.change(connection, interview_id, only_from=("sent",), remind_at=opens_at)
    elif outcome["kind"] not in ("later", "credentials"):
        with store.writing(services.engine) as connection:
            ledger.change(
                connection,
                interview_id,
                only_from=STATES,
                remind_at=None,
                reminder_reason=outcome["reason"],
            )
    log.event(
        logger,
        logging.INFO if outcome["kind"] in ("done", "stop", "later") else logging.WARNING,
        "remind_attempt",
        interview=interview_id,
        outcome=outcome["kind"],
        reason=outcome["reason"],
    )


def _enqueue(connection: Connection, jobs: Jobs, interview: Interview, now: datetime) -> None:
    jobs.enqueue(
        connection,
        "remind",
        interview.id,
        # The moment makes each attempt another one.
        job_id=f"remind:{interview.id}:{now.isoformat()}",
        partition=partition(interview.workspace_id, interview.contact_id),
    )


def _to_be_reminded(interview: Interview, now: datetime, *, open_days: int) -> bool:
    # Its time may be over, and nobody have looked since: the link leads nowhere then.
    current = ledger.as_of(interview, now, open_days=open_days)
    return current.state == "sent" and current.opened_at is None and current.reminded_at is None


def _remind(services: Services, interview: Interview, conversation_id: str) -> Outcome:
    settings = services.settings
    public_url = interview.public_url or settings.public_url
    if public_url is None:
        raise NotConfigured(["PUBLIC_URL"])
    with store.reading(services.engine) as connection:
        claimed = once.is_claimed(connection, interview.id, "reminder")
        now = store.now(connection)
    opens_at = planning.opens_at(services, interview, now)
    if opens_at > now and not claimed:
        return outcomes.later(planning.NOT_YET, (opens_at - now).total_seconds())
    no = planning.against_contact(services, interview)
    if no is not None:
        return outcomes.stop(no.reason)
    conversation = services.intercom.get_conversation(conversation_id)
    no = planning.against_conversation(conversation)
    if no is not None:
        return outcomes.stop(no.reason)
    with store.writing(services.engine) as connection:
        if not once.is_claimed(connection, interview.id, "reminder"):
            # As before the message: a closed conversation is closed again afterwards.
            closed = conversation.state == "closed"
            ledger.change(
                connection, interview.id, only_from=("sent",), was_closed=closed, closed_again_at=None
            )
    author = _author(services, interview)
    body = wording.reminder(
        contact_name=interview.contact_name,
        url=links.personal_url(public_url, interview.link_token),
        said=words.chosen(services.study(interview.study).wording, interview.language),
    )
    token = interview.link_token

    def is_there() -> bool | None:
        shown = services.intercom.get_conversation(conversation_id)
        # The message holds the link, and so does the reminder.
        if shown.count_of(token) > 1:
            return True
        return False if shown.complete else None

    return once.write_once(
        services.engine,
        interview.id,
        "reminder",
        act=lambda begin_by: services.intercom.reply(
            conversation_id, admin_id=author, body=body, begin_by=begin_by
        ),
        is_there=is_there,
        forbidden=lambda connection, now: (
            None
            if _to_be_reminded(
                ledger.existing(connection, interview.id, lock=True), now, open_days=settings.open_days
            )
            else "not_to_be_reminded"
        ),
    )


def _author(services: Services, interview: Interview) -> str:
    """Who has written the message; the configured admin, where that one is not there any more."""
    ours = workspace.known(services).admin_id
    author = interview.written_as_id or interview.asked_by_id or ours
    return author if author == ours or services.intercom.admin_exists(author) else ours
