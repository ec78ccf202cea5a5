"""Text from outside as one line that a person can read: names, themes, what a rep typed."""

from __future__ import annotations

import unicodedata

# Cc: controls. Cf: marks without a width, among them those that turn the direction of writing around. Cs:
# halves of a surrogate pair, which have no form in UTF-8.
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs"})
# How much is looked at for each character that is shown, so that a long text costs no more than a short one.
_LOOKED_AT = 8
# Persian and Indic names, and emoji that are made of several, need these two of the category Cf.
_JOINERS = "\u200c\u200d"


def one_line(text: str | None, limit: int) -> str:
    """Return ``text`` without unseen characters, as one line of at most ``limit`` (> 0) characters.

    A longer one ends with "…". The result may be empty.
    """
    text = text or ""
    looked_at = text[: limit * _LOOKED_AT]
    seen = looked_at
    # Most texts hold printable characters alone, and this tells it a hundred times as fast.
    if not looked_at.isprintable():
        seen = "".join(
            char for char in looked_at if char.isspace() or char in _JOINERS or not _is_unseen(char)
        )
    line = " ".join(seen.split()).strip(_JOINERS + " ")
    if len(line) <= limit and len(looked_at) == len(text):
        return line
    return line[: limit - 1].rstrip(_JOINERS + " ") + "…"


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) in _UNSEEN_CATEGORIES
