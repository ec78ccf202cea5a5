"""Who is to be forgotten, and who has become somebody else: a contact in every table of ours.

Erasing is one transaction. It ends what is still under way, so that nothing more is sent to the contact or
written about them, and takes out whatever leads to them. What was asked, when, and what came of it stays, for
counting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import store
from canvas_app.engine import Jobs
from canvas_app.errors import ContactMerged, PermanentError
from canvas_app.interviews import contact_attributes, ledger, rehearsed, workspace
from canvas_app.interviews.ask import partition
from canvas_app.interviews.contact_attributes import LINK_READY_AT, LINK_URL
from canvas_app.interviews.decisions import turn
from canvas_app.interviews.emptied import about_nobody, nothing_personal
from canvas_app.interviews.services import Services
from canvas_app.interviews.states import OPEN_STATES, State
from canvas_app.interviews.tables import api_requests, decisions, deliveries, imported_links, interviews
from canvas_app.interviews.unindexed import unindexed

ERASED: Final = "erased"
MERGED_AWAY: Final = "merged_away"

# How an interview ends that is under way. An answer that is here stays one, and is written nowhere any more.
_ENDS: Final[dict[State, State]] = {
    "planned": "skipped",
    **dict.fromkeys(OPEN_STATES, "cancelled"),
    "completed": "not_written",
    "analysed": "not_written",
}
_HASH = re.compile(r"[0-9a-f]{64}")

# How far an open interview has come. Of two, a merge leaves the one that the customer is furthest into.
_PROGRESS: Final[tuple[State, ...]] = ("queued", "sending", "unknown", "sent", "opened")


def erase_contact(
    engine: Engine, jobs: Jobs, workspace_id: str, contact_id: str, *, emails: Collection[str] = ()
) -> int:
    """Take everything that is personal about a contact out of every table; how many rows were changed.

    ``emails``: addresses of theirs that are known beside those in the ledger. What is planned or queued is
    not sent, an open link says kindly that it is over, and a late result is about nobody. May be repeated.
    """
    if not contact_id:
        raise ValueError("there is nobody to erase")
    with store.writing(engine) as connection:
        now = store.now(connection)
        theirs = sa.and_(interviews.c.workspace_id == workspace_id, interviews.c.contact_id == contact_id)
        rows = list(connection.execute(sa.select(interviews).where(theirs).with_for_update()).all())
        known = {row.contact_email.lower() for row in rows if row.contact_email}
        addresses = sorted(known | _addresses(emails))
        rows += _not_found_yet(connection, workspace_id, contact_id, addresses)
        # The deliveries first: they are found by what the interviews still say.
        changed = _erase_deliveries(connection, rows, [contact_id], addresses, now)
        # What a rule was writing at that moment: it has ended before its delivery could be emptied.
        theirs &= interviews.c.id.not_in([row.id for row in rows])
        rows += connection.execute(sa.select(interviews).where(theirs).with_for_update()).all()
        for row in rows:
            connection.execute(
                sa.update(interviews).where(interviews.c.id == row.id).values(_emptied(row, now))
            )
            if row.state == "planned":
                turn(connection, row.id, "skipped", ERASED)
        ids = [row.id for row in rows]
        changed += len(ids)
        changed += _erase_decisions(connection, workspace_id, contact_id)
        changed += rehearsed.leave_out(connection, workspace_id, contact_id)
        changed += _delete(connection, api_requests, api_requests.c.interview_id.in_(ids))
        changed += _delete(
            connection,
            imported_links,
            sa.or_(
                imported_links.c.external_id == contact_id,
                imported_links.c.email.in_(addresses),
                imported_links.c.interview_id.in_(ids),
            ),
        )
        changed += jobs.forget_partition(connection, partition(workspace_id, contact_id))
    return changed


def _not_found_yet(
    connection: Connection, workspace_id: str, contact_id: str, addresses: Collection[str]
) -> Sequence[sa.Row[Any]]:
    """What was asked for by one of these addresses alone, while it is not known whose it is."""
    return connection.execute(
        sa.select(interviews)
        .where(
            interviews.c.workspace_id == workspace_id,
            interviews.c.contact_id != contact_id,
            interviews.c.contact_id.startswith(ledger.PLACEHOLDER, autoescape=True),
            sa.func.lower(interviews.c.contact_email).in_(addresses),
        )
        .with_for_update()
    ).all()


def erase_addresses(engine: Engine, emails: Collection[str]) -> int:
    """Take out what names somebody by address alone, of whom the ledger knows nothing; how many rows."""
    addresses = sorted(_addresses(emails))
    with store.writing(engine) as connection:
        changed = _erase_deliveries(connection, [], [], addresses, store.now(connection))
        return changed + _delete(connection, imported_links, imported_links.c.email.in_(addresses))


def _addresses(emails: Collection[str]) -> set[str]:
    return {email.strip().lower() for email in emails if email.strip()}


def has_link_attributes(connection: Connection, workspace_id: str, contact_id: str) -> bool:
    """Whether a link of ours stands in the contact's attributes in Intercom."""
    query = sa.select(sa.literal(1)).where(
        interviews.c.workspace_id == workspace_id,
        interviews.c.contact_id == contact_id,
        interviews.c.link_attribute_at.is_not(None),
        interviews.c.link_attribute_cleared_at.is_(None),
    )
    return connection.execute(query.limit(1)).first() is not None


