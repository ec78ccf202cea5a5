"""The page of a teammate: conversations, the chosen one, and our card beside it.

The browser never talks to the application. This page's server does, as Intercom's would: it signs the exact
bytes it sends, checks the canvas that comes back, and draws it.
https://developers.intercom.com/docs/canvas-kit
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import httpx
from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    send_from_directory,
    url_for,
)
from jinja2 import ChoiceLoader, FileSystemLoader, PrefixLoader

from sandbox import board, documents, seed
from sandbox.canvas import CanvasRefused, check_answer, rich
from sandbox.rich_text import sanitise, text_of
from sandbox.state import CanvasProblem

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.wrappers import Response as AnyResponse

    from sandbox.state import Admin, Contact, Conversation, IntercomState

LONGEST_WAIT = 10.0
"""Seconds. Intercom documents no number; this is what public integrations assume."""
TLS = httpx.create_ssl_context(trust_env=False)
"""Made once: a client that reads all authorities' certificates for each card takes longer than the card."""

# What a canvas is drawn with: files alone, with which the application's console shows its cards too.
ROOT = Path(__file__).resolve().parent.parent
DRAWING = ROOT / "templates" / "pages" / "canvas"
SHEETS = ROOT / "static" / "console"

pages = Blueprint("inbox", __name__)


@dataclass(frozen=True)
class Shown:
    """What stands in the card's place: a canvas, or why there is none."""

    canvas: dict[str, Any] | None
    reason: str | None = None


