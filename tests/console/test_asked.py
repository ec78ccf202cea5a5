"""What a request to the console says, read back as it was written."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.engine import Engine
from werkzeug.exceptions import NotFound

from canvas_app.console import asked
from canvas_app.interviews.search import Place
from canvas_app.interviews.seen import seen
from tests.interviews.asks import NOW, write

BERLIN = ZoneInfo("Europe/Berlin")


def test_a_period_goes_from_the_first_day_s_beginning_to_the_last_day_s_end_there() -> None:
    period = asked.period(date(2026, 3, 28), date(2026, 3, 29), BERLIN)
    assert period.since == datetime(2026, 3, 27, 23, tzinfo=UTC)
    # The clocks are put forward on the second day.
    assert period.before == datetime(2026, 3, 29, 22, tzinfo=UTC)
    assert asked.period(None, None, BERLIN) == asked.Period(None, None)


@pytest.mark.parametrize("day", [date.min, date.max])
def test_a_day_that_no_clock_shows_picks_nothing_out(day: date) -> None:
    assert asked.period(day, day, BERLIN) == asked.Period(None, None)


def test_a_place_is_read_as_it_was_written() -> None:
    place = Place(NOW, "a1")
    assert asked.place(asked.place_text(place)) == place
    assert asked.place_text(None) is None


@pytest.mark.parametrize("text", [None, "", "~", "x~y", "2026-01-01~a", "2026-01-01T00:00:00+00:00~", "9~9"])
def test_what_is_no_place_is_none(text: str | None) -> None:
    assert asked.place(text) is None


def test_an_interview_is_named_as_it_was_shown(engine: Engine) -> None:
    interview = write(engine)
    assert asked.seen_on(asked.seen_text(interview)) == seen(interview)


@pytest.mark.parametrize("text", [None, "a", "a~1", "a~b~2026-01-01T00:00:00+00:00", "a~1~now", "a~-1~x"])
def test_what_names_no_interview_is_none(text: str | None) -> None:
    assert asked.seen_on(text) is None


@pytest.mark.parametrize("text", ["", "x" * 32, "A" * 32, "a" * 31, "a" * 33, "a\x00" * 16])
def test_what_is_no_id_of_ours_is_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        asked.existing_id(text)
