"""Canvas Kit's two requests. ``initialize`` only reads; ``submit`` does what was tapped.

https://developers.intercom.com/docs/canvas-kit
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from zoneinfo import ZoneInfo

from flask import Blueprint, Response
from sqlalchemy.exc import SQLAlchemyError

from canvas_app import health, log, store, web
from canvas_app.canvas import card_states, ids, reasons, taps
from canvas_app.canvas.card_states import CardState
from canvas_app.canvas.faces import Face, Faces
from canvas_app.canvas.request import CanvasRequest
from canvas_app.errors import NotConfigured
from canvas_app.intercom import signatures
from canvas_app.interviews import ledger, studies
from canvas_app.interviews.states import SENDING_STATES

blueprint = Blueprint("canvas", __name__)
logger = logging.getLogger(__name__)

# After a tap the ledger is watched for a moment, so that the rep normally reads "sent" at once. Intercom does
# not document its time limit; others have measured ten seconds.
_WATCH_SECONDS = 3.0
_WATCH_EVERY_SECONDS = 0.1
# Watching holds a thread; beyond this many the rep gets "Sending…" and a Refresh button.
_watchers = threading.BoundedSemaphore(4)


@blueprint.errorhandler(NotConfigured)
def not_set_up(_problem: NotConfigured) -> Response:
    """Without the secret nothing of a request can be believed, so none of it is read; the card says why."""
    return _answer(_not_set_up(_missing()))


@blueprint.post("/canvas/initialize")
def initialize() -> Response:
    request = _verified()
    return _guarded(request, lambda: Faces(web.current(), request).current())


@blueprint.post("/canvas/submit")
def submit() -> Response:
    request = _verified()
    return _guarded(request, lambda: _tapped(request))


def _verified() -> CanvasRequest:
    raw = web.body()
    client_secrets = web.current().settings.intercom_client_secret
    signatures.verify_body_signature(raw, web.header("X-Body-Signature"), client_secrets)
    return CanvasRequest.parse(raw)


def _guarded(request: CanvasRequest, face: Callable[[], Face]) -> Response:
    """What stands in the way of any card, and a card instead of an error page when the database is away."""
    if not studies.MADE_UP_FOR.issuperset(web.current().settings.missing_for_card()):
        # What a study of the database may make up for, the face looks at: it reads the studies anyway.
        return _answer(_not_set_up(_missing()))
    if request.contact is None:
        return _answer(_plain(card_states.NoContact()))
    if request.conversation_id is None:
        return _answer(_plain(card_states.NoConversation()))
    try:
        return _answer(face())
    except SQLAlchemyError as error:
        log.failure(logger, "card_without_database", error)
        # A commit whose answer was lost may have been made, so that nothing is promised about this tap.
        return _answer(_plain(card_states.Problem(text=_why_away(error), nothing_sent=False)))


def _why_away(error: SQLAlchemyError) -> str:
    full = isinstance(error, store.DatabaseUnwritable) and error.reason == "database_full"
    return reasons.DISK_FULL if full else reasons.DATABASE_AWAY


def _tapped(request: CanvasRequest) -> Face:
    here = web.current()
    if here.settings.missing_for_card():
        with store.reading(here.engine) as connection:
            missing = studies.missing_at_all(studies.listed(connection, here.settings), here.settings)
        if missing:
            return _not_set_up(missing)
    tapped = taps.take(here, request)
    # What Intercom names is not logged unless it is a name of ours.
    action = request.component_id if request.component_id in ids.ACTIONS else "other"
    log.event(logger, logging.INFO, "tap", action=action, interview=tapped.interview_id, effect=tapped.effect)
    if tapped.on_its_way and tapped.interview_id is not None:
        _watch(tapped.interview_id)
    return tapped.face()


def _watch(interview_id: str) -> None:
    """Wait a moment while the interview is on its way."""
    if not _watchers.acquire(blocking=False):
        return
    try:
        until = time.monotonic() + _WATCH_SECONDS
        while time.monotonic() < until:
            time.sleep(_WATCH_EVERY_SECONDS)
            with store.reading(web.current().engine) as connection:
                interview = ledger.get(connection, interview_id)
            if interview is None or interview.state not in SENDING_STATES:
                return
    finally:
        _watchers.release()


def _missing() -> list[str]:
    here = web.current()
    return health.missing_names(here.engine, here.settings)


def _not_set_up(missing: list[str]) -> Face:
    return _plain(card_states.NotSetUp(missing=tuple(missing)))


def _plain(state: CardState) -> Face:
    """A card for which nothing of the database is known."""
    return Face(state, ZoneInfo("UTC"))


def _answer(face: Face) -> Response:
    return Response(face.drawn().answer(), mimetype="application/json")
