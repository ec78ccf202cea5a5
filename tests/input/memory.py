"""Whether the web's memory stays flat while it is sent one odd input after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.input.firing import Score

MB: Final = 1024 * 1024
# A body of 1 MB, or nested 100,000 deep, costs some megabytes, and the allocator keeps what it once had for
# each thread: memory rises in steps, until each of the eight has met the largest there is. So the highest of
# the second half is held against the highest of the first. A leak of a kilobyte an input is seen: with
# 20,000 inputs it is 10 MB between the halves.
MOST_GROWTH: Final = 8 * MB
# With fewer, the threads have not had their turn in the first half.
_ENOUGH_TO_TELL: Final = 10_000


@dataclass
class Memory:
    """Resident bytes of the web, looked at every so many inputs."""

    resident: Callable[[], int]
    every: int
    seen: list[tuple[int, int]] = field(default_factory=list)

    def look(self, score: Score) -> None:
        if score.shots % self.every == 0:
            self.seen.append((score.shots, self.resident()))

    @property
    def growth(self) -> int:
        """By how many bytes the highest of the second half is above the highest of the first."""
        half = len(self.seen) // 2
        first, second = ([size for _, size in part] for part in (self.seen[:half], self.seen[half:]))
        return max(second) - max(first) if first else 0

    @property
    def is_flat(self) -> bool:
        """True also where there were too few inputs to tell."""
        return not self.seen or self.seen[-1][0] < _ENOUGH_TO_TELL or self.growth <= MOST_GROWTH
