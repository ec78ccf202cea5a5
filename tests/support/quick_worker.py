"""The worker with short waits, for tests that kill one: ``python -m tests.support.quick_worker``.

It is the command line's own worker. Only the numbers are smaller, and in the same order as the product's, so
that what takes a minute there takes seconds here. ``QUICK_READ_SECONDS``, ``QUICK_CLAIM_SECONDS`` and
``QUICK_SILENT_SECONDS`` in the environment replace three of them, where many processes share few cores. With
``QUICK_CLOCK`` set, the clock ticks every second and asks about what was sent half a second ago. With
``QUICK_TRIES`` a result is tried so many times. ``QUICK_CLOCK_OFF`` sets its clock wrong by so many seconds,
see :mod:`tests.support.clock_off`. It may die at named points, see :mod:`tests.support.dying`.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import Any

from tests.support import clock_off

if __name__ == "__main__" and (off := os.environ.get(clock_off.VARIABLE)):
    # Before anybody else asks what time it is.
    clock_off.move(float(off))

from canvas_app import cli, engine, gates, http_outcomes, leases, worker
from canvas_app.interviews import once, reconcile, rules
from tests.support import dying
from tests.support.rates import WIDE_OPEN

RENEW_SECONDS = 0.3
SILENT_SECONDS = 1.5
READ_SECONDS = 1.0
CALL_WITHIN_SECONDS = 0.5
CLAIM_SECONDS = 2.0
PAUSES = (0.3, 0.5) + (1.0,) * 20
CHECKS = tuple(0.5 * number for number in range(1, 2000))
BEING_CHECKED = timedelta(seconds=5)
EVERY_SECOND = "* * * * * *"


def shorten() -> None:
    """Make the waits of this process short."""
    leases.RENEW_SECONDS = RENEW_SECONDS
    leases.SILENT_SECONDS = float(os.environ.get("QUICK_SILENT_SECONDS", SILENT_SECONDS))
    read_seconds = float(os.environ.get("QUICK_READ_SECONDS", READ_SECONDS))
    http_outcomes.READ_SECONDS = read_seconds  # type: ignore[misc] # Final for everybody else.
    once.CLAIM_SECONDS = float(os.environ.get("QUICK_CLAIM_SECONDS", CLAIM_SECONDS))
    once._CALL_WITHIN_SECONDS = CALL_WITHIN_SECONDS
    rules._SEND_PAUSES = PAUSES[:5]
    rules._RESULT_PAUSES = rules._ANALYSIS_PAUSES = PAUSES[:10]
    rules._FILL_PAUSES = PAUSES[:4]
    rules._UNKNOWN_PAUSES = PAUSES[:3]
    if tries := os.environ.get("QUICK_TRIES"):
        many: Any = (1.0,) * int(tries)
        rules._RESULT_PAUSES = rules._FILL_PAUSES = rules._UNKNOWN_PAUSES = many
    rules._TURN_PAUSE = rules._MENDING_PAUSE = PAUSES[2]
    gates.RATES = WIDE_OPEN
    gates.PATIENCE_SECONDS = CALL_WITHIN_SECONDS / 2  # type: ignore[misc] # As above.
    gates.PROBE_SECONDS = PAUSES[1]  # type: ignore[misc] # As above.
    if os.environ.get("QUICK_CLOCK"):
        rules._CHECKS = CHECKS
        reconcile._BEING_CHECKED = BEING_CHECKED
        worker.SCHEDULES["reconcile"] = engine.Schedule(EVERY_SECOND, made_up_for=False)
    engine.POLLING_SECONDS[engine.QUEUE] = engine.POLLING_SECONDS[engine.FAST_QUEUE]


if __name__ == "__main__":
    shorten()
    dying.lay(os.environ)
    sys.argv[1:] = ["worker"]
    cli.main()
