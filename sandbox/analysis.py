"""The toy rules that stand for Koji's analysis: the same answers always give the same result.

The shape is Koji's: 3 to 7 themes of 2 to 5 words, one sentiment, a quality from 1 to 5.
https://www.koji.so/docs/analyzing-ai-moderated-interview-results
"""

from __future__ import annotations

import re
from dataclasses import dataclass

QUESTIONS = (
    "What were you trying to get done when you wrote to us?",
    "What went well, and what got in your way?",
    "What would have made it easier?",
)
"""The open questions; a rating from 1 to 5 is asked after them."""

_GOOD = (
    "thank thanks great good love loved easy fast quick quickly helpful perfect worked works glad happy "
    "excellent friendly nice smooth saved pleasant clear"
)
_BAD = (
    "bad slow stuck broken bug angry annoying confusing confused expensive hard difficult late lost wrong "
    "never waiting waited hate cancel frustrating failed fails missing charged twice unclear"
)
_THEMES = (
    ("pricing friction", "price pricing expensive cost costs charged invoice invoices billing plan discount"),
    ("slow response times", "slow wait waiting waited late hours reply response"),
    ("export reliability", "export exports csv download stuck report reports spreadsheet sheet"),
    (
        "onboarding clarity",
        "onboarding setup start started tutorial guide documentation docs unclear confusing",
    ),
    ("helpful support team", "support helpful friendly team ada person answer answered thank thanks"),
    ("missing feature", "missing feature wish need needed without integration"),
    ("product stability", "bug broken crash error failed fails stuck"),
    ("ease of use", "easy simple smooth clear quick quickly fast"),
)
_FILLERS = ("overall experience", "expectations and reality", "next steps wanted")


@dataclass(frozen=True)
class Analysis:
    """What Koji found out; ``quality`` is 1 to 5, below 3 does not pass Koji's quality gate."""

    sentiment: str
    themes: tuple[str, ...]
    quality: float


def analyse(answers: list[str], rating: int | None) -> Analysis:
    """Judge the answers to the open questions; ``rating`` is 1 to 5, or None where it was left out."""
    words = [word for answer in answers for word in re.findall(r"[a-z']+", answer.casefold())]
    good, bad = _count(words, _GOOD), _count(words, _BAD)
    if rating is not None:
        good, bad = good + max(0, rating - 3), bad + max(0, 3 - rating)
    if good and bad and abs(good - bad) <= 1:
        sentiment = "mixed"
    elif good == bad:
        sentiment = "neutral"
    else:
        sentiment = "positive" if good > bad else "negative"
    counts = {theme: _count(words, keys) for theme, keys in _THEMES}
    themes = sorted((theme for theme in counts if counts[theme]), key=lambda theme: -counts[theme])[:7]
    themes += list(_FILLERS)[: max(0, 3 - len(themes))]
    # One word to a question is a 1, about twelve words to each are a 5.
    per_question = len(words) / max(1, len(answers))
    quality = min(5.0, max(1.0, round(1 + per_question / 3, 1)))
    return Analysis(sentiment, tuple(themes), quality)


def _count(words: list[str], known: str) -> int:
    return sum(word in set(known.split()) for word in words)
