"""The console over a busy workspace, once for all tests of a module."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.interviews import operators
from canvas_app.interviews.tables import workspaces
from sandbox import seed
from tests.browser.console_place import Place
from tests.processes.stage import Stage, until
from tests.support import busy_workspace
from tests.support.busy_workspace import HOSTILE


@pytest.fixture(scope="module")
def place(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The web and a worker beside the stand-ins, with the interviews of three months."""
    folder = tmp_path_factory.mktemp("console")
    shutil.copy(migrated_sqlite, folder / "koji.db")
    with Stage(f"sqlite:///{folder / 'koji.db'}", folder / "logs") as stage:
        stage.start_worker()
        stage.wait_until_healthy()
        until("a worker knows the workspace", lambda: _knows_workspace(stage))
        settings = busy_workspace.settings_of(stage.app.environment)
        workspace_id = stage.intercom.workspace_id
        busy = busy_workspace.fill(stage.engine, settings, workspace_id, hostile=True)
        with store.writing(stage.engine) as connection:
            operators.add(connection, workspace_id, seed.ADA, "Ada Byrne")
            operators.add(connection, workspace_id, "996", HOSTILE[:120])
        yield Place(stage, settings, workspace_id, busy)


def _knows_workspace(stage: Stage) -> bool:
    with store.reading(stage.engine) as connection:
        return connection.execute(sa.select(workspaces.c.workspace_id)).first() is not None
