"""Writes that must not be repeated: the message to the customer, the reminder, and the note.

Intercom offers no idempotency key for them. So a claim is committed before the call and settled after it.
Where a claim is found unsettled, the process that made it died or got no answer: its time limit is waited
out, the conversation is read, and the write is made again only when it is surely not there.
"""

from __future__ import annotations

import functools
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import http_outcomes, store
from canvas_app.errors import CredentialsError, LaterError, NotConfigured, PermanentError, UnknownOutcomeError
from canvas_app.interviews import outcomes
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.tables import outside_writes

# The wires give a call up before this, so that a call under a claim of this age is over.
CLAIM_SECONDS = http_outcomes.LONGEST_CALL_SECONDS + 5.0

# A process that was frozen between its claim and its call must not make the call late.
_CALL_WITHIN_SECONDS = 5.0

Kind = Literal["message", "reminder", "note"]
Repeatable = Literal["attributes", "tags"]
# What of a result is written to Intercom.
WRITE_BACK: tuple[Kind | Repeatable, ...] = ("attributes", "note", "tags")
Forbidden = Callable[[Connection, datetime], str | None]

# Put together once: several are asked for each result and for each message.
_ONE: Final = sa.select(outside_writes).where(
    outside_writes.c.interview_id == sa.bindparam("id_"), outside_writes.c.kind == sa.bindparam("kind_")
)
_LOCKED: Final = _ONE.with_for_update()
_UNDER_CLAIM: Final = sa.update(outside_writes).where(
    outside_writes.c.interview_id == sa.bindparam("id_"),
    outside_writes.c.kind == sa.bindparam("kind_"),
    outside_writes.c.claim.is_not_distinct_from(sa.bindparam("held", type_=outside_writes.c.claim.type)),
    outside_writes.c.done_at.is_(None),
)
_CLAIM: Final = _UNDER_CLAIM.values(
    claim=sa.bindparam("token"), claimed_at=sa.bindparam("since"), tries=outside_writes.c.tries + 1
)


@dataclass(frozen=True, slots=True)
class _Claim:
    token: str
    # Whether an earlier claim is unsettled, so that the write may have been made already.
    must_look: bool
    # This process's monotonic clock, read right before the moment of the claim.
    begun: float


def write_once(
    engine: Engine,
    interview_id: str,
    kind: Kind,
    *,
    act: Callable[[float], object],
    is_there: Callable[[], bool | None],
    forbidden: Forbidden = lambda _connection, _now: None,
) -> Outcome:
    """Make a write unless it was made before.

    ``act`` makes the call; it is given the moment of ``time.monotonic`` after which it must not begin the
    call any more, but raise LaterError. ``is_there`` asks whether the write is in Intercom: True, False, or
    None when that cannot be told. ``forbidden`` is asked in the very transaction that makes the claim: a
    reason not to make the write (any more), or None. Errors of the wires become outcomes; the claim is given
    back when nothing can have left.
    """
    claim = _take(engine, interview_id, kind, forbidden)
    if not isinstance(claim, _Claim):
        return claim
    if claim.must_look:
        try:
            there = is_there()
        except (LaterError, UnknownOutcomeError) as error:
            # Still not known; the claim stays, and somebody looks again.
            return outcomes.later(error.reason, getattr(error, "retry_after", None))
        except (CredentialsError, NotConfigured) as error:
            # Likewise, once a person has mended what is in the way.
            return outcomes.of_error(error)
        except PermanentError as error:
            return outcomes.unknown(error.reason)
        if there:
            _settle(engine, interview_id, kind, claim.token)
            return outcomes.done("found_there")
        if there is None:
            return outcomes.unknown("cannot_be_told")
        renewed = _renew(engine, interview_id, kind, claim.token, forbidden)
        if not isinstance(renewed, _Claim):
            return renewed
        claim = renewed
    try:
        act(claim.begun + _CALL_WITHIN_SECONDS)
    except UnknownOutcomeError as error:
        return outcomes.later(error.reason, CLAIM_SECONDS)
    except (LaterError, PermanentError, CredentialsError, NotConfigured) as error:
        store.patiently(_give_back, engine, interview_id, kind, claim.token)
        return outcomes.of_error(error)
    # Patiently: were the whole step repeated after an outage, nobody would know any more what the answer was.
    store.patiently(_settle, engine, interview_id, kind, claim.token)
    return outcomes.done()


def begin(connection: Connection, interview_id: str, kind: Repeatable) -> bool:
    """Write down that a write which may be repeated is about to be made; True when this is the first time.

    Once that is committed nobody may say any more that nothing was written, also where no answer comes.
    """
    return store.insert_ignoring_conflicts(
        connection,
        outside_writes,
        {
            "interview_id": interview_id,
            "kind": kind,
            "claim": uuid.uuid4().hex,
            "claimed_at": store.now_expression(connection),
            "tries": 1,
        },
    )


def was_not_made(engine: Engine, interview_id: str, kind: Repeatable) -> None:
    """Take back what :func:`begin` wrote down for the first time: the write was surely refused."""
    with store.writing(engine) as connection:
        connection.execute(
            sa.delete(outside_writes).where(
                outside_writes.c.interview_id == interview_id, outside_writes.c.kind == kind
            )
        )


