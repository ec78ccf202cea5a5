"""Points at which a worker of the tests kills itself, with SIGKILL, as when memory runs out.

The product knows nothing of them: the quick worker lays them around the calls, the transactions and the
steps. ``DIE_AT`` holds the points as JSON, ``[[write, moment, whom], …]``; each is died at once, by whichever
worker reaches it first and makes its mark in the folder ``DIE_MARKS``.

====================  ==================================================================================
moment                where the worker dies
====================  ==================================================================================
before_call           about to make the call; a claim, where there is one, is committed
after_call            the call has been answered, and nothing is known of it here
before_recording      what is written down next stands in a transaction that is not committed
after_recording       it is committed, and the step's result is not kept
after_step            the step's result is kept; that of a result's writes is kept with all three
before_settling       the attempt's end stands in a transaction that is not committed
after_settling        it is committed
after_settling_step   settling is over, and the job does not count as finished yet
====================  ==================================================================================
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection, Engine

from canvas_app import store, worker
from canvas_app.intercom.client import IntercomClient
from canvas_app.koji.client import KojiClient

# The outside writes, by the method that makes the call. Each names the one it is for in its first argument.
WRITES: dict[str, tuple[type, str]] = {
    "koji_start": (KojiClient, "start"),
    "message": (IntercomClient, "reply"),
    "attributes": (IntercomClient, "update_contact"),
    "note": (IntercomClient, "note"),
    "conversation_tag": (IntercomClient, "tag_conversation"),
    "contact_tag": (IntercomClient, "tag_contact"),
    "conversation_untag": (IntercomClient, "untag_conversation"),
    "contact_untag": (IntercomClient, "untag_contact"),
}
AROUND_A_CALL = ("before_call", "after_call")
AROUND_RECORDING = ("before_recording", "after_recording")
AROUND_A_WRITE = (*AROUND_A_CALL, *AROUND_RECORDING)
AROUND_SETTLING = ("before_settling", "after_settling", "after_settling_step")
_FIRST_STEPS = ("start", "take_in")


class Point(NamedTuple):
    """``whom`` is the contact or the conversation that the write is for."""

    write: str
    moment: str
    whom: str

    @property
    def mark(self) -> str:
        """The name of the file that says that a worker has died here."""
        return "-".join(self)


def lay(environment: Mapping[str, str]) -> None:
    """Lay the points that the environment names, if it names any."""
    points = [Point(*point) for point in json.loads(environment.get("DIE_AT", "[]"))]
    if points:
        _Points(points, Path(environment["DIE_MARKS"])).lay()


class _Points:
    """What a thread has called in its job says which points lie ahead of it."""

    def __init__(self, points: list[Point], marks: Path) -> None:
        self._points = points
        self._marks = marks
        self._thread = threading.local()

    def lay(self) -> None:
        for write, (client, method) in WRITES.items():
            setattr(client, method, self._around_call(write, getattr(client, method)))
        store.writing = self._around_transaction(store.writing)
        worker._step = self._around_step(worker._step)

    def _around_call(self, write: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(client: object, *args: Any, **options: Any) -> Any:
            whom = args[0] if args else options["external_id"]
            ahead = [point for point in self._points if (point.write, point.whom) == (write, whom)]
            self._reach("before_call", ahead)
            answer = call(client, *args, **options)
            self._thread.ahead = [*self._ahead, *ahead]
            self._reach("after_call", ahead)
            return answer

        return called

    def _around_transaction(self, writing: Callable[..., Any]) -> Any:
        @contextmanager
        def transaction(engine: Engine) -> Iterator[Connection]:
            what = "settling" if getattr(self._thread, "step", None) == "settle" else "recording"
            with writing(engine) as connection:
                yield connection
                self._reach(f"before_{what}", self._ahead)
            self._reach(f"after_{what}", self._ahead)

        return transaction

    def _around_step(self, run_step: Callable[..., Any]) -> Callable[..., Any]:
        def step(name: str, function: Callable[..., Any], *args: Any) -> Any:
            self._thread.step = name
            if name in _FIRST_STEPS:
                # Another job: threads are used again.
                self._thread.ahead = []
            result = run_step(name, function, *args)
            self._reach("after_settling_step" if name == "settle" else "after_step", self._ahead)
            return result

        return step

    @property
    def _ahead(self) -> list[Point]:
        ahead: list[Point] = getattr(self._thread, "ahead", [])
        return ahead

    def _reach(self, moment: str, ahead: list[Point]) -> None:
        for point in ahead:
            if point.moment == moment and self._is_first(point):
                os.kill(os.getpid(), signal.SIGKILL)

    def _is_first(self, point: Point) -> bool:
        try:
            (self._marks / point.mark).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True