@dataclass
class CanvasCaller:
    """Sends the signed requests of the inbox to the application, for the teammate ``viewer``."""

    state: IntercomState
    client_secret: str
    app_url: str | None
    viewer: Admin
    shown: dict[tuple[str, str], Shown] = field(default_factory=dict)

    def initialize(self, conversation: Conversation, contact: Contact) -> Shown:
        """Ask for the first canvas, as when a teammate opens the conversation."""
        return self._call("initialize", conversation, contact, {})

    def submit(
        self, conversation: Conversation, contact: Contact, component_id: str, input_values: dict[str, Any]
    ) -> Shown:
        """Tell that a component was used, and get the next canvas."""
        before = self.shown.get((conversation.id, contact.id))
        current = before.canvas if before else None
        extra = {"component_id": component_id, "input_values": input_values, "current_canvas": current}
        return self._call("submit", conversation, contact, extra)

    def request_body(
        self,
        kind: Literal["initialize", "submit"],
        conversation: Conversation,
        contact: Contact,
        extra: dict[str, Any],
    ) -> bytes:
        """Return the exact bytes of a request of the inbox.

        The reference calls the customer ``contact`` at initialize and ``customer`` at submit, so this does.
        The characters <, > and & are escaped, which JSON allows and Python's own writer does not do: a
        signature that is checked over re-serialised JSON fails here, as it would at Intercom.
        """
        with self.state.lock:
            document = {
                "workspace_id": self.state.workspace_id,
                "workspace_region": self.state.region,
                # REST has the address of a picture here, or null; the Canvas Kit has an object.
                "admin": {**documents.admin(self.viewer), "avatar": {"image_url": None}},
                "conversation": documents.conversation(self.state, conversation),
                "contact" if kind == "initialize" else "customer": documents.contact(self.state, contact),
                **extra,
            }
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        for character in "<>&":
            text = text.replace(character, f"\\u{ord(character):04x}")
        return text.encode()

    def _call(
        self,
        kind: Literal["initialize", "submit"],
        conversation: Conversation,
        contact: Contact,
        extra: dict[str, Any],
    ) -> Shown:
        if self.app_url is None:
            return Shown(None, "no application is connected to this inbox")
        raw = self.request_body(kind, conversation, contact, extra)
        shown = self.ask(kind, raw)
        if shown.canvas is not None:
            self.shown[conversation.id, contact.id] = shown
        return shown

    def ask(self, kind: Literal["initialize", "submit"], raw: bytes) -> Shown:
        """Send these bytes, signed, and check what comes back; what is refused is remembered as a problem."""
        signature = hmac.new(self.client_secret.encode(), raw, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json; charset=utf-8", "X-Body-Signature": signature}
        status = None
        try:
            with httpx.Client(timeout=LONGEST_WAIT, trust_env=False, verify=TLS) as client:
                answer = client.post(f"{self.app_url}/canvas/{kind}", content=raw, headers=headers)
            status = answer.status_code
            return Shown(_canvas_of(answer, kind))
        except httpx.HTTPError as error:
            reason = f"no answer from the application: {type(error).__name__}"
        except CanvasRefused as refused:
            reason = str(refused)
        with self.state.lock:
            self.state.canvas_problems.append(CanvasProblem(kind, reason, status, time.time()))
        return Shown(None, reason)


def _canvas_of(answer: httpx.Response, kind: str) -> dict[str, Any]:
    content_type = answer.headers.get("Content-Type", "nothing said")
    if answer.status_code != 200:
        raise CanvasRefused([f"the application answered {answer.status_code}"])
    if not content_type.startswith("application/json"):
        raise CanvasRefused([f"the answer is {content_type}, not application/json"])
    return check_answer(answer.content, kind)


def register(app: Flask, caller: CanvasCaller) -> None:
    """Add the inbox page to ``app``."""
    app.extensions["canvas_caller"] = caller
    own = app.jinja_loader or FileSystemLoader(ROOT / "sandbox" / "templates")
    app.jinja_loader = ChoiceLoader([own, PrefixLoader({"canvas": FileSystemLoader(DRAWING)})])
    app.add_template_filter(sanitise, "message_html")
    app.add_template_filter(text_of, "message_text")
    app.add_template_filter(rich, "rich")
    app.add_template_filter(_local_time, "local_time")
    app.add_template_filter(_short_time, "short_time")
    app.add_template_filter(_attribute_text, "attribute_text")
    app.register_blueprint(pages)


def _caller() -> CanvasCaller:
    caller: CanvasCaller = current_app.extensions["canvas_caller"]
    return caller


def _local_time(seconds: int) -> str:
    zone = ZoneInfo(_caller().state.timezone)
    return datetime.fromtimestamp(seconds, zone).strftime("%-d %b, %H:%M")


def _short_time(seconds: int) -> str:
    zone = ZoneInfo(_caller().state.timezone)
    at = datetime.fromtimestamp(seconds, zone)
    return at.strftime("%H:%M" if at.date() == datetime.now(zone).date() else "%-d %b")


def _attribute_text(value: Any, data_type: str) -> str:
    if data_type in {"datetime", "date"} and isinstance(value, int):
        return _local_time(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def find(conversation_id: str) -> tuple[Conversation, Contact]:
    """Return the conversation of an address, and the participant that was chosen; 404 if there is none."""
    state = _caller().state
    conversation = state.conversations.get(conversation_id)
    if conversation is None:
        abort(404)
    chosen = request.values.get("contact", conversation.contact_ids[0])
    if chosen not in conversation.contact_ids:
        abort(404)
    return conversation, state.contacts[chosen]


def _scene(conversation: Conversation, contact: Contact) -> dict[str, Any]:
    state = _caller().state
    newest_first = sorted(state.conversations.values(), key=lambda item: -item.updated_at)
    return {
        "state": state,
        "conversations": newest_first,
        "conversation": conversation,
        "contact": contact,
        "people": [state.contacts[item] for item in conversation.contact_ids],
        "others": [item for item in state.contacts.values() if item.lives and item.role == "user"],
        "rep": _caller().viewer,
    }


def _tap() -> tuple[str, dict[str, Any]]:
    """Read which component was used, and the values of all fields, from the card's form."""
    form, component_id = request.form, request.form.get("component_id", "")
    values: dict[str, Any] = {}
    for name in form:
        kind, _, component = name.partition(":")
        if kind == "choice":  # An option of a single-select that submits at once.
            component_id, values[component] = component, form[name]
        elif kind == "v" and component.endswith("[]"):  # A checkbox: a list, even of one or none.
            values[component.removesuffix("[]")] = [ticked for ticked in form.getlist(name) if ticked]
        elif kind == "v":
            values[component] = form[name]
    return component_id, values


@pages.get("/")
def first() -> AnyResponse:
    """Open the first conversation."""
    return redirect(url_for("inbox.show", conversation_id=seed.MARTAS_CONVERSATION))


@pages.get("/inbox/<conversation_id>")
def show(conversation_id: str) -> str:
    """Show a conversation; as in Intercom, opening it asks the application for the card anew.

    ``?kept`` shows the card as the last tap left it: that is how a tap ends in a browser without scripts.
    """
    return page(*find(conversation_id), kept="kept" in request.args)


def page(conversation: Conversation, contact: Contact, *, kept: bool, notice: str | None = None) -> str:
    """Draw the page; ``kept`` asks for no new card, ``notice`` is said at its top."""
    caller = _caller()
    found = caller.shown.get((conversation.id, contact.id)) if kept else None
    shown = found or caller.initialize(conversation, contact)
    with caller.state.lock:
        scene = _scene(conversation, contact)
        scene |= board.scene(conversation, contact, kept=kept)
        return render_template("inbox.html", shown=shown, notice=notice, **scene)


@pages.post("/inbox/<conversation_id>/submit")
def submit(conversation_id: str) -> AnyResponse | str:
    """Pass a tap on; answer with the new card alone where the page's script asks for it."""
    conversation, contact = find(conversation_id)
    component_id, values = _tap()
    shown = _caller().submit(conversation, contact, component_id, values)
    if request.headers.get("X-Fragment") == "card":
        return render_template("card.html", shown=shown, conversation=conversation, contact=contact)
    _caller().shown[conversation.id, contact.id] = shown
    return redirect(url_for("inbox.show", conversation_id=conversation.id, contact=contact.id, kept=1))


@pages.get("/inbox/<conversation_id>/live")
def live(conversation_id: str) -> dict[str, str]:
    """Return the parts of the page that change by themselves, for the page's script."""
    conversation, contact = find(conversation_id)
    with _caller().state.lock:
        scene = _scene(conversation, contact)
        return {name: render_template(f"{name}.html", **scene) for name in ("list", "thread", "details")}


@pages.get("/inbox/canvas.css")
def canvas_sheet() -> Response:
    """The look of a canvas."""
    return send_from_directory(SHEETS, "canvas.css")


@pages.after_request
def confine(response: Response) -> Response:
    """Let the page load nothing but its own files, and the pictures of a card."""
    response.headers["Content-Security-Policy"] = (
        "default-src 'self'; img-src 'self' https:; frame-ancestors 'none'; base-uri 'none'"
    )
    return response
