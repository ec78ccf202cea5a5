"""A few lines in the application's place: fixed canvases, and webhooks that are only recorded."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from types import TracebackType


class _QuietHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's.
        pass


class FakeApp:
    """Answers ``/canvas/*`` with ``answers``, webhooks with ``webhook_statuses``, then 200, and the API.

    ``webhooks`` are Koji's, ``notifications`` Intercom's; ``calls`` are those of the API, which knows one
    token and answers with ``api_answer``.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes, dict[str, str]]] = []
        self.answers: dict[str, Any] = {"initialize": canvas(EVERYTHING), "submit": canvas(EVERYTHING)}
        self.content_type = "application/json"
        self.status = 200
        self.webhook_statuses: list[int] = []
        self.webhooks: list[tuple[bytes, dict[str, str]]] = []
        self.notifications: list[tuple[bytes, dict[str, str]]] = []
        self.api_answer: Any = {"interview_id": "i1", "status": "queued"}
        self.calls: list[tuple[str, Any, str]] = []
        app = Flask(__name__)
        app.add_url_rule("/canvas/<kind>", view_func=self._canvas, methods=["POST"])
        app.add_url_rule("/webhooks/<vendor>", view_func=self._webhook, methods=["POST"])
        app.add_url_rule("/api/interviews", view_func=self._api, methods=["POST", "PUT"])
        self._server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_QuietHandler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> FakeApp:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _canvas(self, kind: str) -> Response:
        self.requests.append((kind, request.get_data(), dict(request.headers)))
        answer = self.answers[kind]
        if isinstance(answer, dict):
            answer = json.dumps(answer)
        return Response(answer, self.status, content_type=self.content_type)

    def _api(self) -> Response:
        token = request.headers.get("Authorization", "")
        self.calls.append((request.method, request.get_json(), token))
        if token != "Bearer sandbox-api-token":
            return Response('{"error": "unauthorized", "message": "No."}', 401)
        body = self.api_answer
        return Response(body if isinstance(body, str) else json.dumps(body), 201)

    def _webhook(self, vendor: str) -> Response:
        received = {"koji": self.webhooks, "intercom": self.notifications}[vendor]
        received.append((request.get_data(), dict(request.headers)))
        status = self.webhook_statuses.pop(0) if self.webhook_statuses else 200
        return Response("", status)


def canvas(components: list[dict[str, Any]], **stored: Any) -> dict[str, Any]:
    """Return an answer of the application with these components."""
    return {"canvas": {"content": {"components": components}, "stored_data": stored}}


OPTIONS = [
    {"type": "option", "id": "one", "text": "First"},
    {"type": "option", "id": "two", "text": "Second"},
    {"type": "option", "id": "off", "text": "Not now", "disabled": True},
]

EVERYTHING: list[dict[str, Any]] = [
    {"type": "text", "text": "A header", "style": "header"},
    {
        "type": "text",
        "text": "A paragraph with **bold** and [a link](https://example.com/x?a=1&b=2).",
        "id": "t",
    },
    {"type": "text", "text": "Muted <script>alert(1)</script> text", "style": "muted", "align": "center"},
    {"type": "text", "text": "An error", "style": "error", "bottom_margin": "none"},
    {"type": "divider", "id": "d1"},
    {"type": "input", "id": "line", "label": "One line", "placeholder": "Optional", "value": "kept"},
    {"type": "input", "id": "go", "label": "With a button", "action": {"type": "submit"}},
    {"type": "input", "id": "saved", "label": "Saved", "value": "done", "save_state": "saved"},
    {"type": "textarea", "id": "many", "label": "Many lines", "placeholder": "Write here", "error": True},
    {"type": "dropdown", "id": "drop", "label": "Choose", "options": OPTIONS, "value": "two"},
    {"type": "single-select", "id": "single", "label": "Pick one", "options": OPTIONS, "value": "one"},
    {
        "type": "single-select",
        "id": "act",
        "label": "At once",
        "options": OPTIONS,
        "action": {"type": "submit"},
    },
    {"type": "checkbox", "id": "boxes", "label": "Any of", "options": OPTIONS, "value": ["one"]},
    {"type": "spacer", "id": "s1", "size": "xs"},
    {
        "type": "list",
        "items": [
            {
                "type": "item",
                "id": "i1",
                "title": "With an image",
                "subtitle": "Opens a page",
                "tertiary_text": "Third line",
                "image": "https://example.com/x.png",
                "image_width": 32,
                "image_height": 32,
                "rounded_image": True,
                "action": {"type": "url", "url": "https://example.com"},
            },
            {"type": "item", "id": "i2", "title": "Tap me", "action": {"type": "submit"}},
            {"type": "item", "id": "i3", "title": "Only text", "subtitle": "Nothing happens"},
        ],
    },
    {
        "type": "data-table",
        "items": [
            {"type": "field-value", "field": "Sentiment", "value": "Positive"},
            {
                "type": "field-value",
                "field": "A long field name here",
                "value": "A value too long for its row",
            },
        ],
    },
    {"type": "image", "url": "https://example.com/x.png", "width": 120, "height": 40, "align": "center"},
    {"type": "button", "id": "send", "label": "Primary", "action": {"type": "submit"}},
    {
        "type": "button",
        "id": "second",
        "label": "Secondary",
        "style": "secondary",
        "action": {"type": "submit"},
    },
    {
        "type": "button",
        "id": "open",
        "label": "Open transcript",
        "style": "secondary",
        "action": {"type": "url", "url": "https://example.com/transcript"},
    },
    {"type": "button", "id": "off", "label": "Disabled", "disabled": True, "action": {"type": "submit"}},
    {"type": "button", "id": "cancel", "label": "Cancel", "style": "link", "action": {"type": "submit"}},
]
