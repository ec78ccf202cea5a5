"""What a request to the console says: whose workspace it is about, which days, and where a list goes on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from flask import abort
from sqlalchemy.engine import Connection
from wtforms import SelectChoice

from canvas_app import web
from canvas_app.console import access
from canvas_app.interviews import workspace
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.search import Place
from canvas_app.interviews.seen import Seen

_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Period:
    """``since`` counts, ``before`` does not."""

    since: datetime | None
    before: datetime | None


def choices(pairs: Iterable[tuple[str, str]]) -> list[SelectChoice]:
    """What a field of a filter offers: whatever there is, or one of these."""
    return [SelectChoice("", "Any"), *(SelectChoice(value, label) for value, label in pairs)]


def existing_id(text: str) -> str:
    """An id of ours as an address names it. Raises 404 where it cannot be one."""
    return text if _ID.fullmatch(text) else abort(404)


def workspace_id(connection: Connection) -> str | None:
    """The visitor's workspace; None while nobody knows it."""
    return access.current().teammate.workspace_id or workspace.of_token(connection, web.current().settings)


def existing_workspace_id(connection: Connection) -> str:
    """The same. Raises 404 where there is none."""
    return workspace_id(connection) or abort(404)


def period(first: date | None, last: date | None, zone: ZoneInfo) -> Period:
    """From the first day's beginning to the last day's end, as the workspace's clocks show them."""
    try:
        since = None if first is None else _begins(first, zone)
        before = None if last is None else _begins(last + timedelta(days=1), zone)
    except OverflowError:
        # Before the first day that there is, or after the last one.
        return Period(None, None)
    return Period(since, before)


def place(text: str | None) -> Place | None:
    """Where a list goes on, as :func:`place_text` has written it; None where it says nothing of the kind."""
    moment, _, id_ = (text or "").partition("~")
    at = _moment(moment)
    return Place(at, id_) if at is not None and id_.isalnum() else None


def place_text(place: Place | None) -> str | None:
    return None if place is None else f"{place.at.isoformat()}~{place.id}"


def seen_text(interview: Interview) -> str:
    """An interview as it is shown, for a form's hidden field."""
    return f"{interview.id}~{interview.send_attempt}~{interview.state_since.isoformat()}"


def seen_on(text: str | None) -> Seen | None:
    """What a form had in that field; None where it says nothing of the kind."""
    id_, _, rest = (text or "").partition("~")
    attempt, _, since = rest.partition("~")
    at = _moment(since)
    return (
        Seen(id_, int(attempt), at) if at is not None and attempt.isdecimal() and len(attempt) < 9 else None
    )


def _begins(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
