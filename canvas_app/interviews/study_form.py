"""What an operator enters for a study, as text: checked all at once, so that every mistake is told together.

Pure: no database, no prompt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from canvas_app import languages
from canvas_app.errors import StudyRefused
from canvas_app.interviews import words
from canvas_app.interviews.studies import BESIDE_THE_SETTINGS
from canvas_app.koji import links as koji_links
from canvas_app.plaintext import one_line
from canvas_app.settings import DEFAULT_STUDY, Settings, Study, checked_credential, checked_link_template

# A study's name in addresses, rules and calls of the API.
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?", re.ASCII)
_LONGEST_NAME: Final = 80
_MOST_CREDITS: Final = 1000
_MOST_LANGUAGES: Final = 50

# The setting that holds it, for the environment's study.
_SETTINGS: Final = {
    "name": "KOJI_STUDY_NAME",
    "api_key": "KOJI_API_KEY",
    "webhook_secret": "KOJI_WEBHOOK_SECRET",
    "link_template": "KOJI_LINK_TEMPLATE",
}

# How a field is called by whoever enters it.
_CALLED: Final = {"api_key": "key", "remind_after_days": "remind", "enabled": "on"}


def new(slug: str, given: Mapping[str, str], *, settings: Settings, others: Sequence[Study]) -> Study:
    """A study as it was entered. Raises StudyRefused with every mistake.

    ``given``: texts by field of :class:`Study`. ``others``: the studies that there are.
    """
    problems = []
    if not _SLUG.fullmatch(slug):
        problems.append(
            "slug: is not 1 to 64 small letters a-z, digits, hyphens and underscores, with a letter or "
            "digit at both ends"
        )
    elif slug in (DEFAULT_STUDY, *(study.slug for study in others)):
        problems.append(f"slug: there is a study {slug} already")
    problems += [
        f"{_called(name)}: is missing" for name in ("name", "api_key") if not given.get(name, "").strip()
    ]
    there = {name: text for name, text in given.items() if name not in ("name", "api_key") or text.strip()}
    study = Study(slug=slug, name=slug, api_key=None, link_template=None)
    return _entered(study, there, settings, others, problems)


def changed(study: Study, given: Mapping[str, str], *, settings: Settings, others: Sequence[Study]) -> Study:
    """The study with what was entered. Raises StudyRefused with every mistake."""
    problems = []
    if not given.get("webhook_secret", "some").strip():
        problems.append("webhook-secret: is empty; a new one may take its place")
    if study.slug == DEFAULT_STUDY:
        there = {name: text for name, text in given.items() if name in BESIDE_THE_SETTINGS}
        problems = [
            f"{_called(name)}: the environment's study has it from the setting {_SETTINGS[name]}"
            for name in given
            if name not in there
        ]
    else:
        there = dict(given)
    return _entered(study, there, settings, others, problems)


def worded(study: Study, language: str, given: Mapping[str, str]) -> Study:
    """The study with these parts of the message in this language. Raises StudyRefused with every mistake.

    ``language``: a tag, or "default" for whoever speaks no language that is worded.
    """
    tag = _language(language)
    wording = {key: dict(parts) for key, parts in study.wording.items()}
    lines = {part: one_line(text, len(text) or 1) for part, text in given.items()}
    wording[tag] = wording.get(tag, {}) | lines
    problems = words.problems(wording, tag)
    if len(wording) > _MOST_LANGUAGES:
        problems.append(f"language: there are {_MOST_LANGUAGES} already")
    if problems:
        raise StudyRefused(problems)
    return replace(study, wording=wording)


def without_words(study: Study, language: str) -> Study:
    """The study without its words in this language. Raises StudyRefused when others would lack theirs."""
    tag = _language(language)
    if tag not in study.wording:
        raise StudyRefused([f"language: the study has no words in {tag}"])
    wording = {key: parts for key, parts in study.wording.items() if key != tag}
    problems = [problem for key in wording for problem in words.problems(wording, key)]
    if problems:
        raise StudyRefused(problems)
    return replace(study, wording=wording)


def reworded(study: Study, language: str, given: Mapping[str, str]) -> Study:
    """The study with these parts of the message in this language and no others; what is blank is left out.

    Raises StudyRefused with every mistake, also where another language would lack its words.
    """
    tag = _language(language)
    there = {part: text for part, text in given.items() if text.strip()}
    if not there:
        raise StudyRefused([f"language: there are no words in {tag}; words of a language may be taken away"])
    rest = {key: parts for key, parts in study.wording.items() if key != tag}
    problems: list[str] = []
    changed = study
    try:
        changed = worded(replace(study, wording=rest), tag, there)
    except StudyRefused as refused:
        problems = list(refused.problems)
    else:
        # Those that build on it: pt-BR takes from pt what it does not say itself.
        problems = [problem for key in rest for problem in words.problems(changed.wording, key)]
    if problems:
        raise StudyRefused(problems)
    return changed


def by_field(refused: StudyRefused) -> list[tuple[str, str]]:
    """The mistakes, each with the field of :class:`Study` or the part of the message that it is about.

    The field is empty where a mistake is about none.
    """
    fields = {called: name for name, called in _CALLED.items()}
    found = []
    for problem in refused.problems:
        called, _, message = problem.partition(": ")
        # As in "greeting (de)".
        called = called.partition(" ")[0]
        name = fields.get(called, called.replace("-", "_"))
        known = name in (*_READ, "slug", "language", *words.PARTS)
        found.append((name, message) if known else ("", problem))
    return found


def _language(text: str) -> str:
    tag = words.ANY_LANGUAGE if text.strip() == words.ANY_LANGUAGE else languages.tag(text)
    if tag is None:
        raise StudyRefused([f"language: is neither a language tag like de or pt-BR nor {words.ANY_LANGUAGE}"])
    return tag


def _entered(
    study: Study,
    given: Mapping[str, str],
    settings: Settings,
    others: Sequence[Study],
    problems: list[str],
) -> Study:
    values: dict[str, Any] = {}
    for name, text in given.items():
        try:
            values[name] = _READ[name](text.strip(), settings)
        except ValueError as error:
            problems.append(f"{_called(name)}: {error}")
    called = str(values.get("name", "")).casefold()
    if called in {other.name.casefold() for other in others if other.slug != study.slug}:
        problems.append("name: another study is called that, and a rep could not tell them apart")
    if problems:
        raise StudyRefused(problems)
    return replace(study, **values)


def _called(name: str) -> str:
    return _CALLED.get(name, name).replace("_", "-")


def _name(text: str, _settings: Settings) -> str:
    name = one_line(text, _LONGEST_NAME + 1)
    if not 1 <= len(name) <= _LONGEST_NAME:
        raise ValueError(f"is not 1 to {_LONGEST_NAME} characters long")
    return name


def _api_key(text: str, _settings: Settings) -> str:
    checked_credential(text)
    if not text:
        raise ValueError("is empty")
    return text


def _webhook_secret(text: str, _settings: Settings) -> str | None:
    return text or None


def _mode(text: str, _settings: Settings) -> str | None:
    if text not in ("text", "voice", "any"):
        raise ValueError("is none of text, voice, any")
    return None if text == "any" else text


def _link_template(text: str, settings: Settings) -> str | None:
    if not text:
        return None
    template = checked_link_template(text)
    if len(template) > koji_links.LONGEST_LINK:
        raise ValueError(f"is longer than {koji_links.LONGEST_LINK} characters")
    example = koji_links.from_template(template, interview_id="a", contact_id="b", email="c", name="d")
    if not koji_links.allowed(example, settings.koji_link_hosts):
        hosts = ", ".join(settings.koji_link_hosts)
        raise ValueError(f"leads to a host that is not in KOJI_LINK_HOSTS ({hosts})")
    return template


def _yes_or_no(text: str, _settings: Settings) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("is neither yes nor no")
    return text == "yes"


def _credits(text: str, _settings: Settings) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or not text.isascii() or int(text) > _MOST_CREDITS:
        raise ValueError(f"is neither a whole number from 0 to {_MOST_CREDITS} nor auto (text 1, voice 3)")
    return int(text)


def _remind(text: str, settings: Settings) -> int | None:
    if text == "off":
        return None
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text) < settings.open_days:
        last = settings.open_days - 1
        raise ValueError(f"is neither off nor 1 to {last} days, before the link ends (OPEN_DAYS)")
    return int(text)


_READ: Final[Mapping[str, Callable[[str, Settings], Any]]] = {
    "name": _name,
    "api_key": _api_key,
    "webhook_secret": _webhook_secret,
    "mode": _mode,
    "link_template": _link_template,
    "anonymous": _yes_or_no,
    "credits": _credits,
    "remind_after_days": _remind,
    "enabled": _yes_or_no,
}
