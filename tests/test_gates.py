"""What is told of the gates in the database: their keys, how they stand, and what is paused."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import gates, store
from canvas_app.gates import PROBE_SECONDS, Pause, Wire
from canvas_app.interviews.tables import gates as gates_table, pauses
from tests.support.gates import (
    NO_PROBE,
    TOKEN,
    WRITE,
    call,
    gate,
    let_pass,
    paused,
    scope_missing,
    token_refused,
)


def test_what_is_stored_does_not_give_the_token_away(engine: Engine) -> None:
    call(gate(engine), error=token_refused)
    with store.reading(engine) as connection:
        stored = str([connection.execute(sa.select(table)).all() for table in (gates_table, pauses)])
    assert gates.key_of("intercom", TOKEN) in stored
    assert TOKEN not in stored


# How a gate stands


def standing(engine: Engine, wire: Wire = "intercom") -> gates.Standing:
    key = gates.key_of(wire, TOKEN)
    with store.reading(engine) as connection:
        return gates.standing(connection, {key: wire})[key]


def test_a_gate_that_nobody_has_passed_stands_open(engine: Engine) -> None:
    assert standing(engine) == gates.Standing(None, ())


def test_when_it_was_last_answered_stands_with_the_pauses(engine: Engine) -> None:
    through = gate(engine)
    call(through)
    call(through, WRITE, scope_missing)
    found = standing(engine)
    assert found.succeeded_at is not None
    assert [pause.operation for pause in found.pauses] == [WRITE]


# Pauses


def test_the_card_is_told_the_pause_of_everything_before_that_of_one_operation(engine: Engine) -> None:
    key = gates.key_of("intercom", TOKEN)
    with store.reading(engine) as connection:
        query = gates.reason_query([key])
        assert connection.execute(query).scalar() is None
        gate(engine)._report(WRITE, scope_missing, NO_PROBE)
        assert connection.execute(query).scalar() == "intercom_scope_missing"
        gate(engine)._report(WRITE, token_refused, NO_PROBE)
        assert connection.execute(query).scalar() == "intercom_token_refused"
        assert connection.execute(gates.reason_query([])).scalar() is None


def test_a_pause_of_before_the_clock_was_set_back_is_forgotten(engine: Engine) -> None:
    keys: dict[str, Wire] = {gates.key_of("intercom", TOKEN): "intercom"}
    call(gate(engine), WRITE, scope_missing)
    with store.writing(engine) as connection:
        assert gates.forget(connection, keys, untried_for=timedelta(hours=1)) == []
    let_pass(engine, -86_400)
    with store.writing(engine) as connection:
        assert len(gates.forget(connection, keys, untried_for=timedelta(hours=1))) == 1


def test_a_pause_that_nobody_has_tried_for_long_is_forgotten(engine: Engine) -> None:
    keys: dict[str, Wire] = {gates.key_of("intercom", TOKEN): "intercom"}
    call(gate(engine), WRITE, scope_missing)
    call(gate(engine, token="not ours"), WRITE, scope_missing)
    let_pass(engine, 3600)
    with store.writing(engine) as connection:
        assert gates.forget(connection, keys, untried_for=timedelta(hours=1)) == []
    let_pass(engine, PROBE_SECONDS + 1)
    with store.writing(engine) as connection:
        [forgotten] = gates.forget(connection, keys, untried_for=timedelta(hours=1))
    assert isinstance(forgotten, Pause)
    assert (forgotten.wire, forgotten.operation) == ("intercom", WRITE)
    assert paused(engine) == []
    assert len(paused(engine, "not ours")) == 1
