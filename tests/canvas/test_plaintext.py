from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from canvas_app.canvas.plaintext import plain
from canvas_app.plaintext import one_line

ANY_TEXT = st.text(st.characters())  # All of Unicode, halves of surrogate pairs included.
# Text that is likely to make markdown, if anything in it does.
MARKED_TEXT = st.text(st.sampled_from("[]()<>*_`\\!a1 \n\0\u202e\u200b\u200d\ud800é"), max_size=60)
LIMITS = st.integers(min_value=1, max_value=80)


class TestPlain:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("Ana Lopez (Sales)", "Ana Lopez (Sales)"),
            ("[Sam](https://evil.example)", "(Sam)(https://evil.example)"),
            ("<https://evil.example>", "‹https://evil.example›"),  # noqa: RUF001 - look-alikes are the point.
            ("**free**", "∗∗free∗∗"),  # noqa: RUF001 - look-alikes are the point.
            ("__free__", "ˍˍfreeˍˍ"),
            ("`code`", "'code'"),
            ("C:\\temp", "C:∖temp"),  # noqa: RUF001 - look-alikes are the point.
            ("ana_lee@example.com", "ana_lee@example.com"),
            ("INTERCOM_ACCESS_TOKEN", "INTERCOM_ACCESS_TOKEN"),
            ("two\nlines\u2028and\ta tab", "two lines and a tab"),
            ("\u202egpj.exe", "gpj.exe"),
            ("NUL\0 and \ud800 half a pair", "NUL and half a pair"),
            ("\u200b \u200d", ""),
            ("नमस्\u200dते", "नमस्\u200dते"),
            ("👩\u200d💻", "👩\u200d💻"),
        ],
    )
    def test_reads_like_the_original(self, text: str, shown: str) -> None:
        assert plain(text, 100) == shown

    @given(ANY_TEXT | MARKED_TEXT, LIMITS)
    def test_never_makes_markdown(self, text: str, limit: int) -> None:
        shown = plain(text, limit)
        assert not set(shown) & set("[]<>*`\\")
        # What is left of underscores stands between letters or digits, where it makes nothing.
        for before, after in pairwise(f" {shown} ".split("_")):
            assert before[-1:].isalnum()
            assert after[:1].isalnum()

    @given(ANY_TEXT | MARKED_TEXT, LIMITS)
    def test_does_nothing_more_the_second_time(self, text: str, limit: int) -> None:
        shown = plain(text, limit)
        assert plain(shown, limit) == shown


class TestOneLine:
    @given(ANY_TEXT | MARKED_TEXT, LIMITS)
    def test_is_one_line_that_can_be_seen_and_sent(self, text: str, limit: int) -> None:
        line = one_line(text, limit)
        assert len(line) <= limit
        assert line == line.strip()
        assert len(line.splitlines()) <= 1
        assert line.encode().decode() == line
        assert all(unicodedata.category(char) not in {"Cc", "Cs"} for char in line)
        assert all(unicodedata.category(char) != "Cf" or char in "\u200c\u200d" for char in line)

    @given(st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=60), LIMITS)
    def test_keeps_what_fits_and_marks_a_cut(self, text: str, limit: int) -> None:
        line = one_line(text, limit)
        if len(text) <= limit:
            assert line == text
        else:
            assert line == text[: limit - 1] + "…"

    def test_looks_at_a_part_of_a_very_long_text(self) -> None:
        assert one_line("\u200b" * 1_000_000 + "a", 20) == "…"
        assert one_line("a" * 1_000_000, 3) == "aa…"

    def test_leaves_markdown_alone(self) -> None:
        assert one_line("[b] **c**", 20) == "[b] **c**"
