from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from dbos._sys_db import db_retry
from sqlalchemy.engine import Engine
from sqlalchemy.exc import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    TimeoutError as PoolTimeout,
)

from canvas_app import store
from canvas_app.store import UtcDateTime
from tests.support.world import full_settings

LogLines = Callable[[], list[dict[str, Any]]]

metadata = sa.MetaData()
moments = sa.Table(
    "test_moments",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", UtcDateTime),
    sa.Column("count", sa.Integer),
)


class Interrupted(Exception):
    """Something of a test's own."""


@pytest.fixture
def engine(engine: Engine) -> Engine:
    metadata.create_all(engine)
    return engine


def insert(engine: Engine, id_: int, at: datetime | None = None, count: int = 0) -> None:
    with store.writing(engine) as connection:
        connection.execute(sa.insert(moments).values(id=id_, at=at, count=count))


def insert_and_raise(engine: Engine, *new_ids: int) -> None:
    with store.writing(engine) as connection:
        for id_ in new_ids:
            connection.execute(sa.insert(moments).values(id=id_))
        raise Interrupted


def ids(engine: Engine) -> list[int]:
    with store.reading(engine) as connection:
        return list(connection.execute(sa.select(moments.c.id).order_by(moments.c.id)).scalars())


class TestUtcDateTime:
    def test_comes_back_as_the_same_moment_in_utc(self, engine: Engine) -> None:
        in_tokyo = datetime(2026, 5, 1, 8, 30, 15, 123456, tzinfo=timezone(timedelta(hours=9)))
        insert(engine, 1, in_tokyo)
        insert(engine, 2, None)
        with store.reading(engine) as connection:
            found = {row.id: row.at for row in connection.execute(sa.select(moments)).all()}
        assert found == {1: in_tokyo, 2: None}
        assert found[1] is not None
        assert found[1].tzinfo is UTC or found[1].utcoffset() == timedelta(0)

    def test_is_compared_as_a_moment_and_not_as_a_text(self, engine: Engine) -> None:
        earlier = datetime(2026, 5, 1, 9, 0, tzinfo=timezone(timedelta(hours=9)))
        later = datetime(2026, 5, 1, 1, 0, tzinfo=UTC)
        insert(engine, 1, earlier)
        insert(engine, 2, later)
        query = sa.select(moments.c.id).where(moments.c.at < later)
        with store.reading(engine) as connection:
            assert connection.execute(query).scalars().all() == [1]
            assert connection.execute(sa.select(sa.func.max(moments.c.at))).scalar_one() == later

    def test_without_a_zone_is_refused(self, engine: Engine) -> None:
        with pytest.raises(sa.exc.StatementError, match="naive"):
            insert(engine, 1, datetime(2026, 5, 1))  # noqa: DTZ001 -- this is what is refused.
        assert ids(engine) == []


class TestWriting:
    def test_is_committed_at_its_end(self, engine: Engine) -> None:
        insert(engine, 1)
        assert ids(engine) == [1]

    def test_is_rolled_back_as_a_whole_when_an_exception_leaves_it(self, engine: Engine) -> None:
        with pytest.raises(Interrupted):
            insert_and_raise(engine, 1, 2)
        assert ids(engine) == []

    def test_is_rolled_back_as_a_whole_when_a_statement_fails(self, engine: Engine) -> None:
        insert(engine, 2)
        with pytest.raises(IntegrityError):
            insert_and_raise(engine, 1, 2)
        assert ids(engine) == [2]

    def test_leaves_the_connection_good_for_the_next(self, engine: Engine) -> None:
        for id_ in range(12):
            with pytest.raises(Interrupted):
                insert_and_raise(engine, id_)
            insert(engine, id_)
        assert len(ids(engine)) == 12


