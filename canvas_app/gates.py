"""The gates of the wires, for whoever asks about one: its key, its rate, how it stands, and what is paused.

Each wire and key has one gate, which all workers share; calls go through it in :mod:`canvas_app.passages`.
What the vendor refuses for want of a valid token or of a permission is **paused**: until that is over no call
is made, but for one a minute that tries whether it has been mended. A new token has a new fingerprint and so
a new gate, and is used at once.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import store
from canvas_app.interviews.tables import gates, pauses
from canvas_app.rates import Rate
from canvas_app.settings import Settings

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
# A try that is due later than this was written down before the clock was set back.
FURTHEST_PROBE: Final = timedelta(seconds=PROBE_SECONDS + PATIENCE_SECONDS)
# Every operation of a wire.
EVERYTHING: Final = "*"


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
        sa.or_(pauses.c.probe_at < now - untried_for, pauses.c.probe_at > now + FURTHEST_PROBE),
    )
    rows = connection.execute(sa.delete(pauses).where(stale).returning(*pauses.c)).all()
    return [Pause(keys[row.gate], row.operation, row.reason, row.since, row.gate) for row in rows]
