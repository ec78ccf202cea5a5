"""``export-contacts`` and ``import-links``: the first run by hand, with Koji's CSV import."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import click

from canvas_app import store
from canvas_app.cli import spreadsheets
from canvas_app.cli.common import Progress, database, directory, in_words, load_settings, patiently, progress
from canvas_app.cli.spans import Span
from canvas_app.errors import ContactMerged, PermanentError
from canvas_app.intercom.directory import Company, Found, IntercomDirectory, Respondent
from canvas_app.interviews import imported, studies
from canvas_app.interviews.imported import PersonalLink
from canvas_app.interviews.rulebook import DO_NOT_ASK
from canvas_app.settings import DEFAULT_STUDY

# What Koji knows by these names, then what it keeps of a respondent as it is.
COLUMNS = ("name", "email", "external_id", "company", "role", "plan", "language", "country")

# Rows of one transaction: on SQLite it holds the lock of all writers.
_AT_ONCE = 100

# Why a contact is left out, in the order in which it is told.
_NOT_FOUND = "not found in Intercom"
_UNSUBSCRIBED = "unsubscribed, or has called mail spam"
_DO_NOT_ASK = f"tagged {DO_NOT_ASK}"


@click.command("export-contacts")
@click.option("--closed-since", type=Span(), help="Contacts of the conversations closed since then: 48h, 7d.")
@click.option("--tag", help="Contacts with this tag in Intercom.")
@click.option(
    "--ids",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Contacts whose Intercom ids stand in this file, one a line.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file, such as contacts.csv.",
)
def export_contacts(closed_since: timedelta | None, tag: str | None, ids: Path | None, out: Path) -> None:
    """Write contacts of Intercom as CSV for Koji's participant import.

    500 rows a file, more go into numbered files. Who is unsubscribed or tagged koji_do_not_ask is left out.
    """
    if sum(choice is not None for choice in (closed_since, tag, ids)) != 1:
        raise click.UsageError("Say which contacts: one of --closed-since, --tag and --ids.")
    if not out.parent.is_dir():
        raise click.BadParameter("its folder is not there", param_hint="--out")
    # Before Intercom is read for minutes.
    spreadsheets.must_be_free(out)
    settings = load_settings()
    with database(settings) as engine, progress("Reading Intercom") as bar:
        export = _Export(directory(settings, engine), bar)
        try:
            if closed_since is not None:
                export.by_id(_closed(export.intercom, time.time() - closed_since.total_seconds(), bar))
            elif tag is not None:
                export.tagged(tag)
            elif ids is not None:
                export.by_id(_listed(ids))
        except PermanentError as error:
            raise click.ClickException(in_words(error)) from error
    paths = spreadsheets.write(out, COLUMNS, export.rows) if export.rows else []
    _tell_export(export, paths)


def _tell_export(export: _Export, paths: list[Path]) -> None:
    number = len(export.rows)
    if paths:
        click.echo(f"{number} contact(s) in {', '.join(map(str, paths))}")
    else:
        click.echo("No contact to write.")
    for reason in (_NOT_FOUND, _UNSUBSCRIBED, _DO_NOT_ASK):
        if export.left_out[reason]:
            click.echo(f"Left out: {export.left_out[reason]} {reason}")


class _Export:
    """Collects contacts, each once, and counts who is left out and why."""

    def __init__(self, intercom: IntercomDirectory, bar: Progress) -> None:
        self.intercom = intercom
        self.rows: list[tuple[str | None, ...]] = []
        self.left_out: Counter[str] = Counter()
        self._bar = bar
        self._seen: set[str] = set()
        tags = patiently(intercom.all_tags)
        self._tags = {tag.name.casefold(): tag.id for tag in reversed(tags)}

    def by_id(self, contact_ids: list[str]) -> None:
        self._bar.expect(len(contact_ids))
        for contact_id in contact_ids:
            self._bar.advance(1)
            self._take(contact_id)

    def tagged(self, name: str) -> None:
        tag_id = self._tags.get(name.strip().casefold())
        if tag_id is None:
            raise click.ClickException(f"Intercom has no tag named {name}.")
        for page in _pages(lambda cursor: self.intercom.tagged(tag_id, cursor)):
            self._bar.expect(page.total)
            for contact in page.respondents:
                self._bar.advance(1)
                self._take(contact.id, contact)

    def _take(self, contact_id: str, contact: Respondent | None = None) -> None:
        """Take a contact, or whom they were merged into, also while they were being read."""
        for _ in range(2):
            try:
                self._add(contact or patiently(self.intercom.respondent, contact_id))
            except ContactMerged as merged:
                if merged.canonical_id is None:
                    break
                contact_id, contact = merged.canonical_id, None
            except PermanentError as error:
                if error.status != 404:
                    raise
                break
            else:
                return
        self.left_out[_NOT_FOUND] += 1

    def _add(self, contact: Respondent) -> None:
        if contact.id in self._seen:
            return
        self._seen.add(contact.id)
        if contact.unsubscribed:
            self.left_out[_UNSUBSCRIBED] += 1
        elif self._is_not_to_be_asked(contact):
            self.left_out[_DO_NOT_ASK] += 1
        else:
            company = patiently(self.intercom.company, contact.id) if contact.has_company else Company()
            self.rows.append(
                (
                    contact.name,
                    contact.email,
                    contact.id,
                    company.name,
                    contact.role,
                    company.plan or contact.plan,
                    contact.language,
                    contact.country,
                )
            )

    def _is_not_to_be_asked(self, contact: Respondent) -> bool:
        tag_id = self._tags.get(DO_NOT_ASK)
        if tag_id is None:
            return False
        if contact.has_more_tags and tag_id not in contact.tag_ids:
            return any(tag.id == tag_id for tag in patiently(self.intercom.contact_tags, contact.id))
        return tag_id in contact.tag_ids


def _closed(intercom: IntercomDirectory, since: float, bar: Progress) -> list[str]:
    found: list[str] = []
    for page in _pages(lambda cursor: intercom.closed_since(since, cursor)):
        bar.expect(page.total)
        found += page.contact_ids
    return list(dict.fromkeys(found))


def _pages(ask: Callable[[str | None], Found]) -> Iterator[Found]:
    cursor: str | None = None
    while True:
        page = patiently(ask, cursor)
        yield page
        cursor = page.following
        if cursor is None:
            return


def _listed(path: Path) -> list[str]:
    """The ids of a file, each once. Raises ClickException that names the lines that hold none."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{path} is not a text in UTF-8.") from error
    ids = {number: line.strip() for number, line in enumerate(lines, start=1) if line.strip()}
    bad = [str(number) for number, id_ in ids.items() if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", id_)]
    if bad:
        raise click.ClickException(f"{path} holds no contact's id in line {', '.join(bad[:20])}.")
    return list(dict.fromkeys(ids.values()))


@click.command("import-links")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--study", default=DEFAULT_STUDY, show_default=True, help="The study whose links these are.")
def import_links(file: Path, study: str) -> None:
    """Take in the personal links that Koji exported: FILE is a CSV with a link and external_id or email.

    An interview gets its contact's link where neither Koji's answer nor the link template gives one.
    """
    settings = load_settings()
    counts: Counter[str] = Counter()
    rows = list(spreadsheets.read_links(file, settings.koji_link_hosts))
    problems = [row for row in rows if row.problem is not None]
    with database(settings) as engine, progress("Importing links", len(rows)) as bar:
        with store.reading(engine) as connection:
            if studies.find(connection, settings, study) is None:
                raise click.BadParameter("there is no study of this name", param_hint="--study")
        for first in range(0, len(rows), _AT_ONCE):
            part = [row for row in rows[first : first + _AT_ONCE] if row.problem is None]
            with store.writing(engine) as connection:
                for row in part:
                    personal = PersonalLink(study, row.link, row.external_id, row.email)
                    kept = imported.keep(connection, personal)
                    counts[kept] += 1
                    if kept == "another":
                        problem = "its link was imported before, for somebody else"
                        problems.append(replace(row, problem=problem))
            bar.advance(_AT_ONCE)
    click.echo(f"{counts['new']} link(s) imported, {counts['known']} known already.")
    for row in sorted(problems, key=lambda row: row.line):
        click.echo(f"line {row.line}: {row.problem}", err=True)
    if problems:
        click.echo(f"{len(problems)} row(s) left out.", err=True)
        sys.exit(1)
