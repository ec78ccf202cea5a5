"""What Intercom sends to the initialize and submit URLs, read leniently.

The body is signed, but the contact's name and the rep's input are not to be trusted, and Intercom puts null
in many places. Only ids are held to a shape, because they go into addresses and keys.

https://developers.intercom.com/docs/canvas-kit
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn, Self

from pydantic_core import from_json

from canvas_app import languages
from canvas_app.errors import BodyRefused

Json = dict[str, Any]

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CONVERSATION_ID = re.compile(r"[0-9]{1,15}")
# A contact's fields of Intercom's API, and what else a language may be called: what a canvas request has of
# them is not documented. https://developers.intercom.com/docs/references/rest-api/api.intercom.io/contacts
_LANGUAGES = ("language_override", "language", "browser_language", "browser_locale")


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


# Made once: this reads every request of the inbox, and most of what one holds is passed over. So plain code
# looks at the few fields that a card needs, and no model is made of the others.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


@dataclass(frozen=True, slots=True)
class Admin:
    """The teammate who looks at the card, and in whose name a message goes out."""

    id: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """The customer whom the card is about: in a group conversation, the participant who is selected.

    ``language`` is the first tag among what is known of it: what was set for them, else their browser's.
    """

    id: str
    name: str | None = None
    email: str | None = None
    role: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class CanvasRequest:
    """One call of initialize or submit; ``component_id`` and ``input_values`` come with a submit only.

    ``stored_data`` is what our last canvas gave. It has been out of our hands: check what is taken from it.
    An input is what a text field or a choice (text) or a checkbox (a list of texts) gives.
    """

    workspace_id: str
    admin: Admin | None = None
    conversation_id: str | None = None
    contact: Contact | None = None
    component_id: str | None = None
    input_values: dict[str, str | list[str]] = field(default_factory=dict)
    stored_data: Json = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read the bytes of a body whose signature has been verified.

        Unknown fields are passed over, and an empty one is as good as none. Raises BodyRefused with the
        reason ``body_unreadable`` (no JSON object in UTF-8), ``body_incomplete`` (the id of the workspace, or
        of a person who is named, is missing) or ``id_malformed``.
        """
        # Errors are raised from None, because their causes hold the body, and with it personal data.
        try:
            payload = _read(raw)
            if isinstance(payload, dict):
                return cls._of(payload)
        except (ValueError, RecursionError):
            raise BodyRefused("The body is not JSON in UTF-8, or is nested too deeply.") from None
        raise BodyRefused("The body is not a JSON object.")

    @classmethod
    def _of(cls, payload: Json) -> Self:
        """Take the fields from wherever Intercom puts them."""
        return cls(
            workspace_id=_id(payload.get("workspace_id"), "workspace_id"),
            admin=_admin(_object(payload.get("admin"))),
            # The documentation gives `context` for the Messenger only, yet some Inbox requests have it.
            conversation_id=_conversation_id(
                _object(payload.get("conversation")).get("id")
                or _object(payload.get("context")).get("conversation_id")
            ),
            # The documentation of submit still has the contact's old name.
            contact=_contact(_object(payload.get("contact")) or _object(payload.get("customer"))),
            component_id=_text(payload.get("component_id")),
            input_values=_inputs(_object(payload.get("input_values"))),
            # The documentation does not say in which of the two places stored data comes back.
            # https://developers.intercom.com/docs/references/canvas-kit/responseobjects/stored-data
            stored_data=_clean(
                _object(payload.get("stored_data"))
                or _object(_object(payload.get("current_canvas")).get("stored_data"))
            ),
        )


def _read(raw: bytes) -> Any:
    """The JSON value of these bytes. Raises ValueError, RecursionError."""
    try:
        # In half the time. It refuses all that Python's own reader refuses, and a little more: halves of
        # surrogate pairs, which Intercom may well pass on from a customer, and what is nested deep. Unless it
        # is told not to, it keeps short texts, and so names, for the next request.
        return from_json(raw, allow_inf_nan=False, cache_strings="none")
    except ValueError:
        return _DECODER.decode(raw.decode())


def _admin(fields: Json) -> Admin | None:
    if not fields:
        return None
    return Admin(id=_id(fields.get("id"), "admin.id"), name=_text(fields.get("name")))


def _contact(fields: Json) -> Contact | None:
    if not fields:
        return None
    tags = (languages.tag(fields.get(name)) for name in _LANGUAGES)
    return Contact(
        id=_id(fields.get("id"), "contact.id"),
        name=_text(fields.get("name")),
        email=_text(fields.get("email")),
        role=_text(fields.get("role")),
        language=next(filter(None, tags), None),
    )


def _id(value: Any, field: str) -> str:
    """An id, which payloads of different versions hold as text or as a number."""
    if value in (None, ""):
        raise BodyRefused(f"{field} is missing.", reason="body_incomplete")
    return _shaped(value, _ID, field)


def _conversation_id(value: Any) -> str | None:
    return None if value in (None, "") else _shaped(value, _CONVERSATION_ID, "conversation_id")


def _shaped(value: Any, shape: re.Pattern[str], field: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise BodyRefused(f"{field} is not an id as Intercom makes them.", reason="id_malformed")
    return value


def _text(value: Any) -> str | None:
    return _clean(value) or None if isinstance(value, str) else None


def _inputs(values: Json) -> dict[str, str | list[str]]:
    """Keep what a text field, a choice (text) or a checkbox (a list of texts) gives; drop all else."""
    return {_clean(name): _clean(given) for name, given in values.items() if _is_input(given)}


def _is_input(given: Any) -> bool:
    return all(isinstance(item, str) for item in (given if isinstance(given, list) else [given]))


def _clean(value: Any) -> Any:
    """Return ``value`` without what JSON can spell and PostgreSQL cannot store, at any depth.

    That is NUL, and the halves of surrogate pairs.
    """
    if isinstance(value, str):
        return value.replace("\0", "").encode(errors="ignore").decode()
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value


def _object(value: Any) -> Json:
    """Return ``value`` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}
