"""Rules as a TOML file: every mistake is found, with its line and its field, before anything is changed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import tomli_w
from pydantic import ValidationError

from canvas_app.interviews import rulebook
from canvas_app.interviews.rulebook import EVENTS, Conditions, Rule

_RULE: Final = re.compile(r"\s*\[\[\s*rules\s*\]\]")
_TABLE: Final = re.compile(r"\s*\[\s*rules\s*\.\s*([A-Za-z0-9_-]+)\s*\]")
_OTHER_TABLE: Final = re.compile(r"""\s*\[{1,2}\s*["']?([A-Za-z0-9_-]+)""")
_KEY: Final = re.compile(r"""\s*["']?([A-Za-z0-9_-]+)["']?((?:\s*\.\s*["']?[A-Za-z0-9_-]+["']?)*)\s*=""")
# Longer than any number that means something here; Python reads none of more than 4300 digits.
_LONG_NUMBER: Final = re.compile(r"[0-9_]{4300}")
_AT_LINE: Final = re.compile(r" \(at (?:line ([0-9]+), column [0-9]+|end of document)\)$")

# A thousand rules and more. What is longer is no rule file, and would take long to be read.
LONGEST: Final = 1_000_000

# Where something stands in a rule: ("conditions", "tag", 0).
Place = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in a rule file. ``field`` is empty where the file cannot be read at all."""

    line: int
    field: str
    message: str

    def __str__(self) -> str:
        said = f"line {self.line}: {self.field} {self.message}".replace(":  ", ": ")
        # A key of the file may hold what a terminal would obey.
        return "".join(char if char.isprintable() else repr(char)[1:-1] for char in said)


class RuleFileError(Exception):
    """A rule file has mistakes; all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: problem.line)
        super().__init__("\n".join(map(str, self.problems)))


