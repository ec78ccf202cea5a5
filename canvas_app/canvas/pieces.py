"""What several cards are put together from. Texts have been through ``plaintext.plain`` before."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, Literal

from canvas_app.canvas import ids, texts
from canvas_app.canvas.kit import Button, Dropdown, Option, SubmitAction, Text, UrlAction, is_linkable
from canvas_app.canvas.plaintext import plain
from canvas_app.plaintext import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from canvas_app.canvas.card_states import StudyChoice
    from canvas_app.canvas.kit import Component

# A stretch of the message that is no longer than this would be a single word, or the dots alone.
FEW_CHARACTERS: Final = 12


def context(text: str) -> Text:
    """A line that puts the next one into its place, and stands close to it."""
    return Text(text=text, style="muted", bottom_margin="none")


def header(text: str) -> Text:
    return Text(text=text, style="header")


def paragraph(text: str) -> Text:
    return Text(text=text)


def muted(text: str) -> Text:
    return Text(text=text, style="muted")


def muted_if(text: str) -> Iterable[Text]:
    return [muted(text)] if text else []


@functools.lru_cache(maxsize=128)
def submit(component_id: str, label: str, *, style: Literal["secondary", "link"] = "secondary") -> Button:
    """A button that submits. It never changes, and there are few of them, so that each is made once."""
    return Button(id=component_id, label=label, style=style, action=SubmitAction())


def dropdown(component_id: str, choice: StudyChoice, limit: int) -> Dropdown:
    """``limit``: characters of a name. An option renders no markdown."""
    options = tuple(Option(id=slug, text=one_line(name, limit) or slug) for slug, name in choice.options)
    return Dropdown(id=component_id, options=options, value=choice.chosen)


def preview(paragraphs: tuple[str, ...], limit: int) -> Iterable[Text]:
    """The message, paragraph under paragraph, and together no longer than a card can take."""
    left, shown = limit, []
    for paragraph in paragraphs:
        text = plain(paragraph, left) if left > FEW_CHARACTERS or len(paragraph) <= left else ""
        left -= len(text)
        if text:
            shown.append(text)
    for text in shown[:-1]:
        yield Text(text=text, style="muted", bottom_margin="none")
    yield from map(muted, shown[-1:])


def console(url: str | None, why_not: str) -> Iterable[Component]:
    """The way into the operator's console, or ``why_not``."""
    if url is not None and is_linkable(url):
        yield header(texts.CONSOLE)
        yield paragraph(texts.CONSOLE_LINK)
        yield muted(texts.CONSOLE_LINK_ENDS)
        yield Button(id="open_console", label=texts.OPEN_CONSOLE, action=UrlAction(url=url))
    else:
        yield paragraph(texts.NO_CONSOLE)
        yield from muted_if(why_not)
    yield submit(ids.BACK, texts.BACK, style="link")
