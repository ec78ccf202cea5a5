"""Canvas Kit's two requests. ``initialize`` only reads; ``submit`` writes a ledger row and a job.

https://developers.intercom.com/docs/canvas-kit
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, jsonify
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.exc import SQLAlchemyError

from canvas_app import log, store, web
from canvas_app.canvas import cards, reasons, states
from canvas_app.canvas.cards import CardState
from canvas_app.canvas.kit import CanvasResponse
from canvas_app.canvas.request import CanvasRequest, Contact
from canvas_app.errors import NotConfigured
from canvas_app.intercom import signatures
from canvas_app.interviews import ledger, rules, wording
from canvas_app.interviews.ask import ask
from canvas_app.interviews.ledger import Ask, CardFacts, Interview
from canvas_app.interviews.states import OPEN_STATES
from canvas_app.leases import SILENT_SECONDS
from canvas_app.plaintext import one_line

blueprint = Blueprint("canvas", __name__)
logger = logging.getLogger(__name__)

# After a tap the ledger is watched for a moment, so that the rep normally reads "sent" at once. Intercom does
# not document its time limit; others have measured ten seconds.
_WATCH_SECONDS = 3.0
_WATCH_EVERY_SECONDS = 0.1
# Watching holds a thread; beyond this many the rep gets "Sending…" and a Refresh button.
_watchers = threading.BoundedSemaphore(4)

# A card may stand open for a while before it is tapped. What is older is drawn anew, so that a request that
# somebody has kept does nothing later.
_OFFER_SECONDS = 24 * 60 * 60

_SENDING = ("queued", "sending")


@blueprint.errorhandler(NotConfigured)
def not_set_up(_problem: NotConfigured) -> Response:
    """Without the secret nothing of a request can be believed, so none of it is read; the card says why."""
    return _answer(cards.NotSetUp(missing=tuple(web.current().settings.missing_for_card())), ZoneInfo("UTC"))


@blueprint.post("/canvas/initialize")
def initialize() -> Response:
    request = _verified()
    return _guarded(request, lambda: _card(request))


@blueprint.post("/canvas/submit")
def submit() -> Response:
    request = _verified()
    if request.component_id == cards.SEND:
        return _guarded(request, lambda: _send(request))
    if request.component_id == cards.TRY_AGAIN:
        return _guarded(request, lambda: _try_again(request))
    if request.component_id == cards.SEND_AGAIN:
        return _guarded(request, lambda: _card(request, again=True))
    return _guarded(request, lambda: _card(request))


def _verified() -> CanvasRequest:
    raw = web.body()
    client_secrets = web.current().settings.intercom_client_secret
    signatures.verify_body_signature(raw, web.header("X-Body-Signature"), client_secrets)
    return CanvasRequest.parse(raw)


def _guarded(request: CanvasRequest, draw: Callable[[], Response]) -> Response:
    """What stands in the way of any card, and a card instead of an error page when the database is away."""
    utc = ZoneInfo("UTC")
    missing = web.current().settings.missing_for_card()
    if missing:
        return _answer(cards.NotSetUp(missing=tuple(missing)), utc)
    if request.contact is None:
        return _answer(cards.NoContact(), utc)
    if request.conversation_id is None:
        return _answer(cards.NoConversation(), utc)
    try:
        return draw()
    except SQLAlchemyError as error:
        log.failure(logger, "card_without_database", error)
        # A commit whose answer was lost may have been made, so that nothing is promised about this tap.
        return _answer(cards.Problem(text=reasons.DATABASE_AWAY, nothing_sent=False), utc)


def _card(request: CanvasRequest, *, again: bool = False, blocked_by: str | None = None) -> Response:
    """The card as the ledger has it. ``again``: the rep wants to send another, where that is possible.

    ``blocked_by`` names what stood in the way of a tap: it may be in another conversation, and then the
    interview of this one would not explain why nothing was sent.
    """
    contact = _contact(request)
    facts = _facts(request)
    zone = states.zone_of(facts.timezone)
    if facts.token_workspace_id not in (None, request.workspace_id):
        return _answer(cards.NotSetUp(missing=(reasons.OTHER_WORKSPACE,)), zone)
    settings, interview = web.current().settings, _as_of_now(facts.interview, facts)
    if blocked_by is not None and (interview is None or interview.state not in OPEN_STATES):
        interview = _open_one(blocked_by, facts) or interview
    if interview is None or (again and interview.state not in OPEN_STATES):
        return _answer(_offer(contact), zone)
    alive = rules.worker_alive(facts.worker_seen_at, facts.now, silent_after=SILENT_SECONDS)
    state = states.of_interview(interview, worker_alive=alive, settings=settings)
    return _answer(state, zone, states.elsewhere(interview, request.conversation_id, zone))


def _as_of_now(interview: Interview | None, facts: CardFacts) -> Interview | None:
    if interview is None:
        return None
    return ledger.as_of(interview, facts.now, open_days=web.current().settings.open_days)


def _open_one(interview_id: str, facts: CardFacts) -> Interview | None:
    with store.reading(web.current().engine) as connection:
        interview = _as_of_now(ledger.get(connection, interview_id), facts)
    return interview if interview is not None and interview.state in OPEN_STATES else None


def _send(request: CanvasRequest) -> Response:
    """A tap on the offer."""
    given = request.input_values.get(cards.PERSONAL_LINE)
    line = given if isinstance(given, str) else ""
    nonce = request.stored_data.get("nonce")
    if not isinstance(nonce, str) or not nonce:
        # Where stored data does not come back, the one open interview a contact still holds.
        return _ask(request, None, line)
    if not _is_current(nonce):
        # A tap of long ago, or one that somebody kept: what is there to be sent is shown once more.
        return _answer(_offer(_contact(request), line), states.zone_of(_facts(request).timezone))
    return _ask(request, _offer_key(request, nonce), line)


def _try_again(request: CanvasRequest) -> Response:
    """A tap on "Try again": the same message once more, if it is still true that nothing has gone out."""
    facts = _facts(request)
    failed = facts.interview
    if failed is None or failed.state != "failed" or failed.result is not None:
        return _card(request)
    mine = request.admin is not None and request.admin.id == failed.asked_by_id
    if not mine or failed.conversation_id != request.conversation_id:
        # Somebody else's words, or words for another conversation: look at them before they go out.
        line = failed.personal_line or ""
        return _answer(_offer(_contact(request), line), states.zone_of(facts.timezone))
    return _ask(request, f"again:{failed.id}", failed.personal_line)


def _ask(request: CanvasRequest, key: str | None, personal_line: str | None) -> Response:
    """The ledger row and its job, then a short look whether it has gone out."""
    here, contact, admin = web.current(), _contact(request), request.admin
    asked = ask(
        here.engine,
        here.jobs,
        here.settings,
        Ask(
            workspace_id=request.workspace_id,
            contact_id=contact.id,
            conversation_id=request.conversation_id,
            study=here.settings.default_study.slug,
            origin="card",
            request_key=key,
            asked_by_id=admin.id if admin else None,
            asked_by_name=one_line(admin.name if admin else None, 120) or None,
            contact_name=one_line(contact.name, 200) or None,
            contact_email=one_line(contact.email, 320) or None,
            personal_line=one_line(personal_line, wording.PERSONAL_LINE_LENGTH) or None,
        ),
    )
    log.event(logger, logging.INFO, "tap", interview=asked.interview.id, created=asked.created)
    if asked.interview.state in _SENDING:
        _watch(asked.interview.id)
    return _card(request, blocked_by=None if asked.created else asked.interview.id)


def _watch(interview_id: str) -> None:
    if not _watchers.acquire(blocking=False):
        return
    try:
        until = time.monotonic() + _WATCH_SECONDS
        while time.monotonic() < until:
            time.sleep(_WATCH_EVERY_SECONDS)
            with store.reading(web.current().engine) as connection:
                interview = ledger.get(connection, interview_id)
            if interview is None or interview.state not in _SENDING:
                return
    finally:
        _watchers.release()


def _answer(state: CardState, zone: ZoneInfo, elsewhere: str | None = None) -> Response:
    canvas = cards.draw(state, zone=zone, elsewhere=elsewhere)
    return jsonify(CanvasResponse(canvas=canvas).body())


def _contact(request: CanvasRequest) -> Contact:
    if request.contact is None:
        raise LookupError("the contact was checked before")
    return request.contact


def _facts(request: CanvasRequest) -> CardFacts:
    with store.reading(web.current().engine) as connection:
        contact_id = _contact(request).id
        return ledger.card_facts(connection, request.workspace_id, contact_id, request.conversation_id)


def _offer(contact: Contact, personal_line: str = "") -> CardState:
    """The card from which an interview is sent. Its nonce names this offer and says when it was made."""
    return states.ready(
        contact_name=contact.name,
        settings=web.current().settings,
        nonce=str(_signer().dumps(secrets.token_urlsafe(9))),
        personal_line=personal_line,
    )


def _is_current(nonce: str) -> bool:
    try:
        _signer().loads(nonce, max_age=_OFFER_SECONDS)
    except BadSignature:
        return False
    return True


def _signer() -> URLSafeTimedSerializer:
    # itsdangerous signs with the last key of the list and accepts all of them.
    return URLSafeTimedSerializer(list(reversed(web.current().settings.secret_key)), salt="offer")


def _offer_key(request: CanvasRequest, nonce: str) -> str:
    """What makes two taps the same tap: the card that was drawn, for its contact in its conversation."""
    contact = _contact(request).id
    parts = ("canvas", request.workspace_id, request.conversation_id or "", contact, nonce)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
