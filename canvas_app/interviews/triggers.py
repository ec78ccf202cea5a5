"""The job that reacts to what happens in Intercom: it asks for the facts, and lets each rule decide.

Each function is part of a durable attempt and may be repeated: what was decided before stays.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import log, store
from canvas_app.errors import NotConfigured, PermanentError, WireError
from canvas_app.intercom.models import Conversation
from canvas_app.intercom.notifications import Event, Kind
from canvas_app.interviews import (
    ask,
    decisions,
    deliveries,
    departures,
    limits,
    options,
    outcomes,
    people,
    rulebook,
    rules,
    rulestore,
    studies,
    workspace,
    written,
)
from canvas_app.interviews.decisions import Occasion
from canvas_app.interviews.emptied import NOBODY
from canvas_app.interviews.ledger import Ask
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.people import Known
from canvas_app.interviews.rulebook import Facts, No, Rule, RuleEvent
from canvas_app.interviews.seen import Person
from canvas_app.interviews.services import Services
from canvas_app.interviews.tables import interviews
from canvas_app.interviews.workspace import Workspace
from canvas_app.plaintext import one_line

logger = logging.getLogger(__name__)

EVENTS: Final[dict[Kind, RuleEvent]] = {
    "closed": "conversation.admin.closed",
    "rated": "conversation.rating.added",
    "contact_tagged": "contact.tag.created",
    "part_tagged": "conversation_part.tag.created",
}
# Our closing of a conversation and Intercom's word of it are this close to each other.
_OWN_CLOSING_WITHIN: Final = timedelta(minutes=10)


class _Refused(Exception):
    """A limit that only the transaction which writes the interview can look at is reached."""

    def __init__(self, no: No) -> None:
        self.no = no


@dataclass(frozen=True, slots=True)
class _Scene:
    """Everything that all rules weigh about one event."""

    event: Event
    heard_at: datetime
    ours: Workspace
    occasion: Occasion
    person: Known
    facts: Facts


def decide(services: Services, delivery_id: str) -> Outcome:
    """Let every rule about what has happened decide, and ask where one says yes."""
    with store.reading(services.engine) as connection:
        event = deliveries.load_event(connection, delivery_id)
        if event is None:
            return outcomes.stop("nothing_to_do")
    if event.kind not in EVENTS:
        return departures.take(services, event)
    with store.reading(services.engine) as connection:
        enabled = rulestore.enabled_for(connection, EVENTS[event.kind])
        former = decisions.so_far(connection, delivery_id)
        heard_at = deliveries.heard_at(connection, delivery_id)
    if not enabled:
        return outcomes.stop("no_rule")
    try:
        ours = workspace.known(services)
        if ours.workspace_id != event.workspace_id:
            return outcomes.stop("other_workspace")
        return _decide(services, delivery_id, event, ours, enabled, former, heard_at)
    except (WireError, NotConfigured) as error:
        return outcomes.of_error(error)


def settle(services: Services, delivery_id: str, attempt: int, outcome: Outcome) -> None:
    """Write down how an attempt ended, and enqueue the next one where there is to be one."""
    kind, reason = outcome["kind"], outcome["reason"]
    with store.writing(services.engine) as connection:
        if not deliveries.take_attempt(connection, delivery_id, attempt):
            return
        now = store.now(connection)
        if kind in ("later", "credentials", "unknown"):
            if outcomes.is_held(outcome):
                pause: float | None = rules.held_pause(outcome["after"], chance=services.chance())
            else:
                tries = deliveries.count(connection, delivery_id, "tries")
                pause = rules.result_pause(tries, outcome["after"], chance=services.chance())
            if pause is None:
                _give_up(connection, delivery_id, reason, now)
            else:
                deliveries.enqueue_react(
                    connection, services.jobs, delivery_id, attempt=attempt + 1, delay=pause
                )
        elif kind == "permanent":
            _give_up(connection, delivery_id, reason, now)
        else:
            end: deliveries.End = "done" if kind == "done" else "ignored"
            deliveries.finish(connection, delivery_id, end, reason, now)
    log.event(
        logger,
        logging.INFO if kind in ("done", "stop", "later") else logging.WARNING,
        "react_attempt",
        delivery=delivery_id,
        attempt=attempt,
        outcome=kind,
        reason=reason,
    )


def _give_up(connection: Connection, delivery_id: str, reason: str | None, now: datetime) -> None:
    """End an event that could not be decided about; every rule's record says so."""
    event = deliveries.load_event(connection, delivery_id)
    if event is not None and event.kind in EVENTS:
        # Who it is about may not even be known.
        occasion = Occasion(delivery_id, event.workspace_id, NOBODY, None)
        former = decisions.so_far(connection, delivery_id)
        for rule in rulestore.enabled_for(connection, EVENTS[event.kind]):
            if rule.slug not in former:
                decisions.record_no(connection, occasion, rule.slug, No("not_decided", reason))
    deliveries.finish(connection, delivery_id, "failed", reason, now)


