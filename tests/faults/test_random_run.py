"""The short forms of ``make faults``. Success is what :mod:`tests.faults.audit` says."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.scenarios import SCENARIOS, CannotBeRun, Place
from tests.support import system
from tests.support.postgres import PostgresServer

SEED = 20261123
# Which databases a scenario runs on here, and why not on the other, its module's table says.
ON = {
    "kills": ("sqlite", "postgresql"),
    "outages": ("postgresql",),
    "vendors": ("sqlite",),
    "deliveries": ("sqlite",),
    "deploys": ("postgresql",),
    "clocks": ("postgresql",),
    "disk": ("sqlite",),
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("alone")]


@pytest.fixture
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One random run at a time: two at once on two cores would test the machine and not the app."""
    with (tmp_path_factory.getbasetemp().parent / "random-run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty database; one of PostgreSQL's on a server of its own, which a run may stop."""
    if request.param == "sqlite":
        yield Place(tmp_path, f"sqlite:///{tmp_path}/koji.db")
        return
    folder = system.requires(system.postgres_bin(), "a PostgreSQL server (Debian package postgresql)")
    with PostgresServer(folder) as server:
        yield Place(tmp_path, server.create_database(), server)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        pytest.param(
            name, database, id=f"{name}-{database}", marks=[pytest.mark.postgres] * (database != "sqlite")
        )
        for name, databases in ON.items()
        for database in databases
    ],
    indirect=["place"],
)
def test_a_random_run_loses_nothing_and_doubles_nothing(name: str, place: Place) -> None:
    scenario = SCENARIOS[name]
    try:
        done = scenario.run(place, SEED, scenario.short)
    except CannotBeRun as error:
        system.requires(None, str(error))
        raise
    print(done.summary)  # noqa: T201 -- shown with a failure, and with -s.
    assert not done.problems, "\n\n".join([done.summary, *done.problems])


def test_every_scenario_has_a_short_form() -> None:
    assert ON.keys() == SCENARIOS.keys()
    assert all(set(ON[name]) <= set(scenario.databases) for name, scenario in SCENARIOS.items())
