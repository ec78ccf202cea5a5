from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.support.clean_copies import CleanCopies
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.postgres

INSERT = (
    "INSERT INTO options (name, value, updated_at) SELECT 'n' || n, '1', now() FROM generate_series(1, %s) n"
)


@pytest.fixture
def copies(postgres_server: PostgresServer, migrated_postgres: str) -> CleanCopies:
    return CleanCopies(postgres_server, migrated_postgres)


@pytest.fixture
def used(copies: CleanCopies, postgres_server: PostgresServer) -> Iterator[str]:
    url = copies.take()
    yield url
    postgres_server.drop_database(url)


def do(url: str, statement: str, *values: object) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode(), values)


@pytest.mark.parametrize("rows", [1, 5_000], ids=["a row", "many rows"])
def test_what_a_test_has_written_is_gone_for_the_next(copies: CleanCopies, used: str, rows: int) -> None:
    do(used, INSERT, rows)
    copies.give_back(used)
    assert copies.take() == used
    with psycopg.connect(used) as connection:
        assert connection.execute("SELECT count(*) FROM options").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def test_whoever_is_still_connected_is_cut(copies: CleanCopies, used: str) -> None:
    with psycopg.connect(used) as left_open:
        left_open.execute(INSERT.encode(), [1])
        copies.give_back(used)
        assert copies.take() == used
        with pytest.raises(psycopg.OperationalError):
            left_open.execute("SELECT 1")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE alembic_version SET version_num = 'another'",
        "CREATE TABLE another (id int)",
        "ALTER TABLE options ADD COLUMN another int",
        "DROP INDEX ix_interviews_remind_at",
        "CREATE SEQUENCE another; SELECT nextval('another')",
        "ANALYZE",
    ],
)
def test_a_copy_in_which_more_than_rows_was_changed_is_not_used_again(
    copies: CleanCopies, used: str, statement: str
) -> None:
    do(used, statement)
    copies.give_back(used)
    assert copies.take() != used
