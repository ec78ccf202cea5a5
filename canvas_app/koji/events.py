"""Koji's webhooks, read tolerantly: their JSON is described in prose only.

https://www.koji.so/docs/webhook-setup
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from canvas_app.errors import BodyRefused
from canvas_app.koji import reading
from canvas_app.koji.results import KojiResult, merge, parse_result, split_envelope

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Kind", "KojiEvent", "KojiResult", "harmless", "merge", "parse", "parse_result", "plain_challenge"]

Kind = Literal[
    "completed", "analysis_ready", "quality_scored", "failed_quality_gate", "ping", "other"
]  # "other" is an event that this app does not react to.

LONGEST_NAME: Final = 64
_INTERVIEW_KINDS: Final[dict[str, Kind]] = {
    "completed": "completed",
    "analysis_ready": "analysis_ready",
    "quality_scored": "quality_scored",
    "failed_quality_gate": "failed_quality_gate",
}
_PING_NAMES: Final = frozenset({"ping", "test", "verification", "verify", "url_verification"})
_EVENT_KEYS: Final = ("event", "event_type", "type")
# A "webhook_id" is not among them: where senders have one, it is the subscription's, and always the same.
_DELIVERY_KEYS: Final = ("delivery_id", "event_id", "notification_id")
# How the names of Koji's events begin: https://www.koji.so/api/content?slug=research-automation-webhooks
_KOJIS_NAME = re.compile(r"(interview|study|report)(?![a-z])", re.IGNORECASE)
# What makes a body that cannot be read one of Koji's events all the same.
_EVENT_WORDS = re.compile(
    rb"analysis_ready|quality_scored|quality_gate|completed|(interview|study|report)[._]", re.IGNORECASE
)
_CHALLENGE = re.compile(r"[A-Za-z0-9._~+/=-]{1,200}")


class KojiEvent(BaseModel):
    """One webhook. ``name`` is the event's name as Koji sent it, empty when it sent none.

    A ``ping`` is a request that names no event, such as the one that Koji makes when the address is saved:
    it is answered with 200, and with ``challenge`` if there is one, and has no effect.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    name: str = ""
    delivery_id: str | None = None
    challenge: str | None = None
    result: KojiResult = KojiResult()


def parse(raw: bytes) -> KojiEvent:
    """Read a webhook's body. Raises BodyRefused when it is neither empty nor a JSON object in UTF-8."""
    obj = reading.json_object(raw)
    result = parse_result(obj)
    kind, name = _kind(obj, result)
    envelope, body = split_envelope(obj)
    return KojiEvent(
        kind=kind,
        name=name,
        delivery_id=_delivery_id(envelope, body, result),
        challenge=_challenge(envelope, body),
        result=result,
    )


def harmless(raw: bytes) -> KojiEvent | None:
    """The request, if nothing can follow from it, whoever has sent it: it names no event of Koji's.

    Saving the address makes Koji send one that must be answered with 200, and its form is not documented. So
    whatever it is may be answered so without a signature, also what cannot be read, as long as neither the
    name nor the content is about an interview: None then.
    """
    try:
        obj = reading.json_object(raw)
    except BodyRefused:
        # Another encoding of the same words has zeros between them.
        return None if _EVENT_WORDS.search(raw.replace(b"\0", b"")) else KojiEvent(kind="ping")
    event = parse(raw)
    if event.kind == "ping":
        return event
    if event.kind != "other" or any(_KOJIS_NAME.match(name) for name in _names(obj)):
        return None
    return None if _holds_interview(obj, event.result) else event


def plain_challenge(value: object) -> str | None:
    """A short plain word to echo. Anything else is not echoed, so that nobody can make us say it."""
    return value if isinstance(value, str) and _CHALLENGE.fullmatch(value) else None


def _holds_interview(obj: Mapping[str, Any], result: KojiResult) -> bool:
    # A bare "id" may be anything's.
    named = result.koji_interview_id not in (None, reading.identifier(obj.get("id")))
    return named or result.analysed or bool(result.metadata)


def _kind(obj: Mapping[str, Any], result: KojiResult) -> tuple[Kind, str]:
    names = _names(obj)
    for name in names:
        if kind := _interview_kind(name):
            return kind, name
    if not names:
        # Something about an interview, but not what: kept, since guessing the event could write too early.
        return ("other" if result.koji_interview_id and result.analysed else "ping"), ""
    last_word = names[0].lower().rpartition(".")[2]
    return ("ping" if last_word in _PING_NAMES else "other"), names[0]


def _names(obj: Mapping[str, Any]) -> list[str]:
    """What may be the event's name, best first; some senders put a general word beside the exact one."""
    found = []
    for value in reading.values([obj], _EVENT_KEYS):
        named = reading.mapping(value).get("type") or reading.mapping(value).get("name") or value
        if name := reading.clean(named, LONGEST_NAME):
            found.append(name)
    return found


def _interview_kind(name: str) -> Kind | None:
    return _INTERVIEW_KINDS.get(name.lower().removeprefix("interview."))


def _delivery_id(envelope: Mapping[str, Any], body: Mapping[str, Any], result: KojiResult) -> str | None:
    candidates = list(reading.values([envelope], _DELIVERY_KEYS))
    # In an envelope "id" is the delivery's; in a flat body only if the interview's id stands elsewhere.
    if envelope is not body or reading.identifier(envelope.get("id")) != result.koji_interview_id:
        candidates.append(envelope.get("id"))
    return next((found for value in candidates if (found := reading.identifier(value))), None)


def _challenge(envelope: Mapping[str, Any], body: Mapping[str, Any]) -> str | None:
    found = map(plain_challenge, reading.values([envelope, body], ["challenge"]))
    return next((word for word in found if word), None)
