"""Decisions, pure: no clock, no database, no network. Everything that they weigh is an argument."""

from __future__ import annotations

import bisect
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from canvas_app.koji.results import KojiResult, Sentiment

# How long a send waits before its next attempt, in seconds; the last one repeats until the send is given up.
_SEND_PAUSES = (2.0, 5.0, 15.0, 30.0, 60.0)

# Standard Webhooks' schedule, and one more day: about 100 hours in all.
# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
_RESULT_PAUSES = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0, 86_400.0)

# How long to wait before asking Koji for what a result still lacks. Analysis takes seconds to minutes.
_FILL_PAUSES = (30.0, 120.0, 600.0, 1_800.0)
# And where it is not analysed at all as far as is known: then there is nothing to make do with yet.
_ANALYSIS_PAUSES = (*_FILL_PAUSES, 7_200.0, 21_600.0, 43_200.0, 86_400.0, 86_400.0, 86_400.0)

# How long a result for an interview that is not known (yet) is held.
_UNKNOWN_PAUSES = (5.0, 30.0, 300.0)

# What waits at a gate comes back after this, or when the gate has said; what waits for a person to mend a
# setting after that. Neither is ever given up for it.
_TURN_PAUSE = 30.0
_MENDING_PAUSE = 600.0
# A call that this machine is too slow for comes back as one that waits at a gate. Not for ever: each time it
# makes work, and nobody but the log would tell of it.
SLOW_AT_MOST = timedelta(days=1)

# When Koji is asked about an interview that stays quiet: this long after it was sent, in seconds. Koji may
# give up on a webhook after three tries, and how soon is not documented. After the last, once a day.
_CHECKS: tuple[float, ...] = (3_600.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0)
_CHECKS_AFTER = 86_400.0

# How long after an automatic message its conversation is closed again, and how often that is tried.
_CLOSING_PAUSES = (0.0, 5.0, 60.0, 600.0, 3_600.0)

_JITTER = 0.2

# Words of Koji's status, which is not documented: one word of the interface, and what such APIs use to say.
_NOT_OVER = frozenset(
    {"active", "created", "in_progress", "in-progress", "incomplete", "invited", "not_started", "ongoing"}
    | {"open", "partial", "pending", "started"}
)
_OVER = frozenset({"analysed", "analyzed", "complete", "completed", "done", "ended", "finished"})

# The status of a result that Koji's own quality gate has refused: whatever else comes, nothing is written.
FAILED_GATE = "failed_quality_gate"


