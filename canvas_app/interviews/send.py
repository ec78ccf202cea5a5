"""The way out: start the interview at Koji, post the personal link, write down how it went.

Each function is part of a durable attempt and may be repeated: what it did before, the ledger tells.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.engine import Connection

from canvas_app import languages, log, store
from canvas_app.errors import NotConfigured, PermanentError, WireError
from canvas_app.interviews import (
    closing,
    contacts,
    delivering,
    imported,
    ledger,
    measures,
    once,
    outcomes,
    planning,
    reminders,
    rules,
    workspace,
)
from canvas_app.interviews.ask import BY_HAND, enqueue_clear_link, enqueue_send
from canvas_app.interviews.ledger_rows import Deliver, Interview
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.services import Services
from canvas_app.interviews.states import SENDING_STATES, State
from canvas_app.koji import links as koji_links
from canvas_app.koji.client import KojiClient, Started
from canvas_app.settings import Study

logger = logging.getLogger(__name__)

# For this long after a send's time is up, a message of unknown fate is still looked for.
LOOK_FOR = timedelta(hours=1)

# An attempt that is only to find that the time is up comes this long after it.
_MOMENT_SECONDS = 1.0


def start(services: Services, interview_id: str) -> Outcome:
    """Start the interview at Koji and keep its personal link. Nothing reaches the customer here."""
    with store.reading(services.engine) as connection:
        interview = ledger.get(connection, interview_id)
    if interview is not None and (
        interview.state == "planned"
        # Who it is for is found out first; what they have against it is asked below.
        or (_by_nobody(interview) and not contacts.is_unknown(interview))
    ):
        looked = planning.look_again(services, interview)
        if looked["kind"] != "done":
            return looked
    with store.writing(services.engine) as connection:
        interview = ledger.get(connection, interview_id)
        if interview is None or interview.state not in ("queued", "sending"):
            return outcomes.stop("not_to_be_sent")
        now = store.now(connection)
        if now > interview.send_before and not once.is_claimed(connection, interview_id, "message"):
            return outcomes.permanent(interview.reason or "too_late")
        if interview.state == "queued":
            ledger.move(connection, interview_id, "sending", only_from=("queued",), now=now)
    if interview.koji_link is not None:
        return outcomes.done("started_before")
    missing = services.settings.missing_for_sending(interview.public_url)
    if missing:
        return outcomes.of_error(NotConfigured(missing))
    try:
        study = services.study(interview.study)
        if not study.enabled:
            # It was switched off since, and nothing has left yet.
            return outcomes.permanent("study_off")
        koji = services.koji(study)
        workspace.must_match(workspace.known(services), interview.workspace_id)
        if contacts.is_unknown(interview):
            learnt = contacts.learn(services, interview)
            if learnt["kind"] != "done":
                return learnt
            with store.reading(services.engine) as connection:
                interview = ledger.existing(connection, interview_id)
            looked = planning.look_again(services, interview)
            if looked["kind"] != "done":
                return looked
        started = _start_at_koji(koji, interview, study)
        link = _personal_link(services, interview, started, study)
    except (WireError, NotConfigured) as error:
        return outcomes.of_error(error)
    try:
        with store.writing(services.engine) as connection:
            _keep_link(connection, services, interview_id, started, link)
    except PermanentError as error:
        return outcomes.of_error(error)
    return outcomes.done()


def _keep_link(
    connection: Connection, services: Services, interview_id: str, started: Started, link: str | None
) -> None:
    """Store the link that there is, else one that was imported for the contact. Raises PermanentError."""
    interview = ledger.existing(connection, interview_id, lock=True)
    # The first id that is stored wins: an interview that was started twice and not used costs nothing.
    if interview.koji_link is not None or interview.state != "sending":
        return
    koji_interview_id: str | None = started.interview_id
    if link is None:
        # An imported link leads to an interview of its own, of which only Koji knows the id yet: what was
        # started here is not what the customer answers.
        link, koji_interview_id = imported.give(connection, interview), None
    if link is None:
        raise PermanentError(reason="link_host_not_allowed" if started.links else "no_personal_link")
    if not koji_links.allowed(link, services.settings.koji_link_hosts):
        raise PermanentError(reason="link_host_not_allowed")
    ledger.change(
        connection, interview_id, only_from=("sending",), koji_interview_id=koji_interview_id, koji_link=link
    )


def _by_nobody(interview: Interview) -> bool:
    """Whether it is on its way and no person waits for it."""
    return interview.origin not in BY_HAND and interview.state in SENDING_STATES


def post(services: Services, interview_id: str) -> Outcome:
    """Post the message with the personal link into the conversation, once."""
    with store.reading(services.engine) as connection:
        interview = ledger.get(connection, interview_id)
    if interview is None or interview.state != "sending":
        return outcomes.stop("not_to_be_sent")
    return _DELIVERIES[interview.deliver](services, interview)


def _reply(services: Services, interview: Interview) -> Outcome:
    """Post the message in the conversation, as the rep who asked, or else as the configured admin."""
    if interview.conversation_id is None:
        return outcomes.permanent("no_conversation")
    try:
        ours = workspace.known(services)
        # The token may have been exchanged since the interview was started.
        workspace.must_match(ours, interview.workspace_id)
        closing.remember(services, interview, interview.conversation_id)
        configured_admin = ours.admin_id
        author = interview.written_as_id or interview.asked_by_id or configured_admin
        outcome = _post_as(services, interview, interview.conversation_id, author)
        if (
            outcome["kind"] != "permanent"
            or outcome["reason"] in delivering.OVER
            or author == configured_admin
        ):
            return outcome
        # The rep may have left the workspace since; then the configured admin writes, and the card says so.
        if services.intercom.admin_exists(author):
            return outcome
    except (WireError, NotConfigured) as error:
        return outcomes.of_error(error)
    with store.writing(services.engine) as connection:
        ledger.change(connection, interview.id, only_from=("sending",), written_as_id=configured_admin)
    return _post_as(services, interview, interview.conversation_id, configured_admin)


_DELIVERIES: Mapping[Deliver, Callable[[Services, Interview], Outcome]] = {
    "conversation": _reply,
    "message": delivering.message,
    "attribute": delivering.attribute,
    "none": delivering.leave_it_to_the_caller,
}


def _post_as(services: Services, interview: Interview, conversation_id: str, author: str) -> Outcome:
    body = delivering.letter(services, interview)

    def is_there() -> bool | None:
        conversation = services.intercom.get_conversation(conversation_id)
        # The token and not the whole address: the address may be written out differently.
        if conversation.contains(interview.link_token):
            return True
        return False if conversation.complete else None

    return once.write_once(
        services.engine,
        interview.id,
        "message",
        act=lambda begin_by: services.intercom.reply(
            conversation_id, admin_id=author, body=body, begin_by=begin_by
        ),
        is_there=is_there,
        forbidden=lambda connection, now: delivering.forbidden(connection, interview.id, now),
    )


def settle(services: Services, interview_id: str, attempt: int, outcome: Outcome) -> None:
    """Write down how an attempt ended, and enqueue the next one where there is to be one."""
    kind, reason = outcome["kind"], outcome["reason"]
    took: timedelta | None = None
    with store.writing(services.engine) as connection:
        interview = ledger.get(connection, interview_id, lock=True)
        if interview is None or not ledger.take_attempt(connection, interview_id, attempt):
            return
        now = store.now(connection)
        if interview.state == "planned":
            _settle_planned(connection, services, interview, attempt, outcome, now)
            _tell(interview_id, attempt, outcome)
            return
        claimed = once.is_claimed(connection, interview_id, "message")
        written_at = once.done_at(connection, interview_id, "message")
        over = now > interview.send_before + (LOOK_FOR if claimed else timedelta(0))
        if kind == "stop":
            pass
        elif kind == "done" or written_at is not None or interview.opened_at is not None:
            # Whatever could not be learnt now: what Intercom has confirmed is there, and so is a message
            # whose link the customer has opened.
            sent_at = written_at or interview.opened_at or now
            _is_out(connection, services, interview, sent_at, now)
            if written_at is not None:
                took = written_at - max(interview.created_at, interview.not_before or interview.created_at)
        elif kind in ("later", "credentials") and not over:
            pause = rules.send_pause(attempt, outcome["after"], chance=services.chance())
            if not claimed:
                # A longer wait would end in giving up as well; the rep is told when the time is up.
                pause = min(pause, (interview.send_before - now).total_seconds() + _MOMENT_SECONDS)
            enqueue_send(connection, services.jobs, interview, attempt=attempt + 1, delay=pause)
            ledger.change(connection, interview_id, only_from=SENDING_STATES, reason=reason)
        elif kind == "unknown" or claimed:
            # Whatever is in the way now, an earlier attempt may have posted the message.
            check_at = first_check(services, now)
            _end(connection, interview_id, "unknown", reason or "outcome_unknown", now, check_at)
        else:
            _end(connection, interview_id, "failed", reason or "refused", now)
        after = ledger.existing(connection, interview_id)
        if after.state == "failed":
            enqueue_clear_link(connection, services.jobs, after)
    if took is not None:
        services.tally.observe(measures.SEND_SECONDS, max(took.total_seconds(), 0.0), interview.origin)
    _tell(interview_id, attempt, outcome)


def _tell(interview_id: str, attempt: int, outcome: Outcome) -> None:
    log.event(
        logger,
        logging.INFO if outcome["kind"] in ("done", "stop", "later") else logging.WARNING,
        "send_attempt",
        interview=interview_id,
        attempt=attempt,
        outcome=outcome["kind"],
        reason=outcome["reason"],
    )


def _settle_planned(
    connection: Connection,
    services: Services,
    interview: Interview,
    attempt: int,
    outcome: Outcome,
    now: datetime,
) -> None:
    """It has not begun: its time has not come, or it cannot be learnt whether something speaks against it."""
    due = interview.not_before or interview.state_since
    if outcome["kind"] == "permanent" or now > due + planning.GIVEN_UP_AFTER:
        planning.skip(connection, interview.id, outcome["reason"] or "too_late", now=now)
        return
    if outcome["reason"] == planning.NOT_YET:
        pause = outcome["after"] or 0.0
    elif outcomes.is_held(outcome):
        pause = rules.held_pause(outcome["after"], chance=services.chance())
    else:
        pause = rules.send_pause(attempt, outcome["after"], chance=services.chance())
    enqueue_send(connection, services.jobs, interview, attempt=attempt + 1, delay=pause)


def give_up(services: Services, connection: Connection, interview: Interview, now: datetime) -> State | None:
    """End a send that nobody is at any more, by what is known of its message. None: it has ended before."""
    state, values = _fate(connection, interview)
    if state != "failed":
        values["check_at"] = first_check(services, now)
    moved = ledger.move(connection, interview.id, state, only_from=SENDING_STATES, now=now, **values)
    return state if moved else None


def _fate(connection: Connection, interview: Interview) -> tuple[State, dict[str, Any]]:
    written_at = once.done_at(connection, interview.id, "message")
    if interview.opened_at is not None:
        return "opened", {"sent_at": written_at or interview.opened_at}
    if written_at is not None:
        return "sent", {"sent_at": written_at}
    claimed = once.is_claimed(connection, interview.id, "message")
    return ("unknown" if claimed else "failed"), {"reason": "given_up"}


def first_check(services: Services, since: datetime) -> datetime | None:
    """When Koji is asked for the first time about an interview that was sent then."""
    return rules.next_check(since, since, open_days=services.settings.open_days, chance=services.chance())


def _is_out(
    connection: Connection, services: Services, interview: Interview, sent_at: datetime, now: datetime
) -> None:
    """The message is in the conversation. A quick customer may have opened its link before this is known."""
    ledger.move(
        connection,
        interview.id,
        "sent" if interview.opened_at is None else "opened",
        only_from=SENDING_STATES,
        now=now,
        sent_at=sent_at,
        check_at=first_check(services, sent_at),
        remind_at=reminders.due_at(connection, services.settings, interview, sent_at),
    )
    closing.enqueue(connection, services.jobs, interview)


def _end(
    connection: Connection,
    interview_id: str,
    state: State,
    reason: str,
    now: datetime,
    check_at: datetime | None = None,
) -> None:
    ledger.move(
        connection, interview_id, state, only_from=SENDING_STATES, now=now, reason=reason, check_at=check_at
    )


def _start_at_koji(koji: KojiClient, interview: Interview, study: Study) -> Started:
    # Who is asked anonymously is not named to Koji either: our ids are enough to know the answer by.
    name, email = (None, None) if study.anonymous else (interview.contact_name, interview.contact_email)
    metadata = {
        "intercom_workspace_id": interview.workspace_id,
        "intercom_conversation_id": interview.conversation_id,
        "intercom_contact_id": interview.contact_id,
        "respondent_email": email,
        "interview_ref": interview.id,
    }
    start = functools.partial(
        koji.start,
        external_id=interview.contact_id,
        display_name=name,
        metadata={name: value for name, value in metadata.items() if value},
        mode=study.mode,
    )
    locale = languages.tag(interview.language)
    try:
        return start(locale=locale)
    except PermanentError as error:
        # Which languages Koji takes is not documented: an interview in its own is better than none.
        if locale is None or error.status not in (400, 422):
            raise
    return start()


def _personal_link(services: Services, interview: Interview, started: Started, study: Study) -> str | None:
    """Koji's own link, else the template's; never one that leads to a host that is not on the list.

    None where there is neither, so that an imported link is looked for.
    """
    hosts = services.settings.koji_link_hosts
    for candidate in started.links:
        if koji_links.allowed(candidate, hosts):
            return candidate
    template = study.link_template
    if template is None:
        return None
    try:
        link = koji_links.from_template(
            template,
            interview_id=started.interview_id,
            contact_id=interview.contact_id,
            email=interview.contact_email,
            name=interview.contact_name,
        )
    except ValueError:
        raise PermanentError(reason="link_too_long") from None
    if not koji_links.allowed(link, hosts):
        raise PermanentError(reason="link_host_not_allowed")
    return link
