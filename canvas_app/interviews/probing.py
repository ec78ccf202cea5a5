"""Finding out whether what paused a wire has been mended, where nothing else happens on that wire."""

from __future__ import annotations

import logging
from datetime import timedelta

import sqlalchemy as sa

from canvas_app import gates, log, store
from canvas_app.errors import NotConfigured, WireError
from canvas_app.gates import EVERYTHING, Pause
from canvas_app.interviews import studies, workspace
from canvas_app.interviews.services import Services
from canvas_app.interviews.tables import interviews, unpurged

logger = logging.getLogger(__name__)

# A pause that no call has tried for this long is not known to be true any more.
_UNTRIED_FOR = timedelta(hours=1)


def probe(services: Services) -> int:
    """Try what is paused with a call that changes nothing, and forget what cannot be tried so.

    Returns how many pauses there were, and one more where Intercom was asked whose token it is: a card is for
    its workspace only, and when the worker started Intercom may not have answered.

    For the clock, every few minutes. A dead token is tried with Intercom's ``GET /me``, and with Koji's
    ``GET /api/v1/interviews/{id}`` of the newest interview that Koji knows. A missing permission has no such
    call: the next real one tries it, and after an hour without any the pause is taken away, so that neither
    the card nor ``/healthz`` goes on telling what nobody has seen lately.
    """
    with store.reading(services.engine) as connection:
        keys = studies.gate_keys(connection, services.settings)
        found = gates.paused(connection, keys)
        unknown = "intercom" in keys.values() and not workspace.is_known(connection, services)
    if not found and not unknown:
        return 0
    for pause in found:
        if pause.operation == EVERYTHING:
            _try(services, pause)
    asked = any(pause.wire == "intercom" and pause.operation == EVERYTHING for pause in found)
    if unknown and not asked:
        _read_workspace(services)
    with store.writing(services.engine) as connection:
        forgotten = gates.forget(connection, keys, untried_for=_UNTRIED_FOR)
    for pause in forgotten:
        log.event(
            logger,
            logging.WARNING,
            "wire_pause_forgotten",
            wire=pause.wire,
            operation=pause.operation,
            reason=pause.reason,
        )
    return len(found) + unknown


def _try(services: Services, pause: Pause) -> None:
    # The gate lets one call a minute through, and ends the pause when it is accepted.
    try:
        if pause.wire == "intercom":
            workspace.read(services)
        else:
            _ask_koji(services, pause.gate)
    except (WireError, NotConfigured) as error:
        log.event(logger, logging.INFO, "still_paused", wire=pause.wire, reason=error.reason)


def _read_workspace(services: Services) -> None:
    try:
        workspace.read(services)
    except (WireError, NotConfigured) as error:
        log.event(logger, logging.INFO, "workspace_not_read", wire="intercom", reason=error.reason)


def _ask_koji(services: Services, gate: str) -> None:
    """Ask Koji about the newest interview of the study whose key this gate is for, if there is one."""
    with store.reading(services.engine) as connection:
        every = studies.listed(connection, services.settings)
        paused = [study for study in every if study.api_key and gates.key_of("koji", study.api_key) == gate]
        id_: str | None = connection.execute(
            sa.select(interviews.c.koji_interview_id)
            .where(
                interviews.c.study.in_([study.slug for study in paused]),
                # Purged ones have no id any more; that they are left out lets the database use an index.
                interviews.c.koji_interview_id.is_not(None),
                unpurged,
            )
            .order_by(interviews.c.created_at.desc())
            .limit(1)
        ).scalar()
    if id_ is not None:
        services.koji(paused[0]).get_interview(id_)
