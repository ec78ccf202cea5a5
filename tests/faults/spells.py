"""A whole vendor misbehaves for a while: every call of a wire goes wrong, or its port is closed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.faults import Fault, Kind, Wire
from sandbox.server import Sandbox
from tests.faults.platform import Platform
from tests.faults.troubles import Step, Trouble, chance_of

_EVERY_CALL = 1_000_000
SPELLS: dict[str, tuple[Kind | None, int, float]] = {
    "429": ("status", 429, 0.0),
    "5xx": ("status", 503, 0.0),
    "refused": (None, 0, 0.0),
    "slow": ("latency", 0, 1.0),
    "cut off": ("truncated", 0, 0.0),
    # Each call of such a minute takes its effect, and the answer never comes.
    "time-out after the effect": ("hang_after", 0, 3.5),
    "no answer": ("drop_after", 0, 0.0),
    "html": ("html", 0, 0.0),
    "dead token": ("status", 401, 0.0),
    "missing scope": ("status", 403, 0.0),
}
"""By name: kind of the fault (none where the port is closed), status, and delay in seconds."""


def spells(
    seed: int,
    *,
    seconds: dict[str, float],
    pause: float,
    kinds: tuple[str, ...] = tuple(SPELLS),
    wires: tuple[Wire, ...] = ("intercom", "koji"),
) -> list[Trouble]:
    """Each kind once, in an order of each wire's own; ``seconds`` by kind, "" for all others."""
    troubles = []
    for wire in wires:
        chance = chance_of(seed, f"spells of {wire}")
        steps = []
        for kind in chance.sample(kinds, len(kinds)):
            lasts = seconds.get(kind, seconds[""])

            def do(platform: Platform, wire: Wire = wire, kind: str = kind, lasts: float = lasts) -> None:
                with spell(platform.stage.sandbox, wire, kind, lasts):
                    time.sleep(lasts)

            steps.append(Step(f"{wire}: {kind}", pause * chance.uniform(0.5, 1.5), do, takes=lasts))
        troubles.append(Trouble(steps))
    return troubles


@contextmanager
def spell(sandbox: Sandbox, wire: Wire, name: str, lasts: float) -> Iterator[None]:
    """Every call of a wire goes wrong meanwhile; ``lasts`` is what a 429 says about when it is over."""
    kind, status, delay = SPELLS[name]
    if kind is None:
        with sandbox.refusing(wire):
            yield
        return
    headers = {}
    if status == 429:
        over_at = int(time.time() + lasts) + 1
        headers = (
            {"Retry-After": str(int(lasts) + 1)} if wire == "koji" else {"X-RateLimit-Reset": f"{over_at}"}
        )
    fault = Fault(
        wire, "*", ".*", kind, times=_EVERY_CALL, status=status or 500, delay=delay, headers=headers
    )
    sandbox.faults.set(fault)
    try:
        yield
    finally:
        fault.times = 0
