"""Calls at the gates in the database, as the tests of gates and passages make them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import gates, store
from canvas_app.errors import CredentialsError, WireError
from canvas_app.gates import Wire
from canvas_app.interviews.tables import gates as gates_table, pauses
from canvas_app.passages import DatabaseGate, Passage
from canvas_app.rates import Rate

TOKEN = "planted-token"
READ, WRITE = "GET /conversations/{id}", "POST /conversations/{id}/reply"
WIDE = Rate(calls=20_000, seconds=1.0, burst=10_000)

# The passage of a call that is to try no pause.
NO_PROBE = Passage(datetime.max.replace(tzinfo=UTC), 0.0, ())

token_refused = CredentialsError(reason="intercom_token_refused", status=401)
scope_missing = CredentialsError(reason="intercom_scope_missing", status=403)


def gate(engine: Engine, rate: Rate = WIDE, *, wire: Wire = "intercom", token: str = TOKEN) -> DatabaseGate:
    return DatabaseGate(engine, wire, token, rate, sleep=lambda _seconds: None)


def call(
    through: DatabaseGate,
    operation: str = READ,
    error: WireError | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> str:
    """One call that ends so: what the caller sees of it, as a reason code."""
    made = False
    try:
        with through.passage(operation):
            made = True
            meanwhile()
            if error is not None:
                raise error
    except WireError as seen:
        if not made:
            return f"no call: {seen.reason}"
        return seen.reason if seen is error else f"another error: {seen.reason}"
    return "made"


def let_pass(engine: Engine, seconds: float) -> None:
    """Make what the gates remember older."""
    with store.writing(engine) as connection:
        for table, names in ((gates_table, ("due_at", "blocked_until")), (pauses, ("since", "probe_at"))):
            for row in connection.execute(sa.select(table)).mappings().all():
                older = {name: row[name] - timedelta(seconds=seconds) for name in names if row[name]}
                same = [column == row[column.name] for column in table.primary_key.columns]
                connection.execute(sa.update(table).where(*same).values(older))


def paused(engine: Engine, token: str = TOKEN) -> list[tuple[str, str]]:
    with store.reading(engine) as connection:
        found = gates.paused(connection, {gates.key_of("intercom", token): "intercom"})
    return [(pause.operation, pause.reason) for pause in found]
