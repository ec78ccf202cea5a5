"""What the console calls things, and how values stand on a page."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from canvas_app import store
from canvas_app.console import shown
from canvas_app.interviews import choosing, operators
from canvas_app.interviews.operators import Teammate
from tests.console.conftest import Person, words
from tests.support.world import WORKSPACE

# What writes into the audit log, by name; what is written stands among the arguments.
_WRITERS = {"note", "note_change", "_note", "_save", "_change"}


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


def written_codes() -> Iterator[str]:
    """What the app writes into the audit log."""
    for path in Path(shown.__file__).parents[1].rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or getattr(
                call.func, "attr", getattr(call.func, "id", "")
            ) not in (_WRITERS):
                continue
            # What it was before and became is no code of ours.
            given = [*call.args, *(one.value for one in call.keywords if one.arg == "what")]
            inside = [one for argument in given for one in ast.walk(argument)]
            yield from (
                str(one.value)
                for one in inside
                if isinstance(one, ast.Constant)
                and str(one.value).count("_")
                and str(one.value).isidentifier()
            )


def test_there_are_words_for_whatever_is_written_into_the_audit_log() -> None:
    codes = set(written_codes()) | {choosing.CHANGED}
    assert {"rule_switched_off", "study_words_removed", "contact_erased", "operator_added"} <= codes
    assert {code for code in codes if shown.what_was_done(code) == code} == set()
