"""What is asked for, read from JSON or from a form.

Tools without code send numbers as text, an empty text for what is not there, and more fields than are
needed. All of that is taken: fields that are not known are passed over. What cannot be used is told in one
answer, each field with what belongs there; no value is repeated, since it may be personal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, NoReturn, get_args

from flask import request as http
from werkzeug.exceptions import RequestEntityTooLarge

from canvas_app.errors import BodyRefused, BodyTooLarge, FieldsRefused
from canvas_app.interviews.ledger_rows import Deliver
from canvas_app.interviews.requested import Requested
from canvas_app.settings import DEFAULT_STUDY

DELIVERIES: Final[tuple[Deliver, ...]] = get_args(Deliver)
LONGEST_DELAY: Final = timedelta(days=90)
LONGEST_KEY: Final = 200
LONGEST_EMAIL: Final = 254

CONTACT_ID: Final = r"^[A-Za-z0-9_-]{1,64}$"
CONVERSATION_ID: Final = r"^[0-9]{1,15}$"
STUDY: Final = r"^[A-Za-z0-9_-]{1,64}$"
EMAIL: Final = r"^[^\s@,;<>]+@[^\s@,;<>]+\.[^\s@,;<>]+$"

FIELDS: Final = ("contact_id", "email", "conversation_id", "study", "deliver", "delay")
# A tool may be unable to send a fixed word in the body. Addresses are logged on their way, so that nobody is
# named there.
IN_ADDRESS: Final = ("study", "deliver", "delay")
_EXAMPLE = '{"contact_id": "...", "deliver": "none"}'
_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


def parse(raw: bytes, content_type: str, query: Iterable[tuple[str, str]] = ()) -> Requested:
    """Read a body of this kind (a MIME type). ``query`` are the parameters of the address.

    Of those only what says nothing about a person is taken, and what the body says counts for more.

    Raises BodyRefused where it is neither JSON nor a form, and FieldsRefused that lists every mistake.
    """
    sent = [(name, value) for name, value in _pairs(raw, content_type) if not _is_absent(value)]
    there = {name for name, _ in sent}
    given = [(name, value) for name, value in query if name in IN_ADDRESS and not _is_absent(value)]
    pairs: list[tuple[str, Any]] = [*sent, *((name, value) for name, value in given if name not in there)]
    fields = dict(pairs)
    # Nobody can know which of two customers is meant.
    problems = [
        f"{field} is there more than once, with different values."
        for field in FIELDS
        if any(name == field and value != fields[field] for name, value in pairs)
    ]

    def read(name: str, reader: Callable[[Any], Any]) -> Any:
        if name not in fields:
            return None
        try:
            return reader(fields[name])
        except ValueError as error:
            problems.append(f"{name} {error}.")
            return None

    contact_id, email = read("contact_id", _contact_id), read("email", _email)
    conversation_id = read("conversation_id", _conversation_id)
    study, deliver, delay = read("study", _study), read("deliver", _deliver), read("delay", _delay)
    if "contact_id" in fields and "email" in fields:
        problems.append("Send contact_id or email, not both: contact_id is the surer one.")
    elif "contact_id" not in fields and "email" not in fields:
        problems.append(_nobody(fields))
    if deliver == "conversation" and "conversation_id" not in fields:
        problems.append('deliver is "conversation", so conversation_id is needed as well.')
    if problems:
        raise FieldsRefused(" ".join(problems))
    return Requested(
        contact_id=contact_id,
        email=email,
        conversation_id=conversation_id,
        study=study or DEFAULT_STUDY,
        # When in doubt, nothing is sent: without a conversation somebody has to say how.
        deliver=deliver or ("conversation" if conversation_id else "none"),
        delay=delay or None,
    )


def idempotency_key(header: str | None) -> str | None:
    """The caller's own name for the request; an empty one is none. Raises FieldsRefused."""
    if header is None or not header.strip():
        return None
    key = header.strip()
    if len(key) > LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise FieldsRefused(
            f"The header Idempotency-Key must be 1 to {LONGEST_KEY} plain letters, digits and signs.",
            reason="idempotency_key_invalid",
        )
    return key


class _Object(list[tuple[str, Any]]):
    """A JSON object as its pairs, which tell of a name that comes twice."""


def _pairs(raw: bytes, content_type: str) -> Sequence[tuple[str, Any]]:
    # Some programs send JSON and call it a form.
    looks_like_json = raw.lstrip()[:1] in (b"{", b"[")
    if content_type in _FORMS and not looks_like_json:
        try:
            return list(http.form.items(multi=True))
        except RequestEntityTooLarge:
            raise BodyTooLarge from None
    if not raw.strip():
        raise BodyRefused(
            "The request has no body. Send contact_id or email in it, as JSON or as a form.",
            reason="body_missing",
        )
    try:
        value = json.loads(
            raw.decode("utf-8-sig"), parse_constant=_refuse_constant, object_pairs_hook=_Object
        )
    except (ValueError, RecursionError):
        raise BodyRefused(
            f"The body is not JSON in UTF-8. It should be an object such as {_EXAMPLE}."
        ) from None
    if not isinstance(value, _Object):
        raise BodyRefused(f"The body must be one JSON object, such as {_EXAMPLE}.")
    return value


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _is_absent(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _text(value: object) -> str:
    """A text, or a whole number as one: ids are sent as either."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("must be a text")  # noqa: TRY004 - the caller collects these as one kind
    return str(value).strip()


def _matching(pattern: str, expected: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        text = _text(value)
        if not re.fullmatch(pattern, text):
            raise ValueError(expected)
        return text

    return read


_contact_id = _matching(
    CONTACT_ID,
    "must be the id that Intercom gives the contact (24 letters and digits), not your own id of the person",
)
_conversation_id = _matching(CONVERSATION_ID, "must be the number that Intercom gives the conversation")
_study = _matching(STUDY, "must be the short name of a study, such as default")


def _email(value: object) -> str:
    text = _text(value).lower()
    if len(text) > LONGEST_EMAIL or not text.isprintable() or not re.fullmatch(EMAIL, text):
        raise ValueError("must be one e-mail address, such as mia@example.com")
    return text


def _deliver(value: object) -> Deliver:
    text = _text(value).lower()
    for known in DELIVERIES:
        if text == known:
            return known
    raise ValueError(f"must be one of {', '.join(DELIVERIES)}")


def _delay(value: object) -> timedelta:
    longest = round(LONGEST_DELAY.total_seconds())
    expected = f"must be a whole number of seconds from 0 to {longest} ({LONGEST_DELAY.days} days)"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        text = _text(value)
    except ValueError:
        raise ValueError(expected) from None
    if not re.fullmatch(r"[0-9]{1,10}(\.0+)?", text) or int(text.partition(".")[0]) > longest:
        raise ValueError(expected)
    return timedelta(seconds=int(text.partition(".")[0]))


def _nobody(fields: Mapping[str, Any]) -> str:
    """Names what has come instead: mostly it is one of the fields, spelt another way."""
    others = [str(name)[:40] for name in fields if name not in FIELDS][:10]
    shown = [name for name in others if name.isprintable()]
    came = f" These fields have come: {', '.join(shown)}." if shown else ""
    return f"Say whom to ask: contact_id (Intercom's id of the contact) or email is missing or empty.{came}"
