"""Text from outside, made fit to be shown on a card.

A customer chooses their own name, and what they say comes back as themes: none of it may draw a link, bold
text or a second line on a card that a rep trusts.

Intercom's text component renders markdown links and bold, and nothing else of markdown:
https://developers.intercom.com/docs/references/canvas-kit/presentationcomponents/text
"""

from __future__ import annotations

import re

from canvas_app.plaintext import one_line

# Links are `[text](address)` or `<address>`, bold is `**` or `__`; a backslash takes the meaning of the next
# character away, a backquote that of a whole stretch. Parentheses make nothing without brackets: they stay.
# The replacements read like the originals, unlike escapes, which show wherever markdown is not rendered.
_LOOK_ALIKES = str.maketrans("[]<>*`\\", "()‹›∗'∖")  # noqa: RUF001 - they are meant to look alike.
# Between two letters or digits an underscore is no markdown, and e-mail addresses and setting names have to
# stay good for copying.
_LOOSE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")


def plain(text: str, limit: int) -> str:
    """Return ``text`` as ``one_line`` does, with nothing in it that a text component would take for markdown.

    A bare address stays as it is: it shows where it leads.
    """
    line = one_line(text, limit).translate(_LOOK_ALIKES)
    # Most texts hold none, and this tells it sooner than the pattern does.
    return _LOOSE_UNDERSCORE.sub("ˍ", line) if "_" in line else line
