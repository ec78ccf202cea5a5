"""What is to go wrong in a random run, drawn from a seed. Pure: the same seed gives the same plan.

Only the plan is repeatable. When a process is killed, what it has in hand is a matter of timing, so that two
runs of one plan differ in what they meet, and not in what has to come of it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from sandbox.faults import Kind

T = TypeVar("T")

Answer = Literal["full", "anonymous", "low_quality", "silent"]
DeliveryFate = Literal["once", "duplicate", "reorder", "again", "lose", "flood"]
Process = Literal["worker", "web", "both"]

CALLS = {
    "koji_start": ("koji", "POST", "/api/v1/interviews/start"),
    "koji_get": ("koji", "GET", "/api/v1/interviews/.*"),
    "reply": ("intercom", "POST", "/conversations/{conversation}/reply"),
    "look": ("intercom", "GET", "/conversations/{conversation}"),
    "attributes": ("intercom", "PUT", "/contacts/{contact}"),
    "tag": ("intercom", "POST", "/tags"),
    "conversation_tag": ("intercom", "POST", "/conversations/{conversation}/tags"),
    "contact_tag": ("intercom", "POST", "/contacts/{contact}/tags"),
}
"""The calls that can be spoiled: wire, method and path."""

WORKERS = 3
_ANSWERS: dict[Answer, int] = {"full": 14, "anonymous": 2, "low_quality": 2, "silent": 2}
_FATES: dict[DeliveryFate, int] = {"once": 5, "duplicate": 2, "reorder": 2, "again": 1}
# Of so many kills in a row one is of the web, and one of everything that runs. Each interview that is
# answered in full takes at least eight calls.
_ROUND = 8
_WEB_AT, _BOTH_AT = 7, 3
_CALLS_EACH = 4.5
MOST_COPIES = 50
DELAYS = (4, 12)
"""Seconds, from and to, after which an interview that a program asks for is to be sent."""


@dataclass(frozen=True)
class Spoiled:
    """How a call goes wrong, ``times`` times in a row."""

    call: str
    kind: Kind
    times: int = 1
    status: int = 500
    effect: bool = False
    skip: int = 0

    def __str__(self) -> str:
        what = f"{self.kind} {self.status}" if self.kind == "status" else self.kind
        return f"{self.call}: {what}{' with effect' * self.effect}, {self.times} times" + (
            f" after {self.skip}" * bool(self.skip)
        )


@dataclass(frozen=True)
class Planned:
    """One interview: how often the rep taps, what the customer answers, and what goes wrong on the way."""

    number: int
    taps: int
    answer: Answer
    quality: float
    sentiment: str
    theme: str
    sending: tuple[Spoiled, ...]
    writing: tuple[Spoiled, ...]
    fate: DeliveryFate
    # How often each webhook comes where they come all at once, in any order.
    copies: int = 1
    # A program asks for it, to be sent after so many seconds; no rep taps.
    delay: int | None = None
    # The plan itself makes it impossible to learn whether the message is there.
    may_be_unknown: bool = False
    # The plan itself has the message refused for good.
    may_be_refused: bool = False

    def __str__(self) -> str:
        spoiled = "; ".join(map(str, (*self.sending, *self.writing))) or "nothing goes wrong"
        asked = f"{self.taps} taps" if self.delay is None else f"asked for in {self.delay} s"
        fate = f"{self.fate} of {self.copies}" if self.fate == "flood" else self.fate
        return f"#{self.number}: {asked}, {self.answer}, delivered {fate}, {spoiled}"


@dataclass(frozen=True)
class Kill:
    """A SIGKILL once the stand-ins have had so many calls; ``which`` of the workers.

    ``both`` is web and workers at the same moment, as when the machine loses its power.
    """

    after_calls: int
    what: Process
    which: int

    def __str__(self) -> str:
        return f"{self.what} {self.which} after {self.after_calls} calls"


@dataclass(frozen=True)
class Plan:
    """A whole run. ``common`` are faults of calls that name no customer, by the number of the call."""

    seed: int
    interviews: tuple[Planned, ...]
    common: tuple[Spoiled, ...]
    kills: tuple[Kill, ...]

    def __str__(self) -> str:
        lines = [f"seed {self.seed}: {len(self.interviews)} interviews, {len(self.kills)} kills"]
        lines += map(str, self.interviews)
        return "\n".join([*lines, *map(str, self.common), *(f"kill {kill}" for kill in self.kills)])


def make(
    seed: int,
    *,
    interviews: int = 200,
    kills: int = 40,
    lost: float = 0.0,
    flooded: float = 0.0,
    delayed: float = 0.0,
    spoiled: float = 1.0,
) -> Plan:
    """Draw a plan. All but the first two are shares, 0 to 1.

    ``lost`` of Koji's deliveries never arrive, ``flooded`` come up to MOST_COPIES times at once, ``delayed``
    interviews are asked for by a program, and ``spoiled`` is how many of the calls go wrong that would.
    """
    chance = random.Random(seed)  # noqa: S311 -- no secret; the point is that it can be repeated.
    # Drawn apart, so that a share that is not asked for changes nothing of what else is drawn.
    more = random.Random(seed + 1)  # noqa: S311 -- as above.
    drawn = [_interview(chance, number, lost) for number in range(interviews)]
    return Plan(
        seed=seed,
        interviews=tuple(_with_more(more, planned, flooded, delayed, spoiled) for planned in drawn),
        common=tuple(item for item in _common(chance, interviews) if more.random() < spoiled),
        kills=tuple(_kills(chance, interviews, kills)),
    )


def _with_more(
    chance: random.Random, planned: Planned, flooded: float, delayed: float, spoiled: float
) -> Planned:
    flood, later, spoil = (chance.random() < share for share in (flooded, delayed, spoiled))
    copies, delay = chance.randint(2, MOST_COPIES), chance.randint(*DELAYS)
    if flood and planned.fate != "lose":
        planned = replace(planned, fate="flood", copies=copies)
    if planned.may_be_refused or planned.may_be_unknown:
        return planned
    if later:
        planned = replace(planned, delay=delay)
    if not spoil:
        planned = replace(planned, sending=(), writing=())
    return planned


def _interview(chance: random.Random, number: int, lost: float) -> Planned:
    answer = _drawn(chance, _ANSWERS)
    fate: DeliveryFate = "lose" if chance.random() < lost else _drawn(chance, _FATES)
    sending: list[Spoiled] = []
    if chance.random() < 0.4:
        sending.append(_of_a_write(chance, "reply"))
    if chance.random() < 0.2:
        sending.append(_of_a_read(chance, "look"))
    refused, unknown = chance.random() < 0.03, chance.random() < 0.03
    if refused:
        sending.insert(0, Spoiled("reply", "status", status=chance.choice([400, 404, 422])))
    elif unknown:
        sending = [Spoiled("reply", chance.choice(["drop_before", "drop_after"])), _gone(chance)]
    return Planned(
        number=number,
        taps=chance.choice([1, 1, 1, 2, 3]),
        answer=answer,
        quality=1.5 if answer == "low_quality" else chance.choice([3.0, 3.5, 4.2, 5.0]),
        sentiment=chance.choice(["positive", "negative", "mixed", "neutral"]),
        theme=f"theme of number {number}",
        sending=tuple(sending),
        writing=tuple(_while_writing(chance)) if answer == "full" else (),
        fate=fate,
        may_be_unknown=unknown and not refused,
        may_be_refused=refused,
    )


def _while_writing(chance: random.Random) -> list[Spoiled]:
    found = []
    for call, share in (
        ("attributes", 0.25),
        ("reply", 0.3),
        ("conversation_tag", 0.15),
        ("contact_tag", 0.15),
    ):
        if chance.random() < share:
            found.append(_of_a_write(chance, call))
    if chance.random() < 0.15:
        found.append(_of_a_read(chance, "look"))
    return found


def _common(chance: random.Random, interviews: int) -> list[Spoiled]:
    """Every few calls one goes wrong, of those whose path is the same for everybody."""
    found = []
    for call, every in (("koji_start", 6), ("koji_get", 6), ("tag", 8)):
        for _ in range(interviews // every):
            fault = _of_a_read(chance, call) if call == "koji_get" else _of_a_write(chance, call)
            found.append(Spoiled(call, fault.kind, 1, fault.status, fault.effect, chance.randrange(every)))
    return found


def _of_a_write(chance: random.Random, call: str) -> Spoiled:
    kind: Kind = chance.choice(
        ["status", "status", "drop_before", "drop_after", "hang_before", "hang_after", "truncated", "html"]
    )
    # A server error may come before or after the effect; a refusal for now never has one.
    status = chance.choice([429, 401, 500, 502, 503])
    effect = kind in ("status", "html") and status >= 500 and chance.random() < 0.5
    return Spoiled(call, kind, chance.choice([1, 1, 2]), status, effect)


def _of_a_read(chance: random.Random, call: str) -> Spoiled:
    kind: Kind = chance.choice(["status", "status", "drop_before", "hang_before", "truncated", "html"])
    return Spoiled(call, kind, chance.choice([1, 1, 2]), chance.choice([429, 401, 500, 503]))


def _gone(chance: random.Random) -> Spoiled:
    return Spoiled("look", "status", times=20, status=chance.choice([400, 404]))


def _kills(chance: random.Random, interviews: int, kills: int) -> list[Kill]:
    moments = sorted(chance.sample(range(5, max(int(interviews * _CALLS_EACH), kills + 6)), kills))
    kinds: dict[int, Process] = {_WEB_AT: "web", _BOTH_AT: "both"}
    return [
        Kill(moment, kinds.get(number % _ROUND, "worker"), chance.randrange(WORKERS))
        for number, moment in enumerate(moments)
    ]


def _drawn(chance: random.Random, weights: dict[T, int]) -> T:
    return chance.choices(list(weights), list(weights.values()))[0]
