"""A real web process, as it runs where it is deployed: gunicorn, its settings, one worker with threads."""

from __future__ import annotations

import http.client
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from canvas_app.settings import PROJECT_ROOT, Settings
from sandbox.processes import PASSED_ON, free_port
from tests.input.judge import Given
from tests.input.shots import Shot

_PATIENCE = 40.0


def settings_for(database_url: str) -> Settings:
    """Settings with every secret, each made up anew, so that none is found by chance."""
    made = secrets.token_hex
    return Settings.load(
        {},
        database_url=database_url,
        secret_key=f"{made(16)},{made(16)}",
        public_url="http://127.0.0.1:8000",
        intercom_client_secret=made(16),
        intercom_access_token=f"token-{made(16)}",
        koji_api_key=f"pk_live_{made(16)}",
        koji_webhook_secret=made(16),
        api_token=made(16),
    )


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment that a process has these settings from."""
    found = {
        "DATABASE_URL": settings.database_url,
        "PUBLIC_URL": settings.public_url or "",
        "SECRET_KEY": ",".join(settings.secret_key),
        "INTERCOM_CLIENT_SECRET": ",".join(settings.intercom_client_secret),
        "KOJI_WEBHOOK_SECRET": ",".join(settings.koji_webhook_secret),
        "API_TOKEN": ",".join(settings.api_token),
    }
    for name in ("intercom_access_token", "koji_api_key"):
        secret = getattr(settings, name)
        found[name.upper()] = secret.get_secret_value()
    return found


class WebProcess:
    """gunicorn with the app, over a migrated database. A context manager."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self.port = free_port()
        self.log = log
        self._environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self._environment |= {**environment_of(settings), "PORT": str(self.port)}
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> WebProcess:
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "canvas_app:create_app()"]
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 -- our own command.
                command,
                cwd=PROJECT_ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                if self.send(Shot("open", "GET", "/")).status == 200:
                    return self
            except OSError:
                if time.monotonic() > until or self._process.poll() is not None:
                    self.__exit__(None, None, None)
                    raise AssertionError(f"the web did not start: {self.said()[-2000:]}") from None
                time.sleep(0.05)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)

    def send(self, shot: Shot) -> Given:
        """One request, over a connection that is kept while it can be. Raises OSError without an answer."""
        for _attempt in range(2):
            kept = self._connection is not None
            try:
                return self._sent(shot)
            except (ConnectionError, http.client.RemoteDisconnected):
                # One that was kept may have been closed meanwhile, for good reasons.
                self._close()
                if not kept:
                    raise
        raise ConnectionError("the web closes every connection")

    def _sent(self, shot: Shot) -> Given:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection = self._connection
        # What somebody sends is what is tried, so that nothing of it is put right on the way.
        connection.putrequest(shot.method, shot.target, skip_accept_encoding=True)
        for name, value in shot.headers:
            connection.putheader(name, value.encode("latin-1"))
        if shot.body or shot.method in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", str(len(shot.body)))
        connection.endheaders(shot.body or None)
        answer = connection.getresponse()
        body = answer.read()
        headers = dict(answer.getheaders())
        if headers.get("Connection", "").lower() == "close":
            self._close()
        return Given(answer.status, headers, body)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def resident(self) -> int:
        """Resident memory of gunicorn's worker, in bytes."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        found = 0
        for pid in children:
            line = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
            found += int(line[1]) * 1024 if line else 0
        return found

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")
