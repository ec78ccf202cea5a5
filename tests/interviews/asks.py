"""Requests for interviews and rows of the ledger, as tests need them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.interviews import ledger
from canvas_app.interviews.ledger import Ask
from canvas_app.interviews.ledger_rows import Interview

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def make_ask(**changes: Any) -> Ask:
    values: dict[str, Any] = {
        "workspace_id": "ws1",
        "contact_id": "contact1",
        "conversation_id": "501",
        "study": "default",
        "origin": "card",
        "request_key": None,
        "contact_name": "Mia Chen",
    }
    return Ask(**(values | changes))


def write(
    engine: Engine, *, age: timedelta = timedelta(0), state: str = "queued", **changes: Any
) -> Interview:
    """Write an interview that was asked for ``age`` ago, and put it into ``state``; further columns too."""
    id_ = ledger.new_id()
    asked = {name: changes.pop(name) for name in list(changes) if name in Ask.__dataclass_fields__}
    with store.writing(engine) as connection:
        created = ledger.create(
            connection,
            make_ask(**asked),
            id_=id_,
            link_token=f"token-{id_}",
            public_url="https://interviews.example.com",
            now=NOW - age,
            send_before=NOW - age + timedelta(minutes=15),
        )
        assert created is not None, "a row stood in the way"
        ledger.change(connection, id_, only_from=("queued",), state=state, **changes)
    return read(engine, id_)


def read(engine: Engine, interview_id: str) -> Interview:
    with store.reading(engine) as connection:
        found = ledger.get(connection, interview_id)
    assert found is not None
    return found
