"""Where the programs are that some tests need and pip does not install.

``python -m tests.support.system`` prints the Debian package of each one that is missing, one a line.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TypeVar

import pytest

Thing = TypeVar("Thing")

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
POSTGRES_PROGRAMS = ("initdb", "postgres")


def postgres_bin() -> Path | None:
    """The folder with PostgreSQL's server programs, or None. The newest is taken where Debian has several."""
    return next((folder for folder in _postgres_folders() if _has_programs(folder)), None)


def chromium() -> Path | None:
    """The Chromium (or Chrome) of this machine, or None."""
    found = (shutil.which(name) for name in CHROMIUM_NAMES)
    return next((Path(path) for path in found if path), None)


def promtool() -> Path | None:
    """Prometheus's checker of rules, which scripts/install-promtool.sh puts beside Python, or None."""
    beside = Path(sys.executable).parent / "promtool"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("promtool")
    return Path(found) if found else None


def requires(thing: Thing | None, what: str) -> Thing:
    """Give back the thing if it is there. Else skip the running test, or fail it if REQUIRE_ALL=1 is set.

    ``what`` names it and how to get it, as in "Chromium (Debian package chromium)".
    """
    if thing is not None:
        return thing
    reason = f"needs {what}, which is not on this machine"
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"{reason}, and REQUIRE_ALL=1 forbids skipping", pytrace=False)
    pytest.skip(reason)


def _postgres_folders() -> list[Path]:
    # Debian keeps the server's programs out of PATH, in a folder for each major version.
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    folders = sorted(debian, key=lambda folder: _major(folder.parent.name), reverse=True)
    if pg_config := shutil.which("pg_config"):
        # The program that PATH names, without any input from outside.
        answer = subprocess.run(  # noqa: S603 -- as said above.
            [pg_config, "--bindir"], capture_output=True, text=True, check=False
        )
        folders.append(Path(answer.stdout.strip()))
    if server := shutil.which("postgres"):
        folders.append(Path(server).resolve().parent)
    return folders


def _major(name: str) -> int:
    return int(name) if name.isdigit() else 0


def _has_programs(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in POSTGRES_PROGRAMS)


def main() -> None:
    """Print the Debian packages of what is missing."""
    missing = {
        "postgresql": postgres_bin() is None,
        "chromium": chromium() is None,
        "prometheus": promtool() is None,
    }
    for package, is_missing in missing.items():
        if is_missing:
            print(package)  # noqa: T201 -- the shell script that asks reads it.


if __name__ == "__main__":
    main()
