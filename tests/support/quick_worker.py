"""The worker with short waits, for tests that kill one: ``python -m tests.support.quick_worker``.

It is the command line's own worker. Only the numbers are smaller, and in the same order as the product's, so
that what takes a minute there takes seconds here. ``QUICK_CLAIM_SECONDS`` in the environment replaces one.
"""

from __future__ import annotations

import os
import sys

from canvas_app import cli, engine, http_outcomes, leases
from canvas_app.interviews import once, rules

RENEW_SECONDS = 0.3
SILENT_SECONDS = 1.5
READ_SECONDS = 1.0
CALL_WITHIN_SECONDS = 0.5
CLAIM_SECONDS = 2.0
PAUSES = (0.3, 0.5) + (1.0,) * 20


def shorten() -> None:
    """Make the waits of this process short."""
    leases.RENEW_SECONDS = RENEW_SECONDS
    leases.SILENT_SECONDS = SILENT_SECONDS
    http_outcomes.READ_SECONDS = READ_SECONDS  # type: ignore[misc] # Final for everybody else.
    once.CLAIM_SECONDS = float(os.environ.get("QUICK_CLAIM_SECONDS", CLAIM_SECONDS))
    once._CALL_WITHIN_SECONDS = CALL_WITHIN_SECONDS
    rules._SEND_PAUSES = PAUSES[:5]
    rules._RESULT_PAUSES = PAUSES[:10]
    engine.POLLING_SECONDS[engine.QUEUE] = engine.POLLING_SECONDS[engine.FAST_QUEUE]


if __name__ == "__main__":
    shorten()
    sys.argv[1:] = ["worker"]
    cli.main()
