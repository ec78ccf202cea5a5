"""What stands of a contact's results in Intercom, as far as the ledger knows: it may be there.

The contact carries the newest interview's attributes and tags. What an earlier one has left under a name that
was chosen then is taken away by whoever writes next.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app.interviews import options, themes
from canvas_app.interviews.ledger import Interview
from canvas_app.interviews.options import ATTRIBUTE_NAMES
from canvas_app.interviews.tables import interviews
from canvas_app.settings import Settings


def newer_result_exists(connection: Connection, interview: Interview) -> bool:
    """Whether a newer interview of this contact has its attributes in Intercom already."""
    return _newer_exists(connection, interview, interviews.c.attributes_written_at.is_not(None))


def newer_tags_exist(connection: Connection, interview: Interview) -> bool:
    """Whether the contact's tags are a newer interview's: also of one whose attributes were refused."""
    tagged = interviews.c.contact_tags.is_not(None)
    return _newer_exists(connection, interview, interviews.c.attributes_written_at.is_not(None) | tagged)


def _newer_exists(connection: Connection, interview: Interview, written: sa.ColumnElement[bool]) -> bool:
    if interview.result_at is None:
        return False
    newer = (
        sa.select(sa.literal(1))
        .where(
            interviews.c.workspace_id == interview.workspace_id,
            interviews.c.contact_id == interview.contact_id,
            interviews.c.id != interview.id,
            written,
            interviews.c.result_at > interview.result_at,
        )
        .limit(1)
    )
    return connection.execute(newer).first() is not None


def earlier_contact_tags(connection: Connection, interview: Interview) -> dict[str, dict[str, str]]:
    """Tags of ours that earlier interviews have put on this contact: {interview id: {tag id: name}}."""
    rows = connection.execute(
        sa.select(interviews.c.id, interviews.c.contact_tags).where(
            interviews.c.workspace_id == interview.workspace_id,
            interviews.c.contact_id == interview.contact_id,
            interviews.c.id != interview.id,
            interviews.c.contact_tags.is_not(None),
        )
    )
    return {row.id: row.contact_tags for row in rows}


def attribute_names(connection: Connection, interview: Interview) -> dict[str, dict[str, str]]:
    """Under which names this contact's interviews have written their attributes: {interview id: {name: what
    it holds}}. This one's are among them."""
    rows = connection.execute(
        sa.select(interviews.c.id, interviews.c.attribute_names).where(
            interviews.c.workspace_id == interview.workspace_id,
            sa.or_(interviews.c.contact_id == interview.contact_id, interviews.c.id == interview.id),
            sa.or_(
                interviews.c.attribute_names.is_not(None), interviews.c.attributes_written_at.is_not(None)
            ),
        )
    )
    # What was written before names could be chosen stands under those of then.
    of_then: dict[str, str] = {name: what for what, name in ATTRIBUTE_NAMES.items()}
    return {row.id: of_then if row.attribute_names is None else row.attribute_names for row in rows}


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
