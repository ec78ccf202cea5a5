"""Rates for tests that are not about rates."""

from __future__ import annotations

from canvas_app import gates
from canvas_app.rates import Rate

# So many calls a second that no test ever waits for its turn.
WIDE_OPEN: dict[gates.Wire, Rate] = {
    "intercom": Rate(calls=20_000, seconds=1.0, burst=10_000),
    "koji": Rate(calls=20_000, seconds=1.0, burst=10_000),
}
