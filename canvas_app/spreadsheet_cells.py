"""Cells of a CSV file, which is opened in a spreadsheet. What stands in it came from outside."""

from __future__ import annotations

import re
from typing import Final

from canvas_app.plaintext import one_line

_LONGEST_CELL: Final = 500

# What a spreadsheet takes for a formula: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA: Final = re.compile(r"[=+\-@\t\r]")
# Where the comma is the decimal sign, a spreadsheet splits at semicolons, also in the middle of a value.
_INNER_FORMULA: Final = re.compile(r"""(;[\s"]*)(?=[=+\-@])""")


def cell(value: str | None) -> str:
    """A value as one line of text that no spreadsheet takes for a formula."""
    raw = value or ""
    text = _INNER_FORMULA.sub(r"\1'", one_line(raw, _LONGEST_CELL))
    # The first character of what was typed counts too: programs differ in what they skip before they look.
    return f"'{text}" if text and (_FORMULA.match(text) or _FORMULA.match(raw)) else text


def as_typed(value: str) -> str:
    """What :func:`cell` was given, as far as it tells."""
    value = value.strip()
    return value[1:] if value.startswith("'") and _FORMULA.match(value[1:]) else value