def clear_link_attributes(services: Services, workspace_id: str, contact_id: str) -> None:
    """Empty the contact's link attributes in Intercom, if the contact is still there.

    To be done before the contact is erased: afterwards nobody knows whose attributes they are. Raises the
    wires' errors.
    """
    workspace.must_match(workspace.known(services), workspace_id)
    try:
        _clear(services, contact_id)
    except ContactMerged as merged:
        if merged.canonical_id is not None:
            _clear(services, merged.canonical_id)
    except PermanentError as error:
        if error.status != 404:
            raise


def _clear(services: Services, contact_id: str) -> None:
    # What a Series waits for goes first, so that none finds the time without the link.
    for name in (LINK_READY_AT, LINK_URL):
        contact_attributes.empty(services.intercom, contact_id, name)


def follow_contact(connection: Connection, workspace_id: str, old_id: str, new_id: str) -> None:
    """Let everything about a contact follow them into the contact that they were merged into.

    Nobody has two open interviews or two planned ones. Of two open ones the one that the customer is furthest
    into stays, and the other is cancelled; of two planned ones that of the contact who remains stays.
    """
    _settle_open(connection, workspace_id, old_id, new_id)
    now = store.now(connection)
    planned = _in_states(connection, workspace_id, (old_id, new_id), ("planned",))
    if len(planned) > 1:
        not_sent = [row.id for row in planned if row.contact_id == old_id]
        _end(connection, not_sent, "skipped", now)
        for id_ in not_sent:
            turn(connection, id_, "skipped", MERGED_AWAY)
    connection.execute(
        sa.update(interviews)
        .where(interviews.c.workspace_id == workspace_id, interviews.c.contact_id == old_id)
        .values(contact_id=new_id)
    )
    _follow_decisions(connection, workspace_id, old_id, new_id)
    rehearsed.follow(connection, workspace_id, old_id, new_id)
    _follow_deliveries(connection, old_id, new_id)
    connection.execute(
        sa.update(imported_links).where(imported_links.c.external_id == old_id).values(external_id=new_id)
    )


def _emptied(row: sa.Row[Any], now: datetime) -> dict[str, Any]:
    values = nothing_personal(row.id, row.result) | {"purged_at": now, "remind_at": None}
    if (end := _ENDS.get(row.state)) is not None:
        values |= {"state": end, "state_since": now, "reason": ERASED}
    if row.request_key is not None and not _HASH.fullmatch(row.request_key):
        values["request_key"] = None
    if row.link_attribute_at is not None and row.link_attribute_cleared_at is None:
        # Whose attributes they are, nobody knows any more.
        values["link_attribute_cleared_at"] = now
    return values


def deliveries_about(connection: Connection, contact_ids: Sequence[str], emails: Collection[str]) -> int:
    """How many deliveries erasing these contacts would empty, among them those that wait to be worked on."""
    rows = connection.execute(sa.select(interviews).where(interviews.c.contact_id.in_(contact_ids))).all()
    about, _ = _about(rows, contact_ids, sorted(_addresses(emails)))
    return connection.execute(sa.select(sa.func.count()).select_from(deliveries).where(about)).scalar_one()


def _erase_deliveries(
    connection: Connection,
    rows: Sequence[sa.Row[Any]],
    contact_ids: Sequence[str],
    addresses: Collection[str],
    now: datetime,
) -> int:
    """Empty the deliveries about the contact, and end those that are still to be worked on."""
    about, named = _about(rows, contact_ids, addresses)
    found = connection.execute(
        sa.select(deliveries.c.id, deliveries.c.state, named.label("named")).where(about)
    ).all()
    for row in found:
        values: dict[str, Any] = {"content": None}
        if row.named:
            values["dedupe_key"] = row.id
        if row.state == "stored":
            values |= {"state": "ignored", "reason": ERASED, "finished_at": now}
        connection.execute(sa.update(deliveries).where(deliveries.c.id == row.id).values(values))
    return len(found)


