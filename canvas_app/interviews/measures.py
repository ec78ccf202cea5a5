"""What is counted while the app works, for `GET /metrics` and the console: what it is, and how it is kept.

Web processes and workers may be many, so that each counts for itself, in memory, and adds what it has to the
table ``counts`` every few seconds: the sums there are of all processes, and never go down. A count costs no
query where it is made, and a flood of requests makes no more writes than a single one. A process that is
killed takes the counts of its last seconds with it.
"""

from __future__ import annotations

import atexit
import bisect
import json
import logging
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from canvas_app import log, store
from canvas_app.interviews import refused
from canvas_app.interviews.tables import counts

logger = logging.getLogger(__name__)

# How long a process keeps what it has counted for itself.
KEPT_BACK_SECONDS: Final = 5.0
# In the place of a bucket's limit: beyond the last one, and the sum of all that was measured.
BEYOND: Final = "+Inf"
SUM: Final = "sum"
_LONGEST_LABEL: Final = 80


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that is counted, by labels of which there are few: routes, codes and names of ours, never an
    id or a path. With ``buckets``, upper limits in seconds, it is times that are measured."""

    name: str
    help: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()


REQUESTS: Final = Measure(
    "requests",
    "Requests that were answered, by door, route and class of the status.",
    ("door", "route", "status"),
)
REQUEST_SECONDS: Final = Measure(
    "request_seconds",
    "How long requests took, from their first line read to the answer made, by door.",
    ("door",),
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
REFUSALS: Final = Measure(
    "refusals",
    "Requests that were refused, or could not be served for want of a setting, by route and reason.",
    ("route", "reason"),
)
ATTEMPTS: Final = Measure(
    "attempts", "Attempts of jobs that have ended, by job and outcome.", ("job", "outcome")
)
OUTSIDE_CALLS: Final = Measure(
    "outside_calls",
    "Calls to Intercom and Koji by operation: 2xx where one did what it should, else the status, or why "
    "there is none.",
    ("wire", "operation", "status"),
)
SEND_SECONDS: Final = Measure(
    "send_seconds",
    "From the moment when an interview was to be sent (the tap, the request, the end of a delay) to its "
    "message in Intercom, by origin.",
    ("origin",),
    (0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0),
)
RESULT_SECONDS: Final = Measure(
    "result_seconds",
    "From the delivery of a result to the note in Intercom.",
    (),
    (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 43_200.0, 172_800.0),
)
COUNTED: Final = (REQUESTS, REFUSALS, ATTEMPTS, OUTSIDE_CALLS)
MEASURED: Final = (REQUEST_SECONDS, SEND_SECONDS, RESULT_SECONDS)

_Key = tuple[str, tuple[str, ...]]
# By name of the measure, and by its labels; of times with the bucket's limit, or SUM, as the last label.
Totals = dict[str, dict[tuple[str, ...], float]]


class Tally:
    """What one process has counted and not written yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[_Key, float] = {}
        self._refused: Counter[tuple[str, str]] = Counter()
        # Where it is written by itself, and the thread that waits to do so.
        self._engine: Engine | None = None
        self._timer: threading.Timer | None = None

    def count(self, measure: Measure, *labels: str) -> None:
        """One more of these."""
        with self._lock:
            self._add(measure.name, labels, 1)

    def observe(self, measure: Measure, seconds: float, *labels: str) -> None:
        """One more, which took so long."""
        index = bisect.bisect_left(measure.buckets, seconds)
        limit = str(measure.buckets[index]) if index < len(measure.buckets) else BEYOND
        with self._lock:
            self._add(measure.name, (*labels, limit), 1)
            self._add(measure.name, (*labels, SUM), seconds)

    def refuse(self, route: str, reason: str) -> None:
        """One more refused request. ``route`` is no path, and ``reason`` one of our codes."""
        with self._lock:
            self._refused[route, reason] += 1
            self._add(REFUSALS.name, (route, reason), 1)

    def keep(self, engine: Engine) -> None:
        """Write what was counted. Where that fails, it is kept for the next time."""
        with self._lock:
            found, self._counts = self._counts, {}
            refusals, self._refused = self._refused, Counter()
        if not found:
            return
        try:
            with store.writing(engine) as connection:
                _write(connection, found)
                refused.write(connection, refusals)
        except SQLAlchemyError as error:
            # Where the database has committed and could not say so, these are counted twice.
            log.failure(logger, "counts_not_kept", error)
            with self._lock:
                for (name, labels), number in found.items():
                    self._add(name, labels, number)
                self._refused.update(refusals)

    def keep_by_itself(self, engine: Engine) -> None:
        """From now on write what is counted every few seconds, in a thread that is there only meanwhile.

        A request that is answered waits for no write, and a process that has nothing to do does nothing.
        """
        # What was counted since is not lost with a restart.
        atexit.register(self.keep, engine)
        with self._lock:
            self._engine = engine
            self._wait()

    def _add(self, name: str, labels: tuple[str, ...], number: float) -> None:
        key = (name, labels)
        self._counts[key] = self._counts.get(key, 0) + number
        if self._timer is None:
            self._wait()

    def _wait(self) -> None:
        if self._engine is None or not self._counts:
            return
        timer = threading.Timer(KEPT_BACK_SECONDS, self._keep_in_time)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:
            # The process is ending: what it has is written by whoever ends it.
            return
        self._timer = timer

    def _keep_in_time(self) -> None:
        engine = self._engine
        with self._lock:
            self._timer = None
        if engine is not None:
            self.keep(engine)


def totals(connection: Connection) -> Totals:
    """The sums of all processes, since the first of them has counted. One query."""
    found: Totals = {}
    for row in connection.execute(sa.select(counts)):
        found.setdefault(row.name, {})[tuple(json.loads(row.labels))] = row.number
    return found


def _write(connection: Connection, found: dict[_Key, float]) -> None:
    """Add to the sums, in one statement.

    In one order, so that two processes that write at once do not wait for each other in a circle.
    """
    rows: dict[tuple[str, str], float] = {}
    for (name, labels), number in found.items():
        key = (name, json.dumps([label[:_LONGEST_LABEL] for label in labels]))
        rows[key] = rows.get(key, 0) + number
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(counts).values(
        [
            {"name": name, "labels": labels, "number": number}
            for (name, labels), number in sorted(rows.items())
        ]
    )
    more = {"number": counts.c.number + insert.excluded.number}
    keys = list(counts.primary_key.columns)
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=more))
