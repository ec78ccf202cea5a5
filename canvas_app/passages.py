"""How calls pass the gate of a wire, at which all workers together take their turns, kept in the database.

It spreads calls so that the vendor's limit is never reached, obeys the reset of a 429, lets no call through
to what is paused, and begins and ends the pauses by what the vendor answers, see :mod:`canvas_app.gates`.
"""

from __future__ import annotations

import functools
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import gates, log, rates, store
from canvas_app.errors import CredentialsError, LaterError, PermanentError, WireError
from canvas_app.http_outcomes import GATE_BLOCKED, GATE_FULL, LONGEST_RETRY_AFTER
from canvas_app.interviews.tables import gates as gate_rows, pauses
from canvas_app.rates import Rate

logger = logging.getLogger(__name__)

# How often a process writes down that a vendor answers as it should.
_NOTED_SECONDS: Final = 60.0
# How long calls rest after a 429 that does not say it.
REST_SECONDS: Final = 10.0
# What a call came to, as a label: 2xx where it did what it should, its status, or why it has none.
WENT_WELL: Final = "2xx"


@dataclass(frozen=True, slots=True)
class Passage:
    """A call that is let through: when, and which pauses it is to try."""

    at: datetime
    # Seconds until then.
    wait: float
    probes: tuple[str, ...]


@dataclass(slots=True)
class _Asked:
    """A call that wants to be let through, and what it was told."""

    operation: str
    # Not before the transaction that has found it is committed.
    answer: Passage | Exception | None = None


