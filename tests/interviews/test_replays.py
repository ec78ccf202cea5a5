"""Many failed deliveries are taken up again: each once, in batches, however often that is asked for."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.interviews import deliveries as keeping, replays
from canvas_app.interviews.replays import Which
from canvas_app.interviews.tables import deliveries
from tests.interviews import many
from tests.interviews.asks import NOW
from tests.support.world import World

UNKNOWN = {
    "kind": "analysis_ready",
    "name": "interview.analysis_ready",
    "result": {"koji_interview_id": "nobodys"},
}


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "PAUSE", 0.0)
    monkeypatch.setattr(replays, "_AT_ONCE", 3)
    monkeypatch.setattr(replays, "_BATCHES_A_JOB", 2)


def failed(world: World, number: int = 20, **changes: object) -> None:
    rows = [
        many.delivery(
            one, state="failed", reason="server_error", content=UNKNOWN, door="koji", interview_id=None
        )
        | changes
        for one in range(number)
    ]
    with store.writing(world.engine) as connection:
        connection.execute(sa.insert(deliveries), rows)


def states(world: World) -> dict[str, int]:
    with store.reading(world.engine) as connection:
        query = sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state)
        return {row[0]: row[1] for row in connection.execute(query)}


def begin(world: World, which: Which | None = None) -> str:
    id_ = replays.begin(world.engine, world.services.jobs, which or Which())
    assert id_ is not None
    return id_


def progress(world: World, id_: str) -> replays.Replay:
    with store.reading(world.engine) as connection:
        found = replays.get(connection, id_)
    assert found is not None
    return found


def replay_jobs(world: World) -> list[str]:
    return [name for name, _ in world.pending() if name == "replay"]


def test_a_job_takes_up_a_few_and_enqueues_the_next(world: World) -> None:
    failed(world)
    id_ = begin(world)
    assert progress(world, id_).total == 20
    for job, seen in ((1, 6), (2, 12), (3, 18)):
        assert replays.go_on(world.services, id_, job)
        assert progress(world, id_).seen == seen
        assert states(world) == {"stored": seen, "failed": 20 - seen}
    assert not replays.go_on(world.services, id_, 4)
    run = progress(world, id_)
    assert (run.seen, run.not_taken, run.finished_at is not None) == (20, 0, True)
    assert states(world) == {"stored": 20}


def test_a_job_that_is_repeated_takes_nothing_up_twice(world: World) -> None:
    failed(world)
    id_ = begin(world)
    assert replays.go_on(world.services, id_, 1)
    assert not replays.go_on(world.services, id_, 1)
    assert progress(world, id_).seen == 6
    assert len([name for name, _ in world.pending() if name == "forward"]) == 6


def test_two_at_once_share_what_there_is(world: World) -> None:
    failed(world, 10)
    first, second = begin(world), begin(world)
    for batch in (1, 2):
        replays.go_on(world.services, first, batch)
        replays.go_on(world.services, second, batch)
    assert states(world) == {"stored": 10}
    assert len([name for name, _ in world.pending() if name == "forward"]) == 10


def test_what_fails_again_meanwhile_is_not_taken_up_for_ever(sqlite_world: World) -> None:
    world = sqlite_world
    failed(world, 12)
    id_ = begin(world)
    batch = 1
    while replays.go_on(world.services, id_, batch):
        with store.writing(world.engine) as connection:
            for (one,) in connection.execute(
                sa.select(deliveries.c.id).where(deliveries.c.state == "stored")
            ).all():
                keeping.finish(connection, one, "failed", "server_error", store.now(connection))
        batch += 1
        assert batch < 10
    assert progress(world, id_).seen == 12


def test_only_those_that_were_chosen_are_taken_up(sqlite_world: World) -> None:
    world = sqlite_world
    failed(world, 10)
    with store.writing(world.engine) as connection:
        other = sa.update(deliveries).where(deliveries.c.id.in_([many.id_of(n, "d") for n in (1, 2)]))
        connection.execute(other.values(reason="given_up"))
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.id == many.id_of(2, "d"))
            .values(received_at=NOW - timedelta(days=9))
        )
    which = Which("koji", "given_up", NOW - timedelta(days=1), NOW + timedelta(days=1))
    id_ = begin(world, which)
    assert not replays.go_on(world.services, id_, 1)
    assert states(world) == {"failed": 9, "stored": 1}
    assert replays.begin(world.engine, world.services.jobs, Which(door="intercom")) is None


def test_what_cannot_be_read_or_is_gone_keeps_no_other_from_its_turn(sqlite_world: World) -> None:
    world = sqlite_world
    failed(world, 5)
    with store.writing(world.engine) as connection:
        for number, content in ((1, None), (2, {"kind": "no such kind"})):
            this = deliveries.c.id == many.id_of(number, "d")
            connection.execute(sa.update(deliveries).where(this).values(content=content))
    id_ = begin(world)
    assert not replays.go_on(world.services, id_, 1)
    run = progress(world, id_)
    assert (run.seen, run.not_taken) == (5, 2)
    assert states(world) == {"stored": 3, "failed": 2}


def test_a_fault_of_ours_ends_it_and_is_told(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = sqlite_world
    failed(world, 5)
    id_ = begin(world)

    def fail(*_args: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(replays, "_take_up", fail)
    world.faults_wanted = True
    assert world.run_jobs() == ["replay"]
    run = progress(world, id_)
    assert (run.problem, run.finished_at is not None) == ("internal_error", True)
    assert replay_jobs(world) == []
