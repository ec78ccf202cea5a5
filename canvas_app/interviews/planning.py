"""Right before an interview is sent that no person has asked for, the limits are looked at once more.

That holds at every attempt until the message may have left. What is planned for later stands in nobody's way
and becomes an open one by the database's clock. What speaks against it is its reason to be skipped, which its
decision tells too.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from canvas_app import store
from canvas_app.errors import NotConfigured, PermanentError, WireError
from canvas_app.intercom.models import Conversation
from canvas_app.interviews import (
    ask,
    contacts,
    decisions,
    erase,
    frequency,
    hours,
    ledger,
    limits,
    once,
    options,
    outcomes,
    people,
    rulebook,
    rulestore,
    studies,
    workspace,
)
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.people import Known
from canvas_app.interviews.rulebook import Facts, No, Rule
from canvas_app.interviews.seen import Person
from canvas_app.interviews.services import Services
from canvas_app.interviews.states import State

NOT_YET: Final = "not_yet"

_NOT_SENT: Final[tuple[State, ...]] = ("planned", "queued", "sending")
# A planned one that could not be begun for so long after its time is not sent any more.
GIVEN_UP_AFTER: Final = timedelta(hours=24)


def look_again(services: Services, interview: Interview) -> Outcome:
    """Whether an interview that no person has asked for may go out now; a planned one begins with that.

    ``later`` with the seconds that are left, ``stop`` where it has been skipped, ``done`` where nothing
    speaks against it, else the outcome of Intercom's error.
    """
    with store.reading(services.engine) as connection:
        if once.is_claimed(connection, interview.id, "message"):
            # It may be there already: that is to be found out, whatever would speak against it now.
            return outcomes.done()
        now = store.now(connection)
    due = interview.not_before if interview.state == "planned" else None
    if due is not None and due > now:
        return outcomes.later(NOT_YET, (due - now).total_seconds())
    try:
        begins_at = opens_at(services, interview, now)
        no = _against(services, interview)
    except (WireError, NotConfigured) as error:
        return outcomes.of_error(error)
    if no is None and due is not None and now - due > GIVEN_UP_AFTER:
        # No worker was there to look at it for a day: the moment is over.
        no = No("too_late")
    if no is not None:
        return _skip(services, interview, no)
    if begins_at > now:
        return _wait_for_opening(services, interview, begins_at, begins_at - now)
    if interview.state != "planned":
        return outcomes.done()
    try:
        with store.writing(services.engine) as connection:
            no = _begin(connection, services, interview.id)
    except IntegrityError:
        # Somebody else has asked this contact between our look and our write.
        no = No("open_interview")
    return outcomes.done() if no is None else _skip(services, interview, no)


def against_contact(services: Services, interview: Interview) -> No | None:
    """What the contact themselves have against it, asked anew. Raises the wires' errors."""
    return _against_person(_look(services, interview))


def against_conversation(conversation: Conversation) -> No | None:
    """What a conversation has against a link in it that is one person's."""
    tags, participants = frozenset(conversation.tag_names), len(conversation.contact_ids)
    return rulebook.against_person(Facts(tags=tags, participants=participants))


def opens_at(services: Services, interview: Interview, now: datetime) -> datetime:
    """When it may be sent: now, or where the rule keeps business hours, when they begin."""
    with store.reading(services.engine) as connection:
        rule, _ = _rule(connection, interview)
    wanted = rule.conditions.business_hours if rule is not None else None
    if wanted is None:
        return now
    zone = hours.zone_of(workspace.known(services).timezone)
    return hours.next_opening(hours.parse(wanted), now, zone)


def skip(
    connection: Connection, interview_id: str, reason: str, detail: str | None = None, *, now: datetime
) -> bool:
    """Let an interview that has not gone out not be sent, and its decision tell why; True if that was so."""
    skipped = ledger.move(connection, interview_id, "skipped", only_from=_NOT_SENT, now=now, reason=reason)
    if skipped:
        decisions.turn(connection, interview_id, "skipped", reason, detail)
    return skipped


