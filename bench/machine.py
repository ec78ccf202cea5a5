"""Where figures were taken: a number says nothing without its machine."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("flask", "gunicorn", "sqlalchemy", "psycopg", "dbos", "httpx", "pydantic", "pygal")


def described() -> dict[str, Any]:
    """The date, the machine and the versions."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "cpu": _cpu(),
            "memory_gb": round(_memory_kb() / 1_000_000, 1),
            "system": platform.platform(),
            "load_before": [round(load, 2) for load in os.getloadavg()],
        },
        "versions": {
            "python": platform.python_version(),
            **{package: metadata.version(package) for package in PACKAGES},
            "postgresql": _postgresql(),
            "node": _said("node", "--version"),
            "wrk": "yes" if shutil.which("wrk") else None,
            "commit": _commit(),
        },
    }


def in_words(found: dict[str, Any]) -> str:
    """The same as a sentence for a page."""
    machine, versions = found["machine"], found["versions"]
    return (
        f"{found['at'][:10]}, {machine['cores']} cores ({machine['cpu']}), {machine['memory_gb']:g} GB, "
        f"Python {versions['python']}, PostgreSQL {versions['postgresql'] or 'not there'}, "
        f"commit {versions['commit'] or 'unknown'}"
    )


def _cpu() -> str:
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or "unknown"


def _memory_kb() -> int:
    found = re.search(r"^MemTotal:\s*(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def _postgresql() -> str | None:
    from tests.support.system import postgres_bin

    folder = postgres_bin()
    said = _said(str(folder / "postgres"), "--version") if folder else None
    found = re.search(r"\d+(\.\d+)?", said or "")
    return found[0] if found else None


def _commit() -> str | None:
    commit = _said("git", "rev-parse", "--short", "HEAD")
    return f"{commit}, changed" if commit and _said("git", "status", "--porcelain", "-uno") else commit


def _said(*command: str) -> str | None:
    """What a program says of itself; None where it is not there."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 -- our own words
    return done.stdout.strip() or None if done.returncode == 0 else None
