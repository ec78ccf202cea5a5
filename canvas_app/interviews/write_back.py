"""What is written to Intercom when a result is here: attributes on the contact, a note, tags.

Attributes and tags may be repeated; the note may not, see :mod:`canvas_app.interviews.once`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import http_outcomes, log, store
from canvas_app.errors import (
    ContactMerged,
    CredentialsError,
    LaterError,
    NotConfigured,
    PermanentError,
    WireError,
)
from canvas_app.interviews import (
    contact_attributes,
    delivering,
    erase,
    ledger,
    ledger_rows,
    once,
    options,
    outcomes,
    rules,
    themes,
    wording,
    workspace,
    written,
)
from canvas_app.interviews.ledger_rows import Interview, result_of
from canvas_app.interviews.options import Field, Options
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.services import Services
from canvas_app.interviews.states import HAS_RESULT, STATES
from canvas_app.interviews.tables import interviews
from canvas_app.interviews.workspace import Workspace
from canvas_app.koji import links as koji_links
from canvas_app.koji.results import KojiResult
from canvas_app.plaintext import one_line

logger = logging.getLogger(__name__)

T = TypeVar("T")

# The types are those of Intercom's
# https://developers.intercom.com/docs/references/rest-api/api.intercom.io/data-attributes/createdataattribute
_ATTRIBUTES: Final[Mapping[Field, tuple[str, str]]] = {
    "at": ("datetime", "When the contact answered their newest Koji interview."),
    "sentiment": ("string", "Sentiment of the newest Koji interview."),
    "top_theme": ("string", "Top theme of the newest Koji interview."),
    "quality": ("float", "Koji's quality score of the newest interview, 1 to 5."),
    "url": ("string", "Transcript of the newest interview, at Koji."),
}
# How a note may have ended that the rep should know of, although nothing more is to be done.
NOTE_UNKNOWN = "note_unknown"
CONVERSATION_GONE = "conversation_gone"
REMARKS = frozenset({NOTE_UNKNOWN, CONVERSATION_GONE})

# Put together once: each of the three writes asks for them.
_WITH_OPTIONS: Final = ledger_rows.selected.add_columns(
    options.selected(options.WRITE_BACK).scalar_subquery().label("chosen")
).where(interviews.c.id == sa.bindparam("id_"))


def write_attributes(services: Services, interview_id: str) -> Outcome:
    """Set the contact's attributes, unless a newer interview has set them.

    What stands under a name that was chosen before is emptied: nothing would keep it true any more.
    """
    interview, chosen, ours = _load(services, interview_id)
    if interview is None:
        return outcomes.stop("nothing_to_write")
    values = attributes(result_of(interview), interview, _transcript_url(services, interview))
    named = {chosen.attributes[name]: value for name, value in values.items()}
    names: dict[str, str] = {chosen.attributes[name]: name for name in values}

    def put_unless_newer(contact_id: str) -> bool:
        # Asked for each contact: the one that this one was merged into has interviews of its own.
        theirs = replace(interview, contact_id=contact_id)
        with store.reading(services.engine) as connection:
            if written.newer_result_exists(connection, theirs):
                return False
            before = written.attribute_names(connection, theirs)
        own = before.get(interview_id, {})
        with store.writing(services.engine) as connection:
            first = once.begin(connection, interview_id, "attributes")
            # Before the call, whose outcome may never be known: what may be there is to be emptied one day.
            _remember(connection, interview, attribute_names={**own, **names})
        outdated = _outdated(before, chosen) - set(named)
        try:
            contact_attributes.put(services.intercom, contact_id, named, wanted_attributes(chosen))
        except (PermanentError, CredentialsError, LaterError) as error:
            surely_not = not isinstance(error, LaterError) or error.reason in http_outcomes.PUT_OFF
            if first and surely_not:
                store.patiently(once.was_not_made, services.engine, interview_id, "attributes")
            raise
        for name in sorted(outdated):
            contact_attributes.empty(services.intercom, contact_id, name)
        if outdated:
            _forget_names(services, {**before, interview_id: {**own, **names}}, outdated)
        return True

    try:
        _own_workspace(services, interview, ours)
        if not _following_merges(services, interview, put_unless_newer):
            return outcomes.done("newer_exists")
    except (WireError, NotConfigured) as error:
        return outcomes.of_error(error)
    with store.writing(services.engine) as connection:
        now = store.now(connection)
        ledger.change(connection, interview_id, only_from=HAS_RESULT, attributes_written_at=now)
    return outcomes.done()


def write_note(services: Services, interview_id: str) -> Outcome:
    """Leave the note on the conversation that the interview came from, once."""
    interview, chosen, ours = _load(services, interview_id)
    if interview is None:
        return outcomes.stop("nothing_to_write")
    try:
        conversation_id = delivering.home(services, interview)
    except (WireError, NotConfigured) as error:
        return outcomes.of_error(error)
    if conversation_id is None:
        return outcomes.done("no_conversation")
    reference = wording.note_reference(interview.id)
    body = wording.note(
        result_of(interview),
        study_name=services.study(interview.study).name,
        transcript_url=_transcript_url(services, interview),
        reference=reference,
        parts=chosen.note,
    )
    try:
        admin_id = _own_workspace(services, interview, ours).admin_id
    except (WireError, NotConfigured) as error:
        return outcomes.of_error(error)

    def is_there() -> bool | None:
        conversation = services.intercom.get_conversation(conversation_id)
        if conversation.contains(reference):
            return True
        return False if conversation.complete else None

    outcome = once.write_once(
        services.engine,
        interview_id,
        "note",
        act=lambda begin_by: services.intercom.note(
            conversation_id, admin_id=admin_id, body=body, begin_by=begin_by
        ),
        is_there=is_there,
    )
    if outcome["kind"] == "unknown":
        # Nothing more can be learnt about it, and it must not be repeated; the card says so.
        outcome = outcomes.done(NOTE_UNKNOWN)
    elif outcome["kind"] == "permanent" and outcome["reason"] == "not_found":
        # A conversation that is gone has no place for a note; the contact keeps what was written there.
        outcome = outcomes.done(CONVERSATION_GONE)
    return outcome


class _NotFound(Exception):
    """Something was not there where a tag was put on whose id was remembered: it may be the tag."""


def write_tags(services: Services, interview_id: str) -> Outcome:
    """Tag the conversation and, where that is wanted, the contact; take our own outdated tags off first."""
    try:
        return _write_tags(services, interview_id)
    except _NotFound:
        # With ids that were asked for just now, whatever is not found is not the tag.
        services.tag_ids.forget()
        return _write_tags(services, interview_id)


def _write_tags(services: Services, interview_id: str) -> Outcome:
    interview, chosen, ours = _load(services, interview_id)
    if interview is None:
        return outcomes.stop("nothing_to_write")
    with store.reading(services.engine) as connection:
        allowed = themes.allowed(connection)
        newer = written.newer_tags_exist(connection, interview)
        outdated = written.earlier_contact_tags(connection, interview)
    # A result may be corrected after it was written.
    own = interview.contact_tags or {}
    outdated[interview.id] = own
    # What an older version has put on the conversation it has put on the contact, too.
    own_here = own if interview.conversation_tags is None else interview.conversation_tags
    names = rules.tags_for(result_of(interview), sentiment_tags=chosen.tags, allowed_themes=allowed)
    failed: Outcome | None = None
    remembered = False
    try:
        admin_id = _own_workspace(services, interview, ours).admin_id
        found = services.tag_ids.of(names, services.intercom.ensure_tag)
        tags, remembered = found.names, found.remembered
        # The contact carries the newest interview's tags, as it carries the newest one's attributes.
        on_contact = services.settings.tag_contact and not newer
        _remember_before(services, interview, tags, own_here, own, on_contact=on_contact)
        if interview.conversation_id is not None:
            failed = _tag_conversation(
                services,
                interview.conversation_id,
                list(tags),
                set(own_here) - set(tags),
                admin_id,
                remembered=remembered,
            )
            if failed is None and set(own_here) - set(tags):
                with store.writing(services.engine) as connection:
                    _remember(connection, interview, conversation_tags=tags)
        if on_contact:
            _following_merges(
                services, interview, lambda contact: _tag_contact(services, contact, tags, outdated)
            )
            _forget_tags(services, interview, tags, outdated)
    except (WireError, NotConfigured) as error:
        if remembered and isinstance(error, PermanentError) and error.status == 404:
            raise _NotFound from error
        return outcomes.of_error(error)
    return failed or outcomes.done()


def wanted_attributes(chosen: Options) -> contact_attributes.Wanted:
    """Type and description of each attribute, under its chosen name."""
    return {chosen.attributes[name]: wanted for name, wanted in _ATTRIBUTES.items()}


def attributes(
    result: KojiResult, interview: Interview, transcript_url: str | None
) -> dict[Field, str | int | float | bool | None]:
    """The values as Intercom takes them, by what they are. What is not known is left out, so that it
    overwrites nothing."""
    moment = interview.result_at
    url = (
        transcript_url if transcript_url and len(transcript_url) <= contact_attributes.LONGEST_VALUE else None
    )
    values: dict[Field, str | int | float | bool | None] = {
        "at": int(moment.timestamp()) if moment else None,
        "sentiment": result.sentiment,
        "top_theme": one_line(result.top_theme, contact_attributes.LONGEST_VALUE) or None,
        "quality": result.quality,
        "url": url,
    }
    return {name: value for name, value in values.items() if value is not None}


def _load(services: Services, interview_id: str) -> tuple[Interview | None, Options, Workspace | None]:
    """The interview if it is (still) to be written, what operators have chosen by now, and the token's
    workspace where Intercom need not be asked for it."""
    with store.reading(services.engine) as connection:
        row = connection.execute(_WITH_OPTIONS, {"id_": interview_id}).first()
        ours = workspace.fresh(connection, services)
    interview = ledger_rows.of_values(row[:-1]) if row else None
    chosen = options.of(row.chosen if row else None, services.settings)
    # An interview that is written back is written again when its result is delivered anew and more complete;
    # not one whose personal data was removed, which is about nobody.
    if interview is None or interview.state not in ("analysed", "written_back"):
        return None, chosen, ours
    return (interview if interview.purged_at is None else None), chosen, ours


def _own_workspace(services: Services, interview: Interview, ours: Workspace | None) -> Workspace:
    """The token's workspace, with the admin who writes. Raises PermanentError when it is not the interview's
    any more: in another one, the ids of this interview may be somebody else's."""
    ours = ours or workspace.read(services)
    workspace.must_match(ours, interview.workspace_id)
    return ours


