from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from canvas_app.canvas import in_turn
from canvas_app.canvas.in_turn import InTurn

CARD = "/canvas/initialize"
# For a lock: what never gets its turn is ended by the time limit of all tests.
FOR_EVER = -1


class Application:
    """Answers when it is let go, and knows how many requests it had at once."""

    def __init__(self, wait: Callable[[], object] = lambda: None) -> None:
        self.wait = wait
        self.inside: list[str] = []
        self.most = 0

    def __call__(self, environ: Any, _start: Any) -> Iterable[bytes]:
        self.inside.append(environ["PATH_INFO"])
        self.most = max(self.most, len(self.inside))
        self.wait()
        self.inside.remove(environ["PATH_INFO"])
        return [b"done"]


def ask(application: InTurn, path: str = CARD) -> Iterable[bytes]:
    return application({"PATH_INFO": path}, lambda *_: None)  # type: ignore[arg-type]


def test_cards_are_drawn_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_turn, "PATIENCE", FOR_EVER)
    # Let another thread go on, as a call to the database does.
    inner = Application(wait=lambda: time.sleep(0))
    application = InTurn(inner, CARD)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(application), range(40)))
    assert answers == [[b"done"]] * 40
    assert inner.most == 1


def test_one_that_waits_holds_up_the_next_for_a_moment_only() -> None:
    together = threading.Barrier(2, timeout=30)
    application = InTurn(Application(wait=together.wait), CARD)
    with ThreadPoolExecutor(2) as pool:
        # Each waits for the other, so that both answer only if the second did not wait for its turn.
        assert list(pool.map(lambda _: ask(application), range(2))) == [[b"done"]] * 2


def test_other_requests_are_not_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_turn, "PATIENCE", FOR_EVER)
    together = threading.Barrier(3, timeout=30)
    application = InTurn(Application(wait=together.wait), CARD)
    with ThreadPoolExecutor(3) as pool:
        paths = [CARD, "/canvas/submit", "/healthz"]
        assert list(pool.map(lambda path: ask(application, path), paths)) == [[b"done"]] * 3


def test_one_that_breaks_off_gives_its_turn_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_turn, "PATIENCE", FOR_EVER)

    def fail() -> None:
        raise ZeroDivisionError

    inner = Application(wait=fail)
    application = InTurn(inner, CARD)
    with pytest.raises(ZeroDivisionError):
        ask(application)
    inner.wait = lambda: None
    assert ask(application) == [b"done"]
