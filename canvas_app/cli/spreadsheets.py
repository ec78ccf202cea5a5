"""CSV files as Koji takes and gives them: https://www.koji.so/docs/importing-participants-csv

Whoever opens one does it in a spreadsheet, and what stands in it was typed by customers.
"""

from __future__ import annotations

import csv
import glob
import io
import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from canvas_app.koji import links as koji_links
from canvas_app.spreadsheet_cells import as_typed, cell

# Koji takes no more in one file.
MOST_ROWS: Final = 500

# Names of columns as they are written in lower case with spaces; the first that is there counts. Koji's own
# "id" may be the respondent's, so that it comes last.
_LINK: Final = (
    "link",
    "personal link",
    "tracking link",
    "interview link",
    "personal url",
    "tracking url",
    "interview url",
    "unique link",
    "url",
)
_EXTERNAL_ID: Final = ("external id", "externalid", "contact id", "intercom contact id", "id")
_EMAIL: Final = ("email", "e mail", "email address", "mail")
_ADDRESS = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A row of a file with personal links: whose link it is, or what is wrong with the row."""

    line: int
    link: str = ""
    external_id: str | None = None
    email: str | None = None
    problem: str | None = None


def paths_for(out: Path, rows: int) -> list[Path]:
    """Where so many rows go: one file, or several that are numbered."""
    files = max(1, -(-rows // MOST_ROWS))
    if files == 1:
        return [out]
    return [out.with_name(f"{out.stem}-{number}{out.suffix}") for number in range(1, files + 1)]


def must_be_free(out: Path) -> None:
    """Raises ClickException where a file of this name is there: it may hold what somebody still needs."""
    # Also those of another export of that name, which would be taken for a part of this one.
    others = out.parent.glob(f"{glob.escape(out.stem)}-[0-9]*{glob.escape(out.suffix)}")
    if there := next((path for path in [out, *sorted(others)] if path.exists()), None):
        raise click.ClickException(f"{there} is there already. Move it away, or name another with --out.")


def write(out: Path, header: Sequence[str], rows: Sequence[Sequence[str | None]]) -> list[Path]:
    """Write the rows in files of 500, readable for their owner alone; returns their paths.

    Raises ClickException where one is there already, or cannot be written; then none is left.
    """
    must_be_free(out)
    paths = paths_for(out, len(rows))
    made: list[Path] = []
    for number, path in enumerate(paths):
        part = rows[number * MOST_ROWS : (number + 1) * MOST_ROWS]
        try:
            path.touch(mode=0o600, exist_ok=False)
            made.append(path)
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(header)
                writer.writerows([cell(value) for value in row] for row in part)
        except OSError as error:
            for begun in made:
                begun.unlink()
            raise click.ClickException(f"{path} cannot be written: {error.strerror}.") from error
    return paths


def read_links(path: Path, hosts: Collection[str]) -> Iterator[ImportRow]:
    """The rows of a file with personal links, good and bad, by the line on which each begins.

    Raises ClickException when it is no such file at all.
    """
    try:
        # As it is, since a cell may hold a line's end of its own.
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{path} is not in UTF-8. Save it as CSV in UTF-8.") from error
    records = _records(text)
    header = _header(path, next(records, (1, [], None)))
    seen: dict[str, int] = {}
    for line, values, problem in records:
        if problem is not None:
            yield ImportRow(line, problem=f"it cannot be read ({problem})")
        elif any(value.strip() for value in values):
            row = _row(line, header, values, hosts)
            if row.problem is None and (former := seen.setdefault(row.link, line)) != line:
                row = ImportRow(line, problem=f"its link stands in line {former} already")
            yield row


def _records(text: str) -> Iterator[tuple[int, list[str], str | None]]:
    """Each record with the line on which it begins, and what is wrong where it cannot be read.

    After one that cannot be read it goes on with the next line: a quotation mark that is never closed takes
    one row along, and not all that follow.
    """
    lines = io.StringIO(text, newline="").readlines()
    delimiter = _delimiter(text)
    at = 0
    while at < len(lines):
        reader = csv.reader(itertools.islice(lines, at, None), delimiter=delimiter, strict=True)
        begun, at = at, at + 1
        try:
            values = next(reader)
        except csv.Error as error:
            yield begun + 1, [], str(error)
        else:
            at = begun + reader.line_num
            yield begun + 1, values, None


def _delimiter(text: str) -> str:
    first = text.lstrip().partition("\n")[0]
    # Spreadsheets write a semicolon where the comma is the decimal sign.
    return max(",;\t", key=first.count)


def _header(path: Path, record: tuple[int, list[str], str | None]) -> list[str]:
    _, cells, problem = record
    if problem is not None:
        raise click.ClickException(f"{path} cannot be read as CSV ({problem}).")
    if not any(name.strip() for name in cells):
        raise click.ClickException(f"{path} does not begin with the names of its columns.")
    names = [" ".join(re.split(r"[\s_-]+", name.strip().lower())).strip() for name in cells]
    header = list(names)
    for wanted, alternatives in (("link", _LINK), ("external_id", _EXTERNAL_ID), ("email", _EMAIL)):
        name = next((name for name in alternatives if name in names), None)
        if name is not None:
            header[names.index(name)] = f"*{wanted}"
    if "*link" not in header:
        raise click.ClickException(f"{path} has no column for the link. It may be named: {', '.join(_LINK)}.")
    if not {"*external_id", "*email"} & set(header):
        raise click.ClickException(f"{path} says of no link whose it is: it needs external_id or email.")
    return header


def _row(line: int, header: list[str], cells: list[str], hosts: Collection[str]) -> ImportRow:
    if len(cells) > len(header):
        return ImportRow(line, problem="it has more cells than there are columns")
    values = dict(zip(header, cells, strict=False))
    link = values.get("*link", "").strip()
    external_id = as_typed(values.get("*external_id", "")) or None
    email = as_typed(values.get("*email", "")).lower() or None
    if not link:
        return ImportRow(line, problem="it has no link")
    if not koji_links.allowed(link, hosts):
        return ImportRow(line, problem="its link does not lead to an address of KOJI_LINK_HOSTS over https")
    if email is not None and not (_ADDRESS.fullmatch(email) and email.isprintable()):
        return ImportRow(line, problem="its email is no address")
    if external_id is not None and (len(external_id) > 255 or not external_id.isprintable()):
        return ImportRow(line, problem="its external_id is not an id")
    if external_id is None and email is None:
        return ImportRow(line, problem="it has neither external_id nor email")
    return ImportRow(line, link=link, external_id=external_id, email=email)
