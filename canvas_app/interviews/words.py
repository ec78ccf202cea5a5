"""The words of the message: our own, and those that an operator has written for a study, by language.

They are text: whatever looks like HTML in them is shown as it is written.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from canvas_app import languages
from canvas_app.plaintext import one_line


@dataclass(frozen=True, slots=True)
class Words:
    """The parts of the message that may be worded. ``{first_name}`` stands for the customer's first name."""

    greeting: str
    invitation: str
    link_text: str
    thanks: str
    reminder: str


PARTS: Final = tuple(field.name for field in fields(Words))
# A language without words for the reminder reminds with those of its invitation.
_OPTIONAL: Final = "reminder"

DEFAULT: Final = Words(
    greeting="Hi {first_name},",
    invitation=(
        "Would you tell us more in a short interview? An AI interviewer asks, you answer in your own words, "
        "whenever it suits you. It takes five minutes."
    ),
    link_text="Start the interview",
    thanks="Thank you!",
    reminder=(
        "Just in case it got lost: we would still love to hear from you in a short interview. It takes five "
        "minutes, whenever it suits you. We will not ask again about this."
    ),
)

# The language of DEFAULT, so that a wording in it may leave parts out.
_LANGUAGE_OF_DEFAULT: Final = "en"
# In place of a language: the words for whoever speaks none that has words of its own.
ANY_LANGUAGE: Final = "default"

LONGEST: Final = {"greeting": 80, "invitation": 600, "link_text": 60, "thanks": 200, "reminder": 600}
FIRST_NAME: Final = "{first_name}"


def chosen(wording: Mapping[str, Any], language: str | None) -> Words:
    """A study's words for a contact of this language: of "pt-BR", else of "pt", else for any, else ours."""
    found = DEFAULT
    for key in reversed((*languages.with_broader(language), ANY_LANGUAGE)):
        parts = _parts(wording.get(key))
        if "invitation" in parts:
            # Never a reminder in another language than the message.
            parts = {_OPTIONAL: parts["invitation"]} | parts
        if parts:
            found = replace(found, **parts)
    return found


@functools.lru_cache(maxsize=256)
def fingerprint(words: Words) -> str:
    """Tells one wording of the message from another: 16 hexadecimal characters."""
    message = {part: text for part, text in asdict(words).items() if part != _OPTIONAL}
    return hashlib.sha256(json.dumps(message).encode()).hexdigest()[:16]


def filled(text: str, first_name: str | None) -> str:
    """The text with the name in it, or without a gap where no name is known."""
    if first_name:
        return text.replace(FIRST_NAME, first_name)
    if FIRST_NAME not in text:
        return text
    without = re.sub(r"\s*" + re.escape(FIRST_NAME), "", text).lstrip(" ,;:.!-")
    return without[:1].upper() + without[1:]


def problems(wording: Mapping[str, Mapping[str, str]], language: str) -> list[str]:
    """What is wrong with the words of one language among these, each as a line for a person."""
    found = []
    for part, text in wording[language].items():
        where = f"{part} ({language})"
        if not one_line(text, LONGEST[part]):
            found.append(f"{where}: is empty")
        elif not one_line(filled(text, None), LONGEST[part]):
            found.append(f"{where}: says nothing where no name is known")
        elif len(text.strip()) > LONGEST[part]:
            found.append(f"{where}: is longer than {LONGEST[part]} characters")
        if set("{}") & set(text.replace(FIRST_NAME, "")):
            found.append(f"{where}: has a brace that is not of {FIRST_NAME}, the only placeholder")
    missing = [part for part in PARTS if part not in (_OPTIONAL, *_together(wording, language))]
    if missing:
        what = ", ".join(missing)
        found.append(f"{language}: lacks {what}, so that a part of the message would be in English")
    return found


def _together(wording: Mapping[str, Mapping[str, str]], language: str) -> set[str]:
    """The parts that are worded in this language."""
    if language == ANY_LANGUAGE or languages.with_broader(language)[-1] == _LANGUAGE_OF_DEFAULT:
        return set(PARTS)
    return {part for key in languages.with_broader(language) for part in wording.get(key, {})}


def _parts(given: Any) -> dict[str, str]:
    """The parts that are there, as one line each; anything else that is stored is passed over."""
    if not isinstance(given, dict):
        return {}
    texts = {part: given.get(part) for part in PARTS}
    lines = {part: one_line(text, LONGEST[part]) for part, text in texts.items() if isinstance(text, str)}
    return {part: line for part, line in lines.items() if line}
