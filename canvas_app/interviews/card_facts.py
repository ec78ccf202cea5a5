"""What the card needs to know of the ledger and around it, read in two queries: it is drawn very often."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import gates, store
from canvas_app.interviews import ledger
from canvas_app.interviews.ledger import Interview
from canvas_app.interviews.states import ENDED_WITHOUT_ANSWER
from canvas_app.interviews.tables import interviews, workers, workspaces


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the card needs to know, read in two queries."""

    interview: Interview | None
    # The contact's newest interview, whichever is shown.
    newest_id: str | None
    timezone: str | None
    # The workspace that the access token belongs to, as far as that is known.
    token_workspace_id: str | None
    worker_seen_at: datetime | None
    now: datetime
    # Why a wire is on hold, as a reason code.
    paused: str | None = None


def read(
    connection: Connection,
    workspace_id: str,
    contact_id: str,
    conversation_id: str | None,
    *,
    token_fingerprint: str,
    gate_keys: Collection[str] = (),
) -> CardFacts:
    """What the card about a contact shows: this conversation's newest interview, else the contact's newest.

    One of this conversation that ended without an answer does not hide what has happened elsewhere since.
    ``token_fingerprint`` is that of the access token in use. ``gate_keys``: the gates whose pause is told.
    """
    theirs = sa.and_(interviews.c.workspace_id == workspace_id, interviews.c.contact_id == contact_id)
    in_this = interviews.c.conversation_id == conversation_id
    newest_in_this = sa.select(sa.func.max(interviews.c.created_at)).where(theirs, in_this).correlate(None)
    here = sa.and_(
        in_this,
        interviews.c.state.not_in(ENDED_WITHOUT_ANSWER),
        interviews.c.created_at == newest_in_this.scalar_subquery(),
    )
    row = connection.execute(
        ledger.select.where(theirs)
        .order_by(sa.case((here, 0), else_=1), interviews.c.created_at.desc())
        .limit(1)
    ).first()
    newest_id = sa.select(interviews.c.id).where(theirs).order_by(interviews.c.created_at.desc()).limit(1)
    # What was learnt by another token tells at most what time it probably is there.
    by_this_token = workspaces.c.token_fingerprint == token_fingerprint
    own_first = sa.case((by_this_token, 0), else_=1), workspaces.c.read_at.desc()
    timezone = sa.select(workspaces.c.timezone).order_by(*own_first).limit(1)
    newest_read = workspaces.c.read_at.desc()
    token_workspace = sa.select(workspaces.c.workspace_id).where(by_this_token).order_by(newest_read).limit(1)
    seen = sa.select(sa.func.max(workers.c.renewed_at))
    context = connection.execute(
        sa.select(
            newest_id.scalar_subquery(),
            timezone.scalar_subquery(),
            token_workspace.scalar_subquery(),
            sa.type_coerce(seen.scalar_subquery(), workers.c.renewed_at.type),
            store.now_expression(connection),
            gates.reason_query(gate_keys).scalar_subquery(),
        )
    ).one()
    # The columns are in the order of the fields.
    return CardFacts(ledger.of_row(row) if row else None, *context)
