"""What stands of a contact's results in Intercom, as far as the ledger knows: it may be there.

The contact carries the newest interview's attributes and tags. What an earlier one has left under a name that
was chosen then is taken away by whoever writes next.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app.interviews import options, themes
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.options import ATTRIBUTE_NAMES
from canvas_app.interviews.tables import interviews
from canvas_app.interviews.unindexed import unindexed
from canvas_app.settings import Settings

# Put together once: every result asks for them.
_COLUMNS: Final = interviews.c
_HERE: Final = _COLUMNS.workspace_id == sa.bindparam("workspace")
_THEIRS: Final = _COLUMNS.contact_id == sa.bindparam("contact")
_OTHER: Final = sa.and_(_HERE, _THEIRS, _COLUMNS.id != sa.bindparam("this"))
_NEWER: Final = (
    sa.select(sa.literal(1)).where(_OTHER, unindexed(_COLUMNS.result_at) > sa.bindparam("moment")).limit(1)
)
_NEWER_RESULT: Final = _NEWER.where(_COLUMNS.attributes_written_at.is_not(None))
_NEWER_TAGS: Final = _NEWER.where(
    sa.or_(_COLUMNS.attributes_written_at.is_not(None), _COLUMNS.contact_tags.is_not(None))
)
_EARLIER_TAGS: Final = sa.select(_COLUMNS.id, _COLUMNS.contact_tags).where(
    _OTHER, _COLUMNS.contact_tags.is_not(None)
)
_HAS_NAMES: Final = sa.or_(_COLUMNS.attribute_names.is_not(None), _COLUMNS.attributes_written_at.is_not(None))
# One by its id and the others by their contact, each by an index of its own.
_ATTRIBUTE_NAMES: Final = sa.union_all(
    *(
        sa.select(_COLUMNS.id, _COLUMNS.attribute_names).where(which, _HAS_NAMES)
        for which in (_OTHER, sa.and_(_HERE, _COLUMNS.id == sa.bindparam("this")))
    )
)


def newer_result_exists(connection: Connection, interview: Interview) -> bool:
    """Whether a newer interview of this contact has its attributes in Intercom already."""
    return _newer_exists(connection, interview, _NEWER_RESULT)


def newer_tags_exist(connection: Connection, interview: Interview) -> bool:
    """Whether the contact's tags are a newer interview's: also of one whose attributes were refused."""
    return _newer_exists(connection, interview, _NEWER_TAGS)


def _newer_exists(connection: Connection, interview: Interview, newer: sa.Select[int]) -> bool:
    if interview.result_at is None:
        return False
    return connection.execute(newer, {**_of(interview), "moment": interview.result_at}).first() is not None


def earlier_contact_tags(connection: Connection, interview: Interview) -> dict[str, dict[str, str]]:
    """Tags of ours that earlier interviews have put on this contact: {interview id: {tag id: name}}."""
    return {row.id: row.contact_tags for row in connection.execute(_EARLIER_TAGS, _of(interview))}


def attribute_names(connection: Connection, interview: Interview) -> dict[str, dict[str, str]]:
    """Under which names this contact's interviews have written their attributes: {interview id: {name: what
    it holds}}. This one's are among them."""
    rows = connection.execute(_ATTRIBUTE_NAMES, _of(interview))
    # What was written before names could be chosen stands under those of then.
    of_then: dict[str, str] = {name: what for what, name in ATTRIBUTE_NAMES.items()}
    return {row.id: of_then if row.attribute_names is None else row.attribute_names for row in rows}


def _of(interview: Interview) -> dict[str, object]:
    return {"workspace": interview.workspace_id, "contact": interview.contact_id, "this": interview.id}


def own_tags(
    connection: Connection,
    settings: Settings,
    workspace_id: str,
    contact_ids: Collection[str],
    conversation_id: str | None,
) -> frozenset[str]:
    """Names, in lower case, of the tags that we put on by ourselves: those of now, and those
    that we may have put on before."""
    now = {tag.casefold() for tag in options.read(connection, settings).tags.values() if tag is not None}
    now |= {f"koji_{slug}" for slug in themes.allowed(connection)}
    return frozenset(now | tags_put_on(connection, workspace_id, contact_ids, conversation_id))


def tags_put_on(
    connection: Connection, workspace_id: str, contact_ids: Collection[str], conversation_id: str | None
) -> set[str]:
    """Names, in lower case, of the tags that interviews with these contacts may have put on; where nobody is
    named, those of this conversation. Also those that were chosen then and are not any more."""
    columns = interviews.c
    theirs = columns.contact_id.in_(contact_ids)
    rows = connection.execute(
        sa.select(columns.contact_tags, columns.conversation_tags).where(
            columns.workspace_id == workspace_id,
            theirs if contact_ids else columns.conversation_id == conversation_id,
            sa.or_(columns.contact_tags.is_not(None), columns.conversation_tags.is_not(None)),
        )
    )
    return {name.casefold() for row in rows for tags in row if tags for name in tags.values()}
