"""A clock that can be moved: "seven days later", without waiting for them.

The application and its durable engine go by the database's clock and by this machine's, which nobody here can
set. So every moment that they remember is moved back, as if all of it had happened earlier, and with it what
the stand-ins remember. Nothing of the application has to know of it: the engine looks once a second for jobs
whose time has come, and the application asks anew what time it is whenever it looks at a row.

What was called and sent stays as it was recorded, and so do moments inside stored JSON.
"""

from __future__ import annotations

import math
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from sandbox.acts import ActRefused

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy.engine import Connection, Engine

    from sandbox.koji_state import KojiState
    from sandbox.state import AppliedTag, IntercomState, Part

SPANS: Final = {
    "1 hour": timedelta(hours=1),
    "1 day": timedelta(days=1),
    "7 days": timedelta(days=7),
}
"""What the inbox page offers."""
LONGEST: Final = timedelta(days=366)
PATIENCE: Final = 15.0
"""Seconds, in all, for the jobs that come due on the way, and for a database that others write to."""

OF_PROCESSES: Final = frozenset(
    {
        # Leases: a worker says every few seconds that it lives, by the real clock. Seven days of silence
        # would have it taken for dead, its work given to another one, and itself ended.
        ("workers", "renewed_at"),
        # When the vendors take the next call. They count the calls of the last real minute, whatever we say.
        ("gates", "due_at"),
        ("gates", "blocked_until"),
        # Since when a write to Intercom is under way. An old claim is that of a process that has died: the
        # message of one that lives might be written by another one, too.
        ("outside_writes", "claimed_at"),
    }
)
"""Table and column of what processes do at this very moment, which stays where it is while it is fresh."""
FRESH: Final = timedelta(minutes=5)

ENGINE_TABLE: Final = "workflow_status"
"""The engine's table of jobs: https://docs.dbos.dev/explanations/system-tables"""
ENGINE_MOMENTS: Final = (
    "created_at",
    "updated_at",
    "started_at_epoch_ms",
    "completed_at",
    # Before this a delayed job is not put into its queue.
    "delay_until_epoch_ms",
    "workflow_deadline_epoch_ms",
    "debounce_deadline_epoch_ms",
)
"""Its moments, in milliseconds of unix time. When schedules have fired is not among them: a worker that
starts would make up for the ticks of a time that has never been."""

_LOCK_NOT_AVAILABLE = "55P03"


class Clock:
    """The clock of the stand-ins and of the application whose database is ``database_url``.

    Without one, nothing can be moved: :attr:`moves` is False.
    """

    def __init__(self, intercom: IntercomState, koji: KojiState, database_url: str | None) -> None:
        self._intercom, self._koji, self._url = intercom, koji, database_url
        self._turn = threading.Lock()

    @property
    def moves(self) -> bool:
        """Whether time can be let pass."""
        return self._url is not None

    def let_pass(self, span: timedelta) -> None:
        """Let ``span``, in whole seconds, pass. ActRefused where that cannot be.

        It stops at each job that comes due on the way until a worker has done it, as a worker would that was
        there all the time: one that finds its moment long over would not send any more. Jobs that are still
        not done after PATIENCE are not waited for.
        """
        if self._url is None:
            raise ActRefused("The sandbox does not know the application's database.")
        left = int(span.total_seconds())
        if not 0 < left <= LONGEST.total_seconds():
            raise ActRefused(f"Between one second and {LONGEST.days} days can be let pass.")
        with self._turn:
            engine = _engine(self._url)
            give_up = time.monotonic() + PATIENCE
            try:
                while left > 0:
                    step = min(left, _until_next_job(engine, give_up) or left)
                    self._move(engine, timedelta(seconds=step))
                    left -= step
                _wait_for_jobs(engine, give_up)
            except SQLAlchemyError as error:
                raise ActRefused(
                    f"The application's database could not be used: {type(error).__name__}."
                ) from error

    def _move(self, engine: Engine, span: timedelta) -> None:
        with _writing(engine) as connection:
            make_older(connection, span)
        with self._intercom.lock:
            _age_intercom(self._intercom, span)
            _age_koji(self._koji, span)


def make_older(
    connection: Connection,
    span: timedelta,
    *,
    only: Collection[str] | None = None,
    kept: Collection[tuple[str, str]] = OF_PROCESSES,
) -> None:
    """Move what the application's database remembers back by ``span``, in the caller's transaction.

    ``only`` names the tables that are moved, by default all of the application's and the engine's jobs;
    ``kept`` are table and column of moments that stay while they are fresh.
    """
    fresh: sa.ColumnElement[Any]
    if sqlite := connection.dialect.name == "sqlite":
        raw: Any = connection.connection.driver_connection
        raw.create_function("moved_back", 1, lambda text: _moved_back(text, span))
        fresh = sa.literal(_moved_back(datetime.now(UTC).replace(tzinfo=None).isoformat(), FRESH))
    else:
        fresh = sa.func.clock_timestamp() - _interval(FRESH)
    for table, columns in _moments(connection).items():
        if only is not None and table.name not in only:
            continue
        earlier: dict[str, Any] = {}
        for name in columns:
            column: sa.ColumnElement[Any] = table.c[name]
            if table.name == ENGINE_TABLE:
                earlier[name] = column - round(span.total_seconds() * 1000)
                continue
            moved = sa.func.moved_back(column) if sqlite else column - _interval(span)
            in_use = (table.name, name) in kept
            earlier[name] = sa.case((column > fresh, column), else_=moved) if in_use else moved
        connection.execute(sa.update(table).values(earlier))


