"""Plays a plan: reps, customers, Koji, Intercom, and a platform that starts anew what was killed.

Each interview is played by a thread, some tens at a time. As at the vendors, what is not answered is asked
again: a rep taps on the same card once more, Koji repeats its webhook, a customer loads the page anew.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import sqlalchemy as sa

from canvas_app import store
from canvas_app.interviews.tables import interviews
from sandbox.faults import DeliveryFault, Fault
from sandbox.inbox import Shown
from tests.faults.plan import CALLS, WORKERS, Plan, Planned, Spoiled
from tests.processes.stage import ANSWERS, BROWSER, LEASE_LOST, Stage, Talk, Worker, until, words

SETTINGS: dict[str, Any] = {
    "QUICK_READ_SECONDS": "2.5",
    "QUICK_CLAIM_SECONDS": "5",
    "QUICK_SILENT_SECONDS": "3",
}
"""Settings of the workers: many processes share few cores, and what is only slow must not count as dead."""

KOJI_PAUSES = (1.0, 20.0)
"""Seconds before the second and the third try of a webhook: a killed web takes its time to start on a busy
machine, and a sender that gives up sooner has lost its webhook by itself."""

AT_A_TIME = 70
PATIENCE = 400.0
"""Seconds for each thing that is waited for; far more than it takes, since a busy machine loses nothing."""
LINE = "Planted words of a rep."
_HANGS = 3.5
"""Seconds that a call hangs: longer than a worker waits for its answer."""


@dataclass
class Played:
    """What became of an interview, as those outside have seen it."""

    planned: Planned
    talk: Talk
    tapped: list[str] = field(default_factory=list)
    koji_id: str | None = None


@dataclass
class Run:
    """A run that is over: what it was to be, what was played, and what happened to the processes."""

    plan: Plan
    stage: Stage
    played: list[Played]
    killed: dict[str, int]
    lost_leases: int
    seconds: float


def play(plan: Plan, stage: Stage, *, patience: float = PATIENCE) -> Run:
    """Play a plan to its end: until nothing is left to do. AssertionError when it does not come to one."""
    begun = time.monotonic()
    stage.sandbox.deliverer.endpoint.pauses = KOJI_PAUSES
    for spoiled in plan.common:
        _spoil(stage, spoiled, None)
    ledger, platform = _Ledger(stage), _Platform(plan, stage)
    with platform, ledger, ThreadPoolExecutor(AT_A_TIME) as pool:
        stage.wait_until_healthy()
        actors = [_Actor(planned, stage, ledger, patience) for planned in plan.interviews]
        played = list(pool.map(lambda actor: actor.play(), actors))
        assert stage.sandbox.deliverer.wait_idle(patience), "Koji is not done with its webhooks"
        until("no job is left", lambda: not stage.waiting_jobs(), within=patience)
    return Run(plan, stage, played, platform.killed, platform.lost_leases, time.monotonic() - begun)


class _Ledger:
    """The states of all interviews by contact, looked up now and then for everybody."""

    def __init__(self, stage: Stage) -> None:
        self._engine = stage.engine
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.states: dict[str, str] = {}

    def __enter__(self) -> _Ledger:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        query = sa.select(interviews.c.contact_id, interviews.c.state)
        while not self._stop.wait(0.2):
            with store.reading(self._engine) as connection:
                self.states = {row.contact_id: row.state for row in connection.execute(query)}


class _Platform:
    """Kills as the plan says, and starts anew what has ended."""

    def __init__(self, plan: Plan, stage: Stage) -> None:
        self._due = list(plan.kills)
        self._stage = stage
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.killed = {"worker": 0, "web": 0}
        self.lost_leases = 0

    def __enter__(self) -> _Platform:
        for _ in range(WORKERS):
            self._stage.start_worker()
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            for worker in list(self._stage.workers):
                self._start_anew(worker)
            calls = len(self._stage.intercom.calls) + len(self._stage.koji.calls)
            if self._due and self._due[0].after_calls <= calls:
                kill = self._due.pop(0)
                self.killed[kill.what] += 1
                if kill.what == "web":
                    self._stage.app.kill("web")
                    self._stage.app.start("web")
                else:
                    self._stage.kill_worker(self._stage.workers[kill.which])
                    self._stage.start_worker()

    def _start_anew(self, worker: Worker) -> None:
        status = worker.poll()
        if status is not None:
            # One that was starved for so long that another took its lease ends by itself, as it should.
            self.lost_leases += status == LEASE_LOST
            self._stage.workers.remove(worker)
            self._stage.start_worker()


class _Actor:
    """The rep and the customer of one interview."""

    _answering = threading.Lock()

    def __init__(self, planned: Planned, stage: Stage, ledger: _Ledger, patience: float) -> None:
        self._stage, self._ledger, self._patience = stage, ledger, patience
        self._planned = planned
        self._played = Played(planned, stage.customer(f"Planted Person {planned.number}"))

    def play(self) -> Played:
        faults = self._spoil(self._planned.sending)
        self._tap()
        state = self._until("it is sent or given up", self._state_after_sending)
        for fault in faults:
            # What was not met while sending is not to be met later.
            fault.times = 0
        if self._planned.answer != "silent" and state != "failed" and self._stage.links(self._talk):
            self._spoil(self._planned.writing)
            self._answer()
        return self._played

    @property
    def _talk(self) -> Talk:
        return self._played.talk

    def _until(self, what: str, look: Callable[[], Any]) -> Any:
        found = None
        deadline = time.monotonic() + self._patience
        while not (found := look()):
            assert time.monotonic() < deadline, f"{what}: not within {self._patience:g} s, {self._planned}"
            time.sleep(0.2)
        return found

    def _spoil(self, spoiled: tuple[Spoiled, ...]) -> list[Fault]:
        return [_spoil(self._stage, item, self._talk) for item in spoiled]

    def _tap(self) -> None:
        inbox, talk = self._stage.sandbox.inbox, self._talk
        offer = self._until("the card is drawn", lambda: _drawn(self._stage.card(talk)))
        assert "Send Koji interview" in words(offer), words(offer)

        def tap() -> Shown | None:
            inbox.shown[talk.conversation.id, talk.contact.id] = offer
            return _drawn(inbox.submit(talk.conversation, talk.contact, "send", {"personal_line": LINE}))

        for _ in range(self._planned.taps):
            self._played.tapped.append(words(self._until("the tap is answered", tap)))

    def _state_after_sending(self) -> str | None:
        state = self._ledger.states.get(self._talk.contact.id)
        return None if state in ("queued", "sending") else state

    def _answer(self) -> None:
        [link] = self._stage.links(self._talk)
        target = self._until("the link leads to Koji", lambda: _followed(link))
        koji_id = self._played.koji_id = target.rpartition("/")[2]
        planned, sandbox = self._planned, self._stage.sandbox
        with self._answering:
            # Which webhooks a fault of deliveries is about, only the order of the answers tells.
            if planned.fate in ("duplicate", "reorder", "lose"):
                sandbox.faults.set_delivery(
                    DeliveryFault(planned.fate, times=2 if planned.fate == "lose" else 1)
                )
            self._stage.koji.answer(
                koji_id,
                answers=ANSWERS,
                anonymous=planned.answer == "anonymous",
                quality=planned.quality,
                sentiment=planned.sentiment,
                themes=[planned.theme, "export reliability", "pricing friction"],
            )
            mine = [item for item in sandbox.deliverer.deliveries if item.about == koji_id]
        self._until("Koji is done", lambda: all(delivery.done for delivery in mine))
        if planned.fate == "again":
            for delivery in mine:
                sandbox.deliverer.send_again(delivery)


def _spoil(stage: Stage, spoiled: Spoiled, talk: Talk | None) -> Fault:
    wire, method, path = CALLS[spoiled.call]
    if talk is not None:
        path = path.format(conversation=re.escape(talk.conversation.id), contact=re.escape(talk.contact.id))
    return stage.spoil(
        wire,  # type: ignore[arg-type] # One of two words.
        method,
        path,
        spoiled.kind,
        times=spoiled.times,
        status=spoiled.status,
        effect=spoiled.effect,
        skip=spoiled.skip,
        delay=_HANGS,
        headers=_short_wait(wire) if spoiled.status == 429 else {},
    )


def _short_wait(wire: str) -> dict[str, str]:
    """The vendors' way of saying "in a moment", so that a run does not take all its time waiting."""
    if wire == "koji":
        return {"Retry-After": "1"}
    return {"X-RateLimit-Reset": str(int(time.time()) + 3)}


def _drawn(shown: Shown) -> Shown | None:
    """A card, unless there was no answer or it says that the database is away: then the rep tries again."""
    return None if shown.canvas is None or "Something went wrong" in words(shown) else shown


def _followed(link: str) -> str | None:
    try:
        with httpx.Client(trust_env=False, headers=BROWSER, timeout=10) as client:
            answer = client.get(link)
    except httpx.HTTPError:
        return None
    return answer.headers.get("Location") if answer.status_code == 302 else None
