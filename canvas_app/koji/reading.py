"""Lenient readers of JSON whose exact form is not documented: a value of another form counts as missing."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from canvas_app.errors import BodyRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_DECIMAL = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")
# Marks that turn the direction of writing around could make a text read as something else.
_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# A time outside of these is a mistake, and a far future one would outrank every later result.
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
_LATEST_SECONDS: Final = 10**11  # Beyond the year 5000: larger numbers are milliseconds.


def json_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in a body, an empty one for an empty body. Raises BodyRefused for anything else.

    A key given twice is refused: two parties could read two different documents out of one signed body.
    """
    if not raw.strip():
        return {}
    try:
        value = json.loads(
            raw.decode("utf-8-sig"), parse_constant=_no_constant, object_pairs_hook=_no_duplicates
        )
    except (ValueError, RecursionError):
        # The cause is left out, since a decoding error carries the whole body with it.
        raise BodyRefused("The body is not JSON that can be read.") from None
    if not isinstance(value, dict):
        raise BodyRefused("The body is JSON, but not an object.")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def values(scopes: Iterable[Mapping[str, object]], names: Iterable[str]) -> Iterator[object]:
    """Everything there is under these names, the names in order of preference, each through all scopes."""
    places = list(scopes)
    for name in names:
        for scope in places:
            if scope.get(name) is not None:
                yield scope[name]


def clean(value: object, limit: int) -> str | None:
    """A text without control characters, stray surrogates and direction marks, cut; None if empty."""
    if not isinstance(value, str):
        return None
    # Only a prefix is looked at, so that an endless text costs no more than a long one.
    kept = (
        " " if unicodedata.category(character) in _UNSAFE_CATEGORIES else character
        for character in value[: limit * 4]
        if character not in _DIRECTION_MARKS
    )
    return " ".join("".join(kept).split())[:limit].strip() or None


def identifier(value: object) -> str | None:
    """An id of letters, digits, ``_`` and ``-``, 128 at most, given as text or as a whole number."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    if isinstance(value, int) and abs(value) >= 10**18:
        return None
    text = str(value)
    return text if _ID.fullmatch(text) else None


def scalar_text(value: object, limit: int) -> str | None:
    """A text or a number as clean text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        if not math.isfinite(value) or abs(value) >= 10**15:
            return None
        return str(int(value)) if value.is_integer() else str(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else None
    return clean(value, limit)


def number(value: object) -> float | None:
    """A finite number, also as text. True and False are not numbers."""
    if isinstance(value, str):
        return float(value.strip()) if _DECIMAL.fullmatch(value.strip()) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Comparing first: a huge whole number cannot be turned into a float at all.
    if not -(10**15) < value < 10**15:
        return None
    return float(value)


def truthy(value: object) -> bool:
    """Whether a flag is set, also as text or number."""
    if isinstance(value, str):
        return value.strip().lower() in {"true", "yes", "1"}
    return value is True or (isinstance(value, int) and value == 1)


def moment(value: object) -> datetime | None:
    """A time in UTC from ISO 8601 (without a zone: UTC) or unix seconds or milliseconds; 2000 to 2100."""
    seconds = number(value)
    try:
        if seconds is not None:
            scaled = seconds / 1000 if seconds >= _LATEST_SECONDS else seconds
            found = datetime.fromtimestamp(scaled, tz=UTC)
        elif isinstance(value, str) and len(value) <= 64:
            parsed = datetime.fromisoformat(value.strip())
            found = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return found if _EARLIEST <= found < _LATEST else None
