"""What Intercom sends to the initialize and submit URLs, read leniently.

The body is signed, but the contact's name and the rep's input are not to be trusted, and Intercom puts null
in many places. Only ids are held to a shape, because they go into addresses and keys.

https://developers.intercom.com/docs/canvas-kit
"""

from __future__ import annotations

import json
from typing import Annotated, Any, NoReturn, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from canvas_app import languages
from canvas_app.errors import BodyRefused

Json = dict[str, Any]


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


def _id_as_text(value: Any) -> Any:
    """Return a whole number as text: payloads of different versions hold either."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _text_or_none(value: Any) -> str | None:
    return _clean(value) or None if isinstance(value, str) else None


def _inputs(value: Any) -> Json:
    """Keep what a text field, a choice (text) or a checkbox (a list of texts) gives; drop all else."""
    return {_clean(name): _clean(given) for name, given in _object(value).items() if _is_input(given)}


def _is_input(given: Any) -> bool:
    return all(isinstance(item, str) for item in (given if isinstance(given, list) else [given]))


# A contact's fields of Intercom's API, and what else a language may be called: what a canvas request has of
# them is not documented. https://developers.intercom.com/docs/references/rest-api/api.intercom.io/contacts
_LANGUAGES = ("language_override", "language", "browser_language", "browser_locale")

Id = Annotated[str, BeforeValidator(_id_as_text), Field(pattern="^[A-Za-z0-9_-]{1,64}$")]
ConversationId = Annotated[str, BeforeValidator(_id_as_text), Field(pattern="^[0-9]{1,15}$")]
LenientText = Annotated[str | None, BeforeValidator(_text_or_none)]
Inputs = Annotated[dict[str, str | list[str]], BeforeValidator(_inputs)]


class _Read(BaseModel):
    """Unknown fields are passed over, an empty one is as good as none, and no error repeats a value."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, fields: Json) -> Json:
        return {name: value for name, value in fields.items() if value not in (None, "")}


class Admin(_Read):
    """The teammate who looks at the card, and in whose name a message goes out."""

    id: Id
    name: LenientText = None


class Contact(_Read):
    """The customer whom the card is about: in a group conversation, the participant who is selected.

    ``language`` is the first tag among what is known of it: what was set for them, else their browser's.
    """

    id: Id
    name: LenientText = None
    email: LenientText = None
    role: LenientText = None
    language: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_language(cls, fields: Json) -> Json:
        tags = (languages.tag(fields.get(name)) for name in _LANGUAGES)
        return {**fields, "language": next(filter(None, tags), None)}


class CanvasRequest(_Read):
    """One call of initialize or submit; ``component_id`` and ``input_values`` come with a submit only.

    ``stored_data`` is what our last canvas gave. It has been out of our hands: check what is taken from it.
    """

    workspace_id: Id
    admin: Admin | None = None
    conversation_id: ConversationId | None = None
    contact: Contact | None = None
    component_id: LenientText = None
    input_values: Inputs = Field(default_factory=dict)
    stored_data: Json = Field(default_factory=dict)

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read the bytes of a body whose signature has been verified.

        Raises BodyRefused with the reason ``body_unreadable`` (no JSON object in UTF-8), ``body_incomplete``
        (the id of the workspace, or of a person who is named, is missing) or ``id_malformed``.
        """
        # Errors are raised from None, because their causes hold the body, and with it personal data.
        try:
            payload = json.loads(raw.decode(), parse_constant=_refuse_constant)
            fields = _gathered(payload) if isinstance(payload, dict) else None
        except (ValueError, RecursionError):
            raise BodyRefused("The body is not JSON in UTF-8, or is nested too deeply.") from None
        if fields is None:
            raise BodyRefused("The body is not a JSON object.")
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise _refusal(error) from None


def _gathered(payload: Json) -> Json:
    """Return the fields of ``CanvasRequest`` from wherever Intercom puts them."""
    canvas = _object(payload.get("current_canvas"))
    return {
        "workspace_id": payload.get("workspace_id"),
        "admin": _object(payload.get("admin")) or None,
        # The documentation gives `context` for the Messenger only, yet some Inbox requests have it.
        "conversation_id": _object(payload.get("conversation")).get("id")
        or _object(payload.get("context")).get("conversation_id"),
        # The documentation of submit still has the contact's old name.
        "contact": _object(payload.get("contact")) or _object(payload.get("customer")) or None,
        "component_id": payload.get("component_id"),
        "input_values": payload.get("input_values"),
        # The documentation does not say in which of the two places stored data comes back.
        # https://developers.intercom.com/docs/references/canvas-kit/responseobjects/stored-data
        "stored_data": _clean(_object(payload.get("stored_data")) or _object(canvas.get("stored_data"))),
    }


def _object(value: Any) -> Json:
    """Return ``value`` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _refusal(error: ValidationError) -> BodyRefused:
    """Name the first field that is wrong. Only ids can be: everything else is read leniently."""
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return BodyRefused(f"{field} is missing.", reason="body_incomplete")
    return BodyRefused(f"{field} is not an id as Intercom makes them.", reason="id_malformed")
