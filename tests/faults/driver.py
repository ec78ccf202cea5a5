"""Plays a plan: reps, customers, Koji, Intercom, and a platform that starts anew what was killed.

Each interview is played by a thread, some tens at a time. As at the vendors, what is not answered is asked
again: a rep taps on the same card once more, Koji repeats its webhook, a customer loads the page anew.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from canvas_app import store
from canvas_app.canvas import reasons
from canvas_app.interviews.tables import interviews
from sandbox.deliveries import Delivery
from sandbox.faults import DeliveryFault, Fault
from sandbox.inbox import TLS, Shown
from tests.faults.plan import CALLS, Plan, Planned, Spoiled
from tests.faults.platform import Platform
from tests.faults.troubles import Trouble, chance_of
from tests.processes.stage import ANSWERS, BROWSER, Stage, Talk, Worker, until, words

SETTINGS: dict[str, Any] = {
    "QUICK_READ_SECONDS": "2.5",
    "QUICK_CLAIM_SECONDS": "5",
    "QUICK_SILENT_SECONDS": "3",
}
"""Settings of the workers: many processes share few cores, and what is only slow must not count as dead."""

KOJI_PAUSES = (3.0, 20.0)
"""Seconds before the second and the third try of a webhook: a killed web takes its time to start on a busy
machine, and a sender that gives up sooner has lost its webhook by itself."""

AT_A_TIME = 70
PATIENCE = 400.0
"""Seconds for each thing that is waited for; far more than it takes, since a busy machine loses nothing."""
LINE = "Planted words of a rep."
OVER = {"written_back", "not_written", "failed", "expired"}
"""The states that an interview does not leave any more once it was answered."""
_NOT_NOW = ("Something went wrong", reasons.DATABASE_AWAY, reasons.DISK_FULL)
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
    """A run that is over: what it was to be, what was played, and what happened around it."""

    plan: Plan
    stage: Stage
    played: list[Played]
    platform: Platform
    troubles: Sequence[Trouble]
    seconds: float

    @property
    def reconciles(self) -> bool:
        """Whether the clock looks for what was lost."""
        return "QUICK_CLOCK" in self.stage.app.environment


def play(
    plan: Plan,
    stage: Stage,
    *,
    troubles: Sequence[Trouble] = (),
    start: Callable[[int], Worker] | None = None,
    patience: float = PATIENCE,
) -> Run:
    """Play a plan to its end: until nothing is left to do. AssertionError when it does not come to one.

    The interviews begin evenly over the time that the ``troubles`` take. ``start`` as for the platform.
    """
    begun = time.monotonic()
    stage.sandbox.deliverer.endpoint.pauses = KOJI_PAUSES
    # Thousands are started here, by more than one key's worth.
    stage.koji.calls_per_minute = 100_000
    for spoiled in plan.common:
        _spoil(stage, spoiled, None)
    ledger, platform = Ledger(stage), Platform(stage, plan.kills, start=start)
    over = max((trouble.seconds for trouble in troubles), default=0.0)
    stop = threading.Event()
    with platform, ledger, ThreadPoolExecutor(AT_A_TIME) as pool, ThreadPoolExecutor() as beside:
        stage.wait_until_healthy()
        going = [beside.submit(trouble.go, platform, stop) for trouble in troubles]
        begins = time.monotonic()
        actors = [Actor(planned, stage, ledger, patience=patience, stop=stop) for planned in plan.interviews]

        def act(actor: Actor) -> Played:
            share = actor.played.planned.number / len(actors)
            stop.wait(max(0.0, begins + over * share - time.monotonic()))
            return actor.play()

        try:
            played = list(pool.map(act, actors))
        except BaseException:
            # Nobody waits any more, for whatever it was.
            stop.set()
            raise
        for gone in going:
            gone.result()
        # With a deploy that has failed, say, not even the tables are those that the audit would read.
        assert not (problems := [problem for trouble in troubles for problem in trouble.problems]), problems
        assert stage.sandbox.deliverer.wait_idle(patience), "Koji is not done with its webhooks"
        if "QUICK_CLOCK" in stage.app.environment:
            # What was lost is found by a tick, for which no job waits meanwhile.
            ledger.wait_for({one.talk.contact.id for one in played if one.koji_id}, patience)
        until("no job is left", lambda: not left(stage), within=patience)
        # The last of the troubles may have begun a web that does not answer yet. The audit looks at cards.
        stage.wait_until_healthy()
    return Run(plan, stage, played, platform, troubles, time.monotonic() - begun)


def left(stage: Stage) -> list[str]:
    """Jobs that are not finished. The clock's next tick is none: there is always one."""
    return [job for job in stage.waiting_jobs() if not job.startswith("sched-")]


