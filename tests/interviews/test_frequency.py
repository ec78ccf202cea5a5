"""When a contact was asked last, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.interviews import frequency
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.seen import Person
from canvas_app.interviews.states import STATES
from tests.interviews.asks import NOW, write

MIA = Person("ws1", "contact1")
DAY = timedelta(days=1)


def last_asked(engine: Engine, person: Person = MIA, **options: Any) -> Interview | None:
    with store.reading(engine) as connection:
        return frequency.last_asked(connection, person, **options)


@pytest.mark.parametrize("state", STATES)
def test_only_what_may_have_reached_the_customer_counts(engine: Engine, state: str) -> None:
    interview = write(engine, state=state)
    counts = state not in ("planned", "queued", "sending", "skipped", "failed")
    assert last_asked(engine) == (interview if counts else None)


@pytest.mark.parametrize("changes", [{"sent_at": NOW}, {"result": {"sentiment": "positive"}}])
def test_a_result_that_could_not_be_written_had_been_asked_for(
    engine: Engine, changes: dict[str, Any]
) -> None:
    answered = write(engine, state="failed", **changes)
    assert last_asked(engine) == answered


def test_it_is_told_by_when_the_message_went_out(engine: Engine) -> None:
    late = write(engine, age=3 * DAY, state="expired", sent_at=NOW - DAY)
    write(engine, age=2 * DAY, state="cancelled", sent_at=NOW - 2 * DAY)
    write(engine, age=DAY / 2, state="failed")
    found = last_asked(engine)
    assert found is not None
    assert (found.id, frequency.asked_at(found)) == (late.id, NOW - DAY)


def test_of_unknown_fate_it_is_told_by_when_that_was_found(engine: Engine) -> None:
    write(engine, age=2 * DAY, state="written_back", sent_at=NOW - DAY)
    unknown = write(engine, age=3 * DAY, state="unknown", state_since=NOW)
    found = last_asked(engine)
    assert found is not None
    assert (found.id, frequency.asked_at(found)) == (unknown.id, NOW)


def test_without_a_date_of_sending_it_is_told_by_when_it_was_asked_for(engine: Engine) -> None:
    ended = write(engine, age=2 * DAY, state="expired", state_since=NOW)
    assert frequency.asked_at(ended) == NOW - 2 * DAY


def test_it_is_this_contacts_alone_and_may_leave_one_out(engine: Engine) -> None:
    mine = write(engine, state="written_back", sent_at=NOW)
    write(engine, state="written_back", sent_at=NOW + DAY, contact_id="contact2")
    write(engine, state="written_back", sent_at=NOW + DAY, workspace_id="ws2")
    assert last_asked(engine) == mine
    assert last_asked(engine, other_than=mine.id) is None


@pytest.mark.parametrize(
    ("days", "after", "early"),
    [
        (30, timedelta(0), True),
        (30, 30 * DAY - timedelta(seconds=1), True),
        (30, 30 * DAY, False),
        (0, timedelta(0), False),
        (1, -DAY, True),
    ],
)
def test_it_is_too_early_until_the_days_are_over(
    engine: Engine, days: int, after: timedelta, early: bool
) -> None:
    interview = write(engine, state="written_back", sent_at=NOW)
    assert frequency.too_early(interview, NOW + after, ask_again_days=days) is early


def test_who_was_never_asked_can_be_asked() -> None:
    assert not frequency.too_early(None, NOW, ask_again_days=3650)
