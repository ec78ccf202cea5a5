"""Contacts that are gone from Intercom, or live on in another one: the ledger does as Intercom did."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import log, store
from canvas_app.engine import Jobs
from canvas_app.errors import ContactMerged, NotConfigured, PermanentError, WireError
from canvas_app.intercom.notifications import Event
from canvas_app.interviews import erase, ledger, outcomes, workspace
from canvas_app.interviews.ask import partition
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.services import Services
from canvas_app.interviews.tables import decisions, imported_links, interviews

logger = logging.getLogger(__name__)

_ARCHIVED: Final = "contact.archived"


def take(services: Services, event: Event) -> Outcome:
    """Do what follows from a contact's end. May be repeated."""
    if event.kind not in ("gone", "merged"):
        return outcomes.stop("nothing_to_do")
    if not event.contact_ids:
        return outcomes.stop("nobody_named")
    [contact_id] = event.contact_ids
    if event.kind == "gone":
        return _erase(services, event, contact_id)
    try:
        return _follow(services, event, contact_id)
    except (WireError, NotConfigured) as error:
        return outcomes.of_error(error)


def _erase(services: Services, event: Event, contact_id: str) -> Outcome:
    """Without a call to Intercom that it would depend on: a dead token must not keep anybody's data here."""
    if event.topic == _ARCHIVED:
        _clear_link(services, event.workspace_id, contact_id)
    rows = erase.erase_contact(services.engine, services.jobs, event.workspace_id, contact_id)
    log.event(logger, logging.INFO, "contact_erased", topic=event.topic, rows=rows)
    return outcomes.done("erased")


def erase_on_request(services: Services, interview_id: str) -> Outcome:
    """Erase the contact of an interview, because an operator wants it. May be repeated."""
    with store.reading(services.engine) as connection:
        interview = ledger.get(connection, interview_id)
    if interview is None or interview.purged_at is not None:
        return outcomes.stop("erased")
    workspace_id, contact_id = interview.workspace_id, interview.contact_id
    _clear_link(services, workspace_id, contact_id)
    rows = erase.erase_contact(services.engine, services.jobs, workspace_id, contact_id)
    log.event(logger, logging.INFO, "contact_erased", topic="console", rows=rows)
    return outcomes.done("erased")


def enqueue_erase(connection: Connection, jobs: Jobs, interview: Interview) -> None:
    """Let a worker erase the contact: it has to look through all deliveries, and to ask Intercom."""
    jobs.enqueue(
        connection,
        "erase",
        interview.id,
        # The moment makes each request another one: a former one may have failed.
        job_id=f"erase:{interview.id}:{store.now(connection).isoformat()}",
        partition=partition(interview.workspace_id, interview.contact_id),
        fast=True,
    )


def _clear_link(services: Services, workspace_id: str, contact_id: str) -> None:
    """Who is still there in Intercom has our link in their attributes; it leads nowhere any more."""
    with store.reading(services.engine) as connection:
        if not erase.has_link_attributes(connection, workspace_id, contact_id):
            return
    try:
        erase.clear_link_attributes(services, workspace_id, contact_id)
    except (WireError, NotConfigured) as error:
        log.event(logger, logging.WARNING, "link_attribute_left", reason=error.reason)


def _follow(services: Services, event: Event, contact_id: str) -> Outcome:
    workspace_id = event.workspace_id
    if workspace.known(services).workspace_id != workspace_id:
        return outcomes.stop("other_workspace")
    former, living = list(event.merged_ids), contact_id
    try:
        living = services.intercom.get_contact(contact_id).id
    except ContactMerged as merged:
        # The notification names the one that is no more, or it was merged once more since.
        if merged.canonical_id is None:
            raise
        former, living = [*former, contact_id], merged.canonical_id
    except PermanentError as error:
        if error.reason == "not_found":
            return _erase_all(services, event, [*former, contact_id])
        raise
    former = former or services.intercom.merged_into(living)
    with store.writing(services.engine) as connection:
        ours = known_here(connection, workspace_id, former) - {living}
        for old_id in sorted(ours):
            erase.follow_contact(connection, workspace_id, old_id, living)
    log.event(logger, logging.INFO, "contact_followed", contacts=len(ours))
    return outcomes.done("followed" if ours else "nobody_followed")


def _erase_all(services: Services, event: Event, ids: list[str]) -> Outcome:
    """Whom they have become is gone by now: that word may have come first, and named the one alone."""
    with store.reading(services.engine) as connection:
        ours = known_here(connection, event.workspace_id, ids)
    if not ours:
        return outcomes.stop("contact_missing")
    for id_ in sorted(ours):
        _erase(services, event, id_)
    return outcomes.done("erased")


def known_here(connection: Connection, workspace_id: str, ids: Collection[str]) -> set[str]:
    """Those of these contacts of whom there is anything here; a long history is mostly others."""
    found: set[str] = set()
    for table in (interviews, decisions):
        query = sa.select(table.c.contact_id).where(
            table.c.workspace_id == workspace_id, table.c.contact_id.in_(ids)
        )
        found |= set(connection.execute(query.distinct()).scalars())
    imported = sa.select(imported_links.c.external_id).where(imported_links.c.external_id.in_(ids))
    found |= {id_ for id_ in connection.execute(imported.distinct()).scalars() if id_}
    return found
