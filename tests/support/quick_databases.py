"""What makes databases quick in tests, where thousands of engines live for moments each.

Only those of the test's own process: the processes of a stage work as they are deployed.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import Pool

_Key = tuple[Any, ...]


class CompiledStatements(dict[_Key, Any]):
    """Compiled statements that all engines of a database's kind share.

    SQLAlchemy keeps them by engine, because two may speak different dialects. Here they do not, and without
    it a quarter of the time of a test goes into compiling what the test before has compiled.
    https://docs.sqlalchemy.org/en/21/core/connections.html#sql-compilation-caching
    """

    def get(self, key: _Key, default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: _Key, compiled: Any) -> None:
        super().__setitem__(key[1:], compiled)


_COMPILED: Final = {"sqlite": CompiledStatements(), "postgresql": CompiledStatements()}


def hurry() -> None:
    """From now on, in this process."""
    sa.event.listen(Engine, "engine_connect", _share_compiled_statements)
    sa.event.listen(Pool, "connect", _wait_for_no_disk)


def _share_compiled_statements(connection: Connection) -> None:
    connection.execution_options(compiled_cache=_COMPILED[connection.dialect.name])


def _wait_for_no_disk(connection: Any, _record: object) -> None:
    # What is tried is what a process that dies leaves behind, and not a machine.
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")
