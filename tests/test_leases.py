from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import leases, store
from canvas_app.interviews.tables import workers


def age(engine: Engine, executor_id: str, seconds: float) -> None:
    """Let a worker have been silent for so long."""
    with store.writing(engine) as connection:
        connection.execute(
            sa.update(workers)
            .where(workers.c.executor_id == executor_id)
            .values(renewed_at=store.now(connection) - timedelta(seconds=seconds))
        )


def renewed_at(engine: Engine, executor_id: str) -> datetime:
    with store.reading(engine) as connection:
        this = sa.select(workers.c.renewed_at).where(workers.c.executor_id == executor_id)
        moment: datetime = connection.execute(this).scalar_one()
    return moment


class TestTake:
    def test_gives_each_worker_an_executor_id_of_its_own(self, engine: Engine) -> None:
        taken = [leases.take(engine) for _ in range(3)]
        assert len(set(taken)) == 3
        assert leases.living(engine) == set(taken)
        assert all(executor_id.isalnum() for executor_id in taken)

    def test_never_gives_out_an_id_again(self, engine: Engine) -> None:
        # What belongs to an id belongs to one process: nobody takes over another's work by its name.
        before = leases.take(engine)
        leases.end(engine, before)
        assert leases.take(engine) != before
        assert before not in leases.living(engine)

    def test_leaves_those_alone_that_are_silent(self, engine: Engine) -> None:
        silent = leases.take(engine)
        age(engine, silent, 3600)
        leases.take(engine)
        assert silent in leases.living(engine)

    def test_of_workers_that_start_together_is_one_lease_each(self, engine: Engine) -> None:
        start = threading.Barrier(5)

        def take() -> str:
            start.wait(10)
            return leases.take(engine)

        with ThreadPoolExecutor(5) as threads:
            taken = [future.result() for future in [threads.submit(take) for _ in range(5)]]
        assert len(set(taken)) == 5
        assert leases.living(engine) == set(taken)


class TestRenew:
    def test_keeps_a_lease_from_being_ended(self, engine: Engine) -> None:
        executor_id = leases.take(engine)
        age(engine, executor_id, 60)
        before = renewed_at(engine, executor_id)
        assert leases.renew(engine, executor_id)
        assert renewed_at(engine, executor_id) - before >= timedelta(seconds=60)
        assert leases.end_silent(engine) == []

    def test_renews_no_other_workers_lease(self, engine: Engine) -> None:
        mine, other = leases.take(engine), leases.take(engine)
        age(engine, other, 60)
        leases.renew(engine, mine)
        assert leases.end_silent(engine) == [other]

    def test_tells_a_worker_that_its_lease_was_taken_away_and_does_not_bring_it_back(
        self, engine: Engine
    ) -> None:
        frozen = leases.take(engine)
        age(engine, frozen, 60)
        assert leases.end_silent(engine) == [frozen]
        assert not leases.renew(engine, frozen)
        assert leases.living(engine) == set()

    def test_fails_for_a_lease_that_was_given_back(self, engine: Engine) -> None:
        executor_id = leases.take(engine)
        leases.end(engine, executor_id)
        assert not leases.renew(engine, executor_id)


class TestEnd:
    def test_ends_one_lease_and_may_be_repeated(self, engine: Engine) -> None:
        first, second = leases.take(engine), leases.take(engine)
        leases.end(engine, first)
        leases.end(engine, first)
        assert leases.living(engine) == {second}


class TestEndSilent:
    @pytest.mark.parametrize(
        ("silent", "ended"), [(leases.SILENT_SECONDS - 1, False), (leases.SILENT_SECONDS + 1, True)]
    )
    def test_ends_what_was_silent_for_too_long_and_nothing_else(
        self, engine: Engine, silent: float, ended: bool
    ) -> None:
        living, other = leases.take(engine), leases.take(engine)
        age(engine, other, silent)
        assert leases.end_silent(engine) == ([other] if ended else [])
        assert leases.living(engine) == ({living} if ended else {living, other})

    def test_gives_who_was_renewed_before_the_clock_was_set_back_time_to_renew_again(
        self, engine: Engine
    ) -> None:
        living, dead = leases.take(engine), leases.take(engine)
        for executor_id in (living, dead):
            age(engine, executor_id, -86_400)
        assert leases.end_silent(engine) == []
        # From now on a silence is noticed.
        age(engine, dead, leases.SILENT_SECONDS + 1)
        assert leases.renew(engine, living)
        assert leases.end_silent(engine) == [dead]

    def test_tells_each_of_them_to_one_of_two_workers(self, engine: Engine) -> None:
        silent = [leases.take(engine) for _ in range(4)]
        for executor_id in silent:
            age(engine, executor_id, 60)
        start = threading.Barrier(2)

        def end_silent() -> list[str]:
            start.wait(10)
            return leases.end_silent(engine)

        with ThreadPoolExecutor(2) as threads:
            both = [future.result() for future in [threads.submit(end_silent) for _ in range(2)]]
        assert sorted(executor_id for ended in both for executor_id in ended) == sorted(silent)


def test_a_worker_renews_often_enough_not_to_seem_silent() -> None:
    # One renewal may fail, and there is still time for the next.
    assert leases.RENEW_SECONDS * 2 < leases.SILENT_SECONDS
