"""Everything at once, for the demo and the tour: the stand-ins, a database, the application's processes."""

from __future__ import annotations

import contextlib
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.deliveries import MINUTE
from sandbox.processes import App, free_port
from sandbox.server import Sandbox, quiet_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.koji_state import Study

SECOND_SLUG = "leaving"
"""What the second study is called in the application's rules and API."""


@dataclass(frozen=True)
class Running:
    """What runs, and where its logs and its database are.

    ``settings_file`` exports the application's settings to a shell that reads it.
    """

    sandbox: Sandbox
    app: App
    folder: Path
    settings_file: Path


@contextlib.contextmanager
def everything(
    *,
    port: int = 0,
    database_url: str | None = None,
    analysis_takes: float = 0.0,
    retry_pause: float = MINUTE,
    second_study: bool = False,
) -> Iterator[Running]:
    """Start everything and stop it again.

    ``port`` is that of the inbox; Koji takes the next one and the application the one after; free ports are
    taken in place of those that are in use. Without ``database_url`` an SQLite file in a folder that is
    removed at the end is used. ``retry_pause`` is how long Intercom waits before it sends a notification once
    more. With ``second_study`` there is another study at Koji, and the application is told of it.
    """
    quiet_logs()
    with tempfile.TemporaryDirectory(prefix="koji-for-intercom-") as name:
        folder = Path(name)
        app_port = free_port(port + 2 if port else 0)
        app_url = f"http://127.0.0.1:{app_port}"
        database_url = database_url or f"sqlite:///{folder / 'demo.sqlite3'}"
        with Sandbox(
            app_url,
            port=free_port(port) if port else 0,
            koji_port=free_port(port + 1) if port else 0,
            analysis_takes=analysis_takes,
            retry_pause=retry_pause,
            second_study=second_study,
            database_url=database_url,
        ) as sandbox:
            settings = sandbox.env(app_url, database_url)
            with App(settings, port=app_port, logs=folder / "logs") as app:
                if sandbox.second_study is not None:
                    _tell_of(sandbox.second_study, app)
                sandbox.notifier.ping()
                yield Running(sandbox, app, folder, _written(settings, folder / "settings.sh"))


def _tell_of(study: Study, app: App) -> None:
    app.command(
        "studies",
        "add",
        SECOND_SLUG,
        *("--name", study.name, "--key-from", "env:SECOND_KEY", "--webhook-secret-from", "env:SECOND_SECRET"),
        SECOND_KEY=study.key,
        SECOND_SECRET=study.webhook_secret,
    )


def _written(settings: dict[str, str], path: Path) -> Path:
    path.touch(mode=0o600)
    path.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()))
    return path