def is_claimed(connection: Connection, interview_id: str, kind: Kind | Repeatable) -> bool:
    """Whether the write may have been made: a claim on it is not settled, or it is done."""
    row = _row(connection, interview_id, kind)
    return row is not None and (row.claim is not None or row.done_at is not None)


def done_at(connection: Connection, interview_id: str, kind: Kind) -> datetime | None:
    """When the write was made, as far as that is known."""
    row = _row(connection, interview_id, kind)
    return None if row is None else row.done_at


def claimed_at(connection: Connection, interview_id: str, kind: Kind) -> datetime | None:
    """Since when the claim on the write stands that is not settled."""
    row = _row(connection, interview_id, kind)
    return None if row is None or row.claim is None else row.claimed_at


def settle_by_word(connection: Connection, interview_id: str, kind: Kind) -> None:
    """A person has seen the write in Intercom: it is done."""
    connection.execute(
        sa.update(outside_writes)
        .where(
            outside_writes.c.interview_id == interview_id,
            outside_writes.c.kind == kind,
            outside_writes.c.done_at.is_(None),
        )
        .values(claim=None, done_at=store.now(connection))
    )


def clear_by_word(
    connection: Connection, interview_id: str, kind: Kind
) -> Literal["cleared", "too_early", "done"]:
    """A person has looked and the write is not in Intercom: it may be made once more.

    Not before its call is surely over, and not where it is known to be made.
    """
    row = _row(connection, interview_id, kind, lock=True)
    if row is None:
        return "cleared"
    if row.done_at is not None:
        return "done"
    if row.claim is not None and store.now(connection) - row.claimed_at < timedelta(seconds=CLAIM_SECONDS):
        return "too_early"
    _update(connection, interview_id, kind, row.claim, claim=None, claimed_at=None)
    return "cleared"


def _take(engine: Engine, interview_id: str, kind: Kind, forbidden: Forbidden) -> _Claim | Outcome:
    token = uuid.uuid4().hex
    with store.writing(engine) as connection:
        # Not before: what the database was waited for is no time that the claim has stood.
        begun = time.monotonic()
        now = store.now(connection)
        row = _row(connection, interview_id, kind)
        if row is not None and row.done_at is not None:
            return outcomes.done("done_before")
        if row is not None and row.claim is not None:
            age = now - row.claimed_at
            if age < timedelta(seconds=CLAIM_SECONDS):
                return outcomes.later("being_verified", CLAIM_SECONDS - age.total_seconds())
            return _Claim(row.claim, must_look=True, begun=begun)
        reason = forbidden(connection, now)
        if reason is not None:
            return outcomes.permanent(reason)
        fresh = {"interview_id": interview_id, "kind": kind, "claim": token, "claimed_at": now, "tries": 1}
        taken = (
            _swap(connection, interview_id, kind, None, token, now)
            if row is not None
            else store.insert_ignoring_conflicts(connection, outside_writes, fresh)
        )
    if taken:
        return _Claim(token, must_look=False, begun=begun)
    return outcomes.later("claimed_by_another", CLAIM_SECONDS)


def _renew(engine: Engine, interview_id: str, kind: Kind, old: str, forbidden: Forbidden) -> _Claim | Outcome:
    """Make a claim anew whose write is surely not there; give it back where the write is forbidden by now."""
    token = uuid.uuid4().hex
    with store.writing(engine) as connection:
        # Not before: what the database was waited for is no time that the claim has stood.
        begun = time.monotonic()
        now = store.now(connection)
        reason = forbidden(connection, now)
        if reason is not None:
            _update(connection, interview_id, kind, old, claim=None, claimed_at=None)
            return outcomes.permanent(reason)
        swapped = _swap(connection, interview_id, kind, old, token, now)
    if swapped:
        return _Claim(token, must_look=False, begun=begun)
    return outcomes.later("claimed_by_another", CLAIM_SECONDS)


def _settle(engine: Engine, interview_id: str, kind: Kind, token: str) -> None:
    with store.writing(engine) as connection:
        found: dict[str, object] = {"id_": interview_id, "kind_": kind, "held": token}
        if connection.dialect.name == "sqlite":
            found["now"] = store.now(connection)
        connection.execute(_done(connection.dialect.name), found)


@functools.cache
def _done(dialect: str) -> sa.Update:
    return _UNDER_CLAIM.values(claim=None, done_at=store.clock(dialect))


def _give_back(engine: Engine, interview_id: str, kind: Kind, token: str) -> None:
    with store.writing(engine) as connection:
        _update(connection, interview_id, kind, token, claim=None, claimed_at=None)


def _swap(
    connection: Connection, interview_id: str, kind: Kind, old: str | None, new: str, now: datetime
) -> bool:
    found = {"id_": interview_id, "kind_": kind, "held": old}
    return connection.execute(_CLAIM, {**found, "token": new, "since": now}).rowcount == 1


def _row(
    connection: Connection, interview_id: str, kind: Kind | Repeatable, *, lock: bool = False
) -> sa.Row[Any] | None:
    return connection.execute(_LOCKED if lock else _ONE, {"id_": interview_id, "kind_": kind}).first()


def _update(
    connection: Connection, interview_id: str, kind: Kind, held: str | None, **values: object
) -> bool:
    """Change a write that is not done and stands under this claim, or under none; True when it was so."""
    found = {"id_": interview_id, "kind_": kind, "held": held}
    return connection.execute(_UNDER_CLAIM, {**found, **values}).rowcount == 1