class TestSqliteWriters:
    @pytest.fixture
    def engine(self, sqlite_url: str) -> Iterator[Engine]:
        engine = store.make_engine(sqlite_url, pool_size=5)
        metadata.create_all(engine)
        yield engine
        engine.dispose()

    def test_a_second_one_waits_between_the_firsts_reading_and_writing(self, engine: Engine) -> None:
        insert(engine, 1, count=0)
        has_read, second_asks = threading.Event(), threading.Event()
        seen: list[int] = []

        def increase(*, first: bool) -> None:
            if not first:
                has_read.wait(5)
                second_asks.set()
            with store.writing(engine) as connection:
                count = connection.execute(sa.select(moments.c.count)).scalar_one()
                seen.append(count)
                if first:
                    has_read.set()
                    assert second_asks.wait(5)
                    # Time enough for the second one to read too, if nothing held it back.
                    assert not threading.Event().wait(0.1)
                connection.execute(sa.update(moments).values(count=count + 1))

        with ThreadPoolExecutor(2) as threads:
            for run in [threads.submit(increase, first=first) for first in (True, False)]:
                run.result()
        assert seen == [0, 1]

    def test_a_reader_waits_for_no_writer(self, engine: Engine) -> None:
        insert(engine, 1)
        with store.writing(engine) as connection:
            connection.execute(sa.insert(moments).values(id=2))
            assert ids(engine) == [1]

    def test_a_reader_holds_up_no_writer(self, engine: Engine) -> None:
        insert(engine, 1)
        with store.reading(engine) as connection:
            connection.execute(sa.select(moments)).all()
            insert(engine, 2)
            # And it sees what was written since, because it holds no transaction.
            assert len(connection.execute(sa.select(moments)).all()) == 2

    def test_foreign_keys_are_enforced(self, engine: Engine) -> None:
        with store.reading(engine) as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


def test_reading_holds_no_transaction_on_postgresql(postgres_url: str) -> None:
    engine = store.make_engine(postgres_url.replace("://", "+psycopg://"), pool_size=2)
    state = sa.text("SELECT state FROM pg_stat_activity WHERE pid = :pid")
    pid = sa.text("SELECT pg_backend_pid()")
    try:
        with store.reading(engine) as first, store.reading(engine) as second:
            reader = first.execute(pid).scalar_one()
            assert second.execute(state, {"pid": reader}).scalar_one() == "idle"
        with store.writing(engine) as first, store.reading(engine) as second:
            writer = first.execute(pid).scalar_one()
            assert second.execute(state, {"pid": writer}).scalar_one() == "idle in transaction"
        # A connection that has read is good for a transaction afterwards.
        metadata.create_all(engine)
        with pytest.raises(Interrupted):
            insert_and_raise(engine, 1)
        assert ids(engine) == []
    finally:
        engine.dispose()


