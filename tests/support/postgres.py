"""A private PostgreSQL server for the tests: its own data, its own loopback port, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

SUPERUSER = "koji"
HOST = "127.0.0.1"
START_SECONDS = 30.0
STOP_SECONDS = 20.0
PORT_TRIES = 3

# Waits for the end of its standard input, which nobody writes to.
GUARD_SCRIPT = """
read -r _
kill -QUIT "$1" || exit 0
while kill -0 "$1" 2>/dev/null; do sleep 0.1; done
rm -rf "$2"
"""

# These data need not outlive a crash of the machine, but they do outlive one of the server: a commit is
# written before it is confirmed, only not forced to the disk. Memory-mapped files instead of POSIX shared
# memory: a container's /dev/shm is often too small, and a crash leaves nothing outside the folder.
SERVER_OPTIONS = {
    "listen_addresses": HOST,
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "dynamic_shared_memory_type": "mmap",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgresServer:
    """A PostgreSQL server that lives no longer than this process.

    Usable as a context manager. ``stop_hard`` and ``start_again`` are for tests of an outage: the port and
    the data stay the same.
    """

    def __init__(self, bin_dir: Path) -> None:
        self._bin_dir = bin_dir
        # Not pytest's tmp_path: that is closed to other users, and as root the server runs as another user.
        self.folder = Path(tempfile.mkdtemp(prefix="koji-pg-", dir="/tmp"))
        self.folder.chmod(0o755)
        self._user = _server_user()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.port = 0

    def __enter__(self) -> PostgresServer:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the server's process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Make the data and start the server. Raises RuntimeError with the server's own words on failure."""
        try:
            self._init_data()
            self._start_on_free_port()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and remove its data. May be called more than once."""
        # Fast shutdown: open connections are cut, and nobody waits for them.
        self._end_process(signal.SIGINT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop_hard(self) -> None:
        """End the server as a crash does: connections are cut and the next start recovers from the log.

        This is PostgreSQL's immediate shutdown rather than SIGKILL, which would leave its child processes
        alive and make the next start refuse the data for as long as they are.
        """
        self._end_process(signal.SIGQUIT)

    def start_again(self) -> None:
        """Start the stopped server on the same port with the same data."""
        if self.running:
            raise RuntimeError("The server is still running.")
        self._launch()
        self._wait_until_ready()

    def create_database(self, *, copy_of: str | None = None) -> str:
        """Make a database, empty or a copy of another one that nobody is connected to.

        Returns its address, ``postgresql://user@host:port/name``.
        """
        self._databases += 1
        name = f"test_{self._databases}"
        template = urlsplit(copy_of).path.lstrip("/") if copy_of else "template1"
        self._execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        return self._url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database that ``create_database`` made, and cut whoever is still connected to it."""
        name = urlsplit(url).path.lstrip("/")
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    def _url(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}@{HOST}:{self.port}/{database}"

    def _execute(self, statement: sql.Composed) -> None:
        # CREATE and DROP DATABASE do not run inside a transaction.
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _init_data(self) -> None:
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        arguments = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", f"--username={SUPERUSER}"]
        with self._spawn([str(self._bin_dir / "initdb"), *arguments, f"--pgdata={self._data}"]) as initdb:
            status = initdb.wait(timeout=START_SECONDS)
        if status != 0:
            raise RuntimeError(f"initdb ended with {status}:\n{self._log_tail()}")

    def _start_on_free_port(self) -> None:
        # Another process may take the port before the server listens on it; then the next one is tried.
        for tries_left in reversed(range(PORT_TRIES)):
            self.port = free_port()
            self._launch()
            try:
                self._wait_until_ready()
            except RuntimeError:
                if not tries_left:
                    raise
            else:
                return

    def _launch(self) -> None:
        options = [part for name, value in SERVER_OPTIONS.items() for part in ("-c", f"{name}={value}")]
        paths = ["-D", str(self._data), "-k", str(self.folder), "-p", str(self.port)]
        self._process = self._spawn([str(self._bin_dir / "postgres"), *paths, *options])
        # If this process is killed, no clean-up of ours runs; the guard sees its standard input close and
        # ends the server for it.
        self._guard = subprocess.Popen(  # noqa: S603 -- a fixed script; its arguments are our own.
            ["/bin/sh", "-c", GUARD_SCRIPT, "guard", str(self._process.pid), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _spawn(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Run a program of the server's, as its user, with its words in the log.

        In a session of its own: Ctrl-C goes to pytest alone, which then stops the server in good order.
        """
        user = self._user
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 -- PostgreSQL's own programs with arguments of ours.
                command,
                cwd=self.folder,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self.running:
                self._end_process(signal.SIGQUIT)
                raise RuntimeError(f"PostgreSQL ended while starting:\n{self._log_tail()}")
            try:
                psycopg.connect(self._url("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        self._end_process(signal.SIGQUIT)
        raise RuntimeError(f"PostgreSQL was not ready within {START_SECONDS:.0f} s:\n{self._log_tail()}")

    def _end_process(self, by: signal.Signals) -> None:
        # The guard goes first: the process id that it would signal may soon belong to someone else.
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(by)
            try:
                self._process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])


def free_port() -> int:
    """A loopback port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def _server_user() -> pwd.struct_passwd | None:
    """Whom to run the server as: PostgreSQL refuses to run as root. None means as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL does not run as root, and there is no user postgres or nobody.")