def _decide(
    services: Services,
    delivery_id: str,
    event: Event,
    ours: Workspace,
    enabled: list[Rule],
    former: dict[str, decisions.Verdict],
    heard_at: datetime,
) -> Outcome:
    conversation: Conversation | None = None
    contact_ids = event.contact_ids
    if not contact_ids and event.conversation_id is not None:
        conversation = _conversation(services, event.conversation_id)
        contact_ids = conversation.contact_ids if conversation else ()
    if not contact_ids:
        return outcomes.stop("nobody_named")
    occasion = Occasion(delivery_id, event.workspace_id, contact_ids[0], event.conversation_id)
    open_rules = [rule for rule in enabled if rule.slug not in former]
    if any(verdict != "skipped" for verdict in former.values()):
        return _all_say_no(services, occasion, open_rules, No("another_rule"))
    # What our own database knows comes first: most events need no call to Intercom then.
    longest = timedelta(seconds=max((rule.delay for rule in open_rules), default=0))
    nobody = Occasion(delivery_id, event.workspace_id, NOBODY, None)
    no = _our_own_doing(services, event, ours) or _against_all(services, occasion, heard_at, longest)
    if no is not None:
        # Of whom there is nothing here, Intercom was not asked: they may be gone, and have been erased.
        return _all_say_no(services, occasion if _is_known(services, occasion) else nobody, open_rules, no)
    person = people.look(services, occasion.contact_id)
    if person is None:
        # Whoever is gone from Intercom is not kept here either.
        return _all_say_no(services, nobody, open_rules, No("contact_gone"))
    if person.id != occasion.contact_id:
        occasion = Occasion(delivery_id, event.workspace_id, person.id, event.conversation_id)
        no = _against_all(services, occasion, heard_at, longest)
        if no is not None:
            return _all_say_no(services, occasion, open_rules, no)
    if event.conversation_id is not None and conversation is None:
        conversation = _conversation(services, event.conversation_id)
        if conversation is None:
            return _all_say_no(services, occasion, open_rules, No("conversation_missing"))
    scene = _Scene(event, heard_at, ours, occasion, person, facts_of(event, person, conversation))
    return _first_yes(services, scene, open_rules)


def _first_yes(services: Services, scene: _Scene, open_rules: list[Rule]) -> Outcome:
    """Ask each rule in turn. The first that says yes asks, and those behind it do not."""
    for number, rule in enumerate(open_rules):
        no = _against(services, scene, rule) or _ask(services, scene, rule)
        if no is None:
            return _all_say_no(
                services, scene.occasion, open_rules[number + 1 :], No("another_rule"), "asked"
            )
        _record_no(services, scene.occasion, [rule], no)
    return outcomes.done("not_asked")


def facts_of(event: Event, person: Known, conversation: Conversation | None) -> Facts:
    """What there is to be weighed, from the event and from what Intercom has answered."""
    tags_added = frozenset(event.tags_added)
    if conversation is None:
        return Facts(
            role=person.role,
            tags=person.tags,
            tags_added=tags_added,
            unsubscribed=person.unsubscribed,
            blocked=person.blocked,
        )
    return Facts(
        role=person.role,
        tags=person.tags | frozenset(conversation.tag_names),
        tags_added=tags_added,
        unsubscribed=person.unsubscribed,
        blocked=person.blocked,
        participants=max(1, len(conversation.contact_ids)),
        # The newest word counts: what the event says may be older than what stands there now.
        rating=conversation.rating if conversation.rating is not None else event.rating,
        closed_by=event.closed_by or conversation.closed_by,
        customer_parts=conversation.customer_parts,
        customer_characters=conversation.customer_characters,
    )


def _conversation(services: Services, conversation_id: str) -> Conversation | None:
    try:
        return services.intercom.get_conversation(conversation_id)
    except PermanentError as error:
        if error.reason == "not_found":
            return None
        raise


def _our_own_doing(services: Services, event: Event, ours: Workspace) -> No | None:
    """Whether we have done it ourselves: nothing follows from that, or we would go round in circles."""
    if event.own_link:
        return No("own_message")
    if event.kind == "closed" and event.closed_by == "api" and event.closer_id == ours.admin_id:
        return No("own_closing")
    with store.reading(services.engine) as connection:
        # Who it was, older payloads do not tell.
        may_be_us = event.kind == "closed" and event.closer_id in (None, ours.admin_id)
        if may_be_us and _closed_by_us(connection, event):
            return No("own_closing")
        if event.tags_added:
            ours_by_name = written.own_tags(
                connection, services.settings, event.workspace_id, event.contact_ids, event.conversation_id
            )
            if all(rulebook.is_own_tag(name, ours_by_name) for name in event.tags_added):
                return No("own_tag", ", ".join(event.tags_added))
    return None


