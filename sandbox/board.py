"""What the inbox page shows of the calls that are made from it: what can be sent, what came back last."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from flask import current_app

from sandbox import outgoing

if TYPE_CHECKING:
    from flask import Flask

    from sandbox.state import Contact, Conversation

Kind = Literal["series", "connector"]
DELIVERIES = ("attribute", "message", "conversation", "none")
TEMPLATE = """{
  "contact_id": "{{contact.id}}",
  "conversation_id": "{{conversation.id}}",
  "deliver": "conversation"
}"""


@dataclass(frozen=True)
class Called:
    """A call that was made from the page: by which form, filled in how, and what came back."""

    kind: Kind
    form: dict[str, str]
    answer: outgoing.Answer


@dataclass
class _Board:
    caller: outgoing.Caller
    calls: dict[tuple[str, str], Called] = field(default_factory=dict)


def register(app: Flask, caller: outgoing.Caller) -> None:
    """Let the pages of ``app`` call the application with ``caller``."""
    app.extensions["board"] = _Board(caller)
    app.add_template_filter(_pretty, "pretty")


def caller() -> outgoing.Caller:
    """Return who calls the application."""
    return _board().caller


def keep(conversation: Conversation, contact: Contact, called: Called) -> None:
    """Remember a call, for the page of this participant."""
    _board().calls[conversation.id, contact.id] = called


def scene(conversation: Conversation, contact: Contact, *, kept: bool = True) -> dict[str, Any]:
    """Return what ``calls.html`` needs; the last call only where the page is ``kept``."""
    called = _board().calls.get((conversation.id, contact.id)) if kept else None
    filled: dict[Kind, dict[str, str]] = {
        "series": {"deliver": DELIVERIES[0]},
        "connector": {"template": TEMPLATE},
    }
    if called is not None:
        filled[called.kind] = called.form
    return {"deliveries": DELIVERIES, "filled": filled, "path": outgoing.PATH, "called": called}


def _board() -> _Board:
    board: _Board = current_app.extensions["board"]
    return board


def _pretty(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
