"""The short form of ``make faults``: one seed, on both databases."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import plan
from tests.faults.audit import audit, summary
from tests.faults.driver import SETTINGS, play
from tests.processes.stage import Stage

SEED = 20261123


@pytest.fixture
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One random run at a time: two at once on two cores would test the machine and not the app."""
    with (tmp_path_factory.getbasetemp().parent / "random-run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("alone")
def test_a_random_run_loses_nothing_and_doubles_nothing(database_url: str, tmp_path: Path) -> None:
    drawn = plan.make(SEED)
    with Stage(database_url, tmp_path / "logs", **SETTINGS) as stage:
        run = play(drawn, stage)
        print(summary(run))  # noqa: T201 -- shown with a failure, and with -s.
        problems = audit(run)
    assert not problems, "\n\n".join([summary(run), *problems])
