"""What the console counts over a period: how far interviews came, and what their results say.

Counts are read from two narrow indexes (``ix_interviews_funnel``, ``ix_interviews_answers``) and never from
the rows: a year of 100,000 interviews takes some hundredths of a second. The columns that they hold of the
result are made by the database from its JSON, so that nothing has to be kept in step. Themes and times need
the rows, and are taken from the newest results alone (:data:`MOST_READ`).
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app.interviews.tables import interviews

# In days.
PERIODS: Final = (7, 30, 90, 365)
# How far an interview came, each including what comes after it; the number is the column "stage".
STAGES: Final = ("asked", "sent", "opened", "completed", "analysed", "written_back")
SENTIMENTS: Final = ("positive", "neutral", "mixed", "negative")
SCORES: Final = (1, 2, 3, 4, 5)
# The longest time of each group, and what it is called; the last group has no end.
WAITS: Final = (
    (timedelta(hours=1), "within an hour"),
    (timedelta(hours=6), "1 to 6 hours"),
    (timedelta(days=1), "6 to 24 hours"),
    (timedelta(days=3), "1 to 3 days"),
    (timedelta(days=7), "3 to 7 days"),
    (timedelta.max, "longer"),
)
# The newest results of a period whose themes and times are read.
MOST_READ: Final = 1_000
MOST_THEMES: Final = 10
_WEEK_SECONDS: Final = 604_800


@dataclass(frozen=True, slots=True)
class Funnel:
    """How many came at least as far as each of STAGES."""

    counts: tuple[int, ...] = (0,) * len(STAGES)

    def of_sent(self, stage: int) -> float | None:
        """The share of those that were sent; None before that, and where none was."""
        sent = self.counts[1]
        return None if stage < 1 or not sent else self.counts[stage] / sent

    def of_before(self, stage: int) -> float | None:
        """The share of those that came as far as the stage before."""
        before = self.counts[stage - 1] if stage else 0
        return self.counts[stage] / before if before else None

    def __add__(self, other: Funnel) -> Funnel:
        return Funnel(tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)))


@dataclass(frozen=True, slots=True)
class Week:
    """The results of a week, which begins on a Monday, by sentiment."""

    monday: date
    sentiments: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Theme:
    """A theme, how many results name it, and their share of those that name any."""

    name: str
    number: int
    share: float


@dataclass(frozen=True, slots=True)
class Closer:
    """What is read of the newest results: how many those are, and how many of them name themes.

    ``waits`` counts the times from sending to answer by WAITS; ``to_answer`` is their median, ``to_intercom``
    that of the times from there until all was written.
    """

    read: int = 0
    with_themes: int = 0
    themes: Sequence[Theme] = ()
    waits: Sequence[int] = (0,) * len(WAITS)
    to_answer: timedelta | None = None
    to_intercom: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it. The funnel is of the interviews that were asked for in the period, the rest of the results
    that came in it. ``scores`` has how many were scored so (rounded), ``unscored`` how many were not."""

    funnel: Funnel
    by_study: Mapping[str, Funnel]
    weeks: Sequence[Week]
    answered: int
    scores: Mapping[int, int]
    unscored: int
    closer: Closer


def read(
    connection: Connection,
    workspace_id: str,
    *,
    days: int,
    now: datetime,
    zone: tzinfo,
    study: str | None = None,
) -> Figures:
    """The figures of the last ``days``, of one study or of all; ``by_study`` is of all in any case.

    Weeks begin when they do by the clocks of ``zone``. Three queries.
    """
    since = now - timedelta(days=days)
    by_study = _funnels(connection, workspace_id, since)
    monday = _monday(since, zone)
    rows = _answers(connection, workspace_id, since, monday, study)
    closer = _closer(connection, workspace_id, since, study)
    chosen = [funnel for slug, funnel in by_study.items() if study in (None, slug)]
    number = 1 + int((now - monday).total_seconds()) // _WEEK_SECONDS
    scores: Counter[int] = Counter()
    unscored = 0
    for row in rows:
        if row.quality is None:
            unscored += row.number
        else:
            scores[min(max(int(row.quality + 0.5), SCORES[0]), SCORES[-1])] += row.number
    return Figures(
        funnel=sum(chosen, Funnel()),
        by_study=by_study,
        weeks=_weeks(rows, monday.date(), number),
        answered=sum(row.number for row in rows),
        scores={score: scores[score] for score in SCORES},
        unscored=unscored,
        closer=closer,
    )


