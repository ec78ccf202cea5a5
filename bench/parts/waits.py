"""How long people wait: from a tap to the message in the conversation, from a result to the note.

The stand-ins take 100 ms for each answer. Taps and results come one after the other, at moments that have
nothing to do with when the worker looks for work. Their number is bounded by Koji's limit of 60 calls a
minute, of which a start takes one.
"""

from __future__ import annotations

import random
import threading
import time

import httpx

from bench import results
from bench.figures import Figure, Found, Plot, Target, median, percentile
from bench.place import Place, Run, until
from sandbox.state import Contact, Conversation, Happening, Part

ANSWERS_TAKE = 0.1
# Between the beginnings of two: on average as many a minute as Koji takes.
SHORTEST_GAP, LONGEST_GAP = 1.15, 1.35
PATIENCE = 30.0
SHARES = (0.5, 0.9, 0.95, 0.99, 1.0)


class Heard:
    """When something was heard in each conversation: the moment of the first message or note of ours."""

    def __init__(self, place: Place, topic: str) -> None:
        self.at: dict[str, float] = {}
        self._topic, self._tell = topic, place.sandbox.state.intercom.tell
        place.sandbox.state.intercom.tell = self._hear

    def _hear(self, happening: Happening) -> None:
        if happening.topic == self._topic and happening.conversation is not None:
            self.at.setdefault(happening.conversation.id, time.perf_counter())
        self._tell(happening)


def measure_taps(run: Run) -> Found:
    """From a tap on "Send" to the message."""
    with Place(run) as place:
        place.start_web()
        place.start_worker()
        heard = Heard(place, "conversation.admin.replied")
        people = [_customer(place, index) for index in range(run.size(60, 8))]
        # A card has been shown before it is tapped.
        for talk, contact in people:
            place.sandbox.inbox.initialize(talk, contact)
        place.slow_down(ANSWERS_TAKE)
        run.say(f"  {len(people)} taps")

        def tap(index: int) -> str:
            talk, contact = people[index]
            # The answer is waited for aside: the web watches the send for a moment before it answers.
            aside = threading.Thread(
                target=place.sandbox.inbox.submit,
                args=(talk, contact, "send", {"personal_line": "Thanks."}),
                daemon=True,
            )
            aside.start()
            return talk.id

        times = _each(len(people), tap, heard)
    targets = Target(most=0.6), Target(most=1.5)
    return _found(run, "tap", "from a tap to the message", times, *targets)


def measure_results(run: Run) -> Found:
    """From a webhook with a result to the note."""
    with Place(run) as place:
        place.start_web()
        place.start_worker()
        heard = Heard(place, "conversation.admin.noted")
        made = results.make(place, run.size(60, 8))
        place.slow_down(ANSWERS_TAKE)
        run.say(f"  {len(made)} results")
        with httpx.Client(base_url=place.url, trust_env=False, timeout=30) as client:

            def answer(index: int) -> str:
                one = made[index]
                request = one.request(place)
                client.post(
                    request.path, content=request.body, headers=dict(request.headers)
                ).raise_for_status()
                return one.conversation_id

            times = _each(len(made), answer, heard)
    return _found(run, "note", "from a result to the note", times, Target(most=1.0), None)


def _each(number: int, begin: object, heard: Heard) -> list[float]:
    """Seconds from the beginning of each until something was heard of it."""
    assert callable(begin)  # noqa: S101 -- for the type checker alone
    chance = random.Random(1)  # noqa: S311 -- the same gaps in every run
    begun: dict[str, float] = {}
    for index in range(number):
        at = time.perf_counter()
        begun[begin(index)] = at
        time.sleep(max(0.0, at + chance.uniform(SHORTEST_GAP, LONGEST_GAP) - time.perf_counter()))
    until("everything was heard of", lambda: len(heard.at) >= number, within=PATIENCE)
    return [heard.at[conversation] - at for conversation, at in begun.items()]


def _found(run: Run, part: str, what: str, times: list[float], middle: Target, most: Target | None) -> Found:
    found = Found()
    found.figures.append(Figure(part, f"{what}, median", median(times), "s", middle, run.database))
    found.figures.append(Figure(part, f"{what}, p99", percentile(times, 0.99), "s", most, run.database))
    shares = {"seconds": [percentile(times, share) for share in SHARES]}
    labels = [f"{share:.0%}" for share in SHARES]
    found.plots.append(Plot(part, f"{what[0].upper()}{what[1:]}: within", "s", dict(shares), labels))
    found.raw["seconds"] = [round(one, 4) for one in times]
    return found


def _customer(place: Place, index: int) -> tuple[Conversation, Contact]:
    state = place.sandbox.state.intercom
    now = int(time.time())
    contact = Contact(f"bench{index}", "user", f"Customer {index}", f"customer{index}@example.com")
    with state.lock:
        state.contacts[contact.id] = contact
    said = Part(state.next_id(), "conversation", "<p>Hello</p>", "user", contact.id, now, "open")
    return state.add_conversation([contact.id], said), contact
