"""The writers of one process in a line, for SQLite, which has one writer at a time.

Whoever finds its lock taken is let sleep, longer each time, up to a tenth of a second, and looks again, not
in turn: where many write at once, some come too late again and again.
https://www.sqlite.org/c3ref/busy_timeout.html
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError, TimeoutError as PoolTimeout

BEGIN: Final = "BEGIN IMMEDIATE"
# How long the first one waits until it looks again whether SQLite's lock is free: all others wait behind it.
_LOOK_AGAIN_SECONDS: Final = 0.002


class Line:
    """Threads have their turns in the order in which they came.

    ``patience``: the seconds that one waits for its turn and for SQLite's lock together.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._guard = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """Wait for a turn, and have it. Raises SQLAlchemy's TimeoutError: the database is too busy."""
        until = time.monotonic() + self._patience
        self._wait(until)
        try:
            yield Turn(until, self._patience)
        finally:
            self._pass_on()

    def _wait(self, until: float) -> None:
        with self._guard:
            if not self._is_taken:
                self._is_taken = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        try:
            came = mine.wait(until - time.monotonic())
        except BaseException:
            if not self._leaves(mine):
                self._pass_on()
            raise
        if not came and self._leaves(mine):
            raise PoolTimeout("No turn to write has come.")

    def _leaves(self, mine: threading.Event) -> bool:
        """Out of the line; False where the turn has come in this very moment."""
        with self._guard:
            if mine.is_set():
                return False
            self._waiting.remove(mine)
            return True

    def _pass_on(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._is_taken = False


@dataclass(frozen=True, slots=True)
class Turn:
    """One that has come. ``until`` is when its ``patience`` of seconds is over, by the monotonic clock."""

    until: float
    patience: float

    def begin(self, connection: Connection) -> None:
        """Take SQLite's lock. Raises OperationalError where another process holds it for too long."""
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
        try:
            while not self._begins(connection):
                time.sleep(_LOOK_AGAIN_SECONDS)
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={round(1000 * self.patience)}")

    def _begins(self, connection: Connection) -> bool:
        is_last = time.monotonic() >= self.until
        try:
            connection.exec_driver_sql(BEGIN)
        except OperationalError as error:
            is_busy = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            if is_last or not is_busy:
                raise
            return False
        return True
