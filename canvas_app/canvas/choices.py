"""Which studies a rep may choose from. Pure: the studies are handed to it.

Intercom's dropdown holds two to ten options (https://developers.intercom.com/docs/references/canvas-kit), so
that more studies than that are shown on several pages, those first that were asked with last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from canvas_app.canvas.card_states import StudyChoice
from canvas_app.settings import DEFAULT_STUDY, Study

PAGE: Final = 10

_NEVER = datetime.min.replace(tzinfo=UTC)


def askable(every: Sequence[Study], used_at: Mapping[str, datetime]) -> tuple[Study, ...]:
    """The studies that can be asked with, in the order in which they are offered: the environment's first."""
    found = [study for study in every if study.askable]
    if len(found) > PAGE:
        # Sorting keeps the order by name among those that were never asked with.
        found.sort(key=lambda study: used_at.get(study.slug, _NEVER), reverse=True)
        found.sort(key=lambda study: study.slug != DEFAULT_STUDY)
    return tuple(found)


def chosen(offered: Sequence[Study], slug: str | None, page: int | None = None) -> Study | None:
    """The study that is chosen where ``slug`` names one of them, else the first one of the page."""
    named = next((study for study in offered if study.slug == slug), None)
    if named is not None and page is None:
        return named
    return next(iter(_on(offered, page or 0)), None)


def of(offered: Sequence[Study], study: Study, page: int | None = None) -> StudyChoice | None:
    """What the card offers, with ``study`` chosen; None where there is nothing to choose from."""
    if len(offered) < 2:
        return None
    shown = offered.index(study) // PAGE if page is None else page % _pages(offered)
    return StudyChoice(
        options=tuple((option.slug, option.name) for option in _on(offered, shown)),
        chosen=study.slug,
        page=shown,
        pages=_pages(offered),
    )


def _on(offered: Sequence[Study], page: int) -> Sequence[Study]:
    """The last page is as full as the others, since a dropdown of one is none."""
    begin = min(page % _pages(offered) * PAGE, max(len(offered) - PAGE, 0)) if offered else 0
    return offered[begin : begin + PAGE]


def _pages(offered: Sequence[Study]) -> int:
    return max(-(-len(offered) // PAGE), 1)
