"""Where a part is measured: a database, the stand-ins, and our processes as where they are deployed.

The stand-ins answer in threads of this process, so that what sends many requests runs in another one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import click
import httpx
from sqlalchemy.engine import Engine

from bench import databases
from bench.figures import Database
from canvas_app import store
from canvas_app.engine import Jobs
from canvas_app.settings import Settings
from sandbox.faults import Fault
from sandbox.processes import ROOT, App, free_port
from sandbox.server import Sandbox

Process = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Run:
    """What all parts are told: the database, whether a small size is enough, and whom to tell how it goes."""

    database: Database
    short: bool
    say: Callable[[str], None] = click.echo

    def size(self, full: int, short: int) -> int:
        return short if self.short else full


class Place:
    """A context manager: an empty and migrated database and the stand-ins; it starts no process yet."""

    def __init__(self, run: Run, *, webhooks: bool = True) -> None:
        self._everything = contextlib.ExitStack()
        self._run, self._webhooks = run, webhooks
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            postgres = self._run.database == "postgresql"
            self.database_url = stack.enter_context(databases.fresh(postgres=postgres))
            self.logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="koji-bench-")))
            # After a server of PostgreSQL has taken its own.
            port = free_port()
            self.url = f"http://127.0.0.1:{port}"
            self.sandbox = stack.enter_context(Sandbox(self.url if self._webhooks else None))
            self.environment = self.sandbox.env(self.url, self.database_url)
            self.app = App(self.environment, port=port, logs=self.logs)
            stack.callback(self._stop)
            self.app.release()
            secret_key = self.environment["SECRET_KEY"]
            self.settings = Settings.load({}, database_url=self.database_url, secret_key=secret_key)
            self.engine: Engine = store.make_engine(self.database_url, pool_size=store.WORKER_POOL)
            stack.callback(self.engine.dispose)
            self.jobs = Jobs(self.engine)
            stack.callback(self.jobs.close)
            self._everything = stack.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._everything.close()

    @property
    def workspace_id(self) -> str:
        return self.sandbox.state.intercom.workspace_id

    def start_web(self) -> Process:
        """Start the web, and wait until it answers."""
        process = self.app.start("web")
        wait_for_answer(f"{self.url}/webhooks/intercom", process)
        return process

    def start_worker(self) -> Process:
        """Start a worker beside those that there are, and wait until it works."""
        log = self.logs / f"worker-{len(self._processes) + 1}.log"
        process = self.start_beside([sys.executable, "-m", "canvas_app", "worker"], log)
        until("a worker has started", lambda: '"worker_started"' in log.read_text(), process)
        return process

    def start_beside(
        self, command: list[str], log: Path, *, cwd: Path = ROOT, also: Mapping[str, str] | None = None
    ) -> Process:
        """Start a process with the application's environment; it is ended with everything else."""
        with log.open("ab") as file:
            process = subprocess.Popen(  # noqa: S603 -- our own commands
                command,
                cwd=cwd,
                env={**self.app.environment, **(also or {})},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def slow_down(self, seconds: float) -> None:
        """Let every call to either stand-in take so much longer."""
        for wire in ("intercom", "koji"):
            self.sandbox.faults.set(Fault(wire, "*", ".*", "latency", times=1_000_000_000, delay=seconds))

    def refused_calls(self) -> int:
        """How many calls the stand-in Intercom has answered with 429."""
        with self.sandbox.state.intercom.lock:
            return sum(call.status == 429 for call in self.sandbox.state.intercom.calls)

    def _stop(self) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for name in list(self.app.processes):
            self.app.kill(name)


def wait_for_answer(url: str, process: Process | None = None, *, within: float = 60.0) -> float:
    """Wait until a server answers anything at this address; seconds since the call."""
    begun = time.perf_counter()
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 80

    def answers() -> bool:
        # A plain connection first: the client alone takes a hundredth of a second to be made.
        with contextlib.suppress(OSError, httpx.HTTPError):
            socket.create_connection((host, port), timeout=1).close()
            httpx.head(url, trust_env=False, timeout=30)
            return True
        return False

    until(f"{url} answers", answers, process, within=within)
    return time.perf_counter() - begun


def until(
    what: str, look: Callable[[], bool], process: Process | None = None, *, within: float = 60.0
) -> None:
    """Look again and again; ClickException after ``within`` seconds, or when the process has ended."""
    deadline = time.monotonic() + within
    while not look():
        if process is not None and process.poll() is not None:
            raise click.ClickException(f"The process ended with {process.returncode} before {what}.")
        if time.monotonic() > deadline:
            raise click.ClickException(f"Not within {within:g} s: {what}.")
        time.sleep(0.005)
