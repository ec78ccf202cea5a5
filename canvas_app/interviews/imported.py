"""Personal links that Koji exported, each for one person: the third source of links.

Koji mints them when participants are imported by CSV: https://www.koji.so/docs/importing-participants-csv
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import store
from canvas_app.interviews import ledger
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.tables import imported_links, interviews, outside_writes

# "known": it was imported before; "another": it was, but for somebody else.
Kept = Literal["new", "known", "another"]


@dataclass(frozen=True, slots=True)
class PersonalLink:
    """A link and whose it is: by the id that Koji was given for the person, by address, or by both."""

    study: str
    link: str = field(repr=False)
    external_id: str | None = field(default=None, repr=False)
    # In lower case.
    email: str | None = field(default=None, repr=False)


def keep(connection: Connection, personal: PersonalLink) -> Kept:
    """Store a link, once."""
    row = connection.execute(
        sa.select(imported_links.c.external_id, imported_links.c.email).where(
            imported_links.c.study == personal.study, imported_links.c.link == personal.link
        )
    ).first()
    if row is not None:
        same = (row.external_id, row.email) == (personal.external_id, personal.email)
        return "known" if same else "another"
    new = store.insert_ignoring_conflicts(
        connection,
        imported_links,
        {
            "id": ledger.new_id(),
            "study": personal.study,
            "external_id": personal.external_id,
            "email": personal.email,
            "link": personal.link,
            "imported_at": store.now(connection),
        },
    )
    return "new" if new else "known"


def give(connection: Connection, interview: Interview) -> str | None:
    """Give an interview the contact's link of its study that no other has; None when there is none.

    By the contact's id first, then by address: an address may be several people's. An interview that failed
    before anything reached the customer has used nothing up, so that "Try again" gets the link that it had.
    """
    columns = imported_links.c
    email = interview.contact_email.strip().lower() if interview.contact_email else None
    by_id = columns.external_id == interview.contact_id
    query = (
        sa.select(columns.id, columns.link, columns.interview_id)
        .where(
            columns.study == interview.study,
            sa.or_(columns.interview_id.is_(None), columns.interview_id.in_(_unused())),
            sa.or_(by_id, columns.email == email) if email else by_id,
        )
        .order_by(sa.case((by_id, 0), else_=1), columns.imported_at, columns.id)
        .limit(1)
    )
    while (row := connection.execute(query).first()) is not None:
        taken = connection.execute(
            sa.update(imported_links)
            .where(columns.id == row.id, columns.interview_id.is_not_distinct_from(row.interview_id))
            .values(interview_id=interview.id)
        )
        if taken.rowcount == 1:
            link: str = row.link
            return link
    return None


def _unused() -> sa.Select[tuple[str]]:
    """Interviews that failed and of which surely nothing has reached the customer."""
    maybe_posted = sa.select(sa.literal(1)).where(
        outside_writes.c.interview_id == interviews.c.id,
        outside_writes.c.kind == "message",
        sa.or_(outside_writes.c.claim.is_not(None), outside_writes.c.done_at.is_not(None)),
    )
    return sa.select(interviews.c.id).where(
        interviews.c.state == "failed",
        interviews.c.sent_at.is_(None),
        interviews.c.opened_at.is_(None),
        ~maybe_posted.exists(),
    )
