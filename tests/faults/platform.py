"""The platform of a run: starts the processes, kills them as the plan says, starts anew what has ended."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.faults.plan import WORKERS, Kill
from tests.processes.stage import LEASE_LOST, Stage, Worker

PATIENCE_AFTER_SIGTERM = 15.0
"""Seconds after which a process that was told to end is killed; ten are promised."""


@dataclass(frozen=True)
class Ended:
    """A process that was told to end."""

    what: str
    name: str
    """The one of its log, without the ending."""
    root: Path
    """Where the code is that it ran."""
    seconds: float
    """How long it took."""
    status: int


class Platform:
    """A context manager. ``start`` starts one of the first workers, by its number.

    What else changes the processes during a run does so while it holds ``lock``.
    """

    def __init__(
        self, stage: Stage, kills: tuple[Kill, ...] = (), *, start: Callable[[int], Worker] | None = None
    ) -> None:
        self.stage = stage
        self.lock = threading.RLock()
        self.killed: Counter[str] = Counter()
        self.lost_leases = 0
        self.drained: list[Ended] = []
        self._due = list(kills)
        self._start = start or (lambda _number: stage.start_worker())
        self._by_number: dict[int, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Platform:
        for number in range(WORKERS):
            self._begin(number)
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def web_was_away(self) -> bool:
        """Whether there was a moment in which no web could answer."""
        gone = {ended.what for ended in self.drained}
        return bool(self.killed["web"] or self.killed["both"] or "web" in gone)

    def restart_web(self, root: Path | None = None) -> None:
        """Tell the web to end, and start another one, of the code in ``root``."""
        with self.lock:
            app = self.stage.app
            self._drain("web", app.processes.pop("web"), "web", app.roots["web"])
            app.root = root or app.root
            app.start("web")

    def restart_workers(self, which: Iterable[int], root: Path | None = None) -> None:
        """Start other workers, of the code in ``root``, and tell those in whose place they come to end."""
        with self.lock:
            stage = self.stage
            stage.app.root = root or stage.app.root
            former = [(old, *stage.started_as(old)) for old in (stage.workers[number] for number in which)]
            for old, _name, _root in former:
                stage.workers.remove(old)
                self._begin(self._by_number[old.pid])
        # Outside of the lock: others go on meanwhile, as they do where there are many machines.
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda told: self._drain("worker", *told), former))

    def _begin(self, number: int) -> None:
        self._by_number[self._start(number).pid] = number

    def _drain(self, what: str, process: subprocess.Popen[bytes], name: str, root: Path) -> None:
        begun = time.monotonic()
        process.terminate()
        try:
            status = process.wait(PATIENCE_AFTER_SIGTERM)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        self.drained.append(Ended(what, name, root, time.monotonic() - begun, status))

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            with self.lock:
                for worker in list(self.stage.workers):
                    self._start_anew(worker)
                calls = len(self.stage.intercom.calls) + len(self.stage.koji.calls)
                if self._due and self._due[0].after_calls <= calls:
                    self._kill(self._due.pop(0))

    def _kill(self, kill: Kill) -> None:
        stage = self.stage
        self.killed[kill.what] += 1
        workers = {"web": [], "worker": [stage.workers[kill.which]], "both": list(stage.workers)}[kill.what]
        if kill.what != "worker":
            stage.app.kill("web")
        for worker in workers:
            stage.kill_worker(worker)
        if kill.what != "worker":
            stage.app.start("web")
        for worker in workers:
            self._begin(self._by_number[worker.pid])

    def _start_anew(self, worker: Worker) -> None:
        status = worker.poll()
        if status is not None:
            # One that was starved for so long that another took its lease ends by itself, as it should.
            self.lost_leases += status == LEASE_LOST
            self.stage.workers.remove(worker)
            self._begin(self._by_number[worker.pid])
