"""A process whose clock is off, as that of a machine that nobody keeps in time.

Python's own clock is moved, before anything else is imported: what a program asks ``time`` and ``datetime``
for. The database's clock is another machine's, and stays right. What only counts on, as time limits do, goes
by the real one as before.
"""

from __future__ import annotations

import ctypes
import gc
import time
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

VARIABLE = "QUICK_CLOCK_OFF"
"""In the environment of a quick worker: by how many seconds its clock is fast; below 0 it is slow."""


def move(seconds: float) -> None:
    """Let this process's clock be ``seconds`` fast from now on."""
    real_time, real_now = time.time, datetime.now
    nanoseconds = time.time_ns
    time.time = lambda: real_time() + seconds
    time.time_ns = lambda: nanoseconds() + round(seconds * 1e9)

    def now(_cls: type[datetime], tz: tzinfo | None = None) -> datetime:
        return real_now(tz) + timedelta(seconds=seconds)

    def utcnow(_cls: type[datetime]) -> datetime:
        return now(datetime, UTC).replace(tzinfo=None)

    def today(_cls: type[date]) -> Any:
        return now(datetime).date()

    # A class of C's takes no new attributes; the dictionary behind it does.
    for kind, methods in ((datetime, {"now": now, "utcnow": utcnow}), (date, {"today": today})):
        [attributes] = [item for item in gc.get_referents(kind.__dict__) if isinstance(item, dict)]
        for name, method in methods.items():
            attributes[name] = classmethod(method)
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))
