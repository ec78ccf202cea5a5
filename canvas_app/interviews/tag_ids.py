"""The ids of Intercom's tags, remembered for a minute: every result is tagged with one of a few.

Asking for them each time was a fifth of all calls that a result takes, and Intercom counts calls. What is
remembered may be outdated, because somebody has deleted the tag and made it anew: then it is not found, and
whoever meets that forgets all and asks again. One that was renamed meanwhile is put on as if a minute ago.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

GOOD_FOR_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Found:
    """Names by ids. ``remembered``: at least one of them was not asked for just now."""

    names: dict[str, str]
    remembered: bool


@dataclass(slots=True)
class TagIds:
    """What one process remembers. ``clock`` gives seconds."""

    clock: Callable[[], float] = time.monotonic
    _known: dict[str, tuple[str, float]] = field(default_factory=dict)

    def of(self, names: Iterable[str], ask: Callable[[str], str]) -> Found:
        """The ids of the tags with these names; ``ask`` gives the id of one that is not known."""
        found: dict[str, str] = {}
        remembered = False
        for name in names:
            id_, since = self._known.get(name, ("", 0.0))
            if id_ and self.clock() - since < GOOD_FOR_SECONDS:
                remembered = True
            else:
                id_ = ask(name)
                self._known[name] = (id_, self.clock())
            found[id_] = name
        return Found(found, remembered)

    def forget(self) -> None:
        """Ask for all of them the next time."""
        self._known.clear()
