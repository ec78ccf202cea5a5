"""The application, started for real: ``release``, then the web and the worker as processes of their own.

This knows of the application only its commands, its environment variables and ``GET /healthz``.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 12.0
"""Seconds after SIGTERM; the application promises to be gone within 10."""

Name = Literal["web", "worker"]
# Only these are handed on from our own environment; a setting of the person who runs this must not leak in.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV")


class NotStartedError(Exception):
    """A process of the application did not come up; the message ends with the last lines of its log."""


def free_port(preferred: int = 0) -> int:
    """Return ``preferred`` if nothing listens there, else a free port, of the loopback address."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
            return chosen
    raise NotStartedError("there is no free port on 127.0.0.1")


class App:
    """The application's processes, with one environment.

    ``settings`` are the application's settings (``Sandbox.env``), ``logs`` is a folder for ``release.log``,
    ``web.log`` and ``worker.log``. ``root`` is where the application's code is: what is started
    next is of the version there, and ``roots`` tells of which one each was. As a context manager it starts
    everything and stops it again.
    """

    def __init__(self, settings: Mapping[str, str], *, port: int, logs: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.logs = logs
        self.root = ROOT
        self.processes: dict[Name, subprocess.Popen[bytes]] = {}
        self.roots: dict[Name, Path] = {}
        passed_on = {
            name: value
            for name, value in os.environ.items()
            if name in PASSED_ON or name.startswith("COVERAGE_")
        }
        self.environment = {**passed_on, **settings, "PORT": str(port), "PYTHONUNBUFFERED": "1"}
        # The server must not be reachable from other machines; gunicorn takes this after its own file.
        gunicorn = ["-m", "gunicorn", "-c", "gunicorn.conf.py", "--bind", f"127.0.0.1:{port}"]
        self._commands: dict[Name, list[str]] = {
            "web": [sys.executable, *gunicorn, "canvas_app:create_app()"],
            "worker": [sys.executable, "-m", "canvas_app", "worker"],
        }

    def __enter__(self) -> App:
        """Release, start both processes, and wait until the application is well."""
        try:
            self.release()
            self.start("web")
            self.start("worker")
            self.wait_until_healthy()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop both processes."""
        self.stop()

    def release(self) -> None:
        """Run the migrations; NotStartedError if they fail."""
        command = [sys.executable, "-m", "canvas_app", "release"]
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.logs / "release.log").open("ab") as log:
            done = subprocess.run(  # noqa: S603 - our own commands.
                command,
                cwd=self.root,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            raise NotStartedError(f"release ended with {done.returncode}\n{self.tail('release')}")

    def command(
        self, *arguments: str, timeout: float = 60.0, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the application's and return what it said; NotStartedError if it fails.

        ``settings`` are set beside the application's own.
        """
        done = subprocess.run(  # noqa: S603 - our own commands.
            [sys.executable, "-m", "canvas_app", *arguments],
            cwd=self.root,
            env={**self.environment, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr)[-2000:]
            raise NotStartedError(f"{' '.join(arguments)} ended with {done.returncode}\n{said}")
        return done

    def start(self, name: Name) -> subprocess.Popen[bytes]:
        """Start a process in a group of its own, so that Ctrl-C at a terminal reaches only us."""
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own commands.
                self._commands[name],
                cwd=self.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes[name] = process
        self.roots[name] = self.root
        return process

    def wait_until_healthy(self, timeout: float = 60.0) -> None:
        """Wait for 200 from ``GET /healthz``; NotStartedError if a process ends or it takes too long."""
        deadline = time.monotonic() + timeout
        last = "no answer"
        with httpx.Client(timeout=5, trust_env=False) as client:
            while time.monotonic() < deadline:
                self._must_all_live()
                try:
                    answer = client.get(f"{self.url}/healthz")
                except httpx.HTTPError as error:
                    last = type(error).__name__
                else:
                    if answer.status_code == 200:
                        return
                    last = f"{answer.status_code} {answer.text[:300]}"
                time.sleep(0.1)
        raise NotStartedError(
            f"not healthy after {timeout:g} s: {last}\n{self.tail('web')}{self.tail('worker')}"
        )

    def kill(self, name: Name) -> None:
        """End a process, and what it has started, with SIGKILL."""
        process = self.processes.pop(name)
        _signal_group(process, signal.SIGKILL)
        process.wait()

    def stop(self, name: Name | None = None) -> dict[str, int]:
        """Ask one process or all to end, and kill what has not after 12 s: exit codes by name."""
        chosen: list[Name] = [name] if name is not None else list(self.processes)
        processes = {item: self.processes.pop(item) for item in chosen}
        for process in processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        for process in processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)
                process.wait()
        return {item: process.returncode for item, process in processes.items()}

    def tail(self, name: str, lines: int = 20) -> str:
        """Return the last lines of a log, with a heading."""
        path = self.logs / f"{name}.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return f"--- {path}\n" + "\n".join(text.splitlines()[-lines:]) + "\n"

    def _must_all_live(self) -> None:
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise NotStartedError(f"{name} ended with {process.returncode}\n{self.tail(name)}")


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        # It has ended in the meantime, which is what was wanted.
        return