def _closed_by_us(connection: Connection, event: Event) -> bool:
    """By the ledger: older versions of the payload do not tell what a program has made.

    The event may come before our call's answer has been written down: then the message is that fresh.
    """
    happened_at = event.happened_at or store.now(connection)
    columns = interviews.c
    earliest, latest = happened_at - _OWN_CLOSING_WITHIN, happened_at + _OWN_CLOSING_WITHIN
    query = sa.select(sa.literal(1)).where(
        columns.workspace_id == event.workspace_id,
        columns.conversation_id == event.conversation_id,
        columns.was_closed.is_(True),
        sa.or_(
            columns.closed_again_at.between(earliest, latest),
            sa.and_(
                columns.closed_again_at.is_(None),
                sa.or_(
                    columns.sent_at.between(earliest, latest), columns.reminded_at.between(earliest, latest)
                ),
            ),
        ),
    )
    return connection.execute(query.limit(1)).first() is not None


def _against_all(services: Services, occasion: Occasion, heard_at: datetime, longest: timedelta) -> No | None:
    """What time and ledger have against every rule alike: also against that with the longest delay."""
    with store.reading(services.engine) as connection:
        now = store.now(connection)
        found = limits.history(
            connection,
            Person(occasion.workspace_id, occasion.contact_id),
            occasion.conversation_id,
            now=now,
            open_days=services.settings.open_days,
        )
        days = options.read(connection, services.settings).ask_again_days
    return rulebook.against_age(heard_at, now) or rulebook.against_history(
        found, sent_at=heard_at + longest, ask_again_days=days
    )


def _against(services: Services, scene: _Scene, rule: Rule) -> No | None:
    """What speaks against asking by this rule, as far as it can be known before the interview is written."""
    no = (
        rulebook.against_person(scene.facts)
        or rulebook.against_conditions(rule, scene.facts)
        or rulebook.against_share(rule, scene.occasion.workspace_id, scene.occasion.contact_id)
    )
    if no is not None:
        return no
    with store.reading(services.engine) as connection:
        study = studies.find(connection, services.settings, rule.study)
    return No("study_off", rule.study) if study is None or not study.enabled else None


def _ask(services: Services, scene: _Scene, rule: Rule) -> No | None:
    """Write the interview, its job and the decision together, or say why not."""
    occasion, settings = scene.occasion, services.settings
    with store.reading(services.engine) as connection:
        cost = studies.existing(connection, settings, rule.study).cost
        now = store.now(connection)
    sent_at = rulebook.sent_at(rule, scene.heard_at, now, scene.ours.timezone)
    delay = sent_at - now if sent_at > now else None

    def guard(connection: Connection, _now: datetime) -> None:
        locked = rulestore.find(connection, rule.slug, lock=True)
        if locked is None or not locked.enabled:
            raise _Refused(No("rule_off"))
        no = limits.against_week(connection, locked, sent_at=sent_at, cost=cost) or rulebook.against_history(
            limits.history(
                connection,
                Person(occasion.workspace_id, occasion.contact_id),
                occasion.conversation_id,
                now=now,
                open_days=settings.open_days,
            ),
            sent_at=sent_at,
            ask_again_days=options.read(connection, settings).ask_again_days,
        )
        if no is not None:
            raise _Refused(no)

    def record(connection: Connection, interview: Interview) -> None:
        # Last, as whoever erases the contact locks it after the interviews, and then looks for new ones.
        if not deliveries.is_stored(connection, occasion.delivery_id):
            raise _Refused(No("contact_gone"))
        planned = interview.state == "planned"
        decisions.record_yes(connection, occasion, rule.slug, interview.id, planned=planned)

    request = Ask(
        workspace_id=occasion.workspace_id,
        contact_id=occasion.contact_id,
        conversation_id=occasion.conversation_id,
        study=rule.study,
        origin="rule",
        request_key=hashlib.sha256(f"rule\0{occasion.delivery_id}\0{rule.slug}".encode()).hexdigest(),
        contact_name=one_line(scene.person.name, 200) or None,
        contact_email=one_line(scene.person.email, 320) or None,
        rule=rule.slug,
        deliver="message" if occasion.conversation_id is None else "conversation",
        language=scene.person.language,
        contact_role=scene.person.role,
        credits=cost,
        delay=delay,
    )
    try:
        asked = ask.ask(services.engine, services.jobs, settings, request, guard=guard, record=record)
    except _Refused as refused:
        return refused.no
    if asked.created:
        return None
    if asked.hindrance == "asked_recently":
        return No("asked_recently")
    return No("planned_interview" if asked.interview.state == "planned" else "open_interview")


def _all_say_no(
    services: Services, occasion: Occasion, open_rules: list[Rule], no: No, end: str = "not_asked"
) -> Outcome:
    _record_no(services, occasion, open_rules, no)
    return outcomes.done(end)


def _record_no(services: Services, occasion: Occasion, rules_: Sequence[Rule], no: No) -> None:
    with store.writing(services.engine) as connection:
        # Whoever erases the contact meanwhile ends the delivery.
        if deliveries.is_stored(connection, occasion.delivery_id):
            for rule in rules_:
                decisions.record_no(connection, occasion, rule.slug, no)


def _is_known(services: Services, occasion: Occasion) -> bool:
    with store.reading(services.engine) as connection:
        return bool(departures.known_here(connection, occasion.workspace_id, [occasion.contact_id]))