def test_an_idle_connection_whose_server_has_cut_it_is_replaced_unseen(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, other = (store.make_engine(postgres_url, pool_size=1) for _ in range(2))
    asked: list[object] = []
    ping = engine.dialect.do_ping

    def ask(connection: Any) -> bool:
        asked.append(connection)
        return ping(connection)

    monkeypatch.setattr(engine.dialect, "do_ping", ask)
    own = sa.select(sa.func.pg_backend_pid())
    with engine.connect() as connection:
        cut = connection.execute(own).scalar_one()
    with engine.connect() as connection:
        # It was used a moment ago.
        assert connection.execute(own).scalar_one() == cut
    assert asked == []
    with other.connect() as connection:
        connection.execute(sa.select(sa.func.pg_terminate_backend(cut)))
    later = time.perf_counter() + 60
    monkeypatch.setattr(time, "perf_counter", lambda: later)
    with engine.connect() as connection:
        assert connection.execute(own).scalar_one() != cut
    assert len(asked) == 1
    for one in (engine, other):
        one.dispose()


@pytest.mark.parametrize(("is_cut", "times"), [(True, 2), (False, 1)])
def test_what_may_be_repeated_is_made_once_more_where_its_connection_was_cut(
    is_cut: bool, times: int
) -> None:
    asked: list[int] = []

    def ask() -> None:
        asked.append(1)
        raise OperationalError("SELECT", {}, Exception("gone"), connection_invalidated=is_cut)

    with pytest.raises(OperationalError):
        store.once_more(ask)
    assert len(asked) == times


def test_now_is_the_databases_clock(engine: Engine) -> None:
    with store.writing(engine) as connection:
        first = store.now(connection)
        second = store.now(connection)
        from_query = connection.execute(sa.select(store.now_expression(connection))).scalar_one()
    # It goes on inside a transaction, and has a zone.
    assert first < second <= from_query
    assert abs(datetime.now(UTC) - first) < timedelta(minutes=1)


def test_an_error_does_not_carry_the_values_of_its_statement(engine: Engine) -> None:
    insert(engine, 4711)
    with pytest.raises(IntegrityError) as caught:
        insert(engine, 4711, count=8128)
    # PostgreSQL names the key in its own words, which is why messages are never logged.
    assert "8128" not in str(caught.value)
    assert "parameters" in str(caught.value)


def test_an_engine_opens_no_more_connections_than_it_was_allowed(sqlite_url: str) -> None:
    engine = store.make_engine(sqlite_url, pool_size=2)
    pool = engine.pool
    assert isinstance(pool, sa.pool.QueuePool)
    assert (pool.size(), pool._max_overflow) == (2, 0)
    engine.dispose()


def test_the_folder_of_a_database_file_is_made(tmp_path: Path) -> None:
    engine = store.make_engine(f"sqlite:///{tmp_path}/a/b/koji.db", pool_size=1)
    with store.reading(engine) as connection:
        assert connection.execute(sa.select(sa.literal(1))).scalar_one() == 1
    engine.dispose()
    assert (tmp_path / "a" / "b" / "koji.db").exists()


def test_a_folder_that_cannot_be_made_is_a_database_that_is_away(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    engine = store.make_engine(f"sqlite:///{tmp_path}/file/a/koji.db", pool_size=1)
    with pytest.raises(OperationalError), store.reading(engine):
        pytest.fail("it was opened")
    engine.dispose()


def setting(engine: Engine, name: str) -> str:
    with store.reading(engine) as connection:
        value: str = connection.execute(sa.text(f"SHOW {name}")).scalar_one()
    return value


def test_a_statement_is_limited_only_where_somebody_waits(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = full_settings(postgres_url).database_url
    others = store.make_engine(url, pool_size=1)
    assert setting(others, "statement_timeout") == "0"
    monkeypatch.setattr(store, "WEB_STATEMENT_SECONDS", 0.2)
    web = store.make_engine(url, pool_size=1, somebody_waits=True)
    with pytest.raises(OperationalError, match="statement timeout"), store.reading(web) as connection:
        connection.execute(sa.select(sa.func.pg_sleep(60)))
    # It was the server that ended it, so that the connection is as good as before.
    assert setting(web, "statement_timeout") == "200ms"
    for engine in (others, web):
        with store.reading(engine) as connection:
            driver: Any = connection.connection.driver_connection
            given = driver.info.get_parameters()
        # A host that has gone is noticed, however long a statement may take.
        assert given["tcp_user_timeout"] == "5000"
        engine.dispose()


@pytest.mark.parametrize("idle", [True, False], ids=["between two statements", "under way"])
def test_where_somebody_waits_a_server_that_freezes_is_not_waited_for(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, idle: bool
) -> None:
    monkeypatch.setattr(store._LimitedConnection, "limit", 0.5)
    engine = store.make_engine(full_settings(postgres_url).database_url, pool_size=1, somebody_waits=True)
    with store.reading(engine) as connection:
        frozen = connection.execute(sa.select(sa.func.pg_backend_pid())).scalar_one()
        if not idle:
            os.kill(frozen, signal.SIGSTOP)
            with pytest.raises(OperationalError):
                connection.execute(sa.select(sa.literal(1)))
    os.kill(frozen, signal.SIGSTOP)
    try:
        with store.reading(engine) as connection:
            # What the frozen one may still answer is read by nobody.
            assert connection.execute(sa.select(sa.func.pg_backend_pid())).scalar_one() != frozen
    finally:
        os.kill(frozen, signal.SIGCONT)
        engine.dispose()


def test_a_database_that_is_away_is_reported_at_once(caplog: pytest.LogCaptureFixture) -> None:
    engine = store.make_engine("postgresql+psycopg://koji:planted@127.0.0.1:1/koji", pool_size=1)
    with caplog.at_level(logging.DEBUG), pytest.raises(OperationalError) as caught:
        store.reading(engine).__enter__()
    engine.dispose()
    assert "planted" not in str(caught.value) + caplog.text


def test_every_sqlite_tells_the_time_in_parts_of_a_second(sqlite_url: str) -> None:
    """The durable engine needs it on newer Pythons, whatever SQLite they come with."""
    engine = store.make_engine(sqlite_url, pool_size=1)
    before = time.time()
    with store.reading(engine) as connection:
        told = connection.exec_driver_sql("SELECT unixepoch('subsec') * 1000").scalar_one()
    engine.dispose()
    assert before * 1000 - 1 <= told <= time.time() * 1000 + 1
    assert isinstance(told, float)


class TestPatience:
    """A step waits for the database, and is repeated when it is back."""

    @pytest.fixture
    def slept(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        slept: list[float] = []
        monkeypatch.setattr("canvas_app.store.time.sleep", slept.append)
        return slept

    def test_repeats_a_step_through_an_outage_however_long(
        self, slept: list[float], log_lines: LogLines
    ) -> None:
        troubles: list[Exception] = [
            OperationalError("", {}, Exception("planted")),
            InterfaceError("", {}, Exception("planted")),
            PoolTimeout("planted"),
        ] * 20
        asked: list[tuple[str, int]] = []

        def step(interview_id: str, attempt: int) -> str:
            asked.append((interview_id, attempt))
            if troubles:
                raise troubles.pop()
            return "done"

        assert store.patiently(step, "i1", 2) == "done"
        assert asked == [("i1", 2)] * 61
        assert slept[:5] == [0.5, 1.0, 2.0, 4.0, 5.0]
        assert slept == sorted(slept)
        assert max(slept) == 5.0
        lines = log_lines()
        assert [line["event"] for line in lines] == ["waits_for_database"] * 60
        assert "planted" not in json.dumps(lines)

    @pytest.mark.parametrize(
        "error",
        [IntegrityError("", {}, Exception()), DataError("", {}, Exception()), ValueError(), KeyError()],
    )
    def test_does_not_repeat_what_would_fail_again(self, slept: list[float], error: Exception) -> None:
        asked: list[int] = []

        def step() -> None:
            asked.append(1)
            raise error

        with pytest.raises(type(error)):
            store.patiently(step)
        assert (asked, slept) == ([1], [])

    def test_waits_for_no_vendor(self, slept: list[float]) -> None:
        # What a wire raises is an outcome of the attempt and never gets here; if it did, nobody would wait.
        def step() -> None:
            raise TimeoutError

        with pytest.raises(TimeoutError):
            store.patiently(step)
        assert slept == []


class TestADiskThatTakesNoWrites:
    """SQLite's own limit of its size stands for the disk's: the error is the same."""

    @pytest.fixture
    def full(self, sqlite_url: str) -> Iterator[Engine]:
        engine = store.make_engine(sqlite_url, pool_size=1)

        def limit(connection: sqlite3.Connection, _record: object) -> None:
            connection.execute("PRAGMA max_page_count=1")

        sa.event.listen(engine, "connect", limit)
        yield engine
        engine.dispose()

    def test_is_told_with_its_reason_and_counts_as_away(self, full: Engine) -> None:
        with pytest.raises(store.DatabaseUnwritable) as caught, store.writing(full) as connection:
            connection.exec_driver_sql("CREATE TABLE more (content BLOB)")
        assert caught.value.reason == "database_full"
        assert store.is_away(caught.value)

    def test_is_sat_out_by_the_durable_engine(self, full: Engine) -> None:
        calls = []

        @db_retry(initial_backoff=0.001)
        def write() -> str:
            calls.append(1)
            if len(calls) == 1:
                with full.begin() as connection:
                    connection.exec_driver_sql("CREATE TABLE more (content BLOB)")
            return "written"

        assert write() == "written"
        assert len(calls) == 2

    def test_is_seen_by_how_much_room_there_is(
        self, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = store.make_engine(sqlite_url, pool_size=1)
        assert not store.is_full(engine)
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=4096))
        assert store.is_full(engine)
