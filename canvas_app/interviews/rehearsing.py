"""A dry run of a rule as a job: what it would have done over the last 30 days, beside the rules that are on.

It asks Intercom about every conversation, which takes minutes, and keeps nothing but what it has found: where
it is interrupted it is begun anew.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from canvas_app import log, store
from canvas_app.errors import LaterError, NotConfigured, WireError
from canvas_app.interviews import outcomes, rehearsal, rehearsed, rulestore, workspace
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.rulebook import REHEARSED, Rule
from canvas_app.interviews.services import Services

logger = logging.getLogger(__name__)

# What a vendor or our own gate puts off is asked again a few times, and not for long: somebody looks on.
_MOST_TRIES: Final = 5
_LONGEST_WAIT: Final = 60.0
_WAIT: Final = 2.0
# Seconds between two times at which it writes down how far it has come.
_TELL_EVERY: Final = 1.0


class _OverError(Exception):
    """It was ended or forgotten meanwhile."""


def play(
    services: Services,
    rehearsal_id: str,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """A step: find out and write down. May be repeated, from its beginning."""
    with store.writing(services.engine) as connection:
        run = rehearsed.take(connection, rehearsal_id)
        rules = _rules(rulestore.listed(connection), run.rule) if run is not None else []
    if run is None:
        return outcomes.stop("replaced")
    if not rules:
        return outcomes.permanent("rule_gone")
    progress = _Progress(services, rehearsal_id, clock)
    try:
        workspace.must_match(workspace.known(services), run.workspace_id)
        found = rehearsal.rehearse(
            services,
            rules,
            since=run.since,
            call=lambda function, *args, **named: _patiently(sleep, function, *args, **named),
            tell=progress.one_more,
        )
    except _OverError:
        return outcomes.stop("replaced")
    except (WireError, NotConfigured) as error:
        return outcomes.of_error(error)
    lines = [
        rehearsed.Line(line.contact_id, line.conversation_id, line.happened_at, line.sent_at, line.no)
        for line in found
        if line.rule.slug == run.rule
    ]
    with store.writing(services.engine) as connection:
        rehearsed.advance(connection, rehearsal_id, seen=progress.seen, total=progress.seen)
        rehearsed.finish(connection, rehearsal_id, lines)
    log.event(logger, logging.INFO, "rehearsed", rehearsal=rehearsal_id, rule=run.rule, lines=len(lines))
    return outcomes.done()


def settle(services: Services, rehearsal_id: str, outcome: Outcome) -> None:
    """Let it be over, also where nothing was found out. May be repeated."""
    if outcome["kind"] not in ("done", "stop"):
        with store.writing(services.engine) as connection:
            rehearsed.fail(connection, rehearsal_id, outcome["reason"])
        log.event(
            logger, logging.WARNING, "rehearsal_failed", rehearsal=rehearsal_id, reason=outcome["reason"]
        )


class _Progress:
    """Writes down how far a dry run has come, now and then. Raises _OverError when it is no longer wanted."""

    def __init__(self, services: Services, rehearsal_id: str, clock: Callable[[], float]) -> None:
        self._services = services
        self._id = rehearsal_id
        self._clock = clock
        self._told_at: float | None = None
        self.seen = 0

    def one_more(self, total: int) -> None:
        self.seen += 1
        now = self._clock()
        if self._told_at is not None and now - self._told_at < _TELL_EVERY:
            return
        self._told_at = now
        with store.writing(self._services.engine) as connection:
            wanted = rehearsed.advance(connection, self._id, seen=self.seen, total=max(total, self.seen))
        if not wanted:
            raise _OverError


def _rules(every: list[Rule], slug: str) -> list[Rule]:
    """The rules that are on, and this one as if it were, as far as the past tells about them."""
    found = [rule for rule in every if (rule.enabled or rule.slug == slug) and rule.event in REHEARSED]
    return found if any(rule.slug == slug for rule in found) else []


def _patiently(sleep: Callable[[float], None], function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Make a call that may be repeated, and wait where it was put off. Raises the wires' errors."""
    for left in reversed(range(_MOST_TRIES)):
        try:
            return function(*args, **named)
        except LaterError as error:
            wait = error.retry_after if error.retry_after is not None else _WAIT
            if not left or wait > _LONGEST_WAIT:
                raise
            sleep(wait)
    raise AssertionError("the last try has returned or raised")
