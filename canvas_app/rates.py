"""How often calls may be made, as a pure decision: the generic cell rate algorithm.

https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm. One moment is all that has to be remembered, where
counting calls in windows needs a row for each and lets twice as many through at the seam of two windows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

# Nothing is ever due or blocked further ahead than this, unless the database's clock was set back.
_FURTHEST = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``calls`` in any ``seconds``, wherever that window begins; ``burst`` of them at once.

    A larger burst makes the steady rate smaller: the two together are what must not exceed ``calls``.
    """

    calls: int
    seconds: float
    burst: int

    def __post_init__(self) -> None:
        if not 1 <= self.burst < self.calls:
            raise ValueError("A rate needs a burst of at least one, and smaller than its calls.")

    @property
    def interval(self) -> timedelta:
        """The time between two calls at the steady rate; rounded up, so that no call too many slips in."""
        return timedelta(microseconds=math.ceil(self.seconds * 1_000_000 / (self.calls - self.burst)))

    @property
    def tolerance(self) -> timedelta:
        """How much sooner than at the steady rate a call may come."""
        return self.interval * (self.burst - 1)


@dataclass(frozen=True, slots=True)
class Turn:
    """When a call may be made, and what is to be remembered if it is."""

    at: datetime
    due_at: datetime


def turn(rate: Rate, *, due_at: datetime, blocked_until: datetime | None, now: datetime) -> Turn:
    """The next call's turn. ``due_at``: when all former calls would have been made at the steady rate."""
    due_at = believed(due_at, now) or now
    at = max(now, due_at - rate.tolerance)
    if (blocked_until := believed(blocked_until, now)) is not None:
        at = max(at, blocked_until)
    return Turn(at, max(due_at, at) + rate.interval)


def room(rate: Rate, *, due_at: datetime, blocked_until: datetime | None, now: datetime) -> int:
    """How many calls could be made at this moment, one right after the other: from the burst down to none."""
    until = believed(blocked_until, now)
    if until is not None and until > now:
        return 0
    ahead = max((believed(due_at, now) or now) - now, timedelta(0))
    return max(math.floor((rate.tolerance - ahead) / rate.interval) + 1, 0)


def due_after_block(rate: Rate, *, due_at: datetime, blocked_until: datetime, now: datetime) -> datetime:
    """What is to be remembered when a vendor has said "not before": then one call at a time, and no burst."""
    return max(believed(due_at, now) or now, blocked_until + rate.tolerance)


def believed(moment: datetime | None, now: datetime) -> datetime | None:
    """A moment that was remembered, unless it is further ahead than any can be.

    Then the clock was set back, and to wait for it would be to wait for as long as that.
    """
    return moment if moment is not None and moment <= now + _FURTHEST else None
