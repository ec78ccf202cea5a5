"""What the customer reads, and what the note says. The words stand in templates/; here they are filled in.

Everything inserted comes from outside: a name from Intercom, a line a rep typed, themes an AI wrote. The
templates escape all of it, and it is cut to a length that a person would read.
"""

from __future__ import annotations

import functools

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from canvas_app.koji.results import KojiResult
from canvas_app.plaintext import one_line
from canvas_app.settings import PROJECT_ROOT

PERSONAL_LINE_LENGTH = 300
_FIRST_NAME_LENGTH = 40
_THEME_LENGTH = 80
_LINK_TEXT = "Start the interview"


def invitation(*, contact_name: str | None, personal_line: str | None, url: str) -> str:
    """The message as HTML, with the link as an anchor."""
    # Markup.format escapes what it fills in.
    link = Markup('<a href="{}">{}</a>').format(url, _LINK_TEXT)
    return _render_invitation(contact_name, personal_line, link)


def reminder(*, contact_name: str | None, url: str) -> str:
    """The one reminder as HTML, with the link as an anchor."""
    link = Markup('<a href="{}">{}</a>').format(url, _LINK_TEXT)
    template = _templates().get_template("reminder.html")
    return template.render(first_name=first_name(contact_name), link=link).strip()


def invitation_preview(*, contact_name: str | None, personal_line: str | None) -> tuple[str, ...]:
    """The same message as plain paragraphs, with the link as its text only."""
    html = _render_invitation(contact_name, personal_line, _LINK_TEXT)
    paragraphs = (Markup(part).striptags() for part in html.split("</p>"))  # noqa: S704 - our own HTML, read as text
    return tuple(text for text in paragraphs if text)


def note(result: KojiResult, *, study_name: str, transcript_url: str | None, reference: str) -> str:
    """The note as HTML. ``reference`` is what it is found by when it is not known whether it was posted."""
    return (
        _templates()
        .get_template("note.html")
        .render(
            study=one_line(study_name, 80),
            top_theme=one_line(result.top_theme, _THEME_LENGTH),
            sentiment=result.sentiment,
            quality=number(result.quality),
            themes=[one_line(theme, _THEME_LENGTH) for theme in result.themes[:3]],
            transcript_url=transcript_url,
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


def _render_invitation(contact_name: str | None, personal_line: str | None, link: str) -> str:
    return (
        _templates()
        .get_template("invitation.html")
        .render(
            first_name=first_name(contact_name),
            personal_line=one_line(personal_line, PERSONAL_LINE_LENGTH),
            link=link,
        )
        .strip()
    )


@functools.cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(PROJECT_ROOT / "templates"), autoescape=True, undefined=StrictUndefined
    )