def _interval(span: timedelta) -> sa.ColumnElement[Any]:
    # In seconds alone: a day of PostgreSQL's has 23 or 25 hours twice a year.
    return sa.func.make_interval(0, 0, 0, 0, 0, 0, span.total_seconds())


def _moments(connection: Connection) -> dict[sa.TableClause, tuple[str, ...]]:
    """The columns that hold a moment, by table. The database tells: nothing here imports the application."""
    found: dict[sa.TableClause, tuple[str, ...]] = {}
    for (_, name), columns in sa.inspect(connection).get_multi_columns().items():
        moments = tuple(column["name"] for column in columns if isinstance(column["type"], sa.DateTime))
        if moments:
            found[sa.table(name, *map(sa.column, moments))] = moments
    return {**found, _engine_table(connection): ENGINE_MOMENTS}


def _engine_table(connection: Connection) -> sa.TableClause:
    schema = "dbos" if connection.dialect.name == "postgresql" else None
    return sa.table(ENGINE_TABLE, *map(sa.column, ("status", *ENGINE_MOMENTS)), schema=schema)


def _moved_back(text: str | None, span: timedelta) -> str | None:
    """An SQLite moment as SQLAlchemy writes it; SQLite's own functions would drop its microseconds."""
    if text is None:
        return None
    return (datetime.fromisoformat(text) - span).isoformat(sep=" ", timespec="microseconds")


# The database ---------------------------------------------------------------------------------------


def _engine(database_url: str) -> Engine:
    # As the application reads it: platforms hand out postgres://, which SQLAlchemy does not know.
    url = re.sub(r"^postgres(ql)?(\+psycopg)?://", "postgresql+psycopg://", database_url.strip())
    # How long SQLite waits for another writer; on PostgreSQL nothing is waited for, see below.
    options = {"timeout": PATIENCE} if url.startswith("sqlite") else {}
    # No connection is held: the application's database may allow few.
    return sa.create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=options)


@contextmanager
def _writing(engine: Engine) -> Iterator[Connection]:
    """One transaction during which nobody else writes: no job sees one moment moved and another not."""
    deadline = time.monotonic() + PATIENCE
    with engine.connect() as connection:
        while True:
            transaction = connection.begin()
            try:
                _lock(connection)
                break
            except OperationalError as error:
                # All or none, again and again: whoever waits for one table while it holds another could wait
                # for somebody who waits for it.
                transaction.rollback()
                if (
                    getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE
                    or time.monotonic() > deadline
                ):
                    raise
                time.sleep(0.02)
        with transaction:
            yield connection


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    quote = connection.dialect.identifier_preparer.format_table
    names = ", ".join(quote(table) for table in _moments(connection))
    connection.exec_driver_sql(f"LOCK TABLE {names} IN EXCLUSIVE MODE NOWAIT")


def _until_next_job(engine: Engine, give_up: float) -> int | None:
    """Seconds until the next delayed job, after those that are due have been done; None if there is none."""
    if not _wait_for_jobs(engine, give_up):
        return None
    now = time.time() * 1000
    with engine.connect() as connection:
        jobs = _engine_table(connection)
        due = sa.select(sa.func.min(jobs.c.delay_until_epoch_ms)).where(jobs.c.status == "DELAYED")
        next_at = connection.execute(due).scalar()
    return None if next_at is None else max(1, math.ceil((next_at - now) / 1000))


def _wait_for_jobs(engine: Engine, give_up: float) -> bool:
    """Wait until no job is due or running; False if that was not so before ``give_up`` (monotonic time)."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        jobs = _engine_table(connection)
        while True:
            waits = sa.and_(jobs.c.status == "DELAYED", jobs.c.delay_until_epoch_ms <= time.time() * 1000)
            busy = sa.or_(waits, jobs.c.status.in_(("ENQUEUED", "PENDING")))
            if not connection.execute(sa.select(sa.func.count()).where(busy)).scalar_one():
                return True
            if time.monotonic() > give_up:
                return False
            time.sleep(0.05)


# The stand-ins --------------------------------------------------------------------------------------


def _age_intercom(state: IntercomState, span: timedelta) -> None:
    seconds = int(span.total_seconds())

    def older(part: Part) -> Part:
        return replace(part, created_at=part.created_at - seconds)

    for contact in state.contacts.values():
        contact.created_at -= seconds
        contact.updated_at -= seconds
        _age_tags(contact.tags, seconds)
        for name, value in contact.custom_attributes.items():
            if state.attributes[name].data_type in {"datetime", "date"} and isinstance(value, int):
                contact.custom_attributes[name] = value - seconds
    for conversation in state.conversations.values():
        conversation.created_at -= seconds
        conversation.updated_at -= seconds
        conversation.source = older(conversation.source)
        conversation.parts[:] = map(older, conversation.parts)
        if conversation.rating is not None:
            rated_at = conversation.rating.created_at - seconds
            conversation.rating = replace(conversation.rating, created_at=rated_at)
        _age_tags(conversation.tags, seconds)


def _age_tags(tags: dict[str, AppliedTag], seconds: int) -> None:
    for tag in tags.values():
        tag.applied_at -= seconds


def _age_koji(state: KojiState, span: timedelta) -> None:
    for interview in state.interviews.values():
        interview.started_at = _earlier(interview.started_at, span)
        if interview.completed_at is not None:
            interview.completed_at = _earlier(interview.completed_at, span)


def _earlier(moment: str, span: timedelta) -> str:
    return (datetime.fromisoformat(moment) - span).isoformat(timespec="milliseconds")