class Ledger:
    """The states of all interviews by contact, looked up now and then for everybody."""

    def __init__(self, stage: Stage) -> None:
        self._engine = stage.engine
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.states: dict[str, str] = {}

    def __enter__(self) -> Ledger:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait_for(self, contacts: set[str], patience: float) -> None:
        """Wait until all of these are over, ``patience`` seconds at most: what is not, the audit tells."""
        deadline = time.monotonic() + patience
        while any(self.states.get(contact) not in OVER for contact in contacts):
            if time.monotonic() > deadline:
                return
            time.sleep(0.2)

    def _look(self) -> None:
        query = sa.select(interviews.c.contact_id, interviews.c.state)
        while not self._stop.wait(0.2):
            try:
                with store.reading(self._engine) as connection:
                    self.states = {row.contact_id: row.state for row in connection.execute(query)}
            except SQLAlchemyError as error:
                # A database that is away is part of the plan.
                if not store.is_away(error):
                    raise


class Actor:
    """The rep and the customer of one interview."""

    _answering = threading.Lock()

    def __init__(
        self, planned: Planned, stage: Stage, ledger: Ledger, *, patience: float, stop: threading.Event
    ) -> None:
        self._stage, self._ledger = stage, ledger
        self._patience, self._stop = patience, stop
        self._planned = planned
        self.played = Played(planned, stage.customer(f"Planted Person {planned.number}"))

    def play(self) -> Played:
        faults = self._spoil(self._planned.sending)
        if self._planned.delay is None:
            self._tap()
        else:
            self._until("it is asked for", self._ask)
        state = self._until("it is sent or given up", self._state_after_sending)
        for fault in faults:
            # What was not met while sending is not to be met later.
            fault.times = 0
        if self._planned.answer != "silent" and state != "failed" and self._stage.links(self._talk):
            self._spoil(self._planned.writing)
            self._answer()
        return self.played

    @property
    def _talk(self) -> Talk:
        return self.played.talk

    def _until(self, what: str, look: Callable[[], Any]) -> Any:
        found = None
        deadline = time.monotonic() + self._patience
        while not (found := look()):
            assert time.monotonic() < deadline, f"{what}: not within {self._patience:g} s, {self._about()}"
            assert not self._stop.is_set(), f"{what}: the run was given up, {self._planned}"
            time.sleep(0.2)
        return found

    def _about(self) -> str:
        contact = self._talk.contact.id
        rows = [row for row in self._stage.interviews() if row.contact_id == contact]
        return f"{self._planned}\n{self.played.tapped}\n{rows}\n{left(self._stage)}"

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
            self.played.tapped.append(words(self._until("the tap is answered", tap)))

    def _ask(self) -> bool:
        """A program asks for it. As a rep's, its request is made again where it was not answered."""
        settings, talk = self._stage.app.environment, self._talk
        wanted = {"contact_id": talk.contact.id, "conversation_id": talk.conversation.id}
        key = {"Authorization": f"Bearer {settings['API_TOKEN']}", "Idempotency-Key": talk.contact.id}
        try:
            with httpx.Client(trust_env=False, verify=TLS, timeout=10) as client:
                answer = client.post(
                    f"{self._stage.app.url}/api/interviews",
                    json={**wanted, "delay": self._planned.delay},
                    headers=key,
                )
        except httpx.HTTPError:
            return False
        assert answer.status_code in (200, 201, 503), answer.text
        return answer.status_code != 503

    def _state_after_sending(self) -> str | None:
        state = self._ledger.states.get(self._talk.contact.id)
        return None if state in ("planned", "queued", "sending") else state

    def _answer(self) -> None:
        [link] = self._stage.links(self._talk)
        target = self._until("the link leads to Koji", lambda: _followed(link))
        koji_id = self.played.koji_id = target.rpartition("/")[2]
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
        if planned.fate == "flood":
            self._flood(mine)
        self._until("Koji is done", lambda: all(delivery.done for delivery in mine))
        if planned.fate == "again":
            for delivery in mine:
                sandbox.deliverer.send_again(delivery)

    def _flood(self, deliveries: list[Delivery]) -> None:
        """Each webhook so many times more, ten at once, in any order."""
        copies = [delivery for delivery in deliveries for _ in range(self._planned.copies - 1)]
        chance_of(self._planned.number, "flood").shuffle(copies)
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(self._stage.sandbox.deliverer.send_again, copies))


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
    """A card, unless there was no answer or it says that it could not be: then the rep tries again."""
    if shown.canvas is None or any(text in words(shown) for text in _NOT_NOW):
        return None
    return shown


def _followed(link: str) -> str | None:
    try:
        with httpx.Client(trust_env=False, verify=TLS, headers=BROWSER, timeout=10) as client:
            answer = client.get(link)
    except httpx.HTTPError:
        return None
    return answer.headers.get("Location") if answer.status_code == 302 else None
