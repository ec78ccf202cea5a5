"""What all pictures have in common: a folder for the new ones alone, and the real app beside a browser."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser

from canvas_app import migrate
from tests.processes.stage import Stage
from tests.support import system
from tests.support.chromium import open_browser


def take_all(folder: Path, take: Callable[[Stage, Browser], None]) -> int:
    """Take the pictures of a folder anew, over a database of its own; the exit status."""
    executable = system.chromium()
    if executable is None:
        sys.stderr.write("Needs Chromium (Debian package chromium).\n")
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    with tempfile.TemporaryDirectory(prefix="koji-screenshots-") as name:
        url = f"sqlite:///{Path(name) / 'koji.db'}"
        migrate.release(url)
        with Stage(url, Path(name) / "logs") as stage, open_browser(executable) as browser:
            take(stage, browser)
    files = sorted(folder.glob("*.png"))
    size = sum(file.stat().st_size for file in files)
    sys.stdout.write(f"{len(files)} pictures, {size / 1024:.0f} KB, in {folder}\n")
    return 0
