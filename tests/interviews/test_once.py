"""Writes that must not be repeated, on both databases."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import OperationalError

from canvas_app import http_outcomes, store
from canvas_app.errors import (
    CredentialsError,
    LaterError,
    NotConfigured,
    PermanentError,
    UnknownOutcomeError,
)
from canvas_app.interviews import once
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.tables import interviews, outside_writes
from tests.interviews.asks import write

NO_ANSWER = UnknownOutcomeError(reason="no_answer")


class Write:
    """A write of one interview's message: how often it was made and looked for, and what came of each."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.interview_id = write(engine).id
        self.made = 0
        self.looked = 0
        self.asked = 0

    def __call__(
        self,
        raises: Exception | None = None,
        there: bool | Exception | None = False,
        kind: once.Kind = "message",
        forbidden: str | None = None,
    ) -> Outcome:
        def act(begin_by: float) -> None:
            if time.monotonic() > begin_by:
                raise http_outcomes.too_slow()
            self.made += 1
            if raises is not None:
                raise raises

        def is_there() -> bool | None:
            self.looked += 1
            if isinstance(there, Exception):
                raise there
            return there

        def is_forbidden(_connection: Connection, _now: datetime) -> str | None:
            self.asked += 1
            return forbidden

        return once.write_once(
            self.engine, self.interview_id, kind, act=act, is_there=is_there, forbidden=is_forbidden
        )

    def wait(self, seconds: float = once.CLAIM_SECONDS + 1) -> None:
        with store.writing(self.engine) as connection:
            age = sa.select(outside_writes.c.claimed_at).where(outside_writes.c.claim.is_not(None))
            claimed = connection.execute(age).scalar_one()
            connection.execute(
                sa.update(outside_writes).values(claimed_at=claimed - timedelta(seconds=seconds))
            )

    @property
    def claimed(self) -> bool:
        with store.reading(self.engine) as connection:
            return once.is_claimed(connection, self.interview_id, "message")


@pytest.fixture
def attempt(engine: Engine) -> Write:
    return Write(engine)


def test_a_write_is_made_once(attempt: Write) -> None:
    assert attempt() == {"kind": "done", "reason": None, "after": None}
    assert attempt() == {"kind": "done", "reason": "done_before", "after": None}
    assert (attempt.made, attempt.looked) == (1, 0)


def test_the_message_and_the_note_are_two_writes(attempt: Write) -> None:
    attempt()
    attempt(kind="note")
    assert attempt.made == 2


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (LaterError(reason="rate_limited", retry_after=60.0), "later"),
        (CredentialsError(reason="intercom_token_refused"), "credentials"),
        (NotConfigured(["PUBLIC_URL"]), "credentials"),
        (PermanentError(reason="not_found"), "permanent"),
    ],
)
def test_a_write_that_surely_was_not_made_may_be_made_at_once(
    attempt: Write, error: Exception, kind: str
) -> None:
    assert attempt(raises=error)["kind"] == kind
    assert not attempt.claimed
    assert attempt()["kind"] == "done"
    assert (attempt.made, attempt.looked) == (2, 0)


