"""What an operator enters for a rule, as text: checked as a rule file is, each mistake with its field.

Pure: no database.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from canvas_app.errors import RuleRefused
from canvas_app.interviews import rulebook, rulefile
from canvas_app.interviews.rulebook import Conditions, Limits, Rule

CONDITIONS: Final = tuple(Conditions.model_fields)
LIMITS: Final = tuple(Limits.model_fields)
_PLAIN: Final = ("title", "description", "event", "study", "delay")
# Every field of the form but the slug, which is chosen once.
FIELDS: Final = (*_PLAIN, *CONDITIONS, *LIMITS)

_NUMBERS: Final = frozenset({"rating_at_most", "customer_parts_at_least", "characters_at_least", *LIMITS})
# One a line: the name of a tag may hold a comma.
_LISTS: Final = frozenset({"tag", "tag_not"})
_YES: Final = "yes"
_NUMBER = re.compile(r"[+-]?[0-9]{1,12}", re.ASCII)


def entered(slug: str, given: Mapping[str, str], *, enabled: bool, studies: Collection[str]) -> Rule:
    """The rule that was entered. Raises RuleRefused with every mistake.

    ``given``: texts by field; a blank one leaves the condition or the limit out. ``studies``: those that
    there are.
    """
    table: dict[str, Any] = {"slug": slug.strip(), "enabled": enabled}
    table |= _values(_PLAIN, given)
    table["conditions"] = _values(CONDITIONS, given)
    table["limits"] = _values(LIMITS, given)
    problems = problems_of(table, studies)
    if problems:
        raise RuleRefused(problems)
    return Rule.model_validate(table)


def problems_of(table: Mapping[str, Any], studies: Collection[str]) -> list[tuple[str, str]]:
    """Everything that is wrong with a rule, as fields of the form and messages; each once."""
    found = [(_field(place), message) for place, message in rulefile.problems_of(table, studies)]
    return list(dict.fromkeys(found))


def texts(rule: Rule) -> dict[str, str]:
    """The rule as it stands in the form."""
    values: dict[str, Any] = {
        **rule.model_dump(include=set(_PLAIN)),
        **rule.conditions.model_dump(),
        **rule.limits.model_dump(),
        "delay": rulebook.delay_in_words(rule.delay) if rule.delay else "",
    }
    return {name: _text(values[name]) for name in FIELDS}


def flat(rule: Rule) -> dict[str, Any]:
    """The rule as JSON values by field, for telling what has changed."""
    return {
        "enabled": rule.enabled,
        **rule.model_dump(mode="json", include=set(_PLAIN)),
        **rule.conditions.model_dump(mode="json"),
        **rule.limits.model_dump(mode="json"),
    }


def _values(names: Collection[str], given: Mapping[str, str]) -> dict[str, Any]:
    # A browser ends lines as a typewriter does.
    texts = {name: given.get(name, "").replace("\r\n", "\n").strip() for name in names}
    return {name: _value(name, text) for name, text in texts.items() if text}


def _value(name: str, text: str) -> Any:
    if name in _LISTS:
        return [line.strip() for line in text.split("\n") if line.strip()]
    if name in _NUMBERS:
        # Anything else is left to the rule's own check, which says what it is not.
        return int(text) if _NUMBER.fullmatch(text) else text
    if name == "closed_by_person":
        return text == _YES
    return text


def _text(value: Any) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return _YES
    return "\n".join(value) if isinstance(value, tuple) else str(value)


def _field(place: rulefile.Place) -> str:
    names = [item for item in place if isinstance(item, str)]
    if names[:1] in (["conditions"], ["limits"]):
        names = names[1:]
    return names[0] if names else ""
