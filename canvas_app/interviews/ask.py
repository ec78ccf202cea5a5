"""Asking for an interview: the ledger row and its job, written together or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import store
from canvas_app.engine import Jobs
from canvas_app.interviews import decisions, frequency, ledger, links, options, studies
from canvas_app.interviews.ledger import Ask
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.seen import Person, Seen, unchanged
from canvas_app.interviews.states import REPLACEABLE_STATES
from canvas_app.interviews.tables import interviews
from canvas_app.settings import Settings

# The doors at which a person asks for an interview and waits for it.
BY_HAND = frozenset({"card"})
# An operator asks once more. Nobody waits for that, and what the contact has against it counts.
CONSOLE = "console"
# What nobody waits for is tried for a day.
AUTOMATIC_WITHIN = timedelta(hours=24)

# Why no new interview was made: this request was made before or the contact has an open one; they were asked
# not long ago; or it is no longer as it was when the person confirmed.
Hindrance = Literal["exists", "asked_recently", "changed"]

# Looks at what must not change until the interview is written, and raises Refused; is called in the
# transaction that writes it, at its beginning.
Guard = Callable[[Connection, datetime], None]
# Writes down what belongs to a new interview, in the same transaction.
Record = Callable[[Connection, Interview], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """``interview`` is the one that was asked for, or the one because of which no new one was made."""

    interview: Interview
    created: bool
    hindrance: Hindrance | None = None


class _Undone(Exception):
    """Takes the whole transaction back."""

    def __init__(self, asked: Asked | None) -> None:
        self.asked = asked


def ask(
    engine: Engine,
    jobs: Jobs,
    settings: Settings,
    request: Ask,
    *,
    confirmed_on: Seen | None = None,
    guard: Guard | None = None,
    record: Record | None = None,
) -> Asked:
    """Write an interview and the job that sends it, unless one stands in its way: see ledger.blocking.

    Who was asked less than ASK_AGAIN_DAYS ago is asked again only with ``request.anyway``. ``confirmed_on``
    is the interview that the person saw when they confirmed that: an open one is replaced by the new one,
    and an ended one must still be the one by which the contact was asked last. What ``guard`` raises leaves
    nothing written.
    """
    id_ = ledger.new_id()
    while True:
        try:
            with store.writing(engine) as connection:
                if guard is not None:
                    guard(connection, store.now(connection))
                asked = _ask(connection, jobs, settings, request, id_, confirmed_on)
                if record is not None and asked is not None and asked.created:
                    record(connection, asked.interview)
        except _Undone as undone:
            asked = undone.asked
        if asked is not None:
            return asked
        # What stood in the way ended between the two statements; ask again.


def ask_within(connection: Connection, jobs: Jobs, settings: Settings, request: Ask, *, id_: str) -> Asked:
    """As :func:`ask`, in the caller's transaction, in which nothing is left where no interview is made."""
    while True:
        try:
            with connection.begin_nested():
                asked = _ask(connection, jobs, settings, request, id_, None)
        except _Undone as undone:
            asked = undone.asked
        if asked is not None:
            return asked


