"""A closed conversation is closed again after a message that no person sent.

That a reply reopens a closed conversation is not documented, but likely. A rep who taps wants it open. After
an automatic message it would stand in everybody's list of open work without a reason, so it is closed again,
unless somebody has written in it since.
"""

from __future__ import annotations

import logging

from sqlalchemy.engine import Connection

from canvas_app import log, store
from canvas_app.engine import Jobs
from canvas_app.errors import NotConfigured, PermanentError, WireError
from canvas_app.interviews import ledger, outcomes, rules, workspace
from canvas_app.interviews.ask import BY_HAND, partition
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.services import Services
from canvas_app.interviews.states import STATES

logger = logging.getLogger(__name__)


def remember(services: Services, interview: Interview, conversation_id: str) -> None:
    """Write down, before the message, whether the conversation is closed. Raises the wires' errors.

    Raises PermanentError where another program has named a conversation in which the contact is not: the
    link, and the name in the greeting, are theirs.
    """
    if interview.origin in BY_HAND or interview.was_closed is not None:
        return
    conversation = services.intercom.get_conversation(conversation_id)
    there = conversation.contact_ids
    if interview.origin == "api" and there and interview.contact_id not in there:
        raise PermanentError(reason="conversation_of_another")
    closed = conversation.state == "closed"
    with store.writing(services.engine) as connection:
        ledger.change(connection, interview.id, only_from=("sending",), was_closed=closed)


def enqueue(connection: Connection, jobs: Jobs, interview: Interview, *, attempt: int = 1) -> None:
    """Enqueue an attempt to close the conversation again, where it was closed."""
    if not interview.was_closed:
        return
    # After the reminder it is closed anew, under names of its own.
    occasion = "" if interview.reminded_at is None else ":reminder"
    jobs.enqueue(
        connection,
        "close_again",
        interview.id,
        attempt,
        job_id=f"close_again:{interview.id}:{attempt}{occasion}",
        partition=partition(interview.workspace_id, interview.contact_id),
        delay=rules.closing_pause(attempt) or 0.0,
    )


def close_again(services: Services, interview_id: str) -> Outcome:
    """Close the conversation, if our message is still the last that was said in it."""
    with store.reading(services.engine) as connection:
        interview = ledger.get(connection, interview_id)
    if interview is None or interview.conversation_id is None or not interview.was_closed:
        return outcomes.stop("nothing_to_close")
    try:
        ours = workspace.known(services)
        workspace.must_match(ours, interview.workspace_id)
        conversation = services.intercom.get_conversation(interview.conversation_id)
        if conversation.state == "closed":
            return outcomes.stop("closed_already")
        if not conversation.was_said_last(interview.link_token):
            return outcomes.stop("somebody_has_written")
        services.intercom.close_conversation(interview.conversation_id, ours.admin_id)
    except (WireError, NotConfigured) as error:
        return outcomes.of_error(error)
    with store.writing(services.engine) as connection:
        now = store.now(connection)
        ledger.change(connection, interview_id, only_from=STATES, closed_again_at=now)
    return outcomes.done()


def settle(services: Services, interview_id: str, attempt: int, outcome: Outcome) -> None:
    """Enqueue the next attempt where there is to be one. The interview itself does not depend on it."""
    given_up = False
    if outcome["kind"] in ("later", "credentials"):
        given_up = rules.closing_pause(attempt + 1) is None
        if not given_up:
            with store.writing(services.engine) as connection:
                interview = ledger.existing(connection, interview_id)
                enqueue(connection, services.jobs, interview, attempt=attempt + 1)
    log.event(
        logger,
        logging.WARNING if given_up or outcome["kind"] == "permanent" else logging.INFO,
        "close_again_attempt",
        interview=interview_id,
        attempt=attempt,
        outcome=outcome["kind"],
        reason=outcome["reason"],
        given_up=given_up,
    )
