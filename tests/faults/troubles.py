"""What happens to the surroundings beside a run: each trouble is a list of steps, in a thread of its own.

The steps are drawn from the run's seed. All of them take place, however soon the interviews are played: a run
lasts as long as its longest trouble.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.platform import Platform


@dataclass(frozen=True)
class Step:
    """``do`` is called after ``wait`` seconds, and takes about ``takes`` seconds itself."""

    name: str
    wait: float
    do: Callable[[Platform], None]
    takes: float = 0.0


@dataclass
class Trouble:
    """Steps one after the other. ``counts`` says how often each kind took place."""

    steps: list[Step]
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it takes, about."""
        return sum(step.wait + step.takes for step in self.steps)

    def go(self, platform: Platform, stop: threading.Event) -> None:
        """Take all steps. One that fails is a problem, and the last one."""
        for step in self.steps:
            if stop.wait(step.wait):
                self.problems.append(f"{step.name} was to come, and the run was given up before")
                return
            try:
                step.do(platform)
            except Exception as error:  # noqa: BLE001 -- whatever it was, the run tells of it.
                self.problems.append(f"{step.name} failed: {type(error).__name__}: {error}")
                return
            self.counts[step.name] += 1

    def wanted(self) -> Counter[str]:
        """How often each kind is to take place."""
        return Counter(step.name for step in self.steps)


def chance_of(seed: int, what: str) -> random.Random:
    """Chances that are a trouble's own, so that one trouble does not change what another one draws."""
    return random.Random(f"{seed} {what}")  # noqa: S311 -- no secret; the point is that it can be repeated.