def _transcript_url(services: Services, interview: Interview) -> str | None:
    url = result_of(interview).transcript_url
    return url if url and koji_links.allowed(url, services.settings.koji_link_hosts) else None


def _following_merges(services: Services, interview: Interview, write: Callable[[str], T]) -> T:
    """Write to the contact, or to the one that it was merged into: once, and the ledger follows."""
    try:
        return write(interview.contact_id)
    except ContactMerged as merged:
        if merged.canonical_id is None:
            raise
        with store.writing(services.engine) as connection:
            erase.follow_contact(
                connection, interview.workspace_id, interview.contact_id, merged.canonical_id
            )
        return write(merged.canonical_id)


def _tag_conversation(
    services: Services,
    conversation_id: str,
    tag_ids: list[str],
    outdated: set[str],
    admin_id: str,
    *,
    remembered: bool,
) -> Outcome | None:
    """Tag the conversation. What will never work is given back, so that the contact gets its tags all the
    same; None where it is done, or the conversation is gone."""
    try:
        for tag_id in sorted(outdated):
            services.intercom.untag_conversation(conversation_id, tag_id, admin_id)
        for tag_id in tag_ids:
            services.intercom.tag_conversation(conversation_id, tag_id, admin_id)
    except PermanentError as error:
        if error.status != 404:
            return outcomes.of_error(error)
        if remembered:
            raise _NotFound from error
        log.event(logger, logging.WARNING, "conversation_gone", reason=error.reason)
    return None


