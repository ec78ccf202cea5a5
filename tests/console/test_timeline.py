"""A story in words: in its order, with what is still to come at its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.console import timeline
from canvas_app.interviews import story
from canvas_app.interviews.states import STATES
from canvas_app.interviews.story import Story, Write
from tests.interviews.asks import NOW, write
from tests.support.world import full_settings


def told(engine: Engine, **changes: Any) -> Story:
    """A story of an interview that was asked for an hour ago."""
    interview = write(engine, age=timedelta(hours=1), **changes)
    with store.reading(engine) as connection:
        found = story.read(connection, full_settings("sqlite:///x.db"), "ws1", interview.id)
    assert found is not None
    return replace(found, now=NOW)


def titles(found: Story) -> list[str]:
    return [moment.title for moment in timeline.moments(found)]


@pytest.mark.parametrize("state", STATES)
def test_every_state_begins_with_who_asked(engine: Engine, state: str) -> None:
    assert titles(told(engine, state=state))[0] == "A teammate asked for it on the card in the inbox"


def test_what_is_still_to_come_stands_last(engine: Engine) -> None:
    tomorrow = NOW + timedelta(days=1)
    found = told(engine, state="planned", not_before=tomorrow, origin="api")
    assert titles(found)[0] == "A program asked for it over the API"
    assert "Its time to be sent" in titles(found)[1:]
    assert timeline.moments(found)[-1].kind == "waits"


def test_tries_of_a_write_are_told(engine: Engine) -> None:
    found = told(engine, state="sent", sent_at=NOW)
    for tries, said in ((1, "At the first try."), (3, "It took 3 tries.")):
        done = Write("message", tries, NOW, NOW, open=False)
        [sent] = [one for one in timeline.moments(replace(found, writes={"message": done})) if one.at == NOW]
        assert sent.lines == (said,)


def test_a_note_of_unknown_fate_is_told_as_that(engine: Engine) -> None:
    found = told(engine, state="written_back", written_back_at=NOW, completed_at=NOW)
    found = replace(found, writes={"note": Write("note", 2, NOW, None, open=True)})
    assert "The note was handed to Intercom" in titles(found)
    assert "Written to Intercom: the note" not in titles(found)


def test_moments_stand_in_the_order_of_time(engine: Engine) -> None:
    def at(minutes: int) -> datetime:
        return NOW - timedelta(minutes=minutes)

    found = told(engine, state="opened", sent_at=at(50), opened_at=at(40), reminded_at=at(45))
    moments = [moment.at for moment in timeline.moments(found) if moment.at]
    assert moments == sorted(moments)
