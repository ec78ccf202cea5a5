"""What a person does about an interview: withdraw it, or say what became of its message.

Each is one transaction on the interview as the person saw it. Whoever comes second, or acts on what is no
longer so, changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy.engine import Connection, Engine

from canvas_app import store
from canvas_app.engine import Jobs
from canvas_app.interviews import ledger, once
from canvas_app.interviews.ask import enqueue_clear_link, enqueue_send
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.seen import Note, Person, Seen, no_note, unchanged
from canvas_app.interviews.states import REPLACEABLE_STATES, State
from canvas_app.settings import Settings

# What came of it. "changed": it is not (or no longer) what the person saw, and nothing was done.
Effect = Literal["withdrawn", "cancelled", "sent", "queued", "too_early", "changed"]


def withdraw(
    engine: Engine, jobs: Jobs, settings: Settings, person: Person, what: Seen, *, note: Note = no_note
) -> Effect:
    """Let the customer's link end. The message stays; a result that still comes is taken."""
    with store.writing(engine) as connection:
        now = store.now(connection)
        interview = _as_shown(connection, settings, person, what, now, only=REPLACEABLE_STATES)
        if interview is None:
            return "changed"
        ledger.move(
            connection,
            interview.id,
            "cancelled",
            only_from=REPLACEABLE_STATES,
            now=now,
            reason="withdrawn",
        )
        enqueue_clear_link(connection, jobs, interview)
        note(connection)
        return "withdrawn"


def cancel_planned(
    engine: Engine, settings: Settings, person: Person, what: Seen, *, note: Note = no_note
) -> Effect:
    """What was to be sent later is not sent: nothing of it has reached the customer."""
    with store.writing(engine) as connection:
        now = store.now(connection)
        interview = _as_shown(connection, settings, person, what, now, only=("planned",))
        if interview is None:
            return "changed"
        ledger.move(
            connection, interview.id, "skipped", only_from=("planned",), now=now, reason="cancelled_by_rep"
        )
        note(connection)
        return "cancelled"


def it_is_there(
    engine: Engine,
    settings: Settings,
    person: Person,
    what: Seen,
    *,
    conversation_id: str | None,
    note: Note = no_note,
) -> Effect:
    """The message of unknown fate is in the conversation that the person looks at: it was sent."""
    with store.writing(engine) as connection:
        now = store.now(connection)
        interview = _of_unknown_fate(connection, settings, person, what, now, conversation_id)
        if interview is None:
            return "changed"
        return _is_sent(connection, interview, now, note)


def send_after_all(
    engine: Engine,
    jobs: Jobs,
    settings: Settings,
    person: Person,
    what: Seen,
    *,
    conversation_id: str | None,
    note: Note = no_note,
) -> Effect:
    """The message of unknown fate is not there: make it go out, on this person's word.

    The one place where a message may be made a second time. The claim on the first is cleared, the time to
    send it begins anew and the next attempt is enqueued, all in one transaction.
    """
    with store.writing(engine) as connection:
        now = store.now(connection)
        interview = _of_unknown_fate(connection, settings, person, what, now, conversation_id)
        if interview is None:
            return "changed"
        if interview.opened_at is not None:
            # Whoever has opened its link has the message.
            return _is_sent(connection, interview, now, note)
        cleared = once.clear_by_word(connection, interview.id, "message")
        if cleared == "too_early":
            return "too_early"
        if cleared == "done":
            # Intercom has confirmed it, although what came after it went wrong.
            return _is_sent(connection, interview, now, note)
        attempt = interview.send_attempt + 1
        ledger.move(
            connection,
            interview.id,
            "queued",
            only_from=("unknown",),
            now=now,
            send_attempt=attempt,
            send_before=now + timedelta(minutes=settings.send_within_minutes),
        )
        enqueue_send(connection, jobs, interview, attempt=attempt)
        note(connection)
        return "queued"


def _is_sent(connection: Connection, interview: Interview, now: datetime, note: Note) -> Effect:
    once.settle_by_word(connection, interview.id, "message")
    state: State = "sent" if interview.opened_at is None else "opened"
    sent_at = interview.tried_at or interview.state_since
    ledger.move(connection, interview.id, state, only_from=("unknown",), now=now, sent_at=sent_at)
    note(connection)
    return "sent"


def _of_unknown_fate(
    connection: Connection,
    settings: Settings,
    person: Person,
    what: Seen,
    now: datetime,
    conversation_id: str | None,
) -> Interview | None:
    interview = _as_shown(connection, settings, person, what, now, only=("unknown",))
    # Only who has its conversation in front of them can know.
    here = interview is not None and interview.conversation_id == conversation_id
    return interview if here else None


def _as_shown(
    connection: Connection,
    settings: Settings,
    person: Person,
    what: Seen,
    now: datetime,
    *,
    only: tuple[State, ...],
) -> Interview | None:
    """The interview, if it is still what the person saw, in one of these states, and its time is not up."""
    interview = unchanged(connection, what, person)
    if interview is None:
        return None
    return interview if ledger.as_of(interview, now, open_days=settings.open_days).state in only else None
