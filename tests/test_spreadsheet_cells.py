from __future__ import annotations

import pytest

from canvas_app import spreadsheet_cells


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n="])
def test_no_value_is_a_formula_for_a_spreadsheet(first: str) -> None:
    written = spreadsheet_cells.cell(f"{first}cmd|'/C calc'!A0")
    assert written.startswith("'")


@pytest.mark.parametrize("value", ["Mia Chen", "a=b", "O'Neil", "'quoted'", "", None])
def test_other_values_stay_as_they_are(value: str | None) -> None:
    assert spreadsheet_cells.cell(value) == (value or "")


@pytest.mark.parametrize("value", ["+mia@example.com", "=1", "-x", "@mia", "mia@example.com", "'x"])
def test_what_was_made_harmless_is_read_as_it_was_typed(value: str) -> None:
    assert spreadsheet_cells.as_typed(spreadsheet_cells.cell(value)) == value


def test_a_value_is_one_line() -> None:
    assert spreadsheet_cells.cell("Mia\r\n=Chen\x00") == "Mia =Chen"
