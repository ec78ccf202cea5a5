"""How a canvas is drawn outside Intercom."""

from __future__ import annotations

import pytest

from canvas_app.canvas.drawing import rich
from sandbox import canvas as stand_in


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("plain", [("plain", "plain", "")]),
        ("a **b** c", [("plain", "a ", ""), ("bold", "b", ""), ("plain", " c", "")]),
        ("*b*", [("bold", "b", "")]),
        ("[x](https://e.com/?a=1)", [("link", "x", "https://e.com/?a=1")]),
        ("[x](javascript:alert(1))", [("plain", "[x](javascript:alert(1))", "")]),
        ("# no <b>heading</b>", [("plain", "# no <b>heading</b>", "")]),
        ("", []),
    ],
)
def test_text_knows_links_and_bold_only(text: str, runs: list[tuple[str, str, str]]) -> None:
    assert rich(text) == runs
    # The stand-in reads it for itself, because it imports nothing of the application.
    assert stand_in.rich(text) == runs
