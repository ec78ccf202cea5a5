"""The wires' errors as outcomes."""

from __future__ import annotations

import json

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
from canvas_app.interviews import outcomes


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
