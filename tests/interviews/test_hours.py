from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from canvas_app.interviews import hours
from canvas_app.interviews.hours import Hours

BERLIN = ZoneInfo("Europe/Berlin")
USUAL = hours.parse(hours.USUAL)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("2026-11-25T12:00", "2026-11-25T12:00"),  # a Wednesday
        ("2026-11-25T09:00", "2026-11-25T09:00"),
        ("2026-11-25T08:59:59", "2026-11-25T09:00"),
        ("2026-11-25T16:59:59", "2026-11-25T16:59:59"),
        ("2026-11-25T17:00", "2026-11-26T09:00"),
        ("2026-11-27T17:00", "2026-11-30T09:00"),  # over the week-end
        ("2026-11-28T12:00", "2026-11-30T09:00"),
        ("2026-12-31T23:59", "2027-01-01T09:00"),
    ],
)
def test_what_falls_outside_waits_for_the_next_opening(moment: str, opens: str) -> None:
    assert hours.next_opening(USUAL, at(moment), BERLIN) == at(opens)


def test_the_clocks_are_those_of_the_workspace() -> None:
    moment = datetime(2026, 11, 25, 16, 30, tzinfo=UTC)
    assert hours.next_opening(USUAL, moment, ZoneInfo("America/New_York")) == moment
    assert hours.next_opening(USUAL, moment, BERLIN) == datetime(2026, 11, 26, 8, tzinfo=UTC)
    assert hours.next_opening(USUAL, moment, ZoneInfo("Pacific/Auckland")) == datetime(
        2026, 11, 25, 20, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("moment", "opens_utc"),
    [
        # In Berlin summer ends on 25 October 2026 and begins on 28 March 2027.
        ("2026-10-23T18:00", datetime(2026, 10, 26, 8, tzinfo=UTC)),
        ("2026-10-22T18:00", datetime(2026, 10, 23, 7, tzinfo=UTC)),
        ("2027-03-26T18:00", datetime(2027, 3, 29, 7, tzinfo=UTC)),
        ("2027-03-25T18:00", datetime(2027, 3, 26, 8, tzinfo=UTC)),
    ],
)
def test_the_opening_is_right_on_both_sides_of_a_change_of_the_clocks(
    moment: str, opens_utc: datetime
) -> None:
    assert hours.next_opening(USUAL, at(moment), BERLIN) == opens_utc


def test_an_opening_that_the_clocks_leap_over_comes_when_they_have() -> None:
    early = hours.parse("sun 02:30-06:00")
    saturday = datetime(2027, 3, 27, 12, tzinfo=UTC)
    assert hours.next_opening(early, saturday, BERLIN) == datetime(2027, 3, 28, 1, 30, tzinfo=UTC)


def test_an_opening_that_comes_twice_is_the_first_one() -> None:
    early = hours.parse("sun 02:30-06:00")
    saturday = datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert hours.next_opening(early, saturday, BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon-fri 09:00-17:00", {0, 1, 2, 3, 4}),
        ("Mon, Wed 09:00-17:00".replace(", ", ","), {0, 2}),
        ("sat-tue  09:00 - 17:00", {5, 6, 0, 1}),
        ("sun 09:00-17:00", {6}),
    ],
)
def test_days_are_read(text: str, days: set[int]) -> None:
    assert hours.parse(text) == Hours(frozenset(days), time(9), time(17))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "form"),
        ("weekdays", "form"),
        ("mon-fri 9-17", "form"),
        ("mon-fri 17:00-09:00", "ends before"),
        ("mon-fri 09:00-09:00", "ends before"),
        ("mon-fri 09:00-24:00", "time"),
        ("moo 09:00-17:00", "day"),
        ("mon-moo 09:00-17:00", "day"),
        ("mon, 09:00-17:00", "day"),
    ],
)
def test_what_is_wrong_with_the_hours_is_said(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        hours.parse(text)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (None, "UTC"),
        ("", "UTC"),
        ("Nowhere/Land", "UTC"),
        ("../../etc/passwd", "UTC"),
        ("/etc/passwd", "UTC"),
        ("a\0b", "UTC"),
        ("x" * 5000, "UTC"),
        ("Europe", "UTC"),
    ],
)
def test_a_time_zone_that_nobody_knows_is_utc(name: str | None, key: str) -> None:
    assert hours.zone_of(name).key == key
