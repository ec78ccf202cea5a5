"""The database: one small engine per process, for SQLite and for PostgreSQL alike.

The engine is shared with the durable engine (DBOS), so that a ledger row and its job are written in one
transaction, and so that one web and one worker together stay within eight connections to PostgreSQL.
"""

from __future__ import annotations

import logging
import math
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar, cast

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    InternalError,
    InvalidatePoolError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError as PoolTimeout,
)
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.types import TypeDecorator

from canvas_app import log, writers
from canvas_app.errors import KojiForIntercomError

if TYPE_CHECKING:
    from psycopg.abc import PQGen

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

# What the driver and the pool raise while the database is away, and whenever it is too busy.
_AWAY = (OperationalError, InterfaceError, PoolTimeout)
# PostgreSQL is there, but takes no writes (a standby after a failover), or has cut a transaction that
# stood idle. The driver calls these internal errors.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_AWAY_STATES = frozenset({"25006", "25P03"})

# SQLite is there, but cannot write: https://www.sqlite.org/rescode.html
_UNWRITABLE = {
    sqlite3.SQLITE_FULL: "database_full",
    sqlite3.SQLITE_IOERR: "database_unwritable",
    sqlite3.SQLITE_READONLY: "database_unwritable",
}
# Less than this, in bytes, and SQLite's next write may be the one that fails.
_ROOM_FOR_A_WRITE = 128 * 1024

WEB_POOL = 3
# Of a file, which counts no connections, each of gunicorn's threads may have its own, and waits for none.
WEB_POOL_OF_A_FILE = 8
WORKER_POOL = 5

# How long, in seconds, a process waits for the database before it says that it is away. Somebody waits for
# the web process: Intercom gives a card about ten seconds, and a request may have to wait more than once.
WEB_PATIENCE = 3.0
WORKER_PATIENCE = 10.0

# How long a statement of the web process may take on PostgreSQL; all of them take milliseconds.
WEB_STATEMENT_SECONDS = 3.0

_IDLE_TRANSACTION_MILLISECONDS = 30_000
# A host that acknowledges nothing for this long has gone, whatever may still be under way to it.
_UNACKNOWLEDGED_MILLISECONDS = 5_000
# For how long after its use, in seconds, a worker's connection is not asked whether it still lives.
_UNASKED_SECONDS = 1.0
# Of a connection's own notes: when it was used last. One that is new has no such note.
_IN_TOUCH = "in_touch"
# And in which line its writers stand, on SQLite.
_LINE = "line"
# Whether this thread takes a connection that it does not ask first.
_hurry = threading.local()
# How much longer than the server a client waits for a statement's end, so that the server is asked first.
_GRACE_SECONDS = 1.0


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


class DatabaseUnwritable(KojiForIntercomError, PoolTimeout):
    """The database can be read, but its disk takes no writes.

    ``reason`` is ``database_full`` or ``database_unwritable``. To SQLAlchemy, and so to the durable engine,
    it is a wait that was too long: that is what the engine sits out, however long it takes. What SQLite
    raises itself it would take for a fault of the job's.
    """

    default_reason = "database_unwritable"


