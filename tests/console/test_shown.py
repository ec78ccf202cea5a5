"""What the console calls things, and how values stand on a page."""

from __future__ import annotations

from typing import Any

import pytest

from canvas_app import store
from canvas_app.console import shown
from canvas_app.interviews import operators
from canvas_app.interviews.operators import Teammate
from tests.console.conftest import Person, words
from tests.support.world import WORKSPACE


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (None, []),
        ("Zoë", ["Zoë"]),
        (3, ["3"]),
        (False, ["no"]),
        (["a", "b"], ["a, b"]),
        (
            {"name": "Zoë", "tags": [], "on": True, "mode": None},
            ["name: Zoë", "tags: nothing", "on: yes", "mode: nothing"],
        ),
        (
            {"words in de": {"greeting": "Grüß dich", "thanks": ""}},
            ["words in de: greeting: Grüß dich; thanks: nothing"],
        ),
    ],
)
def test_a_value_of_the_audit_log_is_text(value: Any, lines: list[str]) -> None:
    assert shown.as_lines(value) == lines


def test_the_audit_log_has_no_escapes_and_no_markup(viewer: Person) -> None:
    with store.writing(viewer.world.engine) as connection:
        operators.note(
            connection,
            Teammate(WORKSPACE, "1", "Zoë"),
            "study_changed",
            subject="exit",
            before={"name": "Für <b>alle</b> & 'jede'"},
            after={"name": "日本"},
        )
    html = viewer.get("people").text
    assert "\\u" not in html
    assert "<b>" not in html
    assert "name: Für <b>alle</b> & 'jede'" in words(html)
    assert "name: 日本" in words(html)
