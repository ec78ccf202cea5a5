"""Deploys under load: rolling restarts, a release with its migration, a rollback, and the release once more.

Web and workers of both releases run side by side meanwhile, and what one has planned or left unfinished is
taken up by the other.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

from sandbox.processes import ROOT
from tests.faults.plan import WORKERS
from tests.faults.platform import Platform
from tests.faults.troubles import Step, Trouble, chance_of

PREVIOUS = "f3b100825c42ac89c9ef9987b156a46bc288c0ed"
"""The release before migration 0004, in the project's history. Its packages are among today's."""


def unpack_previous(folder: Path) -> Path | None:
    """The code of the previous release, in ``folder``; None where this tree has no history that holds it."""
    archive = subprocess.run(  # noqa: S603 -- no input from outside.
        ["git", "archive", "--format=tar", PREVIOUS],  # noqa: S607 -- git, from PATH.
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if archive.returncode != 0:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def deploys(seed: int, previous: Path, *, restarts: int, every: tuple[float, float]) -> Trouble:
    """A release, a rollback and a release; before each and after the last ``restarts`` of one process."""
    chance = chance_of(seed, "deploys")
    names = cycle([*range(WORKERS), "web"])
    steps: list[Step] = []

    def add(name: str, do: Callable[[Platform], None]) -> None:
        steps.append(Step(name, chance.uniform(*every), do, takes=1.0))

    def restart(root: Path) -> None:
        for _ in range(restarts):
            add("restarts", _restarting(next(names), root))

    def roll(name: str, root: Path) -> None:
        # One worker first: it works beside those of the other release for a while.
        add(name, _restarting(0, root))
        add(name, _restarting("web", root))
        add(name, lambda platform: platform.restart_workers(range(1, WORKERS), root))

    restart(previous)
    add("migrations", _release)
    # The web of before goes on to serve, on the tables of the release that is to come.
    restart(previous)
    roll("rolled on", ROOT)
    restart(ROOT)
    roll("rolled back", previous)
    restart(previous)
    roll("rolled on", ROOT)
    restart(ROOT)
    return Trouble(steps)


def _restarting(which: int | str, root: Path) -> Callable[[Platform], None]:
    if isinstance(which, str):
        return lambda platform: platform.restart_web(root)
    return lambda platform: platform.restart_workers([which], root)


def _release(platform: Platform) -> None:
    app = platform.stage.app
    former, app.root = app.root, ROOT
    try:
        app.release()
    finally:
        app.root = former
