"""PostgreSQL goes away for a moment, again and again, and its connections are cut in between."""

from __future__ import annotations

import time

import psycopg

from tests.faults.platform import Platform
from tests.faults.troubles import Step, Trouble, chance_of
from tests.support.postgres import PostgresServer

_CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


def outages(
    seed: int, server: PostgresServer, *, times: int, every: tuple[float, float], longest: float = 2.0
) -> Trouble:
    """``times`` outages of 0 to ``longest`` seconds, so many seconds apart, all connections cut between."""
    chance = chance_of(seed, "outages")
    steps = []
    for _ in range(times):
        pause, away = chance.uniform(*every), chance.uniform(0.0, longest)
        cut_at = pause * chance.uniform(0.2, 0.8)
        steps.append(Step("cuts", cut_at, lambda _platform: _cut(server)))

        def stop(_platform: Platform, away: float = away) -> None:
            _stop(server, away)

        steps.append(Step("outages", pause - cut_at, stop, takes=away))
    return Trouble(steps)


def _cut(server: PostgresServer) -> None:
    with psycopg.connect(server._url("postgres"), autocommit=True) as connection:
        connection.execute(_CUT)


def _stop(server: PostgresServer, seconds: float) -> None:
    server.stop_hard()
    time.sleep(seconds)
    server.start_again()