def _about(
    rows: Sequence[sa.Row[Any]], contact_ids: Sequence[str], addresses: Collection[str]
) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """Which deliveries are about the contact, and which of them are named after them."""
    ids = [row.id for row in rows]
    koji_ids = {row.koji_interview_id for row in rows if row.koji_interview_id}
    conversations = {row.conversation_id for row in rows if row.conversation_id}
    text = sa.func.lower(sa.cast(deliveries.c.content, sa.Text))
    said = [_holds(text, f'"{one.lower()}"') for one in (*contact_ids, *koji_ids, *ids)]
    # As JSON writes it down.
    said += [_holds(text, json.dumps(address)[1:-1]) for address in addresses]
    # A conversation may have several people in it: what is about another of them still has to be worked on.
    said += [
        sa.and_(deliveries.c.state != "stored", _holds(text, f'"{conversation}"'))
        for conversation in conversations
    ]
    key = deliveries.c.dedupe_key
    named = sa.or_(
        sa.false(),
        *(_holds(key, f":{one}:") for one in (*contact_ids, *koji_ids)),
        *(key.endswith(f":{one}", autoescape=True) for one in (*contact_ids, *koji_ids)),
    )
    return sa.or_(deliveries.c.interview_id.in_(ids), *said, named), named


def _holds(column: sa.ColumnElement[Any], text: str) -> sa.ColumnElement[bool]:
    return column.contains(text, autoescape=True)


def _erase_decisions(connection: Connection, workspace_id: str, contact_id: str) -> int:
    """Decisions stay, about nobody."""
    theirs = decisions.c.workspace_id == workspace_id, decisions.c.contact_id == contact_id
    return connection.execute(sa.update(decisions).where(*theirs).values(**about_nobody())).rowcount


def _delete(connection: Connection, table: sa.Table, condition: sa.ColumnElement[bool]) -> int:
    return connection.execute(sa.delete(table).where(condition)).rowcount


def _in_states(
    connection: Connection, workspace_id: str, contacts: tuple[str, str], states: tuple[State, ...]
) -> Sequence[sa.Row[Any]]:
    return connection.execute(
        sa.select(interviews)
        .where(
            interviews.c.workspace_id == workspace_id,
            interviews.c.contact_id.in_(contacts),
            unindexed(interviews.c.state).in_(states),
        )
        .with_for_update()
    ).all()


def _settle_open(connection: Connection, workspace_id: str, old_id: str, new_id: str) -> None:
    rows = _in_states(connection, workspace_id, (old_id, new_id), OPEN_STATES)
    if len(rows) < 2:
        return
    by_progress = sorted(rows, key=lambda row: (_PROGRESS.index(row.state), row.contact_id == new_id))
    _end(connection, [row.id for row in by_progress[:-1]], "cancelled", store.now(connection))


def _end(connection: Connection, ids: Collection[str], state: State, now: datetime) -> None:
    connection.execute(
        sa.update(interviews)
        .where(interviews.c.id.in_(ids))
        .values(state=state, state_since=now, reason=MERGED_AWAY, check_at=None, remind_at=None)
    )


def _follow_decisions(connection: Connection, workspace_id: str, old_id: str, new_id: str) -> None:
    theirs = decisions.c.workspace_id == workspace_id, decisions.c.contact_id == old_id
    other = decisions.alias()
    decided_already = (
        sa.select(sa.literal(1))
        .where(
            other.c.delivery_id == decisions.c.delivery_id,
            other.c.rule == decisions.c.rule,
            other.c.contact_id == new_id,
        )
        .exists()
    )
    connection.execute(sa.update(decisions).where(*theirs, ~decided_already).values(contact_id=new_id))
    # An event that concerned both has a decision about each: what was decided about the former stays for
    # counting.
    _erase_decisions(connection, workspace_id, old_id)


def _follow_deliveries(connection: Connection, old_id: str, new_id: str) -> None:
    """Let what is still to be worked on, or has failed, name who remains: by the former name nobody would
    find it any more."""
    said = _holds(sa.cast(deliveries.c.content, sa.Text), f'"{old_id}"')
    for row in connection.execute(sa.select(deliveries.c.id, deliveries.c.content).where(said)).all():
        content = _renamed(row.content, old_id, new_id)
        connection.execute(sa.update(deliveries).where(deliveries.c.id == row.id).values(content=content))


def _renamed(value: Any, old_id: str, new_id: str) -> Any:
    if isinstance(value, dict):
        return {name: _renamed(item, old_id, new_id) for name, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, old_id, new_id) for item in value]
    return new_id if value == old_id else value
