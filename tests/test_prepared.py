"""A query that is asked by the driver itself, on both databases."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from psycopg.pq import TransactionStatus
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import PoolProxiedConnection

from canvas_app import store
from canvas_app.prepared import Prepared, at_once
from canvas_app.store import UtcDateTime
from tests.support.world import full_settings

AT = datetime(2026, 5, 1, 8, 30, 15, 123456, tzinfo=UTC)
metadata = sa.MetaData()
things = sa.Table(
    "test_things",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(40)),
    sa.Column("at", UtcDateTime),
    sa.Column("is_on", sa.Boolean),
    sa.Column("said", sa.JSON(none_as_null=True)),
)
NAMED = sa.select(things).where(things.c.name == sa.bindparam("name")).order_by(things.c.id).limit(2)
PID = sa.select(sa.func.pg_backend_pid().label("pid"), sa.bindparam("name").label("name"))


@pytest.fixture
def engine(engine: Engine) -> Engine:
    metadata.create_all(engine)
    return engine


@pytest.fixture
def web(postgres_url: str) -> Iterator[Engine]:
    """One connection, as the web process has them."""
    engine = store.make_engine(full_settings(postgres_url).database_url, pool_size=1, somebody_waits=True)
    yield engine
    engine.dispose()


def pid(engine: Engine) -> int:
    found: int = Prepared(PID, "postgresql").rows(engine, {"name": "x"})[0][0]
    return found


def cut(pid: int, postgres_url: str) -> None:
    """End a connection at its server."""
    other = store.make_engine(full_settings(postgres_url).database_url, pool_size=1)
    with store.writing(other) as connection:
        connection.execute(sa.select(sa.func.pg_terminate_backend(pid)))
    other.dispose()


def insert(engine: Engine, **values: Any) -> None:
    with store.writing(engine) as connection:
        connection.execute(sa.insert(things).values(**values))


def insert_and_raise(engine: Engine, id_: int) -> None:
    with store.writing(engine) as connection:
        connection.execute(sa.insert(things).values(id=id_, name="x"))
        raise LookupError


def test_gives_what_sqlalchemy_gives(engine: Engine) -> None:
    insert(engine, id=1, name="ü%", at=AT, is_on=True, said={"a": [1, None]})
    insert(engine, id=2, name="ü%")
    insert(engine, id=3, name="other", is_on=False)
    prepared = Prepared(NAMED, engine.dialect.name)
    for name in ("ü%", "other", "nobody", None):
        with store.reading(engine) as connection:
            wanted = connection.execute(NAMED, {"name": name}).all()
        assert prepared.rows(engine, {"name": name}) == [list(row) for row in wanted]
    assert prepared.rows(engine, {"name": "ü%"})[0] == [1, "ü%", AT, True, {"a": [1, None]}]


def test_values_go_along_as_their_types_write_them(engine: Engine) -> None:
    insert(engine, id=1, at=AT, is_on=False)
    query = sa.select(things.c.id).where(
        things.c.at == sa.bindparam("at", type_=UtcDateTime()),
        things.c.is_on == sa.bindparam("is_on", type_=sa.Boolean()),
    )
    assert Prepared(query, engine.dialect.name).rows(engine, {"at": AT, "is_on": False}) == [[1]]


def test_a_value_of_the_query_itself_goes_along_as_its_type_writes_it(engine: Engine) -> None:
    insert(engine, id=1, at=AT, name="a%?:b")
    query = sa.select(things.c.id).where(things.c.at == AT, things.c.name == "a%?:b")
    assert Prepared(query, engine.dialect.name).rows(engine, {}) == [[1]]
    earlier = sa.select(things.c.id).where(things.c.at < AT, things.c.name != sa.literal_column("'%?'"))
    at, same = (sa.bindparam("at", type_=UtcDateTime()) for _ in range(2))
    twice = sa.select(things.c.id).where(things.c.at >= at, things.c.at <= same)
    assert Prepared(twice, engine.dialect.name).rows(engine, {"at": AT}) == [[1]]
    assert Prepared(earlier, engine.dialect.name).rows(engine, {}) == []


def test_a_value_that_was_forgotten_is_missed_and_not_taken_for_none(engine: Engine) -> None:
    insert(engine, id=1, name="x")
    query = sa.select(things.c.id).where(things.c.name.is_distinct_from(sa.bindparam("name")))
    with pytest.raises((KeyError, ProgrammingError)):
        Prepared(query, engine.dialect.name).rows(engine, {})


def test_leaves_the_connection_good_for_a_transaction(engine: Engine) -> None:
    prepared = Prepared(NAMED, engine.dialect.name)
    for number in range(12):
        prepared.rows(engine, {"name": "x"})
        with contextlib.suppress(LookupError):
            insert_and_raise(engine, number)
    assert prepared.rows(engine, {"name": "x"}) == []


def test_an_error_is_sqlalchemys_and_carries_no_value(engine: Engine) -> None:
    things.drop(engine)
    with pytest.raises((OperationalError, ProgrammingError)) as caught:
        Prepared(NAMED, engine.dialect.name).rows(engine, {"name": "planted"})
    assert "planted" not in str(caught.value)
    metadata.create_all(engine)
    assert Prepared(NAMED, engine.dialect.name).rows(engine, {"name": "x"}) == []


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://koji:planted@127.0.0.1:1/koji", "sqlite:////dev/null/x.db"]
)
def test_a_database_that_is_away_is_told_as_everywhere(url: str) -> None:
    engine = store.make_engine(url, pool_size=1)
    with pytest.raises(SQLAlchemyError) as caught:
        Prepared(sa.select(sa.bindparam("name").label("name")), engine.dialect.name).rows(
            engine, {"name": "x"}
        )
    assert isinstance(caught.value, OperationalError)
    assert store.is_away(caught.value)
    assert "planted" not in str(caught.value)


def test_a_disk_that_cannot_be_read_is_told_with_its_reason(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = store.make_engine(sqlite_url, pool_size=1)

    class Failing(sqlite3.Connection):
        def cursor(self, *_args: Any) -> Any:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
            raise error

    sa.event.listen(engine, "do_connect", lambda *_: sqlite3.connect(":memory:", factory=Failing))
    with pytest.raises(store.DatabaseUnwritable) as caught:
        Prepared(sa.select(sa.bindparam("name").label("name")), "sqlite").rows(engine, {"name": "x"})
    assert caught.value.reason == "database_unwritable"


def test_a_connection_that_was_cut_is_replaced_without_a_word(web: Engine, postgres_url: str) -> None:
    before = pid(web)
    cut(before, postgres_url)
    assert pid(web) != before


def test_a_connection_that_the_driver_has_given_up_is_replaced_without_a_word(web: Engine) -> None:
    before = pid(web)
    with at_once(web) as connection:
        driver: Any = connection.driver_connection
    driver.close()
    assert pid(web) != before


def test_a_connection_that_was_left_in_the_middle_of_something_is_nobody_elses(web: Engine) -> None:
    before = pid(web)
    with at_once(web) as connection:
        driver: Any = connection.driver_connection
        driver.pgconn.send_query(b"SELECT 1")
    assert pid(web) != before


def test_once_a_connection_was_found_broken_no_other_that_is_as_old_is_relied_upon(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store._LimitedConnection, "limit", 0.7)
    engine = store.make_engine(full_settings(postgres_url).database_url, pool_size=2, somebody_waits=True)
    with at_once(engine), at_once(engine):
        pass
    with at_once(engine):
        frozen = {pid(engine)}
    frozen.add(pid(engine))
    try:
        assert len(frozen) == 2
        for one in frozen:
            os.kill(one, signal.SIGSTOP)
        with pytest.raises(OperationalError):
            pid(engine)
        with at_once(engine):
            assert pid(engine) not in frozen
    finally:
        for one in frozen:
            os.kill(one, signal.SIGCONT)
        engine.dispose()


def test_whoever_has_waited_for_a_frozen_server_waits_no_second_time(
    web: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store._LimitedConnection, "limit", 0.7)
    frozen = pid(web)
    os.kill(frozen, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with pytest.raises(OperationalError):
            pid(web)
        assert time.monotonic() - begun < 1.3
        assert pid(web) != frozen
    finally:
        os.kill(frozen, signal.SIGCONT)


def test_waiting_for_ones_turn_is_no_reason_to_ask_only_once(
    web: Engine, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pid(web)
    cut(before, postgres_url)
    now = [0.0]
    take = store.raw_connection

    def late(engine: Engine, *, ask_first: bool) -> PoolProxiedConnection:
        now[0] += 2
        return take(engine, ask_first=ask_first)

    monkeypatch.setattr("canvas_app.prepared.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(store, "raw_connection", late)
    assert pid(web) != before


def test_it_is_no_transaction(web: Engine) -> None:
    with at_once(web) as connection:
        driver: Any = connection.driver_connection
        driver.execute("SELECT 1")
        assert driver.info.transaction_status == TransactionStatus.IDLE


def test_only_a_card_takes_a_connection_without_asking_it_first(
    web: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(web.dialect, "do_ping", asked.append)
    pid(web)
    pid(web)
    assert asked == []
    with store.reading(web) as connection:
        connection.execute(sa.select(sa.literal(1)))
    assert len(asked) == 1
