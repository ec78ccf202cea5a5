"""How the link reaches the customer, other than by a reply: as a new message, or in their attributes.

Each function is part of a step that may be repeated.
"""

from __future__ import annotations

import html
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.engine import Connection

from canvas_app import store
from canvas_app.errors import ContactMerged, LaterError, NotConfigured, PermanentError, WireError
from canvas_app.intercom.models import FoundConversations
from canvas_app.interviews import (
    contact_attributes,
    contacts,
    ledger,
    links,
    once,
    outcomes,
    wording,
    words,
    workspace,
)
from canvas_app.interviews.contact_attributes import LINK, LINK_READY_AT, LINK_URL
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.services import Services
from canvas_app.interviews.states import STATES

# Why a message is not to go out any more. Whoever writes it, it would be wrong.
OVER: Final = ("not_to_be_sent", "too_late")

# How long a new conversation may take to be found by Intercom's search. Of contacts it is documented that
# they can take minutes; of conversations nothing is.
_FOUND_WITHIN: Final = timedelta(minutes=10)
_LOOK_AGAIN_SECONDS: Final = 60.0
# A search by time goes by days, and two clocks differ.
_SEARCH_FROM: Final = timedelta(days=2)
_CLOCKS_DIFFER: Final = timedelta(minutes=10)
# More conversations of one contact than these, since the interview was asked for, are not read one by one.
_MOST_READ: Final = 20

# "There can be a short delay between when a contact is created and when a contact becomes available to be
# messaged": https://developers.intercom.com/docs/references/rest-api/api.intercom.io/messages/createmessage
_MESSAGEABLE_WITHIN: Final = timedelta(hours=1)


def leave_it_to_the_caller(_services: Services, _interview: Interview) -> Outcome:
    """Whoever asked brings the link to the customer."""
    return outcomes.done()


def message(services: Services, interview: Interview) -> Outcome:
    """Begin a conversation with the customer that holds the link, once."""
    told: list[str] = []
    try:
        ours = workspace.known(services)
        workspace.must_match(ours, interview.workspace_id)
        body = letter(services, interview)
    except (WireError, NotConfigured) as error:
        return outcomes.of_error(error)

    def act(begin_by: float) -> None:
        try:
            conversation_id = services.intercom.create_message(
                interview.contact_id,
                role=interview.contact_role or "user",
                admin_id=ours.admin_id,
                body=body,
                begin_by=begin_by,
            )
        except PermanentError as error:
            if error.status == 404 and _is_new(services, interview):
                raise LaterError(reason="contact_not_ready", status=404, retry_after=30.0) from error
            raise
        if conversation_id is not None:
            told.append(conversation_id)

    outcome = once.write_once(
        services.engine,
        interview.id,
        "message",
        act=act,
        is_there=lambda: _is_there(services, interview),
        forbidden=lambda connection, now: forbidden(connection, interview.id, now),
    )
    if told:
        # Were it lost here, the conversation would be searched for when the note needs a home.
        _keep_home(services, interview, told[0])
    return outcome


def attribute(services: Services, interview: Interview) -> Outcome:
    """Write the link to the contact's attributes, and then since when it is there.

    A Series that waits for the second never meets an empty or an old link.
    """
    try:
        workspace.must_match(workspace.known(services), interview.workspace_id)
        url = personal_url(services, interview)
        if len(url) > contact_attributes.LONGEST_VALUE:
            return outcomes.permanent("link_too_long_for_attribute")
        with store.writing(services.engine) as connection:
            now = store.now(connection)
            current = ledger.existing(connection, interview.id, lock=True)
            if current.state != "sending":
                return outcomes.stop("not_to_be_sent")
            # Before the call: from now on there may be something to take away again.
            ledger.change(
                connection,
                interview.id,
                only_from=("sending",),
                link_attribute_at=current.link_attribute_at or now,
            )
        try:
            _put_link(services, interview.contact_id, url, now)
        except ContactMerged as merged:
            followed = contacts.follow(services, interview, merged)
            if followed["kind"] != "done":
                return followed
            _put_link(services, merged.canonical_id or interview.contact_id, url, now)
    except (WireError, NotConfigured) as error:
        return outcomes.of_error(error)
    return outcomes.done()


