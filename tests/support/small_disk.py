"""A disk that runs full, and has room again.

Where file systems may be mounted it is a small one of its own, in memory. Elsewhere the kernel refuses the
processes to let any file grow, which is met in the same places, as another error.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

_BLOCK = 64 * 1024


class Disk(Protocol):
    """Where a database lies. ``is_small``: whether the file system itself tells how much room there is."""

    folder: Path
    is_small: bool

    def fill(self, processes: Iterable[int]) -> None:
        """From now on nothing can be written there; ``processes`` are those that would, by their ids."""

    def free(self, processes: Iterable[int]) -> None:
        """There is room again."""


class _Mounted:
    is_small = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, processes: Iterable[int]) -> None:
        with self._filler.open("ab", buffering=0) as filler:
            for size in (_BLOCK, 4096, 1):
                try:
                    while filler.write(b"\0" * size) == size:
                        pass
                except OSError:
                    continue

    def free(self, processes: Iterable[int]) -> None:
        self._filler.unlink()


class _Limited:
    is_small = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, processes: Iterable[int]) -> None:
        self._limit(processes, 0)

    def free(self, processes: Iterable[int]) -> None:
        self._limit(processes, resource.RLIM_INFINITY)

    def _limit(self, processes: Iterable[int], size: int) -> None:
        for pid in processes:
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size < 0 else size, hard))


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[Disk]:
    """A disk of this size, empty, mounted at ``folder`` where that is allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={megabytes}m,mode=0755"
    mount = ["mount", "-t", "tmpfs", "-o", options, "koji-small-disk", str(folder)]
    try:
        # The system's own program, with arguments of ours.
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0  # noqa: S603 -- as said.
    except OSError:
        mounted = False
    if not mounted:
        yield _Limited(folder)
        return
    try:
        yield _Mounted(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)  # noqa: S603, S607 -- as said.


def family(pid: int) -> list[int]:
    """A process and those that it has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        return [pid, *map(int, children.read_text().split())]
    except OSError:
        return [pid] if os.path.exists(f"/proc/{pid}") else []  # noqa: PTH110 -- no path of ours.
