"""Claims that broke off: jobs that this worker holds and does not know of.

The durable engine takes jobs from a queue by a claim, one transaction that marks them as running under a
token of this one claim, and starts those that the claim answers with. Where the connection breaks while it is
committed, the database may have kept it, and nobody has heard of that: the engine goes on with other jobs,
and these would stand as running for as long as this worker lives, with all that waits behind them.

A claim that broke off has started nothing and never will. So what is found under its token can be put back at
once, and needs no guess at how long a job may take to begin. SQLite works in this process, where no
connection breaks.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from dbos._sys_db import SystemDatabase
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from canvas_app import engine as durable, store

T = TypeVar("T")

# How many are remembered. A commit that waits, for a standby of PostgreSQL's for instance, may take effect
# whenever that is back: so none is forgotten for its age, and a network that breaks each one fills no memory.
_MOST = 1000


class Claims:
    """The claims of this process of which nobody knows whether the database has kept them."""

    def __init__(self) -> None:
        self._broken_off: deque[str] = deque(maxlen=_MOST)

    def watch(self) -> None:
        """Hear from now on of each that breaks off; called before a worker is launched."""
        for name in ("start_queued_workflows", "start_queued_partitioned_workflows"):
            setattr(SystemDatabase, name, self._heard(getattr(SystemDatabase, name)))

    def put_back(self, engine: Engine) -> int:
        """Put the jobs of claims that broke off back into their queues; how many there were.

        To be called again and again: the database may make a commit long after its connection has broken.
        """
        tokens = list(self._broken_off)
        if not tokens:
            return 0
        with store.writing(engine) as connection:
            return durable.put_back(connection, tokens)

    def _heard(self, claim: Callable[..., T]) -> Callable[..., T]:
        @functools.wraps(claim)
        def claim_and_hear(*args: Any, owner_xid: str, **options: Any) -> T:
            try:
                return claim(*args, owner_xid=owner_xid, **options)
            except DBAPIError as error:
                # Any other error is the database's own word that nothing was kept.
                if error.connection_invalidated:
                    self._broken_off.append(owner_xid)
                raise

        return claim_and_hear