def _tag_contact(
    services: Services, contact_id: str, tags: dict[str, str], outdated: dict[str, dict[str, str]]
) -> None:
    old = {tag_id for earlier in outdated.values() for tag_id in earlier} - set(tags)
    for tag_id in sorted(old):
        services.intercom.untag_contact(contact_id, tag_id)
    for tag_id in tags:
        services.intercom.tag_contact(contact_id, tag_id)


def _outdated(before: Mapping[str, Mapping[str, str]], chosen: Options) -> set[str]:
    """Names under which something stands that has another name by now."""
    current = {name: what for what, name in chosen.attributes.items()}
    return {name for names in before.values() for name, what in names.items() if current.get(name) != what}


def _forget_names(services: Services, names: Mapping[str, Mapping[str, str]], emptied: set[str]) -> None:
    with store.writing(services.engine) as connection:
        for id_, there in names.items():
            left = {name: what for name, what in there.items() if name not in emptied}
            if left != there:
                ledger.change(connection, id_, only_from=STATES, attribute_names=left)


def _remember(connection: Connection, interview: Interview, **there: dict[str, str]) -> None:
    # Whatever it has turned out to be meanwhile: they are there, or may be.
    ledger.change(connection, interview.id, only_from=STATES, **there)


def _remember_before(
    services: Services,
    interview: Interview,
    tags: dict[str, str],
    own_here: dict[str, str],
    own: dict[str, str],
    *,
    on_contact: bool,
) -> None:
    """Write down which tags may be on from now on, before the first call, whose outcome may never be known:
    what may be on is to come off again."""
    there: dict[str, dict[str, str]] = {}
    if interview.conversation_id is not None:
        there["conversation_tags"] = {**own_here, **tags}
    if on_contact:
        there["contact_tags"] = {**own, **tags}
    if not tags and not there:
        return
    with store.writing(services.engine) as connection:
        if tags:
            # One of several tags may be put on and the next refused, so that this is not taken back.
            once.begin(connection, interview.id, "tags")
        if there:
            _remember(connection, interview, **there)


def _forget_tags(
    services: Services, interview: Interview, tags: dict[str, str], outdated: dict[str, dict[str, str]]
) -> None:
    """Write down that the contact has these tags of ours alone."""
    earlier = [id_ for id_ in outdated if id_ != interview.id]
    if not earlier and not set(outdated[interview.id]) - set(tags):
        # As it was written down before.
        return
    with store.writing(services.engine) as connection:
        for id_ in earlier:
            ledger.change(connection, id_, only_from=STATES, contact_tags=None)
        _remember(connection, interview, contact_tags=tags)