class DatabaseGate:
    """The gate that all workers share: :class:`canvas_app.http_outcomes.Gate` for one wire and token."""

    def __init__(
        self,
        engine: Engine,
        wire: gates.Wire,
        secret: str,
        rate: Rate,
        *,
        sleep: Callable[[float], None] = time.sleep,
        told: Callable[[str, str], None] = lambda _operation, _status: None,
    ) -> None:
        """``told`` hears of each call its operation, and what came of it: 2xx, another status, or the reason
        why there is none, also where none was made."""
        self._engine = engine
        self._wire = wire
        self._key = gates.key_of(wire, secret)
        self._rate = rate
        self._sleep = sleep
        self._told = told
        self._noted_at = -math.inf
        # Held for a moment only, and never for a transaction: whoever was answered waits for nobody else's.
        self._turnstile = threading.Condition()
        self._is_taking = False
        self._waiting: list[_Asked] = []

    @contextmanager
    def passage(self, operation: str) -> Iterator[None]:
        """Surrounds a call: waits for its turn before, and takes note of its answer after.

        Raises LaterError ``gate_full`` or ``gate_blocked`` and CredentialsError with the pause's reason, in
        which cases no call was made.
        """
        passage: Passage | None = None
        try:
            passage = self._wait_for_turn(operation)
            yield
        except WireError as error:
            self._told(operation, str(error.status) if error.status else error.reason)
            if passage is not None:
                self._report(operation, error, passage)
            raise
        self._told(operation, WENT_WELL)
        self._report(operation, None, passage)

    def _wait_for_turn(self, operation: str) -> Passage:
        # Taking a turn twice costs one turn. So an outage is waited out here, where it is still known for
        # sure that no call was made.
        passage = store.patiently(self.take, operation)
        if passage.wait > 0:
            # Outside the transaction: others may take the turns after this one meanwhile.
            self._sleep(passage.wait)
            # Meanwhile the vendor may have told somebody else to stop.
            store.patiently(self._look_again, operation, passage)
        return passage

    def take(self, operation: str) -> Passage:
        """Take the next turn, if it comes soon enough. Raises as :meth:`passage` does.

        What this process asks for while another of its transactions takes turns is taken together by the
        next one: a turn costs a whole transaction, and the calls of many jobs come at once.
        """
        asked = _Asked(operation)
        with self._turnstile:
            self._waiting.append(asked)
            self._turnstile.wait_for(lambda: asked.answer is not None or not self._is_taking)
            together: list[_Asked] = []
            if asked.answer is None:
                self._is_taking = True
                together, self._waiting = self._waiting, together
        if together:
            try:
                self._take_together(together)
            finally:
                with self._turnstile:
                    # Where this thread was ended in between, the next one answers the others.
                    self._waiting[:0] = (one for one in together if one.answer is None and one is not asked)
                    self._is_taking = False
                    self._turnstile.notify_all()
        if isinstance(asked.answer, Passage):
            return asked.answer
        raise asked.answer or AssertionError("a call was not answered")

    def _take_together(self, together: list[_Asked]) -> None:
        """Answer all of these, in their order, in one transaction."""
        answers: list[Passage | Exception] = []
        try:
            with store.writing(self._engine) as connection:
                due_at, blocked_until = before = self._lock(connection)
                for asked in together:
                    try:
                        passage, due_at = self._take(connection, asked.operation, due_at, blocked_until)
                        answers.append(passage)
                    except WireError as refused:
                        answers.append(refused)
                if due_at != before[0]:
                    connection.execute(_CHANGE, {"gate": self._key, "due_at": due_at})
        except Exception as error:  # noqa: BLE001 - each of them is told, and tries again
            answers = [error] * len(together)
        for asked, answer in zip(together, answers, strict=True):
            asked.answer = answer

    def _take(
        self, connection: Connection, operation: str, due_at: datetime, blocked_until: datetime | None
    ) -> tuple[Passage, datetime]:
        """One turn, and what is to be remembered of it."""
        now, found = self._now_and_pauses(connection, operation)
        _refuse_paused(found, now)
        turn = rates.turn(self._rate, due_at=due_at, blocked_until=blocked_until, now=now)
        wait = (turn.at - now).total_seconds()
        if wait > gates.PATIENCE_SECONDS:
            until = rates.believed(blocked_until, now)
            blocked = until is not None and turn.at <= until
            raise _put_off(GATE_BLOCKED if blocked else GATE_FULL, wait)
        for pause in found:
            # The gate's lock is held: of all workers only this call gets to try.
            next_probe = turn.at + timedelta(seconds=gates.PROBE_SECONDS)
            connection.execute(self._change(pause.operation).values(probe_at=next_probe))
        return Passage(turn.at, wait, tuple(pause.operation for pause in found)), turn.due_at

    def _look_again(self, operation: str, passage: Passage) -> None:
        """Raises as :meth:`take` does if a block or a pause has come up since the turn was taken."""
        with store.reading(self._engine) as connection:
            now, found = self._now_and_pauses(connection, operation)
            _refuse_paused([pause for pause in found if pause.operation not in passage.probes], now)
            blocked_until = connection.execute(_STANDS, {"gate": self._key}).one().blocked_until
        blocked_until = rates.believed(blocked_until, now)
        # The turn that was taken is after any block that was known then.
        if blocked_until is not None and blocked_until > max(now, passage.at):
            raise _put_off(GATE_BLOCKED, (blocked_until - now).total_seconds())

    def _lock(self, connection: Connection) -> tuple[datetime, datetime | None]:
        """The gate's row, which nobody else changes until the transaction ends."""
        row = connection.execute(_LOCKED, {"gate": self._key}).first()
        if row is None:
            now = store.now(connection)
            store.insert_ignoring_conflicts(connection, gate_rows, {"key": self._key, "due_at": now})
            row = connection.execute(_LOCKED, {"gate": self._key}).one()
        return row.due_at, row.blocked_until

    def _now_and_pauses(self, connection: Connection, operation: str) -> tuple[datetime, list[sa.Row[Any]]]:
        """The time, read after the lock was had, and the pauses that concern this operation."""
        values: dict[str, object] = {"gate": self._key, "operation": operation}
        if connection.dialect.name == "sqlite":
            values["now"] = store.now(connection)
        rows = connection.execute(_now_and_pauses(connection.dialect.name), values).all()
        return rows[0].now, [row for row in rows if row.operation is not None]

    def _report(self, operation: str, error: WireError | None, passage: Passage) -> None:
        """Take note of a call's answer. Raises nothing: the call was made, and its outcome stands."""
        try:
            store.once_more(self._take_note, operation, error, passage)
        except Exception as fault:  # noqa: BLE001 - a lost outcome would be worse than whatever was in the way
            log.failure(logger, "gate_not_told", fault, wire=self._wire, operation=operation)

    def _take_note(self, operation: str, error: WireError | None, passage: Passage) -> None:
        if isinstance(error, CredentialsError):
            self._refused(operation, error, passage)
        elif isinstance(error, LaterError) and error.status == 429:
            self._block(error.retry_after)
        elif _accepted(error):
            if passage.probes:
                self._resume(passage.probes)
            self._note_success()

    def _block(self, retry_after: float | None) -> None:
        seconds = min(max(retry_after if retry_after is not None else REST_SECONDS, 1.0), LONGEST_RETRY_AFTER)
        with store.writing(self._engine) as connection:
            due_at, blocked_until = self._lock(connection)
            now = store.now(connection)
            until = now + timedelta(seconds=seconds)
            until = max(until, rates.believed(blocked_until, now) or until)
            due_at = rates.due_after_block(self._rate, due_at=due_at, blocked_until=until, now=now)
            connection.execute(_CHANGE, {"gate": self._key, "due_at": due_at, "blocked_until": until})
        log.event(logger, logging.WARNING, "wire_blocked", wire=self._wire, seconds=round(seconds, 1))

    def _refused(self, operation: str, error: CredentialsError, passage: Passage) -> None:
        # A token that is refused, or cannot even be sent, is of no use for anything. Any other refusal (a
        # permission, credits) has recognised the token, and is about this operation alone.
        refused = gates.EVERYTHING if error.status in (None, 401) else operation
        with store.writing(self._engine) as connection:
            now = store.now(connection)
            new = store.insert_ignoring_conflicts(
                connection,
                pauses,
                {
                    "gate": self._key,
                    "operation": refused,
                    "reason": error.reason,
                    "since": now,
                    "probe_at": now + timedelta(seconds=gates.PROBE_SECONDS),
                },
            )
            if not new:
                changed = self._change(refused).where(pauses.c.reason != error.reason)
                new = connection.execute(changed.values(reason=error.reason)).rowcount == 1
        if new:
            log.event(
                logger,
                logging.WARNING,
                "wire_paused",
                wire=self._wire,
                operation=refused,
                reason=error.reason,
            )
        if refused != gates.EVERYTHING and gates.EVERYTHING in passage.probes:
            self._resume((gates.EVERYTHING,))

    def _resume(self, operations: tuple[str, ...]) -> None:
        with store.writing(self._engine) as connection:
            over = sa.delete(pauses).where(pauses.c.gate == self._key, pauses.c.operation.in_(operations))
            ended = connection.execute(over.returning(pauses.c.operation, pauses.c.reason)).all()
        for pause in ended:
            log.event(
                logger,
                logging.WARNING,
                "wire_resumed",
                wire=self._wire,
                operation=pause.operation,
                reason=pause.reason,
            )

    def _note_success(self) -> None:
        now = time.monotonic()
        if now - self._noted_at < _NOTED_SECONDS:
            return
        with store.writing(self._engine) as connection:
            this = sa.update(gate_rows).where(gate_rows.c.key == self._key)
            connection.execute(this.values(succeeded_at=store.now_expression(connection)))
        self._noted_at = now

    def _change(self, operation: str) -> sa.Update:
        return sa.update(pauses).where(pauses.c.gate == self._key, pauses.c.operation == operation)


