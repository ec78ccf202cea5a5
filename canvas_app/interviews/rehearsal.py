"""What the rules would have done about past conversations. Nothing is sent, and nothing is decided.

Intercom tells what a conversation and its contact are like today, and not what they were like then; when a
tag was put on a contact, it does not tell by their conversations at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import store
from canvas_app.errors import ContactMerged, PermanentError
from canvas_app.intercom.models import Conversation
from canvas_app.intercom.notifications import Event
from canvas_app.interviews import frequency, limits, options, people, rulebook, studies, triggers
from canvas_app.interviews.people import Known
from canvas_app.interviews.rulebook import REHEARSED, History, No, Rule
from canvas_app.interviews.services import Services
from canvas_app.interviews.tables import interviews
from canvas_app.settings import Study

# Makes a call to Intercom: a function and its arguments.
Call = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Line:
    """What one rule would have said about one event; ``no`` is None where it would have asked."""

    happened_at: datetime
    rule: Rule
    conversation_id: str
    contact_id: str
    contact_name: str | None = field(repr=False)
    contact_email: str | None = field(repr=False)
    no: No | None
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class _Asked:
    """Somebody was asked, or would have been: decided at one moment, and sent ``at`` another."""

    contact_id: str
    conversation_id: str | None
    decided_at: datetime
    at: datetime
    rule: str | None = None
    credits: int = 0


def rehearse(
    services: Services,
    rules: Sequence[Rule],
    *,
    since: datetime,
    call: Call,
    tell: Callable[[int], None],
) -> list[Line]:
    """Every decision about what has happened ``since``, in the order of time.

    ``call`` makes a call to Intercom that may be repeated. ``tell`` is called for each conversation that has
    been read, with how many there are. Raises what ``call`` does.
    """
    me = call(services.intercom.me)
    people_met: dict[str, Known | None] = {}
    found: list[tuple[Event, Conversation]] = []
    for conversation in _conversations(services, since, call, tell):
        events = _events(conversation, me.workspace_id)
        # What was said matters no more, and of thousands of conversations it would fill the memory.
        silent = conversation.model_copy(update={"parts_html": (), "last_said_html": ""})
        found += [(event, silent) for event in events if (event.happened_at or since) >= since]
    found.sort(key=lambda item: item[0].happened_at or since)
    with store.reading(services.engine) as connection:
        stage = _Stage(
            services,
            me.timezone,
            asked=_asked_before(connection, me.workspace_id),
            studies={study.slug: study for study in studies.listed(connection, services.settings)},
            ask_again_days=options.read(connection, services.settings).ask_again_days,
        )
    lines: list[Line] = []
    for event, conversation in found:
        contact_id = event.contact_ids[0]
        if contact_id not in people_met:
            people_met[contact_id] = _look(services, contact_id, call)
        about = [rule for rule in rules if rule.event == triggers.EVENTS[event.kind]]
        lines += stage.play(event, conversation, people_met[contact_id], about)
    return lines


class _Stage:
    """Plays events in the order of time, and remembers who would have been asked."""

    def __init__(
        self,
        services: Services,
        timezone: str,
        *,
        asked: list[_Asked],
        studies: dict[str, Study],
        ask_again_days: int,
    ) -> None:
        self._settings = services.settings
        self._timezone = timezone
        self._by_contact: dict[str, list[_Asked]] = defaultdict(list)
        self._by_conversation: dict[str, list[_Asked]] = defaultdict(list)
        self._by_rule: dict[str, list[_Asked]] = defaultdict(list)
        self._studies = studies
        self._ask_again_days = ask_again_days
        for one in asked:
            self._add(one)

    def play(
        self, event: Event, conversation: Conversation, person: Known | None, rules: Sequence[Rule]
    ) -> Iterator[Line]:
        asked = False
        for rule in rules:
            at = event.happened_at or datetime.now(UTC)
            sent_at = rulebook.sent_at(rule, at, at, self._timezone)
            no: No | None = No("another_rule")
            if not asked:
                no = self._against(event, conversation, person, rule, at, sent_at)
            if no is None:
                asked = True
                self._remember(event, rule, at, sent_at)
            yield Line(
                happened_at=at,
                rule=rule,
                conversation_id=conversation.id,
                contact_id=event.contact_ids[0],
                contact_name=person.name if person else None,
                contact_email=person.email if person else None,
                no=no,
                sent_at=sent_at,
            )

    def _against(
        self,
        event: Event,
        conversation: Conversation,
        person: Known | None,
        rule: Rule,
        at: datetime,
        sent_at: datetime,
    ) -> No | None:
        if person is None:
            return No("contact_gone")
        facts = triggers.facts_of(event, person, conversation)
        study = self._studies.get(rule.study)
        if study is None or not study.enabled:
            return No("study_off", rule.study)
        week = [one for one in self._by_rule[rule.slug] if sent_at - limits.WEEK < one.at <= sent_at]
        return (
            rulebook.against_history(
                self._history(event, conversation, at, sent_at),
                sent_at=sent_at,
                ask_again_days=self._ask_again_days,
            )
            or rulebook.against_person(facts)
            or rulebook.against_conditions(rule, facts)
            or rulebook.against_share(rule, event.workspace_id, event.contact_ids[0])
            or rulebook.against_week(
                rule.limits, interviews=len(week), credits_=sum(one.credits for one in week), cost=study.cost
            )
        )

    def _history(self, event: Event, conversation: Conversation, at: datetime, sent_at: datetime) -> History:
        theirs = self._by_contact[event.contact_ids[0]]
        return History(
            planned=any(one.decided_at <= at < one.at for one in theirs),
            asked_at=max((one.at for one in theirs if one.at <= sent_at), default=None),
            # What was truly asked later may be what followed from this very event.
            asked_in_conversation=any(one.decided_at <= at for one in self._by_conversation[conversation.id]),
        )

    def _remember(self, event: Event, rule: Rule, at: datetime, sent_at: datetime) -> None:
        cost = self._studies[rule.study].cost
        self._add(_Asked(event.contact_ids[0], event.conversation_id, at, sent_at, rule.slug, cost))

    def _add(self, one: _Asked) -> None:
        self._by_contact[one.contact_id].append(one)
        if one.conversation_id is not None:
            self._by_conversation[one.conversation_id].append(one)
        if one.rule is not None:
            self._by_rule[one.rule].append(one)


def _asked_before(connection: Connection, workspace_id: str) -> list[_Asked]:
    """Who was truly asked; by which rule does not matter, since the rules are played anew."""
    columns = interviews.c
    rows = connection.execute(
        sa.select(
            columns.contact_id,
            columns.conversation_id,
            columns.created_at,
            sa.type_coerce(frequency.ASKED_AT, columns.created_at.type).label("asked_at"),
        ).where(columns.workspace_id == workspace_id, columns.purged_at.is_(None), frequency.REACHED)
    )
    return [_Asked(row.contact_id, row.conversation_id, row.created_at, row.asked_at) for row in rows]


def _conversations(
    services: Services, since: datetime, call: Call, tell: Callable[[int], None]
) -> Iterator[Conversation]:
    cursor: str | None = None
    while True:
        page = call(services.intercom.conversations_since, int(since.timestamp()), starting_after=cursor)
        for id_ in page.ids:
            try:
                yield call(services.intercom.get_conversation, id_)
            except PermanentError as error:
                # Deleted since the page was read.
                if error.reason != "not_found":
                    raise
            tell(page.total)
        if page.next is None or page.next == cursor or not page.ids:
            return
        cursor = page.next


def _events(conversation: Conversation, workspace_id: str) -> Iterator[Event]:
    """What has happened to a conversation, as Intercom would have told it."""
    if not conversation.contact_ids:
        return
    seen = {"conversation_id": conversation.id, "contact_ids": conversation.contact_ids}
    base = {"id": None, "workspace_id": workspace_id, **seen}
    if conversation.closed_at is not None:
        yield Event.model_validate(
            base
            | {"topic": REHEARSED[0], "kind": "closed", "closed_by": conversation.closed_by}
            | {"happened_at": _moment(conversation.closed_at)}
        )
    if conversation.rating is not None and conversation.rated_at is not None:
        yield Event.model_validate(
            base
            | {"topic": REHEARSED[1], "kind": "rated", "rating": conversation.rating}
            | {"happened_at": _moment(conversation.rated_at)}
        )
    for at, names in conversation.tagged_parts:
        yield Event.model_validate(
            base
            | {"topic": REHEARSED[2], "kind": "part_tagged", "tags_added": names}
            | {"happened_at": _moment(at)}
        )


def _look(services: Services, contact_id: str, call: Call) -> Known | None:
    try:
        found: Known | None = call(people.look, services, contact_id)
    except ContactMerged:
        return None
    return found


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
