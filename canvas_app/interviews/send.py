"""The way out: start the interview at Koji, post the personal link, write down how it went.

Each function is one step of a durable attempt and may be repeated: what it did before, the ledger tells.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.engine import Connection

from canvas_app import log, store
from canvas_app.errors import NotConfigured, PermanentError, WireError
from canvas_app.interviews import (
    closing,
    ledger,
    links,
    once,
    outcomes,
    planning,
    reminders,
    rules,
    wording,
    workspace,
)
from canvas_app.interviews.ask import BY_HAND, enqueue_send
from canvas_app.interviews.ledger import Deliver, Interview
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.services import Services
from canvas_app.interviews.states import SENDING_STATES, State
from canvas_app.koji import links as koji_links
from canvas_app.koji.client import Started
from canvas_app.settings import Study

logger = logging.getLogger(__name__)

# Why a message is not to go out any more. Whoever writes it, it would be wrong.
_OVER = ("not_to_be_sent", "too_late")

# For this long after a send's time is up, a message of unknown fate is still looked for.
LOOK_FOR = timedelta(hours=1)

# An attempt that is only to find that the time is up comes this long after it.
_MOMENT_SECONDS = 1.0


def start(services: Services, interview_id: str) -> Outcome:
    """Start the interview at Koji and keep its personal link. Nothing reaches the customer here."""
    with store.reading(services.engine) as connection:
        interview = ledger.get(connection, interview_id)
    if interview is not None and (interview.state == "planned" or _by_nobody(interview)):
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
        workspace.must_match(workspace.known(services), interview.workspace_id)
        study = services.study(interview.study)
        started = _start_at_koji(services, interview, study)
        link = _personal_link(services, interview, started, study)
    except (WireError, NotConfigured) as error:
        return outcomes.of_error(error)
    with store.writing(services.engine) as connection:
        # The first id that is stored wins: an interview that was started twice and not used costs nothing.
        if ledger.existing(connection, interview_id, lock=True).koji_link is None:
            ledger.change(
                connection,
                interview_id,
                only_from=("sending",),
                koji_interview_id=started.interview_id,
                koji_link=link,
            )
    return outcomes.done()


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


def _leave_it_to_the_caller(_services: Services, _interview: Interview) -> Outcome:
    """Whoever asked brings the link to the customer."""
    return outcomes.done()


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
        if outcome["kind"] != "permanent" or outcome["reason"] in _OVER or author == configured_admin:
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
    "none": _leave_it_to_the_caller,
}


def _post_as(services: Services, interview: Interview, conversation_id: str, author: str) -> Outcome:
    public_url = interview.public_url or services.settings.public_url
    if public_url is None:
        raise NotConfigured(["PUBLIC_URL"])
    url = links.personal_url(public_url, interview.link_token)
    body = wording.invitation(
        contact_name=interview.contact_name, personal_line=interview.personal_line, url=url
    )

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
        forbidden=lambda connection, now: _forbidden(connection, interview.id, now),
    )


def _forbidden(connection: Connection, interview_id: str, now: datetime) -> str | None:
    """Why the message is not to go out any more: what the card has said in the meantime must stay true."""
    interview = ledger.existing(connection, interview_id, lock=True)
    # Whoever opens the link has the message: also where a person could not find it.
    if interview.state != "sending" or interview.opened_at is not None:
        return "not_to_be_sent"
    return "too_late" if now > interview.send_before else None


def settle(services: Services, interview_id: str, attempt: int, outcome: Outcome) -> None:
    """Write down how an attempt ended, and enqueue the next one where there is to be one."""
    kind, reason = outcome["kind"], outcome["reason"]
    with store.writing(services.engine) as connection:
        interview = ledger.get(connection, interview_id, lock=True)
        if interview is None or not ledger.take_attempt(connection, interview_id, attempt):
            return
        now = store.now(connection)
        if interview.state == "planned":
            _settle_planned(connection, services, interview, attempt, outcome, now)
            _tell(interview_id, attempt, outcome)
            return
        check_at = first_check(services, now)
        claimed = once.is_claimed(connection, interview_id, "message")
        may_be_looked_for = claimed and interview.opened_at is None
        if kind == "done":
            # A quick customer may have opened the link before this was written down.
            state: State = "sent" if interview.opened_at is None else "opened"
            remind_at = reminders.due_at(connection, services.settings, interview, now)
            ledger.move(
                connection,
                interview_id,
                state,
                only_from=("sending",),
                now=now,
                sent_at=now,
                check_at=check_at,
                remind_at=remind_at if state == "sent" else None,
            )
            closing.enqueue(connection, services.jobs, interview)
        elif kind == "later" or (
            kind == "credentials" and (now <= interview.send_before or may_be_looked_for)
        ):
            pause = rules.send_pause(attempt, outcome["after"], chance=services.chance())
            if not claimed:
                # A longer wait would end in giving up as well; the rep is told when the time is up.
                pause = min(pause, (interview.send_before - now).total_seconds() + _MOMENT_SECONDS)
            if now <= interview.send_before or (claimed and now <= interview.send_before + LOOK_FOR):
                enqueue_send(connection, services.jobs, interview, attempt=attempt + 1, delay=pause)
                ledger.change(connection, interview_id, only_from=("queued", "sending"), reason=reason)
            elif claimed:
                _end(connection, interview_id, "unknown", reason or "outcome_unknown", now, check_at)
            else:
                _end(connection, interview_id, "failed", reason or "too_late", now)
        elif interview.opened_at is not None and kind in ("unknown", "permanent", "credentials"):
            # The customer has opened the link, so the message is there, whatever could not be learnt.
            ledger.move(
                connection,
                interview_id,
                "opened",
                only_from=("sending",),
                now=now,
                sent_at=now,
                check_at=check_at,
            )
            closing.enqueue(connection, services.jobs, interview)
        elif kind == "unknown" or (kind in ("permanent", "credentials") and claimed):
            # Whatever is in the way now, an earlier attempt may have posted the message.
            _end(connection, interview_id, "unknown", reason or "outcome_unknown", now, check_at)
        elif kind in ("permanent", "credentials"):
            _end(connection, interview_id, "failed", reason or "refused", now)
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
    moved = ledger.move(connection, interview.id, state, only_from=("queued", "sending"), now=now, **values)
    return state if moved else None


def _fate(connection: Connection, interview: Interview) -> tuple[State, dict[str, Any]]:
    written_at = once.done_at(connection, interview.id, "message")
    if interview.opened_at is not None:
        return "opened", {"sent_at": written_at or interview.opened_at}
    if written_at is not None:
        return "sent", {"sent_at": written_at}
    claimed = once.is_claimed(connection, interview.id, "message")
    return ("unknown" if claimed else "failed"), {"reason": "given_up"}


def first_check(services: Services, now: datetime) -> datetime | None:
    """When Koji is asked for the first time about an interview that is sent now."""
    return rules.next_check(now, now, open_days=services.settings.open_days, chance=services.chance())


def _end(
    connection: Connection,
    interview_id: str,
    state: State,
    reason: str,
    now: datetime,
    check_at: datetime | None = None,
) -> None:
    only_from: tuple[State, ...] = ("queued", "sending")
    ledger.move(
        connection, interview_id, state, only_from=only_from, now=now, reason=reason, check_at=check_at
    )


def _start_at_koji(services: Services, interview: Interview, study: Study) -> Started:
    metadata = {
        "intercom_workspace_id": interview.workspace_id,
        "intercom_conversation_id": interview.conversation_id,
        "intercom_contact_id": interview.contact_id,
        "respondent_email": interview.contact_email,
        "interview_ref": interview.id,
    }
    return services.koji(study).start(
        external_id=interview.contact_id,
        display_name=interview.contact_name,
        metadata={name: value for name, value in metadata.items() if value},
        mode=study.mode,
    )


def _personal_link(services: Services, interview: Interview, started: Started, study: Study) -> str:
    """Koji's own link, else the template's; never one that leads to a host that is not on the list."""
    hosts = services.settings.koji_link_hosts
    for candidate in started.links:
        if koji_links.allowed(candidate, hosts):
            return candidate
    template = study.link_template
    if template is None:
        reason = "link_host_not_allowed" if started.links else "no_personal_link"
        raise PermanentError(reason=reason)
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