def _funnels(connection: Connection, workspace_id: str, since: datetime) -> dict[str, Funnel]:
    columns = interviews.c
    # As a bare column SQLite would rather walk the index of studies, and read every row for it.
    study = columns.study.concat(sa.literal_column("''"))
    rows = connection.execute(
        sa.select(study.label("study"), columns.stage, sa.func.count().label("number"))
        .where(columns.workspace_id == workspace_id, columns.created_at >= since)
        .group_by(study, columns.stage)
    )
    found: dict[str, list[int]] = {}
    for row in rows:
        counts = found.setdefault(row.study, [0] * len(STAGES))
        for stage in range(row.stage + 1):
            counts[stage] += row.number
    return {slug: Funnel(tuple(counts)) for slug, counts in sorted(found.items())}


def _answers(
    connection: Connection, workspace_id: str, since: datetime, monday: datetime, study: str | None
) -> Sequence[sa.Row[Any]]:
    """How many answers each week, sentiment and score has; the week is a number that counts from 0."""
    columns = interviews.c
    seconds = sa.cast(sa.extract("epoch", columns.completed_at), sa.BigInteger)
    begins = sa.literal_column(str(int(monday.timestamp())), sa.BigInteger)
    week = ((seconds - begins) // sa.literal_column(str(_WEEK_SECONDS), sa.BigInteger)).label("week")
    return connection.execute(
        sa.select(week, columns.sentiment, columns.quality, sa.func.count().label("number"))
        .where(*_answered(workspace_id, since, study))
        .group_by(sa.text("week"), columns.sentiment, columns.quality)
    ).all()


def _closer(connection: Connection, workspace_id: str, since: datetime, study: str | None) -> Closer:
    columns = interviews.c
    rows = connection.execute(
        sa.select(
            columns.result["themes"].label("themes"),
            columns.sent_at,
            columns.completed_at,
            columns.written_back_at,
        )
        .where(*_answered(workspace_id, since, study))
        .order_by(columns.completed_at.desc())
        .limit(MOST_READ)
    ).all()
    themes, with_themes = top_themes(row.themes for row in rows)
    # A sender's clock may be a little ahead of ours.
    to_answer = [max(row.completed_at - row.sent_at, timedelta(0)) for row in rows if row.sent_at]
    to_intercom = [
        max(row.written_back_at - row.completed_at, timedelta(0)) for row in rows if row.written_back_at
    ]
    return Closer(
        read=len(rows),
        with_themes=with_themes,
        themes=themes,
        waits=grouped(to_answer),
        to_answer=statistics.median(to_answer) if to_answer else None,
        to_intercom=statistics.median(to_intercom) if to_intercom else None,
    )


def top_themes(lists: Iterable[Any]) -> tuple[list[Theme], int]:
    """The themes that most results name, and how many results name any. Pure.

    They are named by an AI, which writes the same one in different cases: the commonest spelling is shown.
    """
    spellings: dict[str, Counter[str]] = {}
    named = 0
    for themes in lists:
        here: dict[str, str] = {}
        for theme in themes if isinstance(themes, list) else ():
            if isinstance(theme, str) and theme.strip():
                here.setdefault(theme.strip().casefold(), theme.strip())
        named += bool(here)
        for key, theme in here.items():
            spellings.setdefault(key, Counter())[theme] += 1
    most = sorted(spellings.values(), key=lambda spelt: (-spelt.total(), min(spelt)))[:MOST_THEMES]
    return [Theme(_commonest(spelt), spelt.total(), spelt.total() / named) for spelt in most], named


def grouped(times: Iterable[timedelta]) -> list[int]:
    """How many of the times fall into each group of WAITS. Pure."""
    counts = [0] * len(WAITS)
    for time in times:
        counts[next(index for index, (longest, _) in enumerate(WAITS) if time <= longest)] += 1
    return counts


def _commonest(spelt: Counter[str]) -> str:
    return min(spelt, key=lambda spelling: (-spelt[spelling], spelling))


def _answered(workspace_id: str, since: datetime, study: str | None) -> list[sa.ColumnElement[bool]]:
    columns = interviews.c
    found = [columns.workspace_id == workspace_id, columns.completed_at >= since]
    return found if study is None else [*found, columns.study == study]


def _weeks(rows: Iterable[sa.Row[Any]], monday: date, number: int) -> list[Week]:
    weeks: list[Counter[str]] = [Counter() for _ in range(number)]
    for row in rows:
        if row.sentiment in SENTIMENTS:
            # An answer may be dated a little ahead of our clock.
            weeks[min(max(row.week, 0), number - 1)][row.sentiment] += row.number
    return [
        Week(monday + timedelta(weeks=index), {name: counts[name] for name in SENTIMENTS})
        for index, counts in enumerate(weeks)
    ]


def _monday(since: datetime, zone: tzinfo) -> datetime:
    """When the week began in which this moment lies."""
    here = since.astimezone(zone)
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=here.weekday())