class _LimitedConnection(psycopg.Connection[Any]):
    """A connection that waits no longer than ``limit`` seconds for the server, which may be frozen.

    Its kernel still acknowledges what is sent then: no limit of the network or the server ends the wait.
    """

    limit: ClassVar[float] = WEB_STATEMENT_SECONDS + _GRACE_SECONDS

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        try:
            return super().wait(gen, interval, self.limit if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                # The answer may still come, and would be taken for the next statement's.
                self.pgconn.finish()
            raise


def make_engine(
    database_url: str, *, pool_size: int, patience: float = WORKER_PATIENCE, somebody_waits: bool = False
) -> Engine:
    """An engine with at most ``pool_size`` connections. Statement parameters never appear in its errors.

    ``patience``: seconds to wait for a free connection, for a new one, and on SQLite for another writer.
    ``somebody_waits``: a statement on PostgreSQL is given up after WEB_STATEMENT_SECONDS by the server, and a
    second later by ourselves where the server is silent; on SQLite writers stand in line. Not for a migration
    or a purge.
    """
    url = make_url(database_url)
    options: dict[str, Any] = {
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": patience,
        # Parameters are names, addresses and links; an error text must not carry them into a log.
        "hide_parameters": True,
    }
    if url.get_backend_name() == "sqlite":
        if url.database:
            # Where the folder cannot be made, connecting says that the database is away.
            with suppress(OSError):
                Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(url, **options)
        # Nobody waits for a worker's threads, and a line of theirs was slower than none.
        line = writers.Line(patience) if somebody_waits else None
        sa.event.listen(engine, "connect", partial(_prepare_sqlite, patience=patience, line=line))
        sa.event.listen(engine, "handle_error", _tell_unwritable)
        return engine
    engine = sa.create_engine(
        url,
        # The one that was used last has most in its memory, and is the least likely to have been cut.
        pool_use_lifo=True,
        # https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
        connect_args={
            "connect_timeout": max(1, round(min(patience, 5))),
            "application_name": "koji-for-intercom",
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": _UNACKNOWLEDGED_MILLISECONDS,
        },
        **options,
    )
    if somebody_waits:
        sa.event.listen(engine, "do_connect", _connect_limited)
    sa.event.listen(engine, "connect", partial(_prepare_postgresql, limited=somebody_waits))
    sa.event.listen(engine, "checkin", _note_touch)
    look = partial(
        _look_whether_it_lives, engine.dialect, unasked_seconds=0.0 if somebody_waits else _UNASKED_SECONDS
    )
    sa.event.listen(engine, "checkout", look)
    return engine


def _note_touch(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info[_IN_TOUCH] = time.perf_counter()


def _look_whether_it_lives(
    dialect: sa.Dialect,
    connection: psycopg.Connection[Any],
    record: ConnectionPoolEntry,
    _proxy: object,
    *,
    unasked_seconds: float,
) -> None:
    """Ask a connection of the pool whether its server is still there, as SQLAlchemy's ping does for each use.

    Not one that is new, or that was used less than ``unasked_seconds`` ago: a worker under load would ask as
    often as it does anything, and it repeats what has met an outage. Nor one of :func:`raw_connection` taken
    in a hurry.
    """
    idle = time.perf_counter() - record.info.get(_IN_TOUCH, math.inf)
    if idle < unasked_seconds or getattr(_hurry, "is_on", False):
        return
    try:
        dialect.do_ping(cast(DBAPIConnection, connection))
    except psycopg.Error as error:
        # With it all others are opened anew that are as old.
        raise InvalidatePoolError from error


def raw_connection(engine: Engine, *, ask_first: bool) -> PoolProxiedConnection:
    """The driver's own connection, of the pool; without ``ask_first`` in a hurry, and not asked."""
    _hurry.is_on = not ask_first
    try:
        return engine.raw_connection()
    finally:
        _hurry.is_on = False


def _connect_limited(
    _dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]
) -> psycopg.Connection[Any]:
    return _LimitedConnection.connect(*arguments, **options)


def _prepare_postgresql(connection: psycopg.Connection[Any], _record: object, *, limited: bool) -> None:
    # A process that froze or vanished inside a transaction would hold its locks for ever.
    connection.execute(f"SET idle_in_transaction_session_timeout = {_IDLE_TRANSACTION_MILLISECONDS}")
    if limited:
        connection.execute(f"SET statement_timeout = {round(WEB_STATEMENT_SECONDS * 1000)}")
    connection.commit()


def _prepare_sqlite(
    connection: sqlite3.Connection, record: ConnectionPoolEntry, *, patience: float, line: writers.Line | None
) -> None:
    record.info[_LINE] = line
    # Writers take the lock at once: a transaction that begins by reading and then writes could otherwise
    # find the database changed beneath it. https://www.sqlite.org/lang_transaction.html
    connection.isolation_level = "IMMEDIATE"
    if sqlite3.sqlite_version_info < (3, 42):
        # On Python 3.12 and newer DBOS writes its times with this function, which older SQLites have without
        # this argument: there it gives NULL, and no job could be written. Debian 12 ships 3.40.
        connection.create_function("unixepoch", 1, _unixepoch)
    connection.execute(f"PRAGMA busy_timeout={round(patience * 1000)}")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA journal_mode=WAL")


def _tell_unwritable(context: sa.engine.ExceptionContext) -> None:
    problem = unwritable(context.original_exception)
    if problem is not None:
        raise problem from context.original_exception


def unwritable(error: BaseException) -> DatabaseUnwritable | None:
    """What a driver's error tells of the disk; None where it is about something else."""
    # The extended codes hold the primary one in their lowest byte.
    reason = _UNWRITABLE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    return None if reason is None else DatabaseUnwritable(reason=reason)


def is_full(engine: Engine) -> bool:
    """Whether the disk of an SQLite database has no room for a write. Of PostgreSQL's nothing is known."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return False
    try:
        return shutil.disk_usage(Path(engine.url.database).parent).free < _ROOM_FOR_A_WRITE
    except OSError:
        # That it is not there at all, connecting tells.
        return False


def _unixepoch(modifier: str) -> float:
    """SQLite's ``unixepoch('subsec')``: https://www.sqlite.org/lang_datefunc.html"""
    if modifier != "subsec":
        raise ValueError("only unixepoch('subsec') is made up for")
    return time.time()


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes; committed at the end, rolled back when an exception leaves it."""
    with engine.connect() as connection:
        line: writers.Line | None = connection.info.get(_LINE)
        with nullcontext() if line is None else line.turn() as turn, connection.begin():
            # SQLite's driver begins it at the first write only; what is read before must belong to it.
            if turn is not None:
                turn.begin(connection)
            elif engine.dialect.name == "sqlite":
                connection.exec_driver_sql(writers.BEGIN)
            yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that only reads. On PostgreSQL each statement is one round trip, with no transaction."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="AUTOCOMMIT")
        yield connection


def patiently(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call something that may be repeated, again and again while the database is away.

    The durable engine does the same with what it writes itself: nothing is lost by an outage, however long.
    """
    pause = 0.5
    while True:
        try:
            return function(*args, **kwargs)
        except SQLAlchemyError as error:
            if not is_away(error):
                raise
            log.failure(logger, "waits_for_database", error)
            time.sleep(pause)
            pause = min(pause * 2, 5.0)


def once_more(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call something that may be repeated, and a second time where the connection that it got had been cut:
    one that was used a moment ago is not asked first. An outage is not waited out."""
    try:
        return function(*args, **kwargs)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    return function(*args, **kwargs)


def is_away(error: SQLAlchemyError) -> bool:
    """Whether an error says that the database is away, too busy or takes no writes, and not that we erred."""
    if isinstance(error, InternalError):
        return getattr(error.orig, "sqlstate", None) in _AWAY_STATES
    return isinstance(error, _AWAY)


def now_expression(connection: Connection) -> sa.ColumnElement[datetime]:
    """The database's clock, for use in a query: the one clock that all processes share."""
    if connection.dialect.name == "sqlite":
        # SQLite runs in this process, so this machine's clock is the database's.
        return sa.literal(datetime.now(UTC), UtcDateTime())
    return clock("postgresql")


def clock(dialect: str) -> sa.ColumnElement[datetime]:
    """The database's clock, for use in a query that is put together once and asked often.

    On SQLite it is the parameter ``now``, for which whoever asks gives :func:`now`.
    """
    if dialect == "sqlite":
        return sa.bindparam("now", type_=UtcDateTime())
    return sa.type_coerce(sa.func.clock_timestamp(), UtcDateTime())


def now(connection: Connection) -> datetime:
    """The database's clock, now."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    moment: datetime = connection.execute(_NOW).scalar_one()
    return moment


# Put together once: most transactions ask for it.
_NOW = sa.select(clock("postgresql"))


def insert_ignoring_conflicts(connection: Connection, table: sa.Table, values: dict[str, Any]) -> bool:
    """Insert a row unless a unique index has it already; True when it was inserted."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    # A conflicting row returns nothing; an insert's row count is not kept by every driver.
    statement = dialect.insert(table).values(values).on_conflict_do_nothing()
    return connection.execute(statement.returning(*table.primary_key.columns)).first() is not None
