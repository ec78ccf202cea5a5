"""What a process and its children take of the machine, as Linux tells it."""

from __future__ import annotations

import os
import re
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def tree(pid: int) -> list[int]:
    """The process and all that it has started, as far as they live."""
    found, new = [pid], [pid]
    while new:
        children = [int(child) for parent in new for child in _children(parent)]
        found += children
        new = children
    return found


def resident_mb(pid: int) -> float:
    """The resident memory of the process and its children together, in MB (10**6 bytes).

    What they share is counted for each of them.
    """
    return sum(_resident_kb(one) for one in tree(pid)) * 1024 / 1_000_000


def cpu_seconds(pid: int) -> float:
    """How long the process and its living children have been running on a core, since they started."""
    return sum(_cpu_ticks(one) for one in tree(pid)) / _TICKS


def _children(pid: int) -> list[str]:
    return _read(pid, f"task/{pid}/children").split()


def _resident_kb(pid: int) -> int:
    found = re.search(r"^VmRSS:\s*(\d+) kB", _read(pid, "status"), re.MULTILINE)
    return int(found[1]) if found else 0


def _cpu_ticks(pid: int) -> int:
    # The name of the program stands in brackets and may hold anything.
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12]) if len(fields) > 12 else 0


def _read(pid: int, name: str) -> str:
    try:
        return (Path("/proc") / str(pid) / name).read_text()
    except OSError:
        # It has ended meanwhile.
        return ""
