"""The wires' errors as outcomes."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from canvas_app.errors import (
    ContactMerged,
    CredentialsError,
    LaterError,
    NotConfigured,
    PermanentError,
    UnknownAttribute,
    UnknownOutcomeError,
    WireError,
)
from canvas_app.http_outcomes import too_slow
from canvas_app.interviews import outcomes, rules


@pytest.mark.parametrize(
    ("make", "arguments", "kind", "reason", "after"),
    [
        (outcomes.done, (), "done", None, None),
        (outcomes.done, ("already_written",), "done", "already_written", None),
        (outcomes.later, ("not_yet",), "later", "not_yet", None),
        (outcomes.later, ("rate_limited", 7.0), "later", "rate_limited", 7.0),
        (outcomes.permanent, ("not_found",), "permanent", "not_found", None),
        (outcomes.unknown, ("no_answer",), "unknown", "no_answer", None),
        (outcomes.stop, ("expired",), "stop", "expired", None),
    ],
)
def test_every_outcome_is_a_plain_value_of_one_shape(
    make: Callable[..., outcomes.Outcome],
    arguments: tuple[object, ...],
    kind: str,
    reason: str | None,
    after: float | None,
) -> None:
    assert make(*arguments) == {"kind": kind, "reason": reason, "after": after}


@pytest.mark.parametrize(
    ("error", "kind", "reason", "after"),
    [
        (LaterError(reason="rate_limited", retry_after=30.0), "later", "rate_limited", 30.0),
        (LaterError(reason="unreachable"), "later", "unreachable", None),
        (CredentialsError(reason="koji_token_refused"), "credentials", "koji_token_refused", None),
        (NotConfigured(["KOJI_API_KEY"]), "credentials", "not_configured", None),
        (UnknownOutcomeError(reason="no_answer"), "unknown", "no_answer", None),
        (PermanentError(reason="not_found"), "permanent", "not_found", None),
        (ContactMerged("c2"), "permanent", "contact_merged", None),
        (UnknownAttribute("x"), "permanent", "unknown_attribute", None),
    ],
)
def test_every_error_of_a_wire_is_an_outcome_that_json_can_keep(
    error: WireError | NotConfigured, kind: str, reason: str, after: float | None
) -> None:
    outcome = outcomes.of_error(error)
    assert outcome == {"kind": kind, "reason": reason, "after": after}
    assert json.loads(json.dumps(outcome)) == outcome


def test_an_error_of_unknown_kind_is_not_taken_for_an_outcome() -> None:
    error = WireError(reason="new_kind")
    with pytest.raises(WireError) as raised:
        outcomes.of_error(error)
    assert raised.value is error


@pytest.mark.parametrize(
    ("error", "held"),
    [
        (CredentialsError(reason="intercom_token_refused", status=401), True),
        (NotConfigured(["KOJI_API_KEY"]), True),
        (LaterError(reason="gate_full", retry_after=3.0), True),
        (LaterError(reason="gate_blocked", retry_after=3.0), True),
        (LaterError(reason="rate_limited", status=429), False),
        (LaterError(reason="server_error", status=503), False),
        (UnknownOutcomeError(reason="no_answer"), False),
        (PermanentError(reason="not_found", status=404), False),
    ],
)
def test_what_waits_for_a_setting_or_for_its_turn_is_told_from_what_was_tried(
    error: WireError | NotConfigured, held: bool
) -> None:
    assert outcomes.is_held(outcomes.of_error(error)) is held


def test_a_call_that_this_machine_was_too_slow_for_costs_no_try_and_waits_half_a_minute() -> None:
    outcome = outcomes.of_error(too_slow())
    assert outcomes.is_held(outcome)
    assert rules.held_pause(outcome["after"], chance=0.0) == 30.0
    # A send, whose pauses say how long a rep waits, is not held up by it.
    assert rules.send_pause(1, outcome["after"], chance=0.0) == 2.0
