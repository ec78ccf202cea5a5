"""How an attempt ended, as plain values.

The durable engine keeps what a step returns and gives it back when the step is replayed. An exception that
crosses a step would come back as another type, so that steps return these instead.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from canvas_app import http_outcomes
from canvas_app.errors import (
    CredentialsError,
    LaterError,
    NotConfigured,
    PermanentError,
    UnknownOutcomeError,
    WireError,
)


class Outcome(TypedDict):
    """``done``: it is as it should be. ``later``: try again. ``permanent``: it will never work.
    ``unknown``: it cannot be learnt whether it happened. ``credentials``: a person must mend a setting.
    ``stop``: there is nothing (more) to do."""

    kind: Literal["done", "later", "permanent", "unknown", "credentials", "stop"]
    reason: str | None
    # Seconds to wait at least, for ``later``.
    after: float | None


def done(reason: str | None = None) -> Outcome:
    return {"kind": "done", "reason": reason, "after": None}


def later(reason: str, after: float | None = None) -> Outcome:
    return {"kind": "later", "reason": reason, "after": after}


def permanent(reason: str) -> Outcome:
    return {"kind": "permanent", "reason": reason, "after": None}


def unknown(reason: str) -> Outcome:
    return {"kind": "unknown", "reason": reason, "after": None}


def stop(reason: str) -> Outcome:
    return {"kind": "stop", "reason": reason, "after": None}


def is_held(outcome: Outcome) -> bool:
    """Whether it waits for a person to mend a setting, or for its turn at the gate of a wire or here.

    That says nothing about what is to be done, so that it costs no try.
    """
    return outcome["kind"] == "credentials" or outcome["reason"] in http_outcomes.PUT_OFF


def of_error(error: WireError | NotConfigured) -> Outcome:
    """An error of the wires as an outcome; the one place where the two vocabularies meet."""
    match error:
        case LaterError():
            return later(error.reason, error.retry_after)
        case NotConfigured():
            return {"kind": "credentials", "reason": error.reason, "after": None}
        case CredentialsError():
            return {"kind": "credentials", "reason": error.reason, "after": None}
        case UnknownOutcomeError():
            return unknown(error.reason)
        case PermanentError():
            return permanent(error.reason)
        case _:
            raise error