# Put together once, as what follows is: they are asked before every call.
_STANDS: Final = sa.select(gate_rows.c.due_at, gate_rows.c.blocked_until).where(
    gate_rows.c.key == sa.bindparam("gate")
)
_LOCKED: Final = _STANDS.with_for_update()
_CHANGE: Final = sa.update(gate_rows).where(gate_rows.c.key == sa.bindparam("gate"))


@functools.cache
def _now_and_pauses(dialect: str) -> sa.Select[Any]:
    """The time, and the pauses of one gate that concern one operation. Put together once: it is asked before
    every call."""
    every: sa.ColumnClause[str] = sa.literal_column(f"'{gates.EVERYTHING}'")
    here = sa.and_(
        pauses.c.gate == sa.bindparam("gate"),
        pauses.c.operation.in_([every, sa.bindparam("operation")]),
    )
    one = sa.select(sa.literal_column("1").label("one")).subquery("one")
    return (
        sa.select(
            store.clock(dialect).label("now"),
            pauses.c.operation,
            pauses.c.reason,
            pauses.c.since,
            pauses.c.probe_at,
        )
        .select_from(one.outerjoin(pauses, here))
        # The pause of everything first: its reason says more.
        .order_by(sa.case((pauses.c.operation == every, 0), else_=1))
    )


def _refuse_paused(found: Iterable[sa.Row[Any]], now: datetime) -> None:
    """Raises CredentialsError for the first of these pauses that is not to be tried yet."""
    for pause in found:
        if now < pause.probe_at <= now + gates.FURTHEST_PROBE:
            raise CredentialsError(
                f"Calls are paused since {pause.since:%Y-%m-%d %H:%M} UTC; no call was made.",
                reason=pause.reason,
            )


def _put_off(reason: str, seconds: float) -> LaterError:
    return LaterError("Too many calls at once; this one was not made.", reason=reason, retry_after=seconds)


def _accepted(error: WireError | None) -> bool:
    """Whether the answer shows that the token was recognised and allowed to do what it asked.

    No answer, a fault of the vendor's or a redirect to elsewhere says nothing about that.
    """
    if error is None:
        return True
    return isinstance(error, PermanentError) and error.status is not None and error.status >= 400
