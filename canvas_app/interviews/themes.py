"""Which of Koji's themes may become tags, and which themes there have been lately."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import store
from canvas_app.interviews import rules
from canvas_app.interviews.tables import interviews, theme_tags

# How many of the newest results are looked at for themes.
RESULTS: Final = 500

# Put together once: every result asks for them.
_ALLOWED: Final = sa.select(theme_tags.c.slug)


@dataclass(frozen=True, slots=True)
class Seen:
    """A theme of the newest results. ``name`` is how Koji called it last, ``count`` in how many it was."""

    slug: str
    name: str
    count: int


def allowed(connection: Connection) -> set[str]:
    """The slugs of the themes that become tags."""
    return set(connection.execute(_ALLOWED).scalars())


def allow(connection: Connection, slugs: Collection[str]) -> None:
    """Let these themes become tags, and no others."""
    connection.execute(sa.delete(theme_tags).where(theme_tags.c.slug.not_in(slugs)))
    for slug in sorted(slugs):
        store.insert_ignoring_conflicts(connection, theme_tags, {"slug": slug})


def seen(connection: Connection, workspace_id: str) -> list[Seen]:
    """The themes of a workspace's newest results, the most frequent first."""
    columns = interviews.c
    rows = connection.execute(
        sa.select(columns.result)
        .where(columns.workspace_id == workspace_id, columns.result_at.is_not(None))
        .order_by(columns.result_at.desc())
        .limit(RESULTS)
    ).scalars()
    counts: Counter[str] = Counter()
    names: dict[str, str] = {}
    for result in rows:
        named = {rules.tag_slug(theme): theme for theme in (result or {}).get("themes", ())}
        for slug, theme in named.items():
            if slug:
                counts[slug] += 1
                names.setdefault(slug, theme)
    return [Seen(slug, names[slug], count) for slug, count in sorted(counts.items(), key=_most_first)]


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]
