"""Migrated PostgreSQL databases for one test after the other, without making one anew for each.

A copy is a thousand files, which takes the system a tenth of a second and more; most tests write a few rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from tests.support.postgres import PostgresServer

_TABLES: Final = """
SELECT schemaname, tablename FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2
"""
# Whatever a test may have left beside rows: tables, columns, indexes, triggers, functions, what the planner
# has learnt, numbers that were drawn, and settings of the database.
_SHAPE: Final = """
SELECT (SELECT max(oid) FROM pg_class), (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_attribute),
       (SELECT count(*) FROM pg_constraint), (SELECT count(*) FROM pg_trigger),
       (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_namespace),
       (SELECT count(*) FROM pg_statistic),
       (SELECT count(*) FROM pg_attrdef), (SELECT count(*) FROM pg_db_role_setting),
       (SELECT count(*) FROM pg_prepared_xacts), (SELECT count(*) FROM pg_index WHERE NOT indisvalid),
       (SELECT max(last_value) FROM pg_sequences)
"""
_CUT_OTHERS: Final = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# A schema's name, and a table's.
_Table = tuple[str, str]
_LOCK_TIMEOUT: Final = "SET lock_timeout = '5s'"
_SMALL_PAGES, _PAGE = 8, 8192


class CleanCopies:
    """Copies of a migrated database, each used by one test at a time, and empty whenever it is taken.

    What a release itself has written must stay as it is: a copy in which that, or anything but rows, was
    changed is thrown away.
    """

    def __init__(self, server: PostgresServer, template: str) -> None:
        """``template``: the address of a migrated database that nobody is connected to."""
        self._server = server
        self._template = template
        self._free: list[str] = []
        with psycopg.connect(template, autocommit=True) as connection:
            tables: list[_Table] = connection.execute(_TABLES).fetchall()
            a_row = sql.SQL("SELECT FROM {} LIMIT 1")
            written = [
                table
                for table in tables
                if connection.execute(a_row.format(sql.Identifier(*table))).fetchone() is not None
            ]
            # The tables that hold rows, and how large they are in bytes.
            size = "SELECT {schema}, {name}, pg_relation_size({text}) WHERE EXISTS (SELECT FROM {table})"
            self._filled = _of_each(size, [table for table in tables if table not in written])
            # What the release itself has written.
            rows = "SELECT {text}, md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} t"
            self._written = _of_each(rows, written)
            self._as_made = self._state(connection)

    def take(self) -> str:
        """The address of a database that is as a release has left it."""
        return self._free.pop() if self._free else self._server.create_database(copy_of=self._template)

    def give_back(self, url: str) -> None:
        """Empty it for the next, and cut whoever is still connected to it."""
        try:
            is_clean = self._empty(url)
        except psycopg.Error:
            # The next test gets one that is made anew, and the one that is at fault for this has ended.
            is_clean = False
        if is_clean:
            self._free.append(url)
        else:
            self._server.drop_database(url)

    def _empty(self, url: str) -> bool:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_CUT_OTHERS)
            connection.execute(_LOCK_TIMEOUT)
            # What refers to a row that goes, goes as well.
            connection.execute("SET session_replication_role = replica")
            for schema, name, size in connection.execute(self._filled).fetchall():
                # Where a table is small, the files that truncating makes anew cost more than all of its rows.
                # Below ten pages the planner reckons with ten, so that what is left behind changes no plan.
                empty = sql.SQL("DELETE FROM {}" if size <= _SMALL_PAGES * _PAGE else "TRUNCATE {} CASCADE")
                connection.execute(empty.format(sql.Identifier(schema, name)))
            return self._state(connection) == self._as_made

    def _state(self, connection: psycopg.Connection[Any]) -> tuple[object, object]:
        return connection.execute(_SHAPE).fetchall(), connection.execute(self._written).fetchall()


def _of_each(select: LiteralString, tables: Iterable[_Table]) -> sql.Composed:
    """The select of each table, all in one query."""
    selects = [
        sql.SQL(select).format(
            schema=sql.Literal(schema),
            name=sql.Literal(name),
            text=sql.Literal(sql.Identifier(schema, name).as_string()),
            table=sql.Identifier(schema, name),
        )
        for schema, name in tables
    ]
    return sql.SQL(" UNION ALL ").join(selects)
