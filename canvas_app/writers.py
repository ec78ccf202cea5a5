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
from typing import Final

from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError, TimeoutError as PoolTimeout

BEGIN: Final = "BEGIN IMMEDIATE"
# How long the first one waits until it looks again whether SQLite's lock is free: all others wait behind it.
_LOOK_AGAIN_SECONDS: Final = 0.002


class Line:
    """Threads have their turns in the order in which they came. ``patience``: the seconds that one waits."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._guard = threading.Lock()
        self._has_turn = False
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and have it. Raises SQLAlchemy's TimeoutError: the database is too busy."""
        self._wait()
        try:
            yield
        finally:
            self._pass_on()

    def begin(self, connection: Connection) -> None:
        """Take SQLite's lock. Raises OperationalError where another process holds it for too long."""
        begun = time.monotonic()
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
        try:
            while not self._begins(connection, last=time.monotonic() - begun > self.patience):
                time.sleep(_LOOK_AGAIN_SECONDS)
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={round(1000 * self.patience)}")

    def _begins(self, connection: Connection, *, last: bool) -> bool:
        try:
            connection.exec_driver_sql(BEGIN)
        except OperationalError as error:
            is_busy = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            if last or not is_busy:
                raise
            return False
        return True

    def _wait(self) -> None:
        with self._guard:
            if not self._has_turn:
                self._has_turn = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        if mine.wait(self.patience):
            return
        with self._guard:
            # It may have come in the very moment in which the patience was over.
            if mine.is_set():
                return
            self._waiting.remove(mine)
        raise PoolTimeout("No turn to write has come.")

    def _pass_on(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._has_turn = False
