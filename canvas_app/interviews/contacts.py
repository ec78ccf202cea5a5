"""Who an interview is for, where whoever asked has named an id or an address alone.

The web process makes no call, so that a request of the API says little about the contact. Before anything
starts, Intercom is asked: for the name, the address and the role, and for the contact itself where only an
address was given. That may be somebody who is asked already, or was not long ago.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy.exc import IntegrityError

from canvas_app import hmacs, languages, store
from canvas_app.errors import ContactMerged, LaterError, PermanentError
from canvas_app.intercom.models import Contact
from canvas_app.interviews import decisions, erase, frequency, ledger, options, outcomes
from canvas_app.interviews.ask import expire
from canvas_app.interviews.ledger import Ask
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.seen import Person
from canvas_app.interviews.services import Services
from canvas_app.interviews.states import SENDING_STATES
from canvas_app.plaintext import one_line

# In place of a contact's id, until the contact is found. Intercom's ids hold no colon.
_PLACEHOLDER: Final = ledger.PLACEHOLDER
_PURPOSE: Final = "contact by e-mail"

# "Nobody has this address" is looked at again after half the time that it has been true, within these limits:
# a new contact can take minutes to be found, and a wrong address stays wrong.
_SOONEST_SECONDS = 15.0
_LATEST_SECONDS = 3_600.0


def placeholder(email: str, secret_key: str) -> str:
    """What stands for the contact with this address while their id is not known: 46 characters, from which
    nobody without the key can guess the address."""
    return _PLACEHOLDER + hmacs.fingerprint(secret_key, _PURPOSE, email)[:40]


def is_placeholder(contact_id: str) -> bool:
    return contact_id.startswith(_PLACEHOLDER)


def is_unknown(interview: Interview) -> bool:
    """Whether Intercom has to be asked about the contact before the interview can start."""
    return is_placeholder(interview.contact_id) or (
        interview.origin == "api" and interview.contact_role is None
    )


def learn(services: Services, interview: Interview) -> Outcome:
    """Find the contact and write down who it is. ``stop`` where that ends the interview as skipped.

    Raises the wires' errors: LaterError ``contact_not_found`` while nobody with the address is found.
    """
    if is_placeholder(interview.contact_id):
        found = services.intercom.search_contacts_by_email(interview.contact_email or "")
        contact = chosen(found, interview.contact_email or "")
        if contact is None:
            raise LaterError(reason="contact_not_found", retry_after=_pause(services, interview))
    else:
        contact = _get(services, interview.contact_id)
    return become(services, interview, contact)


def chosen(found: Sequence[Contact], email: str) -> Contact | None:
    """Of several contacts with one address the newest user, else the newest lead. ``found``: newest first."""
    same = [contact for contact in found if (contact.email or "").casefold() == email.casefold()]
    users = [contact for contact in same if contact.role == "user"]
    return next(iter(users or same), None)


def follow(services: Services, interview: Interview, merged: ContactMerged) -> Outcome:
    """The contact has been merged into another one: let the interview be that one's. As :func:`learn`."""
    if merged.canonical_id is None:
        raise merged
    with store.writing(services.engine) as connection:
        erase.follow_contact(connection, interview.workspace_id, interview.contact_id, merged.canonical_id)
    return become(services, interview, services.intercom.get_contact(merged.canonical_id))


def become(services: Services, interview: Interview, contact: Contact) -> Outcome:
    """Write the contact into an interview that is being sent; skip it where a limit of theirs says no."""
    try:
        return _become(services, interview, contact)
    except IntegrityError:
        # Somebody else has asked this contact between our look and our write: now it is to be seen.
        return _become(services, interview, contact)


def _become(services: Services, interview: Interview, contact: Contact) -> Outcome:
    person = Person(interview.workspace_id, contact.id)
    with store.writing(services.engine) as connection:
        now = store.now(connection)
        interview = ledger.existing(connection, interview.id, lock=True)
        if interview.state not in SENDING_STATES:
            return outcomes.stop("not_to_be_sent")
        if contact.id != interview.contact_id:
            settings = services.settings
            ask = Ask(person.workspace_id, person.contact_id, None, interview.study, interview.origin)
            expire(connection, services.jobs, settings, ask, now)
            last = frequency.last_asked(connection, person, other_than=interview.id)
            reason = None
            if ledger.open_one(connection, person.workspace_id, person.contact_id) is not None:
                reason = "open_interview"
            elif frequency.too_early(
                last, now, ask_again_days=options.read(connection, settings).ask_again_days
            ):
                reason = "asked_recently"
            if reason is not None:
                ledger.move(
                    connection, interview.id, "skipped", only_from=SENDING_STATES, now=now, reason=reason
                )
                return outcomes.stop(reason)
            decisions.skip_planned(
                connection, person.workspace_id, person.contact_id, now=now, reason="replaced"
            )
        ledger.change(
            connection,
            interview.id,
            only_from=SENDING_STATES,
            contact_id=contact.id,
            contact_name=one_line(contact.name, 200) or None,
            contact_email=one_line(contact.email, 320) or interview.contact_email,
            language=interview.language or languages.tag(contact.language),
            contact_role=contact.role if contact.role in ("user", "lead") else "user",
        )
    return outcomes.done()


def _get(services: Services, contact_id: str) -> Contact:
    try:
        return services.intercom.get_contact(contact_id)
    except ContactMerged as merged:
        if merged.canonical_id is None:
            raise
        return services.intercom.get_contact(merged.canonical_id)
    except PermanentError as error:
        if error.status != 404:
            raise
        raise PermanentError(
            reason="contact_not_found", status=error.status, request_id=error.request_id
        ) from error


def _pause(services: Services, interview: Interview) -> float:
    with store.reading(services.engine) as connection:
        looked_for = store.now(connection) - (interview.not_before or interview.created_at)
    return min(max(looked_for.total_seconds() / 2, _SOONEST_SECONDS), _LATEST_SECONDS)
