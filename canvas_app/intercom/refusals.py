"""What Intercom says when it refuses a call, beyond the status: its codes, and where a contact lives on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from canvas_app import http_outcomes
from canvas_app.errors import ContactMerged, PermanentError, UnknownAttribute
from canvas_app.intercom import reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from canvas_app.http_outcomes import Answer

_CODE = re.compile(r"[a-z0-9_]{1,64}")
# The text is not in Intercom's documentation; public integrations branch on exactly this wording.
_UNKNOWN_ATTRIBUTE = re.compile(r"Custom attribute '(.{1,255})' does not exist\.?")
# https://developers.intercom.com/docs/references/rest-api/api.intercom.io/contacts/showcontact (410)
_CANONICAL = re.compile(
    r"<(?:https://[A-Za-z0-9.-]+)?/contacts/([A-Za-z0-9_-]{1,64})>\s*;\s*rel=\"?canonical\"?"
)


def special(answer: Answer, path: str, codes: tuple[str, ...]) -> PermanentError | None:
    """What Intercom says with more than a status."""
    # https://developers.intercom.com/docs/references/rest-api/errors/error-codes
    if answer.status == 410 and path.startswith("/contacts/"):
        return ContactMerged(_canonical_id(answer.headers.get("Link"), asked=path.split("/")[2]))
    if answer.status == 403 and "api_plan_restricted" in codes:
        return PermanentError(
            "Intercom's plan of this workspace does not allow the call.",
            reason="intercom_plan_restricted",
            status=answer.status,
            request_id=request_id(answer),
        )
    return None


def _canonical_id(link: str | None, *, asked: str) -> str | None:
    """The id in a ``Link: </contacts/...>; rel="canonical"`` header; None rather than a guess."""
    for part in (link or "").split(","):
        match = _CANONICAL.fullmatch(part.strip())
        if match is not None and match[1] != asked:
            return match[1]
    return None


def unknown_attribute(answer: Answer, sent: Mapping[str, object]) -> UnknownAttribute | None:
    if answer.status != 400:
        return None
    for item in reading.mappings(answer.json_object().get("errors")):
        match = _UNKNOWN_ATTRIBUTE.fullmatch(reading.text(item.get("message")) or "")
        # Only a name that was sent: anything else in the text is not about this call.
        if match is not None and item.get("code") == "parameter_invalid" and match[1] in sent:
            return UnknownAttribute(match[1])
    return None


def codes_of(answer: Answer) -> tuple[str, ...]:
    """The machine codes of an ``error.list``; their texts stay out, since they can hold personal data."""
    if answer.status < 400:
        return ()
    items = reading.mappings(answer.json_object().get("errors"))[:5]
    codes = [reading.text(item.get("code")) or "" for item in items]
    return tuple(code for code in codes if _CODE.fullmatch(code))


def request_id(answer: Answer) -> str | None:
    said = answer.json_object().get("request_id") if answer.status >= 400 else None
    return http_outcomes.safe_request_id(said, answer.headers.get("X-Request-Id"))
