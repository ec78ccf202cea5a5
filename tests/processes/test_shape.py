"""What the processes take, and that the tour of the sandbox finds everything as it should be."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import psycopg
import pytest

from canvas_app import gates
from sandbox.processes import PASSED_ON, ROOT
from tests.processes.stage import Stage, until
from tests.support.databases import on_postgresql, on_sqlite

pytestmark = pytest.mark.slow

MOST_CONNECTIONS = 8
READY_WITHIN = 3.0
MOST_MEGABYTES = 200
MOST_OF_A_CORE = 0.05
IDLE_SECONDS = 10.0


@on_postgresql
def test_one_web_and_one_worker_hold_at_most_eight_connections(stage: Stage) -> None:
    stage.start_worker(quick=False)
    stage.wait_until_healthy()
    until("the worker works", lambda: stage.logged(1, "worker_started"))
    with ConnectionCount(stage.database_url) as idle:
        # Nothing is to happen, for as long as every poll of the worker's takes.
        time.sleep(1.5)
    # More at once would have to wait for their turn at Koji, which takes sixty calls a minute.
    at_once = gates.RATES["koji"].burst
    talks = [stage.customer(f"Customer {number}") for number in range(at_once)]
    stage.spoil("intercom", "POST", ".*/reply", "latency", times=at_once, delay=0.5)
    with ConnectionCount(stage.database_url) as burst:
        taps = [stage.tap_aside(talk) for talk in talks]
        for tap in taps:
            tap.join()
        until("every message is sent", lambda: all(stage.links(talk) for talk in talks))
    assert 1 <= idle.most <= MOST_CONNECTIONS
    assert idle.most <= burst.most <= MOST_CONNECTIONS
    assert burst.samples > 20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc, which Linux has")
def test_processes_with_nothing_to_do_take_little(stage: Stage) -> None:
    worker = stage.start_worker(quick=False)
    stage.wait_until_healthy()
    talk = stage.customer()
    stage.tap(talk)
    stage.until_card(talk, "Interview sent")
    stage.until_nothing_is_left_to_do()
    # Processor time and not the clock. A busy machine makes even that dearer: the best of three spans counts.
    shares = []
    for _ in range(3):
        before = cpu_seconds(worker.pid)
        time.sleep(IDLE_SECONDS)
        shares.append((cpu_seconds(worker.pid) - before) / IDLE_SECONDS)
        if shares[-1] < MOST_OF_A_CORE:
            break
    web = stage.app.processes["web"].pid
    megabytes = {pid: resident_megabytes(pid) for pid in (worker.pid, web, *children(web))}
    assert len(megabytes) >= 3, "the worker, gunicorn, and what gunicorn has started"
    assert max(megabytes.values()) < MOST_MEGABYTES, megabytes
    assert 0 < min(shares) < MOST_OF_A_CORE, f"shares of a core: {shares}"


@on_sqlite
def test_the_web_answers_soon_after_it_was_started(stage: Stage) -> None:
    stage.app.kill("web")
    stage.app.start("web")
    until("the web answers", lambda: answers(f"{stage.app.url}/healthz"))
    web = stage.app.processes["web"].pid
    # Processor time and not the clock: this machine may be busy with something else meanwhile.
    assert 0 < sum(cpu_seconds(pid) for pid in (web, *children(web))) < READY_WITHIN


# On SQLite `make tour` walks it, also in .ci/run.
@pytest.mark.timeout(260)
@pytest.mark.postgres
def test_the_tour_finds_everything_as_it_should_be(postgres_url: str) -> None:
    environment = {
        name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith("COVERAGE_")
    }
    environment["DATABASE_URL"] = postgres_url
    done = subprocess.run(
        [sys.executable, "-m", "sandbox.tour"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The tour is complete" in done.stdout
    assert done.stdout.count("✓") > 70
    for way in ("A rep opens", "rates a closed conversation", "A Series step", "are exported"):
        assert way in done.stdout
    assert "✗" not in done.stdout


class ConnectionCount:
    """Counts the connections to a database, over and over, while the block runs."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url.replace("postgresql+psycopg://", "postgresql://")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._count)
        self.most = 0
        self.samples = 0

    def __enter__(self) -> ConnectionCount:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _count(self) -> None:
        query = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._stop.wait(0.02):
                row = connection.execute(query).fetchone()
                assert row is not None
                self.most = max(self.most, row[0])
                self.samples += 1


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has taken, its own and the kernel's for it: ``man 5 proc_pid_stat``."""
    # The second field is the program's name, which may hold blanks; what follows begins with the third.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def answers(url: str) -> bool:
    try:
        httpx.get(url, timeout=1, trust_env=False)
    except httpx.HTTPError:
        return False
    return True
