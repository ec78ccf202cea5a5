"""Calls at the gates in the database: of threads, processes and engines, on both databases."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from canvas_app import gates, passages, store
from canvas_app.errors import (
    ContactMerged,
    CredentialsError,
    LaterError,
    PermanentError,
    UnknownOutcomeError,
    WireError,
)
from canvas_app.gates import EVERYTHING, PROBE_SECONDS, Wire
from canvas_app.http_outcomes import LONGEST_RETRY_AFTER
from canvas_app.interviews.tables import pauses
from canvas_app.passages import DatabaseGate, Passage
from canvas_app.rates import Rate
from canvas_app.settings import Settings
from tests.support.gates import (
    NO_PROBE,
    READ,
    TOKEN,
    WIDE,
    WRITE,
    call,
    gate,
    let_pass,
    paused,
    scope_missing,
    token_refused,
)
from tests.test_rates import most_in_a_window

# The one call at once, and the next only after the patience of a gate.
NARROW = Rate(calls=2, seconds=60.0, burst=1)

Logged = Callable[[], list[dict[str, Any]]]


def events(log_lines: Logged) -> list[tuple[str, str, str]]:
    lines = [line for line in log_lines() if line["event"].startswith("wire_")]
    return [(line["event"], line.get("operation", ""), line.get("reason", "")) for line in lines]


def at_once(count: int, work: Callable[[int], object]) -> None:
    start = threading.Barrier(count)
    failed: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait(30)
            work(number)
        except BaseException as error:  # noqa: BLE001 -- raised again by the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []


# The rate


def test_a_call_beyond_the_rate_is_not_made_and_is_told_when_its_turn_comes(engine: Engine) -> None:
    assert call(gate(engine, NARROW)) == "made"
    with pytest.raises(LaterError) as refused, gate(engine, NARROW).passage(READ):
        pytest.fail("the call was made")
    assert refused.value.reason == "gate_full"
    assert 50 < (refused.value.retry_after or 0) <= 60
    # It took no turn from anybody.
    let_pass(engine, 60)
    assert call(gate(engine, NARROW)) == "made"


def test_a_call_whose_turn_comes_soon_takes_it_and_waits_outside_the_transaction(engine: Engine) -> None:
    rate = Rate(calls=2, seconds=1.5, burst=1)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        # Nobody is kept from the gate meanwhile, and the turn after this one is too far away.
        assert call(gate(engine, rate)) == "no call: gate_full"

    assert call(gate(engine, rate)) == "made"
    assert call(DatabaseGate(engine, "intercom", TOKEN, rate, sleep=sleep)) == "made"
    [seconds] = waited
    assert 0 < seconds <= 1.5


def waits_while(engine: Engine, rate: Rate, meanwhile: Callable[[], None]) -> DatabaseGate:
    """A gate at which the next call has to wait for its turn, while this happens."""
    assert call(gate(engine, rate)) == "made"
    return DatabaseGate(engine, "intercom", TOKEN, rate, sleep=lambda _seconds: meanwhile())


# The next call waits a second for its turn.
SOON = Rate(calls=60, seconds=60.0, burst=1)


def test_a_429_holds_for_a_call_that_waits_for_its_turn_already(engine: Engine) -> None:
    limited = LaterError(reason="rate_limited", status=429, retry_after=600.0)
    waiting = waits_while(engine, SOON, lambda: gate(engine, SOON)._report(READ, limited, NO_PROBE))
    with pytest.raises(LaterError) as refused, waiting.passage(READ):
        pytest.fail("the call was made")
    assert refused.value.reason == "gate_blocked"
    assert 590 < (refused.value.retry_after or 0) <= 600


def test_a_dead_token_holds_for_a_call_that_waits_for_its_turn_already(engine: Engine) -> None:
    waiting = waits_while(engine, SOON, lambda: gate(engine, SOON)._report(READ, token_refused, NO_PROBE))
    assert call(waiting) == "no call: intercom_token_refused"


def test_a_call_that_waits_is_made_where_only_another_operation_is_refused_meanwhile(engine: Engine) -> None:
    waiting = waits_while(engine, SOON, lambda: gate(engine, SOON)._report(WRITE, scope_missing, NO_PROBE))
    assert call(waiting, READ) == "made"


def test_a_call_that_waits_and_is_to_try_a_pause_is_made(engine: Engine) -> None:
    waited: list[int] = []
    waiting = waits_while(engine, SOON, lambda: waited.append(1))
    gate(engine)._report(READ, token_refused, NO_PROBE)
    with store.writing(engine) as connection:
        connection.execute(sa.update(pauses).values(probe_at=store.now(connection)))
    assert call(waiting) == "made"
    assert waited == [1]
    assert paused(engine) == []


def test_after_the_clock_was_set_back_a_gate_and_a_pause_hold_nobody_up(engine: Engine) -> None:
    limited = LaterError(reason="rate_limited", status=429, retry_after=600.0)
    call(gate(engine), error=limited)
    gate(engine)._report(READ, token_refused, NO_PROBE)
    let_pass(engine, -30 * 86_400)
    assert call(gate(engine)) == "made"
    assert paused(engine) == []
    # What a vendor says now counts, whatever was remembered.
    call(gate(engine), error=limited)
    with pytest.raises(LaterError) as refused:
        gate(engine).take(READ)
    assert (refused.value.reason, round((refused.value.retry_after or 0) / 10)) == ("gate_blocked", 60)


def test_each_wire_and_token_has_a_gate_of_its_own(engine: Engine) -> None:
    for wire, token in (("intercom", TOKEN), ("intercom", "another"), ("koji", TOKEN)):
        narrow = gate(engine, NARROW, wire=wire, token=token)  # type: ignore[arg-type] # A tuple of both.
        assert [call(narrow), call(narrow)] == ["made", "no call: gate_full"]


@pytest.mark.parametrize("rate", [Rate(calls=20, seconds=0.2, burst=5), Rate(calls=6, seconds=0.05, burst=1)])
def test_many_threads_of_several_engines_share_one_rate(settings: Settings, rate: Rate) -> None:
    engines = [store.make_engine(settings.database_url, pool_size=3) for _ in range(3)]
    made: list[datetime] = []

    def hurry(number: int) -> None:
        mine = gate(engines[number % len(engines)], rate)
        for _ in range(40):
            with suppress(LaterError):
                made.append(mine.take(READ).at)

    at_once(9, hurry)
    assert len(made) > rate.calls, "more than one window was needed"
    assert most_in_a_window(made, rate.seconds) <= rate.calls
    for engine in engines:
        engine.dispose()


def test_calls_that_ask_while_turns_are_taken_take_theirs_together_in_one_transaction(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    through, transactions = gate(engine, Rate(calls=60, seconds=45.0, burst=3)), []
    writing, all_have_asked = store.writing, threading.Event()

    def slowly(engine: Engine) -> Any:
        transactions.append(1)
        assert all_have_asked.wait(30)
        return writing(engine)

    monkeypatch.setattr(store, "writing", slowly)
    through._is_taking = True
    passages: list[Passage] = []
    refused: list[str] = []

    def ask(_number: int) -> None:
        try:
            passages.append(through.take(READ))
        except LaterError as error:
            refused.append(error.reason)

    def let_them_ask(number: int) -> None:
        if number:
            ask(number)
            return
        while len(through._waiting) < 8:
            threading.Event().wait(0.001)
        all_have_asked.set()
        with through._turnstile:
            through._is_taking = False
            through._turnstile.notify_all()

    at_once(9, let_them_ask)
    assert len(transactions) == 1
    # A burst of three, and two more whose turn comes within two seconds.
    assert refused == ["gate_full"] * 3
    assert most_in_a_window([passage.at for passage in passages], 0.5) == 3
    assert sorted(round(passage.wait) for passage in passages) == [0, 0, 0, 1, 2]


def test_a_call_that_was_let_through_waits_for_no_other_calls_transaction(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    through, writing = gate(engine), store.writing
    all_let_through, begun = threading.Event(), threading.Event()
    transactions: list[int] = []
    let_through: list[bool] = []

    def slowly(engine: Engine) -> Any:
        transactions.append(1)
        begun.set()
        if len(transactions) == 1:
            while len(through._waiting) < 2:
                threading.Event().wait(0.001)
        if len(transactions) == 3:
            # That of whoever of the two asks once more at once.
            let_through.append(all_let_through.wait(5))
        return writing(engine)

    monkeypatch.setattr(store, "writing", slowly)
    through_once: list[int] = []

    def ask(number: int) -> None:
        if number:
            assert begun.wait(30)
        through.take(READ)
        if number:
            through_once.append(number)
            if len(through_once) == 2:
                all_let_through.set()
            through.take(READ)

    at_once(3, ask)
    assert let_through == [True]


def test_a_thread_that_is_ended_while_it_takes_turns_leaves_the_others_to_the_next_one(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    through, writing = gate(engine), store.writing
    transactions: list[int] = []

    def slowly(engine: Engine) -> Any:
        transactions.append(1)
        if len(transactions) == 1:
            while len(through._waiting) < 2:
                threading.Event().wait(0.001)
        if len(transactions) == 2:
            raise SystemExit
        return writing(engine)

    monkeypatch.setattr(store, "writing", slowly)
    ended: list[str] = []

    def ask(_number: int) -> None:
        try:
            through.take(READ)
        except SystemExit:
            ended.append("ended")
        else:
            ended.append("let through")

    at_once(3, ask)
    assert sorted(ended) == ["ended", "let through", "let through"]


def test_of_calls_that_ask_together_one_tries_what_is_paused(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    through = gate(engine)
    through._report(READ, token_refused, NO_PROBE)
    let_pass(engine, PROBE_SECONDS)
    told: list[str] = []

    def ask(_number: int) -> None:
        try:
            told.append(str(len(through.take(READ).probes)))
        except CredentialsError as error:
            told.append(error.reason)

    at_once(6, ask)
    assert sorted(told) == ["1", *["intercom_token_refused"] * 5]


def test_calls_that_ask_together_while_the_database_is_away_are_all_told(engine: Engine) -> None:
    through = gate(engine)
    through._engine = sa.create_engine("sqlite:////nonexistent/x.db")

    def ask(_number: int) -> None:
        with pytest.raises(OperationalError):
            through.take(READ)

    at_once(6, ask)
    assert not through._waiting


# What the vendor says


@pytest.mark.parametrize(
    ("said", "kept"), [(300.0, 300), (None, 10), (0.0, 1), (10 * LONGEST_RETRY_AFTER, 3600)]
)
def test_after_a_429_nobody_calls_until_the_vendors_reset(
    engine: Engine, settings: Settings, said: float | None, kept: int
) -> None:
    limited = LaterError(reason="rate_limited", status=429, retry_after=said)
    assert call(gate(engine), error=limited) == "rate_limited"
    another_engine = store.make_engine(settings.database_url, pool_size=1)
    another = gate(another_engine)
    if kept > gates.PATIENCE_SECONDS:
        with pytest.raises(LaterError) as refused, another.passage(WRITE):
            pytest.fail("the call was made")
        assert refused.value.reason == "gate_blocked"
        assert kept - 5 < (refused.value.retry_after or 0) <= kept
    else:
        assert 0 < another.take(WRITE).wait <= kept
    let_pass(engine, kept)
    assert call(another) == "made"
    another_engine.dispose()


def test_a_shorter_reset_does_not_end_a_longer_one(engine: Engine) -> None:
    both = gate(engine)
    with both.passage(READ), pytest.raises(LaterError), both.passage(READ):
        raise LaterError(status=429, retry_after=600.0)
    let_pass(engine, 595)
    # One that was under way already.
    gate(engine)._report(READ, LaterError(status=429, retry_after=1.0), NO_PROBE)
    with pytest.raises(LaterError) as refused, both.passage(READ):
        pytest.fail("the call was made")
    assert refused.value.reason == "gate_blocked"
    assert 2 < (refused.value.retry_after or 0) <= 5


@pytest.mark.parametrize(
    "error",
    [
        LaterError(reason="server_error", status=503, retry_after=99.0),
        LaterError(reason="unreachable"),
        UnknownOutcomeError(reason="no_answer"),
        PermanentError(reason="not_found", status=404),
        ContactMerged("c2"),
    ],
)
def test_other_failures_keep_nobody_from_calling(engine: Engine, error: WireError) -> None:
    assert call(gate(engine), error=error) == error.reason
    assert call(gate(engine)) == "made"
    assert paused(engine) == []


# Pauses


@pytest.mark.parametrize(
    "error",
    [token_refused, CredentialsError(reason="intercom_token_malformed")],
    ids=["refused", "malformed"],
)
def test_a_dead_token_pauses_every_call_of_it_and_of_no_other(engine: Engine, error: WireError) -> None:
    assert call(gate(engine), error=error) == error.reason
    assert paused(engine) == [(EVERYTHING, error.reason)]
    for operation in (READ, WRITE):
        assert call(gate(engine), operation) == f"no call: {error.reason}"
    assert call(gate(engine, token="the new one")) == "made"
    assert call(gate(engine, wire="koji")) == "made"


@pytest.mark.parametrize(
    "error",
    [
        scope_missing,
        CredentialsError(reason="koji_credits", status=402),
        CredentialsError(reason="koji_credits", status=429),
    ],
    ids=["scope", "credits", "credits as 429"],
)
def test_what_recognises_the_token_pauses_the_refused_operation_alone(
    engine: Engine, error: WireError
) -> None:
    assert call(gate(engine), WRITE, error) == error.reason
    assert paused(engine) == [(WRITE, error.reason)]
    assert call(gate(engine), WRITE) == f"no call: {error.reason}"
    assert call(gate(engine), READ) == "made"


def test_a_pause_is_logged_once_and_its_end_once_whoever_is_there(
    engine: Engine, settings: Settings, log_lines: Logged
) -> None:
    engines = [store.make_engine(settings.database_url, pool_size=3) for _ in range(2)]
    all_inside = threading.Barrier(6)
    seen: Counter[str] = Counter()

    def meet_it(number: int) -> None:
        through = gate(engines[number % 2])
        # All are let through before the first of them is refused.
        seen[call(through, error=token_refused, meanwhile=lambda: all_inside.wait(30))] += 1
        seen[call(through)] += 1

    at_once(6, meet_it)
    assert seen == {"intercom_token_refused": 6, "no call: intercom_token_refused": 6}
    assert events(log_lines) == [("wire_paused", EVERYTHING, "intercom_token_refused")]
    let_pass(engine, PROBE_SECONDS)
    tried: Counter[str] = Counter()

    def try_it(number: int) -> None:
        try:
            with gate(engines[number % 2]).passage(READ):
                tried["probe"] += 1
                # The others come while it is under way.
                others_refused.wait(30)
        except CredentialsError:
            tried["refused"] += 1
            if tried["refused"] == 5:
                others_refused.set()

    others_refused = threading.Event()
    at_once(6, try_it)
    assert tried == {"probe": 1, "refused": 5}
    assert events(log_lines) == [("wire_resumed", EVERYTHING, "intercom_token_refused")]
    assert paused(engine) == []
    assert [call(gate(each)) for each in engines] == ["made", "made"]
    assert events(log_lines) == []
    for each in engines:
        each.dispose()


def test_a_probe_that_is_refused_too_leaves_the_pause_as_it_is_for_another_minute(
    engine: Engine, log_lines: Logged
) -> None:
    call(gate(engine), error=token_refused)
    with store.reading(engine) as connection:
        since = connection.execute(sa.select(pauses.c.since)).scalar_one()
    events(log_lines)
    let_pass(engine, PROBE_SECONDS)
    assert call(gate(engine), error=token_refused) == "intercom_token_refused"
    assert call(gate(engine)) == "no call: intercom_token_refused"
    assert events(log_lines) == []
    with store.reading(engine) as connection:
        assert connection.execute(sa.select(pauses.c.since)).scalar_one() == since - timedelta(
            seconds=PROBE_SECONDS
        )


def test_another_reason_is_told_once_more(engine: Engine, log_lines: Logged) -> None:
    call(gate(engine), WRITE, scope_missing)
    let_pass(engine, PROBE_SECONDS)
    call(gate(engine), WRITE, CredentialsError(reason="koji_credits", status=402))
    assert [reason for _, _, reason in events(log_lines)] == ["intercom_scope_missing", "koji_credits"]
    assert paused(engine) == [(WRITE, "koji_credits")]


@pytest.mark.parametrize(
    ("answer", "over"),
    [
        (None, True),
        (PermanentError(reason="not_found", status=404), True),
        (PermanentError(reason="intercom_refused", status=422), True),
        (ContactMerged("c2"), True),
        (LaterError(reason="server_error", status=502), False),
        (LaterError(reason="unreachable"), False),
        (UnknownOutcomeError(reason="no_answer"), False),
        (UnknownOutcomeError(reason="server_error", status=500), False),
        (LaterError(reason="rate_limited", status=429, retry_after=1.0), False),
        (PermanentError(reason="redirected", status=301), False),
        (PermanentError(reason="base_url_wrong"), False),
        (LaterError(reason="too_slow"), False),
    ],
)
def test_a_pause_ends_when_an_answer_shows_that_the_token_is_taken(
    engine: Engine, answer: WireError | None, over: bool
) -> None:
    call(gate(engine), error=token_refused)
    let_pass(engine, PROBE_SECONDS)
    call(gate(engine), error=answer)
    assert paused(engine) == ([] if over else [(EVERYTHING, "intercom_token_refused")])


def test_a_token_that_is_taken_but_lacks_a_permission_is_not_dead_any_more(engine: Engine) -> None:
    call(gate(engine), error=token_refused)
    let_pass(engine, PROBE_SECONDS)
    assert call(gate(engine), WRITE, scope_missing) == "intercom_scope_missing"
    assert paused(engine) == [(WRITE, "intercom_scope_missing")]
    assert call(gate(engine), READ) == "made"


def test_only_the_refused_operation_tries_whether_the_permission_is_there(engine: Engine) -> None:
    call(gate(engine), WRITE, scope_missing)
    let_pass(engine, PROBE_SECONDS)
    assert call(gate(engine), READ) == "made"
    assert paused(engine) == [(WRITE, "intercom_scope_missing")]
    assert call(gate(engine), WRITE) == "made"
    assert paused(engine) == []


def test_a_call_that_has_no_turn_does_not_use_up_the_minutes_one_try(engine: Engine) -> None:
    call(gate(engine, NARROW), error=token_refused)
    with store.writing(engine) as connection:
        connection.execute(sa.update(pauses).values(probe_at=store.now(connection)))
    assert call(gate(engine, NARROW)) == "no call: gate_full"
    let_pass(engine, 60)
    assert call(gate(engine, NARROW)) == "made"
    assert paused(engine) == []


# The database away


def test_an_outage_before_the_call_is_waited_out_and_the_call_is_made_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("canvas_app.store.time.sleep", lambda _seconds: None)
    through, failures = gate(engine), [OperationalError("SELECT", {}, Exception("gone"))] * 3
    take = through.take

    def sometimes(operation: str) -> Passage:
        if failures:
            raise failures.pop()
        return take(operation)

    monkeypatch.setattr(through, "take", sometimes)
    assert call(through) == "made"
    assert failures == []


@pytest.mark.parametrize(
    "error",
    [token_refused, scope_missing, LaterError(reason="rate_limited", status=429), None],
    ids=["401", "403", "429", "success of a probe"],
)
def test_a_database_that_goes_away_during_the_call_does_not_change_what_came_of_it(
    engine: Engine, log_lines: Logged, monkeypatch: pytest.MonkeyPatch, error: WireError | None
) -> None:
    if error is None:
        call(gate(engine), error=token_refused)
        let_pass(engine, PROBE_SECONDS)
    through = gate(engine)
    log_lines()
    # Once the call is let through, nothing can be written any more.
    take = through.take

    def take_and_lose_the_database(operation: str) -> Passage:
        passage = take(operation)
        through._engine = sa.create_engine("sqlite:////nonexistent/x.db")
        return passage

    monkeypatch.setattr(through, "take", take_and_lose_the_database)
    assert call(through, error=error) == (error.reason if error else "made")
    assert [line["event"] for line in log_lines()] == ["gate_not_told"]


@pytest.mark.parametrize(
    ("error", "then"),
    [
        (token_refused, "intercom_token_refused"),
        (LaterError(reason="rate_limited", status=429), "gate_blocked"),
    ],
    ids=["401", "429"],
)
@pytest.mark.parametrize(
    "database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
def test_what_a_vendor_says_is_known_also_where_the_connection_was_cut_during_the_call(
    engine: Engine, settings: Settings, error: WireError, then: str
) -> None:
    """A worker does not ask a connection that it has just used whether it still stands."""
    other = store.make_engine(settings.database_url, pool_size=1)

    def cut_all() -> None:
        backends = sa.table("pg_stat_activity", sa.column("pid"), sa.column("datname"))
        these = sa.and_(
            backends.c.datname == sa.func.current_database(), backends.c.pid != sa.func.pg_backend_pid()
        )
        with other.connect() as connection:
            connection.execute(sa.select(sa.func.pg_terminate_backend(backends.c.pid)).where(these))

    assert call(gate(engine), error=error, meanwhile=cut_all) == error.reason
    assert call(gate(engine)) == f"no call: {then}"
    other.dispose()


class TestLastSuccess:
    def standing(self, engine: Engine, wire: Wire = "intercom") -> gates.Standing:
        key = gates.key_of(wire, TOKEN)
        with store.reading(engine) as connection:
            return gates.standing(connection, {key: wire})[key]

    def test_it_is_written_down_once_a_minute(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        through = gate(engine)
        call(through)
        first = self.standing(engine).succeeded_at
        assert first is not None
        call(through)
        assert self.standing(engine).succeeded_at == first
        monkeypatch.setattr(passages, "_NOTED_SECONDS", 0.0)
        call(through)
        later = self.standing(engine).succeeded_at
        assert later is not None
        assert later > first

    @pytest.mark.parametrize(
        ("error", "succeeded"),
        [
            # It has recognised us, whatever it thinks of the question.
            (PermanentError(reason="not_found", status=404), True),
            (LaterError(reason="server_error", status=503), False),
            (UnknownOutcomeError(reason="no_answer"), False),
            (token_refused, False),
            (scope_missing, False),
        ],
    )
    def test_only_an_answer_that_recognises_us_is_one(
        self, engine: Engine, error: WireError, succeeded: bool
    ) -> None:
        call(gate(engine), error=error)
        assert (self.standing(engine).succeeded_at is not None) is succeeded


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "2xx"),
        (PermanentError(status=404), "404"),
        (scope_missing, "403"),
        (LaterError(reason="rate_limited", status=429), "429"),
        (UnknownOutcomeError(reason="no_answer"), "no_answer"),
        (LaterError(reason="unreachable"), "unreachable"),
    ],
)
def test_what_came_of_a_call_is_told(engine: Engine, error: WireError | None, status: str) -> None:
    told: list[tuple[str, str]] = []
    through = DatabaseGate(engine, "intercom", TOKEN, WIDE, told=lambda *what: told.append(what))
    call(through, READ, error)
    assert told == [(READ, status)]


def test_a_call_that_was_not_made_is_told_with_the_reason(engine: Engine) -> None:
    told: list[tuple[str, str]] = []
    through = DatabaseGate(
        engine, "intercom", TOKEN, NARROW, sleep=lambda _seconds: None, told=lambda *what: told.append(what)
    )
    assert [call(through), call(through)] == ["made", "no call: gate_full"]
    let_pass(engine, 120)
    call(through, READ, token_refused)
    let_pass(engine, 30)
    assert call(through) == "no call: intercom_token_refused"
    assert told == [(READ, "2xx"), (READ, "gate_full"), (READ, "401"), (READ, "intercom_token_refused")]
