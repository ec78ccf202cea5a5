"""What stands of a contact's results in Intercom, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.interviews import written
from canvas_app.interviews.options import ATTRIBUTE_NAMES
from tests.interviews.asks import NOW, write

DAY = timedelta(days=1)
OF_THEN = {name: what for what, name in ATTRIBUTE_NAMES.items()}


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"result_at": NOW + DAY, "attributes_written_at": NOW}, True),
        ({"result_at": NOW + DAY, "attributes_written_at": None}, False),
        ({"result_at": NOW - DAY, "attributes_written_at": NOW}, False),
        ({"result_at": NOW, "attributes_written_at": NOW}, False),
        ({"result_at": NOW + DAY, "attributes_written_at": NOW, "contact_id": "contact2"}, False),
        ({"result_at": NOW + DAY, "attributes_written_at": NOW, "workspace_id": "ws2"}, False),
    ],
)
def test_only_a_newer_result_of_the_same_contact_that_is_written_counts(
    engine: Engine, other: dict[str, Any], expected: bool
) -> None:
    row = write(engine, state="analysed", result_at=NOW)
    write(engine, state="written_back", **other)
    with store.reading(engine) as connection:
        assert written.newer_result_exists(connection, row) is expected


def test_attributes_are_known_by_the_names_under_which_they_were_written(engine: Engine) -> None:
    before = write(engine, state="written_back", age=3 * DAY, attributes_written_at=NOW)
    named = write(engine, state="written_back", age=2 * DAY, attribute_names={"Mood": "sentiment"})
    row = write(engine, state="analysed", age=DAY)
    write(engine, state="written_back", contact_id="contact2", attribute_names={"Other": "url"})
    with store.reading(engine) as connection:
        assert written.attribute_names(connection, row) == {
            before.id: OF_THEN,
            named.id: {"Mood": "sentiment"},
        }


def test_the_tags_that_interviews_with_a_contact_have_put_on_are_known_by_name(engine: Engine) -> None:
    write(engine, state="written_back", contact_tags={"1": "Unhappy"}, conversation_tags={"2": "Exports"})
    write(engine, state="written_back", contact_id="contact2", contact_tags={"3": "Happy"})
    write(engine, state="written_back", workspace_id="ws2", contact_tags={"4": "Elsewhere"})
    with store.reading(engine) as connection:
        put_on = written.tags_put_on
        assert put_on(connection, "ws1", ("contact1",), None) == {"unhappy", "exports"}
        assert put_on(connection, "ws1", ("contact1", "contact2"), "9") == {"unhappy", "exports", "happy"}
        assert put_on(connection, "ws1", (), "501") == {"unhappy", "exports", "happy"}
        assert put_on(connection, "ws1", (), None) == set()
