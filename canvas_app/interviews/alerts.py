"""What needs a person. Pure: each decision weighs facts that are arguments, see ``alert_facts``."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from canvas_app import health
from canvas_app.gates import EVERYTHING, Pause
from canvas_app.interviews.rulebook import No

Kind = Literal[
    "token_dead",
    "permission_missing",
    "secret_lost",
    "no_worker",
    "queue_stuck",
    "results_failing",
    "events_failing",
    "koji_silent",
    "webhooks_lost",
    "answers_without_address",
    "rule_limit",
    "door_refuses",
]
# What whoever shows alerts sees itself at that moment, so that nothing is shown which is over, and nothing
# missed for want of a worker.
LIVE: Final[frozenset[Kind]] = frozenset(
    {"token_dead", "permission_missing", "secret_lost", "no_worker", "queue_stuck"}
)

LONGEST_TITLE: Final = 200
LONGEST_REMEDY: Final = 600

# A job whose turn has come is begun within seconds.
QUEUE_WAITS_AT_MOST: Final = timedelta(minutes=5)
# One delivery may fail for reasons of its own.
FAILED_AT_LEAST: Final = 3
# Fewer webhooks of Koji's than this do not tell what is usual.
HEARD_AT_LEAST: Final = 10
SILENT_AT_LEAST: Final = timedelta(days=1)
# Silence means nothing while nobody is to answer.
OPEN_AT_LEAST: Final = 3
MADE_UP_AT_LEAST: Final = 3
ANSWERS_AT_LEAST: Final = 5
REFUSALS_AT_LEAST: Final = 10


@dataclass(frozen=True, slots=True)
class Alert:
    """``key`` tells one from another and stays the same while it lasts; ``remedy`` is what to do."""

    key: str
    kind: Kind
    title: str
    remedy: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """``moments`` are those of Koji's newest webhooks; ``open``: how many interviews wait for an answer, up
    to OPEN_AT_LEAST; ``made_up_for``: results since the last webhook that Koji had to be asked for."""

    moments: Sequence[datetime] = ()
    open: int = 0
    made_up_for: int = 0


@dataclass(frozen=True, slots=True)
class Answers:
    """The newest answers of a study that is not anonymous, and how many of them came without an address."""

    study: str
    name: str
    number: int
    without_address: int


@dataclass(frozen=True, slots=True)
class Full:
    """A rule that may ask no more this week, and why."""

    rule: str
    title: str
    no: No


@dataclass(frozen=True, slots=True)
class Refusals:
    """What a door has refused lately for its signature, for one reason."""

    door: str
    reason: str
    number: int


def of_pauses(pauses: Iterable[Pause]) -> list[Alert]:
    """A token that is refused, and a permission that is missing."""
    found = []
    for pause in pauses:
        service = health.SERVICES[pause.wire]
        dead = pause.operation == EVERYTHING
        found.append(
            Alert(
                key=f"paused:{pause.gate}:{pause.operation}",
                kind="token_dead" if dead else "permission_missing",
                title=f"{service} refuses {'every call' if dead else pause.operation} ({pause.reason})",
                remedy=f"{health.remedy(pause.reason, pause.wire)} What waits goes on by itself then.",
                since=pause.since,
            )
        )
    return found


def of_lost_secrets(studies: Iterable[str]) -> list[Alert]:
    return [
        Alert(
            key=f"secret_lost:{study}",
            kind="secret_lost",
            title=f"A secret of the study {study} cannot be read",
            remedy=(
                "It was sealed with a SECRET_KEY that is not listed any more. Put that key back behind the "
                "newest, or give the study its key and secret anew."
            ),
        )
        for study in studies
    ]


def of_worker(*, alive: bool) -> list[Alert]:
    """Only a web process can tell that there is no worker."""
    if alive:
        return []
    remedy = "Nothing is sent and no result is written until one runs: python -m canvas_app worker"
    return [Alert("no_worker", "no_worker", "No worker is running", remedy)]


def of_queue(oldest: timedelta | None) -> list[Alert]:
    """Work whose turn has come and that nobody takes up."""
    if oldest is None or oldest < QUEUE_WAITS_AT_MOST:
        return []
    minutes = int(oldest.total_seconds() // 60)
    remedy = "Start a worker, or more of them, and see what they log."
    return [Alert("queue_stuck", "queue_stuck", f"Work has been waiting for {minutes} minutes", remedy)]


def of_failures(*, results: int, events: int) -> list[Alert]:
    """What was given up within a day."""
    found = []
    if results >= FAILED_AT_LEAST:
        found.append(
            Alert(
                "results_failing",
                "results_failing",
                f"{results} results could not be written to Intercom within a day",
                "Look at why on the page Deliveries, mend the cause, and run them again there.",
            )
        )
    if events >= FAILED_AT_LEAST:
        found.append(
            Alert(
                "events_failing",
                "events_failing",
                f"{events} events of Intercom could not be reacted to within a day",
                "Look at why on the page Deliveries, mend the cause, and run them again there.",
            )
        )
    return found


def of_silence(heard: Heard, now: datetime) -> list[Alert]:
    """Webhooks that get lost, and a silence that is longer than any before."""
    remedy = (
        "Look at the webhook in Koji > Settings > Webhooks: its address, its event interview.analysis_ready, "
        "and whether it was switched off after failures."
    )
    if heard.made_up_for >= MADE_UP_AT_LEAST:
        title = f"Koji's webhooks do not arrive: {heard.made_up_for} results had to be asked for"
        return [Alert("webhooks_lost", "webhooks_lost", title, remedy)]
    moments = sorted(heard.moments)
    if len(moments) < HEARD_AT_LEAST or heard.open < OPEN_AT_LEAST:
        return []
    usual = max(later - earlier for earlier, later in itertools.pairwise(moments))
    silence = now - moments[-1]
    if silence < max(2 * usual, SILENT_AT_LEAST):
        return []
    title = f"Koji has sent nothing for {_in_words(silence)}; the longest pause before was {_in_words(usual)}"
    return [Alert("koji_silent", "koji_silent", title, remedy, since=moments[-1])]


def of_answers(answers: Iterable[Answers]) -> list[Alert]:
    """Studies most of whose answers nobody can be told by, though they are not anonymous."""
    return [
        Alert(
            key=f"answers_without_address:{study.study}",
            kind="answers_without_address",
            title=_cut(
                f"{study.without_address} of {study.number} answers of {study.name} came without an address"
            ),
            remedy=(
                "Nothing of them is written to Intercom. Let the study at Koji ask for the address, or mark "
                "it as anonymous here if it is meant to be."
            ),
        )
        for study in answers
        if study.number >= ANSWERS_AT_LEAST and 2 * study.without_address > study.number
    ]


def of_rules(full: Iterable[Full]) -> list[Alert]:
    """Rules that wait for the week to pass."""
    what = {"credits_used": "has used its credits of the week", "week_full": "may ask no more this week"}
    return [
        Alert(
            key=f"rule_limit:{one.rule}",
            kind="rule_limit",
            title=_cut(f"The rule “{one.title}” {what.get(one.no.reason, 'may ask no more')}"),
            remedy=f"{one.no.detail or 'Its limit is reached'}. Raise its limit, or let it rest.",
        )
        for one in full
    ]


def of_refusals(refusals: Iterable[Refusals]) -> list[Alert]:
    """Doors at which many signatures do not fit: a secret was changed on one side only, or somebody tries."""
    return [
        Alert(
            key=f"door_refuses:{one.door}:{one.reason}"[:160],
            kind="door_refuses",
            title=_cut(f"{one.door} has refused {one.number} requests lately ({one.reason})"),
            remedy=(
                "If requests of the real sender are missing: compare the secret there with the setting here. "
                "For signature_stale: let this machine set its clock by NTP."
            ),
        )
        for one in refusals
        if one.number >= REFUSALS_AT_LEAST
    ]


def _cut(title: str) -> str:
    return title if len(title) <= LONGEST_TITLE else title[: LONGEST_TITLE - 1] + "…"


def _in_words(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours / 24:.0f} days" if hours >= 72 else f"{hours:.0f} hours"