def forbidden(connection: Connection, interview_id: str, now: datetime) -> str | None:
    """Why the message is not to go out any more: what the card has said in the meantime must stay true."""
    interview = ledger.existing(connection, interview_id, lock=True)
    # Whoever opens the link has the message: also where a person could not find it.
    if interview.state != "sending" or interview.opened_at is not None:
        return "not_to_be_sent"
    return "too_late" if now > interview.send_before else None


def personal_url(services: Services, interview: Interview) -> str:
    """The customer's link. Raises NotConfigured while nobody knows at which address this app is reached."""
    public_url = interview.public_url or services.settings.public_url
    if public_url is None:
        raise NotConfigured(["PUBLIC_URL"])
    return links.personal_url(public_url, interview.link_token)


def letter(services: Services, interview: Interview) -> str:
    """The message as HTML, in the words of the interview's study and the contact's language."""
    return wording.invitation(
        contact_name=interview.contact_name,
        personal_line=interview.personal_line,
        url=personal_url(services, interview),
        said=words.chosen(services.study(interview.study).wording, interview.language),
    )


def home(services: Services, interview: Interview) -> str | None:
    """The conversation that the interview's note belongs to.

    That of a message is searched for where Intercom has not told it. Raises the wires' errors.
    """
    if interview.conversation_id is not None or interview.deliver != "message":
        return interview.conversation_id
    workspace.must_match(workspace.known(services), interview.workspace_id)
    conversation_id, _complete = _search(services, interview)
    if conversation_id is not None:
        _keep_home(services, interview, conversation_id)
    return conversation_id


def _put_link(services: Services, contact_id: str, url: str, now: datetime) -> None:
    contact_attributes.put(services.intercom, contact_id, {LINK_URL: url}, LINK)
    contact_attributes.put(services.intercom, contact_id, {LINK_READY_AT: int(now.timestamp())}, LINK)


def _is_there(services: Services, interview: Interview) -> bool | None:
    conversation_id, complete = _search(services, interview)
    if conversation_id is not None:
        _keep_home(services, interview, conversation_id)
        return True
    if not complete:
        return None
    with store.reading(services.engine) as connection:
        claimed_at = once.claimed_at(connection, interview.id, "message")
        now = store.now(connection)
    if claimed_at is not None and now - claimed_at < _FOUND_WITHIN:
        # That it is not found yet does not say that it is not there.
        raise LaterError(reason="being_verified", retry_after=_LOOK_AGAIN_SECONDS)
    return False


def _search(services: Services, interview: Interview) -> tuple[str | None, bool]:
    """The conversation that begins with the interview's link, and whether none can have been missed."""
    since = interview.created_at - _SEARCH_FROM
    found = services.intercom.search_conversations_of_contact(interview.contact_id, since=since.timestamp())
    token = interview.link_token
    for one in found.conversations:
        if token in one.first_message or token in html.unescape(one.first_message):
            return one.id, True
    candidates = _candidates(found, interview)
    for conversation_id in candidates[:_MOST_READ]:
        # A search may give plain text, in which a link's address is not to be seen.
        if _holds(services, conversation_id, token):
            return conversation_id, True
    return None, found.complete and len(candidates) <= _MOST_READ


def _candidates(found: FoundConversations, interview: Interview) -> list[str]:
    earliest = (interview.created_at - _CLOCKS_DIFFER).timestamp()
    return [one.id for one in found.conversations if one.created_at >= earliest]


def _holds(services: Services, conversation_id: str, token: str) -> bool:
    try:
        return services.intercom.get_conversation(conversation_id).contains(token)
    except PermanentError as error:
        if error.status != 404:
            raise
        return False


def _keep_home(services: Services, interview: Interview, conversation_id: str) -> None:
    if interview.conversation_id is not None:
        # The one that whoever asked has named: there the note is looked for.
        return
    with store.writing(services.engine) as connection:
        ledger.change(connection, interview.id, only_from=STATES, conversation_id=conversation_id)


def _is_new(services: Services, interview: Interview) -> bool:
    """Whether the contact may have been made shortly before the interview was to be sent."""
    with store.reading(services.engine) as connection:
        now = store.now(connection)
    return now - (interview.not_before or interview.created_at) < _MESSAGEABLE_WITHIN
