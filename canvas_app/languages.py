"""Language tags, as Intercom tells a contact's language: "de", "pt-BR".

https://www.rfc-editor.org/info/bcp47
"""

from __future__ import annotations

import re

# Language, script, region, variants. Intercom's "de-form" fits, too; a language that is written out does not.
_TAG = re.compile(
    r"[a-z]{2,3}(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?(?:-[a-z0-9]{4,8})*", re.IGNORECASE | re.ASCII
)
# What a column of the ledger takes.
_LONGEST = 35


def tag(value: object) -> str | None:
    """The tag in its usual spelling ("pt_br" is "pt-BR"); None where ``value`` is none."""
    if not isinstance(value, str):
        return None
    text = value.strip().replace("_", "-")
    if len(text) > _LONGEST or not _TAG.fullmatch(text):
        return None
    language, *others = text.lower().split("-")
    return "-".join([language, *map(_spelt, others)])


def with_broader(language: str | None) -> tuple[str, ...]:
    """The tag and the broader ones that hold it, narrowest first: "zh-Hant-TW", "zh-Hant", "zh"."""
    known = tag(language)
    if known is None:
        return ()
    parts = known.split("-")
    return tuple("-".join(parts[:count]) for count in range(len(parts), 0, -1))


def _spelt(part: str) -> str:
    if len(part) == 2:
        return part.upper()
    return part.title() if len(part) == 4 and part.isalpha() else part
