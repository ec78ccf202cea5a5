from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError, TimeoutError as PoolTimeout

from canvas_app import store, writers
from canvas_app.writers import Line
from tests.processes.stage import until


class Interrupted(Exception):
    """Something of a test's own."""


def stands(line: Line, number: int) -> Callable[[], bool]:
    return lambda: len(line._waiting) == number


def sleeps(monkeypatch: pytest.MonkeyPatch, sleep: Callable[[float], object]) -> None:
    monkeypatch.setattr(writers, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))


def never(_seconds: float) -> None:
    raise AssertionError("this is not waited for")


class TestTurns:
    def test_come_in_the_order_of_arrival(self) -> None:
        line = Line(10)
        had: list[int] = []

        def have(number: int) -> None:
            with line.turn():
                had.append(number)

        with ThreadPoolExecutor(8) as pool, line.turn():
            for number in range(8):
                pool.submit(have, number)
                until("it stands in line", stands(line, number + 1))
        assert had == list(range(8))

    def test_are_had_by_one_at_a_time(self) -> None:
        line = Line(10)
        inside: list[int] = []
        most: list[int] = []

        def have(number: int) -> None:
            for _ in range(100):
                with line.turn():
                    inside.append(number)
                    # Let another thread go on, as a call to the database does.
                    time.sleep(0)
                    most.append(len(inside))
                    inside.pop()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(have, range(4)))
        assert set(most) == {1}
        assert len(most) == 400

    def test_are_passed_on_by_whoever_breaks_off(self) -> None:
        line = Line(0)
        with pytest.raises(Interrupted), line.turn():
            raise Interrupted
        with line.turn():
            pass

    def test_are_passed_on_by_whoever_is_stopped_while_waiting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        line = Line(10)

        class Stopped(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                raise KeyboardInterrupt

        monkeypatch.setattr(writers, "threading", SimpleNamespace(Event=Stopped))
        with line.turn(), pytest.raises(KeyboardInterrupt), line.turn():
            pass
        assert stands(line, 0)()
        with line.turn():
            pass

    def test_are_not_waited_for_beyond_the_patience(self) -> None:
        line = Line(0)
        with line.turn(), pytest.raises(PoolTimeout) as raised, line.turn():
            pass
        assert store.is_away(raised.value)
        # Who has given up is not in the line any more.
        assert stands(line, 0)()
        with line.turn():
            pass


@pytest.fixture
def file(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/own.db"


class TestOnSqlite:
    @pytest.fixture
    def other(self, file: str) -> Engine:
        """Another process's."""
        return store.make_engine(file, pool_size=1)

    def web(self, file: str, patience: float) -> Engine:
        return store.make_engine(file, pool_size=2, patience=patience, somebody_waits=True)

    def test_the_lock_is_taken_when_another_process_leaves_it(
        self, file: str, other: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refused, web = threading.Event(), self.web(file, 10)

        def sleep(seconds: float) -> None:
            refused.set()
            time.sleep(seconds)

        sleeps(monkeypatch, sleep)

        def write() -> None:
            with store.writing(web) as connection:
                connection.exec_driver_sql("INSERT INTO notes VALUES (2)")

        with ThreadPoolExecutor(1) as pool:
            with store.writing(other) as connection:
                connection.exec_driver_sql("CREATE TABLE notes (id INTEGER)")
                connection.exec_driver_sql("INSERT INTO notes VALUES (1)")
                written = pool.submit(write)
                assert refused.wait(10)
            written.result(10)
        with store.reading(other) as connection:
            assert list(connection.exec_driver_sql("SELECT id FROM notes").scalars()) == [1, 2]

    def test_the_lock_is_not_waited_for_beyond_the_patience(self, file: str, other: Engine) -> None:
        web = self.web(file, 0.05)
        with (
            store.writing(other),
            pytest.raises(OperationalError, match="locked") as raised,
            store.writing(web),
        ):
            pass
        assert store.is_away(raised.value)
        # The next one has its turn, and the lock.
        with store.writing(web) as connection:
            assert connection.scalar(sa.select(sa.literal(1))) == 1

    def test_the_patience_is_for_the_turn_and_the_lock_together(
        self, file: str, other: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sleeps(monkeypatch, never)
        line = Line(0)
        with (
            store.writing(other),
            self.web(file, 10).connect() as connection,
            line.turn() as turn,
            pytest.raises(OperationalError, match="locked"),
        ):
            # It was over before the lock was looked at.
            turn.begin(connection)

    def test_what_is_no_lock_is_told_at_once(self, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
        sleeps(monkeypatch, never)
        with self.web(file, 10).connect() as connection, Line(10).turn() as turn:
            connection.exec_driver_sql(writers.BEGIN)
            with pytest.raises(OperationalError, match="within a transaction"):
                turn.begin(connection)

    @pytest.mark.parametrize("is_busy", [False, True])
    def test_other_statements_wait_for_as_long_as_before(
        self, file: str, other: Engine, *, is_busy: bool
    ) -> None:
        web = self.web(file, 0.05)
        if is_busy:
            with store.writing(other), pytest.raises(OperationalError), store.writing(web):
                pass
        else:
            with store.writing(web):
                pass
        with store.reading(web) as connection:
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 50
