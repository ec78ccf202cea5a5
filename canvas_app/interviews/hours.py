"""Business hours: whether a moment is in them, and when the next ones begin. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
USUAL: Final = "mon-fri 09:00-17:00"
FORM: Final = f'days and times as in "{USUAL}" or "mon,wed,fri 08:30-12:00"'

_FORM = re.compile(r"([a-z,-]+) +([0-9]{2}):([0-9]{2}) *- *([0-9]{2}):([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Hours:
    """``days`` as in ``datetime.weekday``; the times are those of the workspace's clocks."""

    days: frozenset[int]
    opens: time
    closes: time


def zone_of(name: str | None) -> ZoneInfo:
    """The workspace's time zone, and UTC while that is not known."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def parse(value: str) -> Hours:
    """Read ``mon-fri 09:00-17:00``. Raises ValueError that says what is expected."""
    match = _FORM.fullmatch(value.strip().casefold())
    if match is None:
        raise ValueError(f"is not of the form {FORM}")
    try:
        opens, closes = time(int(match[2]), int(match[3])), time(int(match[4]), int(match[5]))
    except ValueError:
        raise ValueError(f"names a time that there is not; expected {FORM}") from None
    if opens >= closes:
        raise ValueError("ends before it begins")
    return Hours(_days(match[1]), opens, closes)


def _days(value: str) -> frozenset[int]:
    days: set[int] = set()
    for item in value.split(","):
        first, dash, last = item.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"names a day that there is not; the days are {', '.join(DAYS)}")
        begin, end = DAYS.index(first), DAYS.index(last if dash else first)
        # "sat-tue" goes over the end of the week.
        days |= {(begin + number) % 7 for number in range((end - begin) % 7 + 1)}
    return frozenset(days)


def next_opening(hours: Hours, moment: datetime, zone: ZoneInfo) -> datetime:
    """``moment`` itself where it is in the hours, else when the next ones begin, in UTC.

    A clock that is put forward over the opening opens when it has been; one that is put back, the first time.
    """
    today = moment.astimezone(zone).date()
    for number in range(16):
        day = today + timedelta(days=number)
        if day.weekday() not in hours.days:
            continue
        # By way of UTC: only there a duration is one over a change of the clocks.
        opens = datetime.combine(day, hours.opens, zone).astimezone(UTC)
        closes = datetime.combine(day, hours.closes, zone).astimezone(UTC)
        # The clocks may leap over the opening, and so far that it would have closed before.
        if opens < closes and moment < closes:
            return max(moment.astimezone(UTC), opens)
    raise ValueError("there is no day on which it is open")
