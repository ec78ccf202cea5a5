"""Text from outside, made fit to be shown on a card.

A customer chooses their own name, and what they say comes back as themes: none of it may draw a link, bold
text or a second line on a card that a rep trusts.

Intercom's text component renders markdown links and bold, and nothing else of markdown:
https://developers.intercom.com/docs/references/canvas-kit/presentationcomponents/text
"""

from __future__ import annotations

import re
import unicodedata

# Links are `[text](address)` or `<address>`, bold is `**` or `__`; a backslash takes the meaning of the next
# character away, a backquote that of a whole stretch. Parentheses make nothing without brackets: they stay.
# The replacements read like the originals, unlike escapes, which show wherever markdown is not rendered.
_LOOK_ALIKES = str.maketrans("[]<>*`\\", "()‹›∗'∖")  # noqa: RUF001 - they are meant to look alike.
# Between two letters or digits an underscore is no markdown, and e-mail addresses and setting names have to
# stay good for copying.
_LOOSE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
# Cc: controls. Cf: marks without a width, among them those that turn the direction of writing around. Cs:
# halves of a surrogate pair, which have no form in UTF-8.
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs"})
# How much is looked at for each character that is shown, so that a long text costs no more than a short one.
_LOOKED_AT = 8
# Persian and Indic names, and emoji that are made of several, need these two of the category Cf.
_JOINERS = "\u200c\u200d"


def one_line(text: str, limit: int) -> str:
    """Return ``text`` without unseen characters, as one line of at most ``limit`` (> 0) characters.

    A longer one ends with "…". The result may be empty.
    """
    looked_at = text[: limit * _LOOKED_AT]
    seen = "".join(char for char in looked_at if char.isspace() or char in _JOINERS or not _is_unseen(char))
    line = " ".join(seen.split()).strip(_JOINERS + " ")
    if len(line) <= limit and len(looked_at) == len(text):
        return line
    return line[: limit - 1].rstrip(_JOINERS + " ") + "…"


def plain(text: str, limit: int) -> str:
    """Return ``text`` as ``one_line`` does, with nothing in it that a text component would take for markdown.

    A bare address stays as it is: it shows where it leads.
    """
    return _LOOSE_UNDERSCORE.sub("ˍ", one_line(text, limit).translate(_LOOK_ALIKES))


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) in _UNSEEN_CATEGORIES
