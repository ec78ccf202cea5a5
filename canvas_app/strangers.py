"""Addresses that are refused again and again: they are told to wait, and nothing more is done for them.

Only a refusal is ever replaced by this. A request is verified first, and one that is rightly signed, has the
right token, link or session is let in whatever its address has done: Intercom, Koji and a customer who
shares an address with a stranger always get through. So it does no harm either when somebody makes an
address up.

The counts are in the memory of each process, for a minute, and of no more addresses than fit; they are
neither stored nor logged.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MOST_REFUSALS: Final = 30
SECONDS: Final = 60.0
# A few hundred bytes each. Beyond this the one that was refused longest ago is forgotten.
MOST_ADDRESSES: Final = 10_000


@dataclass(slots=True)
class _Count:
    ends_at: float
    refusals: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """``first``: it is the first time in this minute that the address is told to wait."""

    seconds: int
    first: bool


class Strangers:
    """How often each address was refused within its minute, which begins with its first refusal."""

    def __init__(
        self,
        *,
        most_refusals: int = MOST_REFUSALS,
        most_addresses: int = MOST_ADDRESSES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most_refusals = most_refusals
        self._most_addresses = most_addresses
        self._clock = clock
        self._lock = threading.Lock()
        # The one that was refused longest ago comes first.
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def refused(self, address: str) -> Wait | None:
        """Count one refusal of this address; how long it is to wait where there were too many."""
        with self._lock:
            now = self._clock()
            count = self._counts.pop(address, None)
            if count is None or now >= count.ends_at:
                count = _Count(ends_at=now + SECONDS)
            count.refusals += 1
            self._counts[address] = count
            if len(self._counts) > self._most_addresses:
                self._counts.popitem(last=False)
            beyond = count.refusals - self._most_refusals
            if beyond <= 0:
                return None
            return Wait(seconds=max(1, math.ceil(count.ends_at - now)), first=beyond == 1)

    def __len__(self) -> int:
        return len(self._counts)
