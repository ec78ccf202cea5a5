"""What is measured, in the order in which it is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench.figures import Found
from bench.parts import footprint, initialize, pages, waits, webhooks, write_back
from bench.place import Run


@dataclass(frozen=True, slots=True)
class Part:
    """``minutes``: about how long it takes on one database with two cores. ``long``: only where it is named,
    or in a short run."""

    name: str
    what: str
    measure: Callable[[Run], Found]
    minutes: float
    long: bool = False


PARTS: Final = (
    Part(
        "initialize",
        "cards a second with 100,000 and 1,000,000 interviews, against a bare Flask view and Express",
        initialize.measure,
        2.3,
    ),
    Part("webhooks", "answers while 5,000 webhooks arrive", webhooks.measure, 0.7),
    Part("tap", "from a tap to the message, stand-ins answering in 100 ms", waits.measure_taps, 1.4),
    Part("note", "from a result to the note, stand-ins answering in 100 ms", waits.measure_results, 1.4),
    Part("write-back", "results a second, one worker and three", write_back.measure, 2),
    Part("footprint", "start, memory, and the processor when idle", footprint.measure, 2),
    Part("console", "the console's pages, beside 100,000 interviews", pages.measure_console, 1.5),
    Part("doors", "each door, one call after the other", pages.measure_doors, 0.5),
    Part("purge", "taps while the history is purged", pages.measure_purge, 0.8),
    Part("memory", "memory after ten minutes of load", footprint.measure_memory, 10.5, long=True),
    Part("backlog", "50,000 results after an outage", write_back.measure_backlog, 28, long=True),
)
