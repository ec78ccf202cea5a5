"""The disk under SQLite is full for a moment, again and again."""

from __future__ import annotations

import time

from tests.faults.platform import Platform
from tests.faults.troubles import Step, Trouble, chance_of
from tests.support.small_disk import Disk, family


def full_disks(seed: int, disk: Disk, *, times: int, every: tuple[float, float], longest: float) -> Trouble:
    """``times`` moments of up to ``longest`` seconds, so many seconds apart: nothing can be written then."""
    chance = chance_of(seed, "disk")
    steps = []
    for _ in range(times):
        pause, lasts = chance.uniform(*every), chance.uniform(0.5, longest)

        def do(platform: Platform, lasts: float = lasts) -> None:
            processes = [*platform.stage.app.processes.values(), *platform.stage.workers]
            ids = [pid for process in processes for pid in family(process.pid)]
            disk.fill(ids)
            time.sleep(lasts)
            disk.free(ids)

        steps.append(Step("full disks", pause, do, takes=lasts))
    return Trouble(steps)
