"""The database: one small engine per process, for SQLite and for PostgreSQL alike.

The engine is shared with the durable engine (DBOS), so that a ledger row and its job are written in one
transaction, and so that one web and one worker together stay within eight connections.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.types import TypeDecorator

WEB_POOL = 3
WORKER_POOL = 5

_IDLE_TRANSACTION_MILLISECONDS = 30_000

# A writer on SQLite waits this long for another writer before it gives up.
_BUSY_MILLISECONDS = 10_000


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC, on both databases. SQLite keeps no zone, so it is put back on reading."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A naive datetime cannot be stored.")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def make_engine(database_url: str, *, pool_size: int) -> Engine:
    """An engine with at most ``pool_size`` connections. Statement parameters never appear in its errors."""
    url = make_url(database_url)
    options: dict[str, Any] = {
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": 10,
        # Parameters are names, addresses and links; an error text must not carry them into a log.
        "hide_parameters": True,
    }
    if url.get_backend_name() == "sqlite":
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(url, **options)
        sa.event.listen(engine, "connect", _prepare_sqlite)
        return engine
    engine = sa.create_engine(
        url,
        pool_pre_ping=True,
        # https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
        connect_args={
            "connect_timeout": 5,
            "application_name": "koji-for-intercom",
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        },
        **options,
    )
    sa.event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _prepare_postgresql(connection: psycopg.Connection[Any], _record: object) -> None:
    # A process that froze or vanished inside a transaction would hold its locks for ever.
    connection.execute(f"SET idle_in_transaction_session_timeout = {_IDLE_TRANSACTION_MILLISECONDS}")
    connection.commit()


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # Writers take the lock at once: a transaction that begins by reading and then writes could otherwise
    # find the database changed beneath it. https://www.sqlite.org/lang_transaction.html
    connection.isolation_level = "IMMEDIATE"
    if sqlite3.sqlite_version_info < (3, 42):
        # On Python 3.12 and newer DBOS writes its times with this function, which older SQLites have without
        # this argument: there it gives NULL, and no job could be written. Debian 12 ships 3.40.
        connection.create_function("unixepoch", 1, _unixepoch)
    connection.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA journal_mode=WAL")


def _unixepoch(modifier: str) -> float:
    """SQLite's ``unixepoch('subsec')``: https://www.sqlite.org/lang_datefunc.html"""
    if modifier != "subsec":
        raise ValueError("only unixepoch('subsec') is made up for")
    return time.time()


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes; committed at the end, rolled back when an exception leaves it."""
    with engine.connect() as connection, connection.begin():
        if engine.dialect.name == "sqlite":
            # The driver begins a transaction at the first write only; what is read before must belong to it.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that only reads. On PostgreSQL each statement is one round trip, with no transaction."""
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection


def now_expression(connection: Connection) -> sa.ColumnElement[datetime]:
    """The database's clock, for use in a query: the one clock that all processes share."""
    if connection.dialect.name == "sqlite":
        # SQLite runs in this process, so this machine's clock is the database's.
        return sa.literal(datetime.now(UTC), UtcDateTime())
    return sa.type_coerce(sa.func.clock_timestamp(), UtcDateTime())


def now(connection: Connection) -> datetime:
    """The database's clock, now."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    moment: datetime = connection.execute(sa.select(now_expression(connection))).scalar_one()
    return moment


def insert_ignoring_conflicts(connection: Connection, table: sa.Table, values: dict[str, Any]) -> bool:
    """Insert a row unless a unique index has it already; True when it was inserted."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    # A conflicting row returns nothing; an insert's row count is not kept by every driver.
    statement = dialect.insert(table).values(values).on_conflict_do_nothing()
    return connection.execute(statement.returning(*table.primary_key.columns)).first() is not None