@pytest.mark.parametrize(
    ("error", "kind"), [(None, "done"), (LaterError(), "later")], ids=["made", "not made"]
)
def test_what_became_of_a_call_is_not_forgotten_while_the_database_is_away(
    attempt: Write, monkeypatch: pytest.MonkeyPatch, error: Exception | None, kind: str
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("canvas_app.store.time.sleep", slept.append)

    def away(_connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if attempt.made and statement.startswith("UPDATE outside_writes") and len(slept) < 3:
            raise OperationalError("", {}, Exception())

    sa.event.listen(attempt.engine, "before_cursor_execute", away)
    assert attempt(raises=error)["kind"] == kind
    sa.event.remove(attempt.engine, "before_cursor_execute", away)
    assert len(slept) == 3
    # Without the answer in mind it would have to be looked for, 40 seconds later.
    assert attempt()["kind"] == "done"
    assert (attempt.made, attempt.looked) == (1 if error is None else 2, 0)


def test_a_call_is_surely_over_when_its_claim_is_old_enough_to_be_looked_into() -> None:
    # The call begins within this time after the claim, or not at all.
    assert once.CLAIM_SECONDS >= http_outcomes.LONGEST_CALL_SECONDS + once._CALL_WITHIN_SECONDS


def test_after_no_answer_nothing_is_done_until_the_call_is_surely_over(attempt: Write) -> None:
    first = attempt(raises=NO_ANSWER)
    assert (first["kind"], first["reason"], first["after"]) == ("later", "no_answer", once.CLAIM_SECONDS)
    again = attempt()
    assert (again["kind"], again["reason"]) == ("later", "being_verified")
    assert 0 < (again["after"] or 0) <= once.CLAIM_SECONDS
    assert (attempt.made, attempt.looked) == (1, 0)
    assert attempt.claimed


def test_a_write_that_is_found_is_not_made_again(attempt: Write) -> None:
    attempt(raises=NO_ANSWER)
    attempt.wait()
    assert attempt(there=True)["kind"] == "done"
    assert attempt(there=False)["reason"] == "done_before"
    assert (attempt.made, attempt.looked) == (1, 1)


def test_a_write_that_is_surely_not_there_is_made_again_under_a_new_claim(attempt: Write) -> None:
    attempt(raises=NO_ANSWER)
    attempt.wait()
    assert attempt(raises=NO_ANSWER)["kind"] == "later"
    assert attempt()["reason"] == "being_verified", "the second call is waited for as long as the first"
    attempt.wait()
    assert attempt()["kind"] == "done"
    assert (attempt.made, attempt.looked) == (3, 2)


@pytest.mark.parametrize(
    ("there", "kind", "reason"),
    [
        (None, "unknown", "cannot_be_told"),
        (PermanentError(reason="not_found"), "unknown", "not_found"),
        (LaterError(reason="server_error"), "later", "server_error"),
        (CredentialsError(reason="intercom_token_refused"), "credentials", "intercom_token_refused"),
        (NotConfigured([]), "credentials", "not_configured"),
    ],
)
def test_where_it_cannot_be_told_the_write_is_not_made_again(
    attempt: Write, there: bool | Exception | None, kind: str, reason: str
) -> None:
    attempt(raises=NO_ANSWER)
    attempt.wait()
    outcome = attempt(there=there)
    assert (outcome["kind"], outcome["reason"]) == (kind, reason)
    assert attempt.made == 1
    assert attempt.claimed


# A write that is not to be made any more


def test_a_forbidden_write_is_not_made_and_not_claimed(attempt: Write) -> None:
    assert attempt(forbidden="too_late") == {"kind": "permanent", "reason": "too_late", "after": None}
    assert (attempt.made, attempt.looked, attempt.claimed) == (0, 0, False)
    # Nor after it was tried and given back.
    attempt(raises=LaterError(reason="rate_limited"))
    assert attempt(forbidden="too_late")["reason"] == "too_late"
    assert (attempt.made, attempt.claimed) == (1, False)
    assert attempt()["kind"] == "done", "it was not forbidden for good"


def test_what_was_made_is_done_even_if_it_is_forbidden_by_now(attempt: Write) -> None:
    attempt()
    assert attempt(forbidden="too_late")["reason"] == "done_before"


def test_while_the_call_may_not_be_over_nothing_is_said_about_it(attempt: Write) -> None:
    attempt(raises=NO_ANSWER)
    assert attempt(forbidden="too_late")["reason"] == "being_verified"
    assert attempt.claimed


def test_what_may_have_been_made_is_looked_for_even_if_it_is_forbidden_by_now(attempt: Write) -> None:
    attempt(raises=NO_ANSWER)
    attempt.wait()
    assert attempt(there=True, forbidden="too_late")["reason"] == "found_there"
    assert (attempt.made, attempt.looked) == (1, 1)


def test_what_is_looked_for_in_vain_and_forbidden_by_now_is_given_up(attempt: Write) -> None:
    attempt(raises=NO_ANSWER)
    attempt.wait()
    assert attempt(there=False, forbidden="too_late") == {
        "kind": "permanent",
        "reason": "too_late",
        "after": None,
    }
    assert (attempt.made, attempt.looked) == (1, 1)
    assert not attempt.claimed, "it is surely not there"


def test_what_forbids_it_is_asked_in_the_very_transaction_that_makes_the_claim(engine: Engine) -> None:
    id_ = write(engine).id
    asked: list[datetime] = []

    def forbidden(connection: Connection, now: datetime) -> None:
        asked.append(now)
        # What is read and locked here holds until the claim is there for everybody to see.
        assert connection.in_transaction()
        assert not once.is_claimed(connection, id_, "message")
        connection.execute(sa.update(interviews).values(reason="seen with the claim"))

    def act(_begin_by: float) -> None:
        with store.reading(engine) as connection:
            assert once.is_claimed(connection, id_, "message")
            assert connection.execute(sa.select(interviews.c.reason)).scalar_one() == "seen with the claim"

    done = once.write_once(engine, id_, "message", act=act, is_there=lambda: None, forbidden=forbidden)
    assert done["kind"] == "done"
    assert len(asked) == 1
    assert asked[0].tzinfo is not None


def test_a_pause_that_the_other_side_asks_for_while_looking_is_kept(attempt: Write) -> None:
    attempt(raises=NO_ANSWER)
    attempt.wait()
    assert attempt(there=LaterError(reason="rate_limited", retry_after=77.0))["after"] == 77.0


def test_a_process_that_was_frozen_before_its_call_does_not_make_it_late(
    attempt: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, once._CALL_WITHIN_SECONDS + 0.1, 100.0, 100.1])
    monkeypatch.setattr("canvas_app.interviews.once.time.monotonic", lambda: next(clock))
    assert attempt()["reason"] == "too_slow"
    assert (attempt.made, attempt.claimed) == (0, False)
    assert attempt()["kind"] == "done"


def at_once(count: int, call: Callable[[], Outcome]) -> list[Outcome]:
    results: list[Outcome] = []
    start = threading.Barrier(count)

    def run() -> None:
        start.wait(10)
        results.append(call())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == count
    return results


def test_of_many_that_try_at_once_one_makes_the_write(attempt: Write) -> None:
    outcomes = at_once(8, attempt)
    assert attempt.made == 1
    known = {None, "being_verified", "done_before", "claimed_by_another"}
    assert {outcome["reason"] for outcome in outcomes} <= known


def test_of_two_that_look_at_once_one_makes_the_write(attempt: Write) -> None:
    attempt(raises=NO_ANSWER)
    attempt.wait()
    both_have_looked = threading.Barrier(2)

    def look_and_wait() -> bool:
        both_have_looked.wait(10)
        return False

    def act(_begin_by: float) -> None:
        attempt.made += 1

    outcomes = at_once(
        2,
        lambda: once.write_once(
            attempt.engine, attempt.interview_id, "message", act=act, is_there=look_and_wait
        ),
    )
    assert attempt.made == 2, "once before, and once now"
    assert sorted(str(outcome["reason"]) for outcome in outcomes) == ["None", "claimed_by_another"]
