"""``replay`` and ``erase``: what an operator does about one interview, one delivery, one contact."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import store
from canvas_app.cli.common import database, in_words, load_settings, make_services, patiently, show_table
from canvas_app.engine import Jobs
from canvas_app.errors import PermanentError
from canvas_app.interviews import erase as erasing, replay as replaying
from canvas_app.interviews.tables import decisions, imported_links, interviews, workspaces
from canvas_app.settings import Settings

_WORDS: dict[replaying.Replayed, str] = {
    "taken_up": "The delivery is taken up again. A worker is at it in a moment; `forward_attempt` (a result "
    "of Koji's) or `react_attempt` (an event of Intercom's) in its log tells how it went.",
    "written_again": "The result is written to Intercom once more. The note is not made twice.",
    "asked_again": "Koji is asked for the analysis within five minutes.",
    "under_way": "Nothing to take up: it is being worked on.",
    "not_found": "There is no interview and no delivery with this id. It stands in the log lines "
    "`send_attempt` and `forward_attempt`.",
    "finished": "Nothing to take up: this delivery has not failed.",
    "content_gone": "What this delivery said is not kept any more. Koji has to send it anew.",
    "erased": "The personal data of this interview is gone, so that there is nothing to write.",
    "send_failed": "This interview could not be sent, and a message is not repeated from here. Open its "
    'conversation in Intercom: the card says why, and offers "Try again".',
    "send_unknown": "It is not known whether its message arrived, and it is not repeated from here. Open its "
    'conversation in Intercom and look: the card offers "It is there" and "It is not there, send it".',
    "nothing_failed": "Nothing to take up: this interview has not failed.",
    "done_before": "Its result was taken up before, since it last failed. See `forward_attempt` in the "
    "worker's log.",
}
_CONTACT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@click.command()
@click.argument("id_", metavar="ID")
def replay(id_: str) -> None:
    """Take up again what failed: ID is an interview's or a delivery's, as the log names it.

    A result that could not be written to Intercom is written once more. A message to a customer is never
    repeated by this.
    """
    settings = load_settings()
    with database(settings) as engine:
        jobs = Jobs(engine)
        try:
            came = replaying.replay(engine, jobs, id_.strip().lower())
        finally:
            jobs.close()
    click.echo(_WORDS[came])
    if came not in replaying.ACCEPTED:
        sys.exit(1)


@dataclass(frozen=True, slots=True)
class _Known:
    """What stands in our tables about somebody: their ids, and how many rows of each kind."""

    contacts: tuple[tuple[str, str], ...]
    emails: tuple[str, ...]
    counts: tuple[tuple[str, int], ...]


@click.command()
@click.argument("contact")
@click.option("--email", "emails", multiple=True, help="An address of theirs that imported links may have.")
@click.option("--offline", is_flag=True, help="Do not take our link out of the contact's attributes.")
@click.option("--yes", is_flag=True, help="Do not ask whether to go on.")
def erase(contact: str, emails: tuple[str, ...], offline: bool, yes: bool) -> None:
    """Erase everything about CONTACT, an Intercom contact's id or an email address, from our tables.

    What is planned is not sent, an open link is over, and what was answered is only counted. What stands in
    Intercom and at Koji stays there.
    """
    settings = load_settings()
    wanted = contact.strip()
    by_email = "@" in wanted
    if not by_email and not _CONTACT_ID.fullmatch(wanted):
        raise click.BadParameter("is neither an id of Intercom's nor an email address", param_hint="CONTACT")
    with database(settings) as engine:
        addresses = [*emails, wanted] if by_email else [*emails]
        known = _look(engine, None if by_email else wanted, [email.strip().lower() for email in addresses])
        if any(number for _, number in known.counts):
            show_table(("What", "Rows"), [(what, str(number)) for what, number in known.counts])
            if not yes:
                click.confirm("Erase it? This cannot be undone.", abort=True)
            if not offline:
                _clear_attributes(settings, engine, known.contacts)
        # Also where nothing was found: something about them may have come in since.
        rows = _erase(engine, known)
    click.echo(
        f"Erased: {rows} row(s) emptied or deleted." if rows else "Nothing is known about this contact."
    )


def _look(engine: Engine, contact_id: str | None, emails: Sequence[str]) -> _Known:
    with store.reading(engine) as connection:
        contacts = _contacts(connection, contact_id, emails)
        ids = sorted({id_ for _, id_ in contacts})
        addresses = connection.execute(
            sa.select(sa.func.lower(interviews.c.contact_email))
            .where(interviews.c.contact_id.in_(ids), interviews.c.contact_email.is_not(None))
            .distinct()
        ).scalars()
        emails = sorted({*emails, *addresses})
        theirs = sa.or_(imported_links.c.external_id.in_(ids), imported_links.c.email.in_(emails))
        counts = (
            ("interviews", _count(connection, interviews, interviews.c.contact_id.in_(ids))),
            ("decisions of rules", _count(connection, decisions, decisions.c.contact_id.in_(ids))),
            ("imported links", _count(connection, imported_links, theirs)),
            ("deliveries", erasing.deliveries_about(connection, ids, emails)),
        )
    return _Known(tuple(contacts), tuple(emails), counts)


def _contacts(connection: Connection, contact_id: str | None, emails: Sequence[str]) -> list[tuple[str, str]]:
    """Workspace and id of everybody who is meant; one whom the ledger does not know is of the token's."""
    if contact_id is None:
        found = sa.select(interviews.c.workspace_id, interviews.c.contact_id).where(
            sa.func.lower(interviews.c.contact_email).in_(emails), interviews.c.purged_at.is_(None)
        )
        rows = connection.execute(found.distinct()).all()
    else:
        tables = interviews, decisions
        rows = [
            row
            for table in tables
            for row in connection.execute(
                sa.select(table.c.workspace_id, table.c.contact_id)
                .where(table.c.contact_id == contact_id)
                .distinct()
            ).all()
        ]
    contacts = sorted({(row.workspace_id, row.contact_id) for row in rows})
    if not contacts and contact_id is not None:
        newest = sa.select(workspaces.c.workspace_id).order_by(workspaces.c.read_at.desc()).limit(1)
        return [(connection.execute(newest).scalar() or "", contact_id)]
    return contacts


def _count(connection: Connection, table: sa.Table, condition: sa.ColumnElement[bool]) -> int:
    query = sa.select(sa.func.count()).select_from(table).where(condition)
    return int(connection.execute(query).scalar_one())


def _clear_attributes(settings: Settings, engine: Engine, contacts: Sequence[tuple[str, str]]) -> None:
    """Take our links out of the contacts' attributes first: afterwards nobody knows whose they are."""
    for workspace_id, contact_id in contacts:
        with store.reading(engine) as connection:
            if not erasing.has_link_attributes(connection, workspace_id, contact_id):
                continue
        try:
            patiently(
                erasing.clear_link_attributes, make_services(settings, engine), workspace_id, contact_id
            )
        except (PermanentError, click.ClickException) as error:
            words = error.message if isinstance(error, click.ClickException) else in_words(error)
            raise click.ClickException(
                f"Our link could not be taken out of the contact's attributes: {words} "
                "Nothing is erased. To erase it here all the same, use --offline."
            ) from error


def _erase(engine: Engine, known: _Known) -> int:
    if not known.contacts:
        return erasing.erase_addresses(engine, known.emails)
    jobs = Jobs(engine)
    try:
        return sum(
            erasing.erase_contact(engine, jobs, workspace_id, contact_id, emails=known.emails)
            for workspace_id, contact_id in known.contacts
        )
    finally:
        jobs.close()
