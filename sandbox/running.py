"""Everything at once, for the demo and the tour: the stand-ins, a database, the application's processes."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.processes import App, free_port
from sandbox.server import Sandbox, quiet_logs

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Running:
    """What runs, and where its logs and its database are."""

    sandbox: Sandbox
    app: App
    folder: Path


@contextlib.contextmanager
def everything(
    *, port: int = 0, database_url: str | None = None, analysis_takes: float = 0.0
) -> Iterator[Running]:
    """Start everything and stop it again.

    ``port`` is that of the inbox; Koji takes the next one and the application the one after; free ports are
    taken in place of those that are in use. Without ``database_url`` an SQLite file in a folder that is
    removed at the end is used.
    """
    quiet_logs()
    with tempfile.TemporaryDirectory(prefix="koji-for-intercom-") as name:
        folder = Path(name)
        app_port = free_port(port + 2 if port else 0)
        app_url = f"http://127.0.0.1:{app_port}"
        with Sandbox(
            app_url,
            port=free_port(port) if port else 0,
            koji_port=free_port(port + 1) if port else 0,
            analysis_takes=analysis_takes,
        ) as sandbox:
            settings = sandbox.env(app_url, database_url or f"sqlite:///{folder / 'demo.sqlite3'}")
            with App(settings, port=app_port, logs=folder / "logs") as app:
                yield Running(sandbox, app, folder)
