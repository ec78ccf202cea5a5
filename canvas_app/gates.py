"""The gate of a wire: what all workers together may call, kept in the database.

Each wire and key has one gate. It spreads calls so that the vendor's limit is never reached, obeys the reset
of a 429, and **pauses** what the vendor refuses for want of a valid token or of a permission: while it is
paused no call is made, but for one a minute that tries whether it has been mended. A new token has a new
fingerprint and so a new gate, and is used at once.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import log, rates, store
from canvas_app.errors import CredentialsError, LaterError, PermanentError, WireError
from canvas_app.http_outcomes import GATE_BLOCKED, GATE_FULL, LONGEST_RETRY_AFTER
from canvas_app.interviews.tables import gates, pauses
from canvas_app.rates import Rate
from canvas_app.settings import Settings

logger = logging.getLogger(__name__)

Wire = Literal["intercom", "koji"]

# About 90 % of what the vendors allow: calls that leave evenly arrive a little bunched.
RATES: Mapping[Wire, Rate] = {
    # 10,000 a minute, enforced in windows of 10 s with 1,666 calls each.
    # https://developers.intercom.com/docs/references/rest-api/errors/rate-limiting
    "intercom": Rate(calls=1_490, seconds=10.0, burst=100),
    # 60 a minute and key. https://www.koji.so/docs/headless-api-overview
    "koji": Rate(calls=54, seconds=60.0, burst=9),
}

# A call whose turn comes within this time waits for it; any other is put off.
PATIENCE_SECONDS: Final = 2.0
# How often one call may try whether what was refused has been mended.
PROBE_SECONDS: Final = 60.0
# How often a process writes down that a vendor answers as it should.
_NOTED_SECONDS: Final = 60.0
# A try that is due later than this was written down before the clock was set back.
_FURTHEST_PROBE: Final = timedelta(seconds=PROBE_SECONDS + PATIENCE_SECONDS)
# How long calls rest after a 429 that does not say it.
REST_SECONDS: Final = 10.0
# Every operation of a wire.
EVERYTHING: Final = "*"


# What a call came to, as a label: 2xx where it did what it should, its status, or why it has none.
WENT_WELL: Final = "2xx"


@dataclass(frozen=True, slots=True)
class Pause:
    """What a vendor refuses: every call (``*``), or one operation such as ``POST /tags``."""

    wire: Wire
    operation: str
    reason: str
    since: datetime
    # The gate's key, which tells one study's from another's.
    gate: str = ""
    # The slug of the study whose key it is, where whoever tells of it has looked that up.
    study: str | None = None


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


@functools.lru_cache(maxsize=256)
def fingerprint(purpose: str, secret: str) -> str:
    """Tells one secret from another without giving it away: 16 hexadecimal characters."""
    return hashlib.sha256(f"{purpose}\0{secret}".encode("utf-8", "surrogateescape")).hexdigest()[:16]


def key_of(wire: Wire, secret: str) -> str:
    """The name of the gate of this wire and token."""
    return f"{wire}:{fingerprint(f'{wire} token', secret)}"


def token_fingerprint(settings: Settings) -> str:
    """Tells one of Intercom's access tokens from another: which one a workspace was learnt by."""
    token = settings.intercom_access_token
    return fingerprint("intercom token", token.get_secret_value() if token else "")


def keys_of(settings: Settings) -> dict[str, Wire]:
    """The gates of the tokens that are set in the environment."""
    secrets: dict[Wire, str | None] = {
        "intercom": settings.intercom_access_token.get_secret_value()
        if settings.intercom_access_token
        else None,
        "koji": settings.default_study.api_key,
    }
    return {key_of(wire, secret): wire for wire, secret in secrets.items() if secret}


def reason_query(
    keys: Iterable[str | sa.BindParameter[str]], others: sa.Select[Any] | None = None
) -> sa.Select[str]:
    """The reason of the pause that matters most: of every call before one operation, the oldest first.

    ``others`` selects the keys of further gates, so that they need no query of their own.
    """
    every = sa.case((pauses.c.operation == EVERYTHING, 0), else_=1)
    # An empty list would be written out anew at each execution.
    ours = pauses.c.gate.in_(listed) if (listed := list(keys)) else sa.false()
    return (
        sa.select(pauses.c.reason)
        .where(ours if others is None else sa.or_(ours, pauses.c.gate.in_(others)))
        .order_by(every, pauses.c.since)
        .limit(1)
    )