def read(text: str, *, studies: Collection[str]) -> list[Rule]:
    """The rules of a file, in its order. ``studies`` are those that there are. Raises RuleFileError."""
    document = _document(text)
    lines = _Lines(text)
    problems = [
        Problem(lines.of((name,)), name, "is not known here; a file holds [[rules]]")
        for name in document
        if name != "rules"
    ]
    tables = document.get("rules", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise RuleFileError([*problems, Problem(1, "rules", "is not a list of tables: write [[rules]]")])
    rules: list[Rule] = []
    for number, table in enumerate(tables):
        found = problems_of(table, studies)
        problems += [
            Problem(lines.of((number, *place)), ".".join(_names(place)), message) for place, message in found
        ]
        if not found:
            rules.append(Rule.model_validate(table))
    problems += _twice(tables, lines)
    if problems:
        raise RuleFileError(problems)
    return rules


def problems_of(table: Mapping[str, Any], studies: Collection[str]) -> list[tuple[Place, str]]:
    """Everything that is wrong with a rule, given as a file's table: places, and messages for people."""
    found: list[tuple[Place, str]] = []
    try:
        Rule.model_validate(table)
    except ValidationError as error:
        # What does not fit together is looked for below, also where something else is wrong.
        found += [(place, message) for place, message in mistakes(error) if place]
    event, conditions = table.get("event"), table.get("conditions", {})
    if event in EVENTS and isinstance(conditions, Mapping):
        # What is wrong by itself is not told once more for what it does not fit.
        wrong = {place[1] for place, _ in found if place[0] == "conditions" and len(place) > 1}
        sound = {name: value for name, value in conditions.items() if name not in wrong}
        odd = rulebook.nonsense(event, Conditions.model_validate(sound))
        places = [(tuple(field.split(".")), message) for field, message in odd]
        found += [(place, message) for place, message in places if place[1] not in wrong]
    study = table.get("study", "default")
    if isinstance(study, str) and study not in studies:
        found.append((("study",), f"is none that there is; there are {', '.join(sorted(studies))}"))
    return found


def _document(text: str) -> dict[str, Any]:
    if len(text) > LONGEST:
        raise RuleFileError([Problem(1, "", f"is longer than {LONGEST:,} characters")])
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = _unreadable(text, str(error))
    except RecursionError:
        problem = Problem(1, "", "is nested too deeply")
    except ValueError:
        # The one that Python's own reader of numbers raises.
        found = _LONG_NUMBER.search(text)
        line = text.count("\n", 0, found.start()) + 1 if found else 1
        problem = Problem(line, "", "holds a number that is too long")
    raise RuleFileError([problem])


def write(rules: Sequence[Rule]) -> str:
    """The file of these rules; what is as it is by default is left out."""
    return tomli_w.dumps({"rules": [_table(rule) for rule in rules]})


def mistakes(error: ValidationError) -> list[tuple[Place, str]]:
    """What pydantic has found, as places and messages for people."""
    return [(tuple(detail["loc"]), _message(detail)) for detail in error.errors()]


def _twice(tables: list[dict[str, Any]], lines: _Lines) -> list[Problem]:
    slugs = [table.get("slug") for table in tables]
    seen: set[str] = set()
    problems = []
    for number, slug in enumerate(slugs):
        if not isinstance(slug, str):
            continue
        if slug in seen:
            problems.append(Problem(lines.of((number, "slug")), "slug", "is that of a rule further up"))
        seen.add(slug)
    return problems


def _message(detail: Any) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not known here"
    if kind == "literal_error":
        return f"is not one of {context['expected']}"
    if kind == "string_pattern_mismatch":
        return "may hold small letters, digits, - and _ only, and begins with a letter or digit"
    text = str(detail["msg"]).removeprefix("Value error, ")
    return text if kind == "value_error" else text[:1].casefold() + text[1:]


def _table(rule: Rule) -> dict[str, Any]:
    table = rule.model_dump(mode="json", exclude_defaults=True)
    head = {
        "slug": rule.slug,
        "title": rule.title,
        "event": rule.event,
        "enabled": rule.enabled,
        "study": rule.study,
        "delay": rulebook.delay_in_words(rule.delay),
    }
    # Plain values come before tables, or they would belong to those.
    tables = {name: table.pop(name) for name in ("conditions", "limits") if name in table}
    return head | table | {"delay": head["delay"]} | tables


def _names(place: Place) -> list[str]:
    return [f"[{item}]" if isinstance(item, int) else item for item in place]


def _unreadable(text: str, message: str) -> Problem:
    found = _AT_LINE.search(message)
    line = int(found[1]) if found and found[1] else text.rstrip().count("\n") + 1
    return Problem(line, "", f"is not TOML: {_AT_LINE.sub('', message)}")


class _Lines:
    """On which line something stands. TOML's reader does not tell."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Place, int] = {}
        here: Place = ()
        rule = -1
        quote = ""
        for number, line in enumerate(text.split("\n"), start=1):
            if not quote:
                if _RULE.match(line):
                    rule += 1
                    here = (rule,)
                    self._lines[here] = number
                elif (table := _TABLE.match(line)) is not None:
                    here = (rule, table[1])
                    self._lines[here] = number
                elif (other := _OTHER_TABLE.match(line)) is not None:
                    here = (other[1],)
                    self._lines.setdefault(here, number)
                elif (key := _KEY.match(line)) is not None:
                    names = (key[1], *re.findall(r"[A-Za-z0-9_-]+", key[2]))
                    self._lines.setdefault((*here, *names), number)
            quote = _quote_after(line, quote)

    def of(self, place: Place) -> int:
        """The line of what is nearest around it, if it does not stand there itself."""
        while place:
            if place in self._lines:
                return self._lines[place]
            place = place[:-1]
        return 1


def _quote_after(line: str, quote: str) -> str:
    """The quote of the text of several lines that is open at the end of this line, or nothing."""
    for mark in re.findall(r'"""|\'\'\'', line):
        if not quote:
            quote = mark
        elif mark == quote:
            quote = ""
    return quote