def _ask(
    connection: Connection,
    jobs: Jobs,
    settings: Settings,
    request: Ask,
    id_: str,
    confirmed_on: Seen | None,
) -> Asked | None:
    now = store.now(connection)
    begins_at = now + (request.delay or timedelta())
    person = Person(request.workspace_id, request.contact_id)
    confirmed = None
    if confirmed_on is not None:
        confirmed = unchanged(connection, confirmed_on, person)
        if confirmed is None:
            return _changed(connection, request, confirmed_on.interview_id)
    if request.credits is None:
        study = studies.find(connection, settings, request.study)
        request = replace(request, credits=None if study is None else study.cost)
    expire(connection, jobs, settings, request, now)
    replacing = (
        confirmed is not None
        and request.anyway
        and ledger.move(
            connection, confirmed.id, "cancelled", only_from=REPLACEABLE_STATES, now=now, reason="replaced"
        )
    )
    if confirmed is not None and replacing:
        enqueue_clear_link(connection, jobs, confirmed)
    created = ledger.create(
        connection,
        request,
        id_=id_,
        link_token=links.make_token(id_, settings.secret_key),
        public_url=settings.public_url,
        now=now,
        send_before=send_before(settings, request.origin, begins_at),
    )
    if created is None:
        existing = ledger.blocking(connection, request)
        if replacing:
            # The open one is closed only for one that takes its place.
            raise _Undone(None if existing is None else Asked(existing, created=False, hindrance="exists"))
        return None if existing is None else Asked(existing, created=False, hindrance="exists")
    # Looked at after the row is written: since then no other is open that could still become a message.
    last = frequency.last_asked(connection, person, other_than=id_)
    if confirmed is not None:
        if last is None or last.id != confirmed.id:
            raise _Undone(Asked(last or confirmed, created=False, hindrance="changed"))
    elif (
        last is not None
        and not request.anyway
        and frequency.too_early(
            last, begins_at, ask_again_days=options.read(connection, settings).ask_again_days
        )
    ):
        raise _Undone(Asked(last, created=False, hindrance="asked_recently"))
    if created.state != "planned":
        # What was to be sent later would only be another one.
        decisions.skip_planned(connection, person.workspace_id, person.contact_id, now=now, reason="replaced")
    delay = 0.0 if request.delay is None else request.delay.total_seconds()
    enqueue_send(connection, jobs, created, attempt=1, delay=delay)
    return Asked(created, created=True)


def expire(connection: Connection, jobs: Jobs, settings: Settings, request: Ask, now: datetime) -> None:
    """End the contact's interview whose time is over, so that another can be asked for.

    Its link goes before the new one's job begins: a Series that waits for the new one would find the old one.
    """
    for ended in ledger.expire(connection, open_days=settings.open_days, now=now, ask=request):
        enqueue_clear_link(connection, jobs, ledger.existing(connection, ended))


def send_before(settings: Settings, origin: str, begins_at: datetime) -> datetime:
    """Until when a send is tried: somebody waits for a rep's, and for nobody else's."""
    by_hand = origin in BY_HAND
    return begins_at + (timedelta(minutes=settings.send_within_minutes) if by_hand else AUTOMATIC_WITHIN)


def _changed(connection: Connection, request: Ask, interview_id: str) -> Asked:
    """What there is now, where it is not what the person saw."""
    existing = ledger.blocking(connection, request)
    if existing is not None:
        return Asked(existing, created=False, hindrance="exists")
    return Asked(ledger.existing(connection, interview_id), created=False, hindrance="changed")


def enqueue_send(
    connection: Connection, jobs: Jobs, interview: Interview, *, attempt: int, delay: float = 0.0
) -> None:
    jobs.enqueue(
        connection,
        "send",
        interview.id,
        attempt,
        job_id=send_job(interview.id, attempt),
        partition=partition(interview.workspace_id, interview.contact_id),
        delay=delay,
        fast=True,
    )


def enqueue_clear_link(
    connection: Connection,
    jobs: Jobs,
    interview: Interview,
    *,
    attempt: int = 1,
    tries: int = 1,
    delay: float = 0.0,
) -> None:
    """Let the link be taken out of the contact's attributes, where it may stand there."""
    if interview.link_attribute_at is None or interview.link_attribute_cleared_at is not None:
        return
    jobs.enqueue(
        connection,
        "clear_link",
        interview.id,
        attempt,
        tries,
        job_id=f"clear_link:{interview.id}:{attempt}",
        partition=partition(interview.workspace_id, interview.contact_id),
        delay=delay,
        # In the queue of the sends, a contact's jobs run one at a time: no new link is written meanwhile.
        fast=True,
    )


def send_job(interview_id: str, attempt: int) -> str:
    """The id of the job that makes an attempt."""
    return f"send:{interview_id}:{attempt}"


def newest_send_job() -> sa.ColumnElement[str]:
    """The id of an interview's newest send job, as :func:`enqueue_send` names it, for use in a query."""
    return sa.literal("send:") + interviews.c.id + ":" + sa.cast(interviews.c.send_attempt, sa.String)


def partition(workspace_id: str, contact_id: str) -> str:
    """Jobs of one contact run one at a time."""
    return f"{workspace_id}:{contact_id}"
