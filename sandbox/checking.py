"""What the tour is made of: checks that print a ✓ or end it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.inbox import Shown

PATIENCE = 30.0
"""Seconds that any one thing may take to happen."""


class NotAsExpectedError(Exception):
    """Something on the tour was not as it should be."""


def check(what: str, expected: object, got: object) -> None:
    """Print that ``what`` was checked, or raise NotAsExpectedError."""
    if expected != got:
        raise NotAsExpectedError(f"{what}: expected {expected!r}, got {got!r}")
    print(f"  ✓ {what}", flush=True)


def check_that(what: str, holds: object, got: object) -> None:
    """As ``check``, for something that is not a comparison; ``got`` is what there was instead."""
    if not holds:
        raise NotAsExpectedError(f"expected that {what}, got {got!r}")
    print(f"  ✓ {what}", flush=True)


def step(title: str) -> None:
    """Print the heading of a step."""
    print(f"\n{title}", flush=True)


def words_of(shown: Shown) -> str:
    """Return all that a person can read on the card, in lower case."""
    return json.dumps(_components(shown), ensure_ascii=False).casefold()


def buttons_of(shown: Shown) -> set[str]:
    """Return the ids of the buttons on the card."""
    return {item["id"] for item in _components(shown) if item["type"] == "button"}


def _components(shown: Shown) -> list[dict[str, Any]]:
    if shown.canvas is None:
        raise NotAsExpectedError(f"expected a card, got {shown.reason}")
    components: list[dict[str, Any]] = shown.canvas["content"]["components"]
    return components


def until(what: str, look: Callable[[], Any]) -> Any:
    """Wait until ``look`` finds something that is true, print that, and return what it was."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        if time.monotonic() > deadline:
            raise NotAsExpectedError(f"expected that {what} within {PATIENCE:g} s, got {found!r}")
        time.sleep(0.05)
    print(f"  ✓ {what}", flush=True)
    return found