def paused(connection: Connection, keys: Mapping[str, Wire]) -> list[Pause]:
    """The pauses of these gates."""
    rows = connection.execute(
        sa.select(pauses).where(pauses.c.gate.in_(list(keys))).order_by(pauses.c.gate, pauses.c.operation)
    )
    return [Pause(keys[row.gate], row.operation, row.reason, row.since, row.gate) for row in rows]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a gate stands: when its vendor last answered as it should, to the minute, and its pauses."""

    succeeded_at: datetime | None = None
    pauses: tuple[Pause, ...] = ()


def standing(connection: Connection, keys: Mapping[str, Wire]) -> dict[str, Standing]:
    """How each of these gates stands. One query."""
    rows = connection.execute(
        sa.select(gates.c.key, gates.c.succeeded_at, pauses.c.operation, pauses.c.reason, pauses.c.since)
        .select_from(gates.outerjoin(pauses, pauses.c.gate == gates.c.key))
        .where(gates.c.key.in_(list(keys)))
        .order_by(gates.c.key, pauses.c.operation)
    ).all()
    found = {}
    for key, wire in keys.items():
        mine = [row for row in rows if row.key == key]
        paused_ = (
            Pause(wire, row.operation, row.reason, row.since, key)
            for row in mine
            if row.operation is not None
        )
        found[key] = Standing(mine[0].succeeded_at if mine else None, tuple(paused_))
    return found


def forget(connection: Connection, keys: Mapping[str, Wire], *, untried_for: timedelta) -> list[Pause]:
    """Take away the pauses that no call has tried for this long. The next call finds out how it is.

    Those too whose next try lies further ahead than any can: the clock was set back.
    """
    now = store.now(connection)
    stale = sa.and_(
        pauses.c.gate.in_(list(keys)),
        sa.or_(pauses.c.probe_at < now - untried_for, pauses.c.probe_at > now + _FURTHEST_PROBE),
    )
    rows = connection.execute(sa.delete(pauses).where(stale).returning(*pauses.c)).all()
    return [Pause(keys[row.gate], row.operation, row.reason, row.since, row.gate) for row in rows]


class DatabaseGate:
    """The gate that all workers share: :class:`canvas_app.http_outcomes.Gate` for one wire and token."""

    def __init__(
        self,
        engine: Engine,
        wire: Wire,
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
        self._key = key_of(wire, secret)
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
        if wait > PATIENCE_SECONDS:
            until = rates.believed(blocked_until, now)
            blocked = until is not None and turn.at <= until
            raise _put_off(GATE_BLOCKED if blocked else GATE_FULL, wait)
        for pause in found:
            # The gate's lock is held: of all workers only this call gets to try.
            next_probe = turn.at + timedelta(seconds=PROBE_SECONDS)
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
            store.insert_ignoring_conflicts(connection, gates, {"key": self._key, "due_at": now})
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
        refused = EVERYTHING if error.status in (None, 401) else operation
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
                    "probe_at": now + timedelta(seconds=PROBE_SECONDS),
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
        if refused != EVERYTHING and EVERYTHING in passage.probes:
            self._resume((EVERYTHING,))

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
            this = sa.update(gates).where(gates.c.key == self._key)
            connection.execute(this.values(succeeded_at=store.now_expression(connection)))
        self._noted_at = now

    def _change(self, operation: str) -> sa.Update:
        return sa.update(pauses).where(pauses.c.gate == self._key, pauses.c.operation == operation)


# Put together once, as what follows is: they are asked before every call.
_STANDS: Final = sa.select(gates.c.due_at, gates.c.blocked_until).where(gates.c.key == sa.bindparam("gate"))
_LOCKED: Final = _STANDS.with_for_update()
_CHANGE: Final = sa.update(gates).where(gates.c.key == sa.bindparam("gate"))


@functools.cache
def _now_and_pauses(dialect: str) -> sa.Select[Any]:
    """The time, and the pauses of one gate that concern one operation. Put together once: it is asked before
    every call."""
    every: sa.ColumnClause[str] = sa.literal_column(f"'{EVERYTHING}'")
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
        if now < pause.probe_at <= now + _FURTHEST_PROBE:
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
