from __future__ import annotations

import pytest

from sandbox.analysis import analyse


@pytest.mark.parametrize(
    ("answers", "rating", "sentiment"),
    [
        (["Great, fast, thank you!"], 5, "positive"),
        (["Slow and broken."], None, "negative"),
        (["It is a product."], 3, "neutral"),
        (["Helpful but slow."], None, "mixed"),
        ([""], 1, "negative"),
        ([], None, "neutral"),
    ],
)
def test_sentiment(answers: list[str], rating: int | None, sentiment: str) -> None:
    assert analyse(answers, rating).sentiment == sentiment


@pytest.mark.parametrize(
    "answers", [[], ["x"], ["expensive invoice slow export setup support missing bug easy"] * 3]
)
def test_three_to_seven_themes_of_two_to_five_words(answers: list[str]) -> None:
    themes = analyse(answers, None).themes
    assert 3 <= len(themes) <= 7
    assert len(set(themes)) == len(themes)
    assert all(2 <= len(theme.split()) <= 5 for theme in themes)


def test_the_top_theme_is_the_one_most_spoken_of() -> None:
    assert analyse(["The price, the cost, the invoice, and once the export."], None).themes[0] == (
        "pricing friction"
    )


def test_quality_grows_with_the_length_of_the_answers() -> None:
    assert analyse(["ok", "ok", "ok"], 5).quality == pytest.approx(1.3)
    assert analyse(["word " * 9] * 3, 5).quality == pytest.approx(4.0)
    assert analyse(["word " * 50] * 3, 5).quality == pytest.approx(5.0)
    assert analyse([], None).quality == pytest.approx(1.0)
