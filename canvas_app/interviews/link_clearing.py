"""The link is taken out of the contact's attributes when there is nothing to be answered any more.

Else a Series would go on sending it. It is tried like a result is, in a job of its own; the clock finds what
was forgotten. A newer interview's link is never taken away.
"""

from __future__ import annotations

import logging

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import log, store
from canvas_app.engine import has_no_job_like
from canvas_app.errors import ContactMerged, NotConfigured, PermanentError, WireError
from canvas_app.interviews import (
    contact_attributes,
    delivering,
    ledger,
    ledger_rows,
    outcomes,
    rules,
    workspace,
)
from canvas_app.interviews.ask import enqueue_clear_link
from canvas_app.interviews.contact_attributes import LINK_READY_AT, LINK_URL
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.services import Services
from canvas_app.interviews.states import LINK_STATES, STATES
from canvas_app.interviews.tables import interviews

logger = logging.getLogger(__name__)

_MOST = 100


def clear(services: Services, interview_id: str) -> Outcome:
    """Clear both attributes, if they still hold the link of this interview and it is of no use any more."""
    with store.reading(services.engine) as connection:
        interview = ledger.get(connection, interview_id)
        if interview is None or not _may_stand_there(interview):
            return outcomes.stop("nothing_to_clear")
        current = ledger.as_of(interview, store.now(connection), open_days=services.settings.open_days)
        if current.state in LINK_STATES:
            return outcomes.stop("still_open")
    try:
        workspace.must_match(workspace.known(services), interview.workspace_id)
        try:
            remark = _clear(services, interview, interview.contact_id)
        except ContactMerged as merged:
            if merged.canonical_id is None:
                raise
            # What is said of it in the ledger, the jobs that need it put right.
            remark = _clear(services, interview, merged.canonical_id)
    except PermanentError as error:
        if error.status != 404:
            return outcomes.of_error(error)
        remark = "contact_gone"
    except (WireError, NotConfigured) as error:
        return outcomes.of_error(error)
    _conclude(services, interview_id)
    return outcomes.done(remark)


def settle(services: Services, interview_id: str, attempt: int, tries: int, outcome: Outcome) -> None:
    """Enqueue the next attempt where there is to be one. The interview itself does not depend on it."""
    given_up = outcome["kind"] in ("permanent", "unknown")
    if outcome["kind"] in ("later", "credentials"):
        held = outcomes.is_held(outcome)
        pause: float | None
        if held:
            pause = rules.held_pause(outcome["after"], chance=services.chance())
        else:
            pause = rules.result_pause(tries, outcome["after"], chance=services.chance())
        given_up = pause is None
        if pause is not None:
            with store.writing(services.engine) as connection:
                enqueue_clear_link(
                    connection,
                    services.jobs,
                    ledger.existing(connection, interview_id),
                    attempt=attempt + 1,
                    tries=tries if held else tries + 1,
                    delay=pause,
                )
    if given_up:
        # Else the clock would begin anew with it, again and again.
        _conclude(services, interview_id)
    log.event(
        logger,
        logging.WARNING if given_up else logging.INFO,
        "clear_link_attempt",
        interview=interview_id,
        attempt=attempt,
        outcome=outcome["kind"],
        reason=outcome["reason"],
        given_up=given_up,
    )


def sweep(services: Services) -> int:
    """For the clock: enqueue what is to be cleared and no job is at; how many."""
    with store.writing(services.engine) as connection:
        now = store.now(connection)
        job_ids = sa.literal("clear_link:") + interviews.c.id + ":"
        ids = list(
            connection.execute(
                sa.select(interviews.c.id)
                .where(
                    interviews.c.link_attribute_at.is_not(None),
                    interviews.c.link_attribute_cleared_at.is_(None),
                    interviews.c.state.not_in(LINK_STATES),
                    has_no_job_like(connection, job_ids),
                )
                .order_by(interviews.c.state_since)
                .limit(_MOST)
            ).scalars()
        )
        for id_ in ids:
            interview = ledger.existing(connection, id_)
            # A number that no attempt before it has had.
            enqueue_clear_link(connection, services.jobs, interview, attempt=int(now.timestamp()))
    return len(ids)


def _conclude(services: Services, interview_id: str) -> None:
    with store.writing(services.engine) as connection:
        now = store.now(connection)
        ledger.change(connection, interview_id, only_from=STATES, link_attribute_cleared_at=now)


def _may_stand_there(interview: Interview) -> bool:
    return interview.link_attribute_at is not None and interview.link_attribute_cleared_at is None


def _clear(services: Services, interview: Interview, contact_id: str) -> str | None:
    with store.reading(services.engine) as connection:
        if _newer_link_exists(connection, interview):
            # Where that one never came to be written, it takes away what stands there when it ends.
            return "newer_link"
        dead = _dead(connection, interview, contact_id)
    contact = services.intercom.get_contact(contact_id)
    there = contact.custom_attributes.get(LINK_URL)
    if there not in {delivering.personal_url(services, one) for one in dead}:
        # Cleared before, or somebody else's by now.
        return "not_there"
    # What tells a Series that the link is there goes first.
    contact_attributes.empty(services.intercom, contact_id, LINK_READY_AT)
    contact_attributes.empty(services.intercom, contact_id, LINK_URL)
    return None


def _dead(connection: Connection, interview: Interview, contact_id: str) -> list[Interview]:
    """The contact's interviews whose link may have been written and leads nowhere: this one, and others."""
    ended = sa.and_(
        interviews.c.workspace_id == interview.workspace_id,
        interviews.c.contact_id.in_((interview.contact_id, contact_id)),
        interviews.c.link_attribute_at.is_not(None),
        interviews.c.state.not_in(LINK_STATES),
    )
    rows = connection.execute(
        ledger_rows.selected.where(sa.or_(ended, interviews.c.id == interview.id))
    ).all()
    return [ledger_rows.of_row(row) for row in rows]


def _newer_link_exists(connection: Connection, interview: Interview) -> bool:
    newer = sa.select(sa.literal(1)).where(
        interviews.c.workspace_id == interview.workspace_id,
        interviews.c.contact_id == interview.contact_id,
        interviews.c.id != interview.id,
        interviews.c.link_attribute_at > interview.link_attribute_at,
        interviews.c.link_attribute_cleared_at.is_(None),
    )
    return connection.execute(newer.limit(1)).first() is not None
