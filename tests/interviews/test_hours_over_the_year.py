"""Business hours and delays over changes of the clocks, as properties: in every zone, around every change."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
from hypothesis import example, given, settings
from sqlalchemy import Dialect
from sqlalchemy.dialects import postgresql, sqlite

from canvas_app.interviews import hours
from canvas_app.interviews.hours import Hours
from canvas_app.store import UtcDateTime

# A whole hour, half an hour, a change at midnight, one in the other half of the year, and none at all.
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kolkata")
BERLIN = ZoneInfo("Europe/Berlin")


def changes(zone: ZoneInfo) -> list[datetime]:
    """The hours of ten years in which the zone's clocks are put forward or back."""
    hour, begin = timedelta(hours=1), datetime(2024, 1, 1, tzinfo=UTC)
    offsets = [(begin + number * hour).astimezone(zone).utcoffset() for number in range(10 * 366 * 24)]
    return [begin + number * hour for number, (a, b) in enumerate(pairwise(offsets)) if a != b]


CHANGES = {name: changes(ZoneInfo(name)) or [datetime(2026, 3, 1, tzinfo=UTC)] for name in ZONES}


@st.composite
def moments(draw: st.DrawFn) -> tuple[datetime, ZoneInfo]:
    """A moment within two days of a change of the clocks, and the zone."""
    name = draw(st.sampled_from(ZONES))
    away = draw(st.integers(-48 * 3600, 48 * 3600))
    return draw(st.sampled_from(CHANGES[name])) + timedelta(seconds=away), ZoneInfo(name)


minutes = st.integers(0, 24 * 60 - 1).map(lambda number: time(number // 60, number % 60))
some_hours = st.builds(
    lambda days, one, other: Hours(days, min(one, other), max(one, other)),
    st.frozensets(st.integers(0, 6), min_size=1),
    minutes,
    minutes,
).filter(lambda value: value.opens < value.closes)


def shown_open(wanted: Hours, moment: datetime, zone: ZoneInfo) -> bool:
    """Whether the clocks on the wall show a time in the hours."""
    wall = moment.astimezone(zone)
    return wall.weekday() in wanted.days and wanted.opens <= wall.time() < wanted.closes


def exists(wanted: Hours, moment: datetime, zone: ZoneInfo) -> bool:
    """Whether the wall's clocks show the opening on that day at all, and are not put forward over it."""
    opens = datetime.combine(moment.astimezone(zone).date(), wanted.opens, zone)
    return opens.astimezone(UTC).astimezone(zone).time() == wanted.opens


@given(moments(), some_hours)
# It was once said to open at half past three, when it had closed at a quarter past.
@example(
    (datetime(2027, 3, 27, 12, tzinfo=UTC), BERLIN), Hours(frozenset(range(7)), time(2, 30), time(3, 15))
)
@settings(max_examples=400)
def test_the_next_opening_is_in_the_hours_and_the_first_one(
    when: tuple[datetime, ZoneInfo], wanted: Hours
) -> None:
    moment, zone = when
    opens = hours.next_opening(wanted, moment, zone)
    assert moment <= opens <= moment + timedelta(days=15)
    assert hours.next_opening(wanted, opens, zone) == opens
    if exists(wanted, opens, zone):
        # Where the clocks are put back in the hours, the same time is shown twice, and it stays open.
        before = opens.astimezone(zone).fold and shown_open(wanted, opens - timedelta(hours=1), zone)
        assert shown_open(wanted, opens, zone) or before or opens.astimezone(zone).fold
    else:
        closes = datetime.combine(opens.astimezone(zone).date(), wanted.closes, zone)
        assert opens < closes.astimezone(UTC)
    if shown_open(wanted, moment, zone) and exists(wanted, moment, zone) and not moment.astimezone(zone).fold:
        assert opens == moment


@given(moments(), some_hours, st.integers(0, 3 * 24 * 3600))
def test_who_waits_from_later_on_is_not_let_in_sooner(
    when: tuple[datetime, ZoneInfo], wanted: Hours, seconds: int
) -> None:
    moment, zone = when
    later = moment + timedelta(seconds=seconds)
    assert hours.next_opening(wanted, moment, zone) <= hours.next_opening(wanted, later, zone)


@given(moments(), st.integers(1, 90 * 24 * 3600))
def test_a_delay_is_as_long_as_it_says_over_a_change_of_the_clocks(
    when: tuple[datetime, ZoneInfo], seconds: int
) -> None:
    moment, zone = when
    # As it is stored, however the zone writes the moment: an hour that comes twice is not one hour off.
    for dialect in (sqlite.dialect(), postgresql.dialect()):  # type: ignore[no-untyped-call] # SQLAlchemy's.
        begun = stored(moment.astimezone(zone), dialect)
        over = stored((begun + timedelta(seconds=seconds)).astimezone(zone), dialect)
        assert over - moment == timedelta(seconds=seconds)


def stored(value: datetime, dialect: Dialect) -> datetime:
    """What is read of a moment that was written."""
    column = UtcDateTime()
    found = column.process_result_value(column.process_bind_param(value, dialect), dialect)
    assert found is not None
    return found