def _against(services: Services, interview: Interview) -> No | None:
    with store.reading(services.engine) as connection:
        rule, no = _rule(connection, interview)
        no = no or _against_by_ledger(connection, services, interview, store.now(connection), rule)
    if no is not None or contacts.is_unknown(interview):
        # Who is not known yet is asked about once they are.
        return no
    person = _look(services, interview)
    if person is not None and person.id != interview.contact_id:
        # Who lives on in another contact may have been asked as that one.
        with store.writing(services.engine) as connection:
            erase.follow_contact(connection, interview.workspace_id, interview.contact_id, person.id)
            interview = ledger.existing(connection, interview.id)
            now = store.now(connection)
            no = _against_by_ledger(connection, services, interview, now, rule)
    no = no or _against_person(person)
    goes_there = rule is not None or interview.deliver == "conversation"
    if no is not None or interview.conversation_id is None or not goes_there:
        return no
    try:
        conversation = services.intercom.get_conversation(interview.conversation_id)
    except PermanentError as error:
        if error.reason == "not_found":
            return No("conversation_missing")
        raise
    return against_conversation(conversation)


def _look(services: Services, interview: Interview) -> Known | None:
    ours = workspace.known(services)
    workspace.must_match(ours, interview.workspace_id)
    return people.look(services, interview.contact_id)


def _against_person(person: Known | None) -> No | None:
    if person is None:
        return No("contact_gone")
    return rulebook.against_person(
        Facts(tags=person.tags, unsubscribed=person.unsubscribed, blocked=person.blocked)
    )


def _rule(
    connection: Connection, interview: Interview, *, lock: bool = False
) -> tuple[Rule | None, No | None]:
    """The rule that asked, and that it is off where it is."""
    if interview.rule is None:
        return None, None
    rule = rulestore.find(connection, interview.rule, lock=lock)
    return rule, None if rule is not None and rule.enabled else No("rule_off", interview.rule)


def _against_by_ledger(
    connection: Connection, services: Services, interview: Interview, now: datetime, rule: Rule | None
) -> No | None:
    study = studies.find(connection, services.settings, interview.study)
    if study is None or not study.enabled:
        return No("study_off", interview.study)
    if frequency.answered_since(connection, interview):
        return No("answered_meanwhile")
    if interview.origin == ask.CONSOLE:
        # An operator has seen when the contact was asked last, and wants it all the same.
        return None
    found = limits.history(
        connection,
        Person(interview.workspace_id, interview.contact_id),
        # As below: through the API it is named on purpose.
        interview.conversation_id if rule is not None else None,
        now=now,
        open_days=services.settings.open_days,
        other_than=interview.id,
    )
    # What is planned for later stands in nobody's way.
    found = replace(found, planned=False)
    days = options.read(connection, services.settings).ask_again_days
    return rulebook.against_history(found, sent_at=now, ask_again_days=days)


def _skip(services: Services, interview: Interview, no: No) -> Outcome:
    with store.writing(services.engine) as connection:
        skip(connection, interview.id, no.reason, no.detail, now=store.now(connection))
    return outcomes.stop(no.reason)


def _wait_for_opening(
    services: Services, interview: Interview, opens_at: datetime, left: timedelta
) -> Outcome:
    """Plan it for the next opening, also where it was on its way already and could not be sent in time."""
    try:
        with store.writing(services.engine) as connection:
            now = store.now(connection)
            moved = ledger.move(
                connection, interview.id, "planned", only_from=_NOT_SENT, now=now, not_before=opens_at
            )
            if moved:
                decisions.turn(connection, interview.id, "planned")
    except IntegrityError:
        return _skip(services, interview, No("planned_interview"))
    return outcomes.later(NOT_YET, left.total_seconds())


def _begin(connection: Connection, services: Services, interview_id: str) -> No | None:
    """Make a planned interview an open one, or say what speaks against it, in one transaction."""
    now = store.now(connection)
    interview = ledger.existing(connection, interview_id, lock=True)
    if interview.state != "planned":
        return None
    # Locked: of several that begin at the same moment, each counts those before it.
    rule, no = _rule(connection, interview, lock=True)
    no = no or _against_by_ledger(connection, services, interview, now, rule)
    if no is None and rule is not None:
        cost = interview.credits or 0
        no = limits.against_week(connection, rule, sent_at=now, cost=cost, other_than=interview.id)
    if no is not None:
        return no
    open_one = ledger.open_one(connection, interview.workspace_id, interview.contact_id)
    if open_one is not None:
        # Nobody has looked since its time was over.
        over_at = ledger.as_of(open_one, now, open_days=services.settings.open_days).state_since
        ledger.move(connection, open_one.id, "expired", only_from=(open_one.state,), now=over_at)
        ask.enqueue_clear_link(connection, services.jobs, open_one)
    ledger.move(
        connection,
        interview.id,
        "queued",
        only_from=("planned",),
        now=now,
        send_before=ask.send_before(services.settings, interview.origin, now),
    )
    decisions.turn(connection, interview.id, "asked")
    return None
