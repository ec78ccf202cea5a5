"""What the customer reads, and what the note says. Their form stands in templates/; here it is filled in.

Everything inserted comes from outside: a name from Intercom, a line a rep typed, an operator's words, themes
an AI wrote. The templates escape all of it, and it is cut to a length that a person would read.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import replace

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from canvas_app.interviews import words
from canvas_app.interviews.options import PARTS, Part
from canvas_app.interviews.words import Words
from canvas_app.koji.results import KojiResult
from canvas_app.plaintext import one_line
from canvas_app.settings import PROJECT_ROOT

PERSONAL_LINE_LENGTH = 300
_FIRST_NAME_LENGTH = 40
_THEME_LENGTH = 80


def invitation(
    *, contact_name: str | None, personal_line: str | None, url: str, said: Words = words.DEFAULT
) -> str:
    """The message as HTML, with the link as an anchor.

    ``said``: the study's words in the contact's language, see :func:`canvas_app.interviews.words.chosen`.
    """
    name = first_name(contact_name)
    # Markup.format escapes what it fills in.
    link = Markup('<a href="{}">{}</a>').format(url, words.filled(said.link_text, name))
    return _render_invitation(name, personal_line, link, said)


def reminder(*, contact_name: str | None, url: str, said: Words = words.DEFAULT) -> str:
    """The one reminder as HTML, with the link as an anchor. ``said``: as for :func:`invitation`."""
    name = first_name(contact_name)
    link = Markup('<a href="{}">{}</a>').format(url, words.filled(said.link_text, name))
    # The same parts as those of the message, without a personal line.
    return _render_invitation(name, None, link, replace(said, invitation=said.reminder))


def invitation_preview(
    *, contact_name: str | None, personal_line: str | None, said: Words = words.DEFAULT
) -> tuple[str, ...]:
    """The same message as plain paragraphs, with the link as its text only."""
    name = first_name(contact_name)
    if personal_line is not None or name is None:
        return _paragraphs(name, personal_line, said)
    # A name is a single word, which comes out of the template as it went in.
    return tuple(words.filled(text, name) for text in _paragraphs_to_fill(said))


@functools.lru_cache(maxsize=64)
def _paragraphs_to_fill(said: Words) -> tuple[str, ...]:
    """The paragraphs for whoever's name is known, with its place still open. Every card that offers the study
    shows them, and a template takes long; nobody's name is kept here."""
    return _paragraphs(words.FIRST_NAME, None, said)


def _paragraphs(name: str | None, personal_line: str | None, said: Words) -> tuple[str, ...]:
    html = _render_invitation(name, personal_line, words.filled(said.link_text, name), said)
    # Our own HTML, read as text.
    paragraphs = (Markup(part).striptags() for part in html.split("</p>"))  # noqa: S704  # nosec B704
    return tuple(text for text in paragraphs if text)


def note(
    result: KojiResult,
    *,
    study_name: str,
    transcript_url: str | None,
    reference: str,
    parts: Collection[Part] = PARTS,
) -> str:
    """The note as HTML. ``reference`` is what it is found by when it is not known whether it was posted, so
    that it is there whatever the ``parts``."""
    has = set(parts)
    return (
        _templates()
        .get_template("note.html")
        .render(
            study=one_line(study_name, 80),
            top_theme=one_line(result.top_theme, _THEME_LENGTH) if "top_theme" in has else None,
            sentiment=result.sentiment if "sentiment" in has else None,
            quality=number(result.quality) if "quality" in has else None,
            themes=[one_line(theme, _THEME_LENGTH) for theme in result.themes[:3] if "themes" in has],
            transcript_url=transcript_url if "transcript" in has else None,
            reference=reference,
        )
    )


def note_reference(interview_id: str) -> str:
    return f"koji-{interview_id}"


def first_name(name: str | None) -> str | None:
    """The first word of a name, unless it is an address or no word at all."""
    words = one_line(name, 200).split()
    if not words or set(words[0]) & set("@/:") or not any(char.isalpha() for char in words[0]):
        return None
    return words[0][:_FIRST_NAME_LENGTH]


def number(value: float | None) -> str:
    """``4`` for 4.0 and ``3.5`` for 3.5."""
    return "unknown" if value is None else f"{value:.1f}".removesuffix(".0")


def _render_invitation(name: str | None, personal_line: str | None, link: str, said: Words) -> str:
    return (
        _templates()
        .get_template("invitation.html")
        .render(
            greeting=words.filled(said.greeting, name),
            personal_line=one_line(personal_line, PERSONAL_LINE_LENGTH),
            invitation=words.filled(said.invitation, name),
            link=link,
            thanks=words.filled(said.thanks, name),
        )
        .strip()
    )


@functools.cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(PROJECT_ROOT / "templates"), autoescape=True, undefined=StrictUndefined
    )
