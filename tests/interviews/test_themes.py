"""Themes: which become tags, and which there have been, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.interviews import themes
from canvas_app.interviews.themes import Seen
from tests.interviews.asks import NOW, write


def result(engine: Engine, *names: str, days: int = 0, **changes: Any) -> None:
    at = NOW - timedelta(days=days)
    write(engine, state="written_back", result={"themes": list(names)}, result_at=at, **changes)


def test_the_most_frequent_come_first_each_as_it_was_called_last(engine: Engine) -> None:
    result(engine, "Pricing friction", "Exports", days=3)
    result(engine, "pricing friction!", "Pricing Friction", days=2)
    result(engine, "!!!", days=1)
    result(engine, "Elsewhere", workspace_id="ws2")
    write(engine, state="sent", contact_id="contact2")
    with store.reading(engine) as connection:
        assert themes.seen(connection, "ws1") == [
            Seen("pricing_friction", "Pricing Friction", 2),
            Seen("exports", "Exports", 1),
        ]


def test_only_the_newest_results_are_looked_at(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(themes, "RESULTS", 2)
    for days, name in ((3, "old"), (2, "newer"), (1, "newest")):
        result(engine, name, days=days)
    with store.reading(engine) as connection:
        assert [theme.slug for theme in themes.seen(connection, "ws1")] == ["newer", "newest"]


def test_the_allow_list_is_as_it_was_chosen_last(engine: Engine) -> None:
    with store.writing(engine) as connection:
        assert themes.allowed(connection) == set()
        themes.allow(connection, {"a", "b"})
        themes.allow(connection, {"b", "c"})
        assert themes.allowed(connection) == {"b", "c"}
        themes.allow(connection, set())
        assert themes.allowed(connection) == set()