AnswerKind = Literal["completed", "analysis_ready", "failed_quality_gate"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to happen with a result: write it, wait for what it lacks, or record it only."""

    kind: Literal["write", "fill", "record"]
    # Why nothing is written: anonymous, low_quality or quality_unknown.
    reason: str | None = None


def verdict(result: KojiResult, *, study_anonymous: bool, min_quality: float, may_fill: bool) -> Verdict:
    """Decide about a result. ``may_fill`` is whether Koji can still be asked for what is missing.

    An explicitly missing identity is final, and is respected even where the ledger knows who it was.
    """
    if study_anonymous or result.identity == "anonymous":
        return Verdict("record", "anonymous")
    if result.status == FAILED_GATE or (result.quality is not None and result.quality < min_quality):
        return Verdict("record", "low_quality")
    if lacks(result) and may_fill:
        return Verdict("fill")
    if result.quality is None:
        return Verdict("record", "quality_unknown")
    return Verdict("write")


def lacks(result: KojiResult) -> bool:
    """Whether something that is written to Intercom is missing and could be asked for."""
    return result.quality is None or result.sentiment is None or not result.themes


def send_pause(attempt: int, retry_after: float | None, *, chance: float) -> float:
    """Seconds until the next attempt of a send. ``attempt`` counts from 1, ``chance`` is in [0, 1)."""
    return _pause(_SEND_PAUSES[min(attempt, len(_SEND_PAUSES)) - 1], retry_after, chance)


def result_pause(attempt: int, retry_after: float | None, *, chance: float) -> float | None:
    """Seconds until the next attempt to write a result back, or None when it is to be given up."""
    return _scheduled(_RESULT_PAUSES, attempt, retry_after, chance)


def held_pause(retry_after: float | None, *, chance: float) -> float:
    """Seconds until something is tried again that a gate keeps back. ``retry_after``: when its turn comes, or
    None where a person has to mend a setting first."""
    return _pause(_MENDING_PAUSE if retry_after is None else _TURN_PAUSE, retry_after, chance)


def fill_pause(fills: int, *, analysed: bool, chance: float) -> float | None:
    """Seconds until Koji is asked again for what a result lacks, or None when no more."""
    return _scheduled(_FILL_PAUSES if analysed else _ANALYSIS_PAUSES, fills, None, chance)


def closing_pause(attempt: int) -> float | None:
    """Seconds until this attempt to close a conversation again, or None when no more."""
    return _CLOSING_PAUSES[attempt - 1] if attempt <= len(_CLOSING_PAUSES) else None


def unknown_pause(attempt: int, *, chance: float) -> float | None:
    """Seconds until an unknown interview is looked for again, or None when no more."""
    return _scheduled(_UNKNOWN_PAUSES, attempt, None, chance)


def next_check(since: datetime, now: datetime, *, open_days: int, chance: float) -> datetime | None:
    """When Koji is to be asked next about an interview that is quiet ``since``, or None when no more.

    The last time is when its time is over, so that an answer of its last day is found too.
    """
    over = since + timedelta(days=open_days)
    if now >= over:
        return None
    quiet = (now - since).total_seconds()
    number = bisect.bisect_right(_CHECKS, quiet)
    if number < len(_CHECKS):
        before, after = (0.0, *_CHECKS)[number], _CHECKS[number]
    else:
        before = quiet - (quiet - _CHECKS[-1]) % _CHECKS_AFTER
        after = before + _CHECKS_AFTER
    return min(since + timedelta(seconds=after + (after - before) * _JITTER * chance), over)


def event_for(answer: KojiResult) -> AnswerKind | None:
    """Which event Koji would have sent about an interview that it describes so; None: it is not answered."""
    if answer.status == FAILED_GATE:
        return "failed_quality_gate"
    if answer.status in _NOT_OVER:
        return None
    if answer.analysed:
        return "analysis_ready"
    return "completed" if answer.status in _OVER else None


def _scheduled(
    pauses: tuple[float, ...], attempt: int, retry_after: float | None, chance: float
) -> float | None:
    return _pause(pauses[attempt - 1], retry_after, chance) if attempt <= len(pauses) else None


def _pause(base: float, retry_after: float | None, chance: float) -> float:
    # Never sooner than the other side said, and never all at the same moment.
    return (base if retry_after is None else max(base, retry_after)) * (1.0 + _JITTER * chance)


def ask_again_from(asked_at: datetime, *, ask_again_days: int) -> datetime:
    """From when on a contact who was asked at ``asked_at`` may be asked again without a person's word."""
    return asked_at + timedelta(days=ask_again_days)


def asked_recently(asked_at: datetime, now: datetime, *, ask_again_days: int) -> bool:
    """Whether it is too early to ask again. Zero days mean that it never is."""
    return ask_again_days > 0 and now < ask_again_from(asked_at, ask_again_days=ask_again_days)


def worker_alive(seen_at: datetime | None, now: datetime, *, silent_after: float) -> bool:
    if seen_at is None:
        return False
    # What was seen in the future was seen before the clock was set back, which says nothing about now.
    return -silent_after <= (now - seen_at).total_seconds() < silent_after


def tag_slug(theme: str) -> str:
    """A theme as part of a tag's name: ``Pricing friction!`` becomes ``pricing_friction``."""
    return re.sub(r"[^a-z0-9]+", "_", theme.casefold()).strip("_")[:60]


def tags_for(
    result: KojiResult, *, sentiment_tags: Mapping[Sentiment, str | None], allowed_themes: Collection[str]
) -> list[str]:
    """Names of the tags for a result: its sentiment's, if it has one, and those of its themes that are on the
    allow-list.

    ``allowed_themes`` holds slugs, see :func:`tag_slug`. Themes are named by an AI, so that without an
    allow-list they would flood the workspace with tags that occur once.
    """
    tag = sentiment_tags.get(result.sentiment) if result.sentiment else None
    slugs = (tag_slug(theme) for theme in result.themes)
    themes = [f"koji_{slug}" for slug in dict.fromkeys(slugs) if slug and slug in allowed_themes]
    # One may be called like the other: Intercom tells no upper case from lower.
    return [tag, *(theme for theme in themes if theme != tag.casefold())] if tag else themes
