"""Operators: what two of them do at the same moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import store
from canvas_app.interviews import operators, provisions
from tests.support.world import World


def _waits_for_a_lock(engine: Engine) -> bool:
    if engine.dialect.name == "sqlite":
        # A second writer waits before it reads anything.
        return True
    with store.reading(engine) as connection:
        return bool(connection.execute(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar())


def at_once(engine: Engine, act: Callable[[Connection], object]) -> list[object]:
    """What comes of an act that somebody begins while another is in the middle of the same."""
    found: list[object] = []

    def second() -> None:
        with store.writing(engine) as connection:
            found.append(act(connection))

    with store.writing(engine) as connection:
        found.append(act(connection))
        thread = threading.Thread(target=second)
        thread.start()
        deadline = time.monotonic() + 10
        while not _waits_for_a_lock(engine) and time.monotonic() < deadline:
            time.sleep(0.01)
    thread.join(30)
    return found


@pytest.mark.parametrize("before", [0, 1])
def test_of_two_who_end_all_sessions_the_second_ends_what_began_meanwhile(world: World, before: int) -> None:
    for _ in range(before):
        with store.writing(world.engine) as connection:
            operators.end_all_sessions(connection)
    assert at_once(world.engine, operators.end_all_sessions) == [before + 1, before + 2]


def test_of_two_who_let_a_worker_set_up_one_does(world: World) -> None:
    jobs, settings = world.services.jobs, world.settings
    found = at_once(world.engine, lambda connection: provisions.ask(connection, jobs, settings))
    assert found == [True, False]
    assert [name for name, _ in world.pending()] == ["set_up"]
