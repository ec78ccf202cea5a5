"""The product as real processes, over a fresh database of either kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.stage import Stage


@pytest.fixture
def stage(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Web and stand-ins, running; the test starts the workers. A failing test shows the processes' logs.

    A parameter, where a test gives one, holds further settings of the processes.
    """
    stage = Stage(database_url, tmp_path / "logs", **getattr(request, "param", {}))
    try:
        with stage:
            yield stage
    finally:
        request.node.add_report_section("teardown", "processes", stage.all_logs())
