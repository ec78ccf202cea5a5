"""Queries that are put together once a process, and asked by the driver itself.

SQLAlchemy makes the text and knows the types; what it does for each execution beyond that takes several times
as long as the database does to answer. That is worth its while where a query is asked for every card.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection

from canvas_app import store

# Whoever has waited this long, in seconds, until a connection turned out to be broken asks no second one.
_SOON: Final = 0.5
_DRIVERS: Final = {"sqlite": "sqlite+pysqlite://", "postgresql": "postgresql+psycopg://"}


@contextmanager
def at_once(engine: Engine, *, ask_first: bool = False) -> Iterator[PoolProxiedConnection]:
    """The driver's own connection, for a look at the database; nothing is written with it.

    It is not asked first whether it still stands, unless ``ask_first``: whoever looks has to look again where
    the error's ``connection_invalidated`` says that it did not. On PostgreSQL it is in no transaction. What
    the driver raises is raised as SQLAlchemy does.
    """
    is_postgresql = engine.dialect.name == "postgresql"
    driver: Any = None
    try:
        connection = store.raw_connection(engine, ask_first=ask_first)
        driver = connection.driver_connection
        try:
            if is_postgresql:
                driver.autocommit = True
            yield connection
        finally:
            if is_postgresql:
                _leave(engine, connection, driver)
            connection.close()
    except engine.dialect.loaded_dbapi.Error as error:
        raise _told(engine, error, is_broken=bool(is_postgresql and driver and driver.closed)) from error


def _leave(engine: Engine, connection: PoolProxiedConnection, driver: psycopg.Connection[Any]) -> None:
    """Let the next one find the connection as it was, and nobody one that broke or is still at something."""
    if driver.closed:
        # As SQLAlchemy does where it finds one of its own broken: all others are opened anew that are as old.
        engine.pool._invalidate(connection)  # noqa: SLF001 - it has no public name for this
    elif driver.pgconn.transaction_status == TransactionStatus.IDLE:
        driver.autocommit = False
    else:
        connection.invalidate()


def _told(engine: Engine, error: Exception, *, is_broken: bool) -> BaseException:
    """A driver's error as SQLAlchemy tells it. ``is_broken``: of a connection that stands no more."""
    return store.unwritable(error) or DBAPIError.instance(
        None,
        None,
        error,
        engine.dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=is_broken,
        dialect=engine.dialect,
    )


class Prepared:
    """One query for one kind of database, ``sqlite`` or ``postgresql``, whatever engine is then asked."""

    def __init__(self, query: sa.Select[Any], kind: str) -> None:
        dialect = make_url(_DRIVERS[kind]).get_dialect()()
        compiled = query.compile(dialect=dialect)
        self.text: Final = str(compiled)
        # Of those that no caller gives.
        self._given: Final = {
            name: compiled.params[name] for bound, name in compiled.bind_names.items() if not bound.required
        }
        # In what order the values go along; None where they go by their names.
        self._order: Final = compiled.positiontup
        # By name, since a query may hold the same one more than once.
        self._write: Final = {
            name: write
            for bound, name in compiled.bind_names.items()
            if (write := bound.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        }
        self._read: Final = [
            (index, read)
            for index, column in enumerate(query.selected_columns)
            if (read := column.type.dialect_impl(dialect).result_processor(dialect, None)) is not None
        ]

    def rows(self, engine: Engine, values: Mapping[str, object]) -> list[list[Any]]:
        """Ask the database: it is changed by nothing that is asked here. Raises SQLAlchemyError.

        The connection is not asked first whether it still stands, which is a call of its own to PostgreSQL.
        Where one turns out to be broken, the query is asked once more on one that was asked.
        """
        begun = time.monotonic()
        try:
            with at_once(engine) as connection:
                # Not since it waited for its turn, which says nothing about the database.
                begun = time.monotonic()
                found = self._asked(connection, values)
        except DBAPIError as error:
            if not error.connection_invalidated or time.monotonic() - begun > _SOON:
                raise
            with at_once(engine, ask_first=True) as connection:
                found = self._asked(connection, values)
        return [self._read_row(row) for row in found]

    def _asked(
        self, connection: PoolProxiedConnection, values: Mapping[str, object]
    ) -> Sequence[Sequence[Any]]:
        given = {**self._given, **values}
        for name, write in self._write.items():
            given[name] = write(given[name])
        cursor = connection.cursor()
        cursor.execute(self.text, given if self._order is None else [given[name] for name in self._order])
        found = cursor.fetchall()
        cursor.close()
        return found

    def _read_row(self, row: Sequence[Any]) -> list[Any]:
        values = list(row)
        for index, read in self._read:
            if values[index] is not None:
                values[index] = read(values[index])
        return values
