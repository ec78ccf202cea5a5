"""What Intercom works out about a conversation: its statistics, its rating, who took part.

Values that there are none of yet are left out: Intercom's own description allows no null for them. Its
notifications do hold nulls there, see ``notifications``.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.state import Conversation, IntercomState, Part


def statistics(found: Conversation) -> dict[str, Any]:
    """Return the statistics; times are unix seconds, durations are seconds."""
    everything = [found.source, *found.parts]
    said = [item for item in everything if item.body is not None and item.part_type != "note"]
    by_contact = [item for item in said if item.author_type in {"user", "lead"}]
    by_admin = [item for item in said if item.author_type == "admin"]
    closings = [item for item in found.parts if item.part_type == "close"]
    replies = _waits(said)
    asked_at = by_contact[0].created_at if by_contact else found.created_at
    values = {
        "first_contact_reply_at": _at(by_contact[:1]),
        "last_contact_reply_at": _at(by_contact[-1:]),
        "first_admin_reply_at": _at(by_admin[:1]),
        "last_admin_reply_at": _at(by_admin[-1:]),
        "first_close_at": _at(closings[:1]),
        "last_close_at": _at(closings[-1:]),
        "last_closed_by_id": closings[-1].author_id if closings else None,
        "time_to_admin_reply": replies[0] if replies else None,
        "median_time_to_reply": int(median(replies)) if replies else None,
        "time_to_first_close": closings[0].created_at - asked_at if closings else None,
        "time_to_last_close": closings[-1].created_at - asked_at if closings else None,
        "count_reopens": sum(item.part_type == "open" for item in found.parts),
        "count_assignments": 0,
        "count_conversation_parts": len(everything),
    }
    given = {name: value for name, value in values.items() if value is not None}
    return {"type": "conversation_statistics", **given}


def rating(state: IntercomState, found: Conversation) -> dict[str, Any] | None:
    """Return the rating, or None where there is none."""
    if found.rating is None:
        return None
    contact = state.contacts[found.rating.contact_id]
    document: dict[str, Any] = {
        "rating": found.rating.score,
        "created_at": found.rating.created_at,
        "updated_at": found.rating.created_at,
        "contact": {"type": "contact", "id": contact.id, "external_id": contact.external_id},
    }
    if found.rating.remark is not None:
        document["remark"] = found.rating.remark
    if found.rating.admin_id is not None:
        document["teammate"] = {"type": "admin", "id": found.rating.admin_id}
    return document


def teammates(found: Conversation) -> dict[str, Any]:
    """Return the teammates who wrote something.

    The description calls the list ``teammates``, Intercom's own samples call it ``admins``; here it is both.
    """
    ids = dict.fromkeys(
        item.author_id for item in (found.source, *found.parts) if item.author_type == "admin"
    )
    listed = [{"type": "admin", "id": item} for item in ids]
    return {"type": "admin.list", "teammates": listed, "admins": listed}


def first_contact_reply(found: Conversation) -> dict[str, Any] | None:
    """Return when the contact first wrote, or None if that has not happened."""
    for item in (found.source, *found.parts):
        if item.body is not None and item.author_type in {"user", "lead"}:
            return {"type": "conversation", "created_at": item.created_at, "url": None}
    return None


def last_teammate(found: Conversation) -> str | None:
    """Return who of the team spoke last; None if nobody has."""
    spoken = [item for item in (found.source, *found.parts) if item.body and item.author_type == "admin"]
    return spoken[-1].author_id if spoken else None


def _at(parts: Iterable[Part]) -> int | None:
    return next((item.created_at for item in parts), None)


def _waits(said: list[Part]) -> list[int]:
    """Seconds that each teammate's reply took after what the contact had said."""
    waits, asked_at = [], None
    for item in said:
        if item.author_type in {"user", "lead"}:
            asked_at = item.created_at if asked_at is None else asked_at
        elif asked_at is not None:
            waits.append(item.created_at - asked_at)
            asked_at = None
    return waits
