from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import click
import pytest

from canvas_app.cli import spreadsheets

HOSTS = ("koji.so",)


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_500_rows_are_one_file_and_more_are_numbered(tmp_path: Path) -> None:
    rows = [(f"Ünïcode {number}", None) for number in range(1001)]
    assert spreadsheets.write(tmp_path / "one.csv", ("name", "email"), rows[:500]) == [tmp_path / "one.csv"]
    paths = spreadsheets.write(tmp_path / "many.csv", ("name", "email"), rows)
    assert [path.name for path in paths] == ["many-1.csv", "many-2.csv", "many-3.csv"]
    assert [len(rows_of(path)) for path in paths] == [501, 501, 2]
    assert all(rows_of(path)[0] == ["name", "email"] for path in paths)
    assert [row for path in paths for row in rows_of(path)[1:]] == [[name, ""] for name, _ in rows]
    # Customers' data: for the eyes of whoever made it.
    assert {path.stat().st_mode & 0o077 for path in paths} == {0}


@pytest.mark.parametrize("there", ["c.csv", "c-1.csv", "c-7.csv"])
def test_no_file_is_written_over_or_beside_another_export(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("precious")
    with pytest.raises(click.ClickException, match="is there already"):
        spreadsheets.write(tmp_path / "c.csv", ("name",), [("Mia",)])
    assert (tmp_path / there).read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_no_value_begins_a_cell_of_its_own_whatever_a_spreadsheet_splits_at(
    tmp_path: Path, delimiter: str
) -> None:
    """Where the comma is the decimal sign, it splits at semicolons."""
    path = tmp_path / "c.csv"
    spreadsheets.write(path, ("name", "email"), [('Mia";=1+1;" Chen', 'm; "=2+2"; +3')])
    with path.open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file, delimiter=delimiter) for cell in row]
    assert not any(cell.strip().startswith(("=", "+")) for cell in cells)


@pytest.mark.parametrize("fault", [PermissionError(13, "Permission denied"), OSError(28, "No space left")])
def test_what_cannot_be_written_is_told_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: OSError
) -> None:
    written = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "c-2.csv":
            raise fault
        return written(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(click.ClickException, match=fault.strerror):
        spreadsheets.write(tmp_path / "c.csv", ("name",), [("Mia",)] * 501)
    assert list(tmp_path.iterdir()) == []


def read(tmp_path: Path, text: str | bytes) -> list[spreadsheets.ImportRow]:
    path = tmp_path / "links.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(spreadsheets.read_links(path, HOSTS))


LINK = "https://koji.so/interview/abc?rid=1"


@pytest.mark.parametrize(
    "header",
    [
        "link,external_id,email",
        "Personal Link,External ID,E-mail",
        "tracking_link,id,Email Address",
        "URL,externalId,mail",
        "\ufeffInterview link;external-id;EMAIL",
        "personal link\tcontact id\temail",
    ],
)
def test_columns_are_found_whatever_they_are_called(tmp_path: Path, header: str) -> None:
    delimiter = next(sign for sign in ";\t," if sign in header)
    row = delimiter.join([LINK, "contact1", " Mia@Example.com "])
    [found] = read(tmp_path, f"{header}\r\n{row}\r\n")
    assert (found.link, found.external_id, found.email, found.problem) == (
        LINK,
        "contact1",
        "mia@example.com",
        None,
    )


def test_our_own_id_is_told_from_kojis(tmp_path: Path) -> None:
    [row] = read(tmp_path, f"id,name,external_id,link\nresp_9,Mia,contact1,{LINK}\n")
    assert row.external_id == "contact1"


def test_broken_rows_are_told_by_line_and_the_good_ones_are_read(tmp_path: Path) -> None:
    rows = read(
        tmp_path,
        "name,external_id,email,link\n"
        f'"Two\nlines",c1,,{LINK}&2\n'
        f",c2,,\n"
        f",c3,,https://evil.example/x\n"
        f",c4,,http://koji.so/x\n"
        f",,,{LINK}&6\n"
        f",c5,not-an-address,{LINK}&7\n"
        f',"c6,,{LINK}&8\n'
        f",c7,,{LINK}&9\n"
        "\n"
        f",c8,,{LINK}&9\n"
        f",c9,,{LINK}&12,more\n"
        f",c10,'+mia@example.com,{LINK}&13\n"
        f",c11,a\0b@example.com,{LINK}&15",
    )
    good = {row.line: row for row in rows if row.problem is None}
    assert {line: row.external_id for line, row in good.items()} == {2: "c1", 10: "c7", 14: "c10"}
    assert good[14].email == "+mia@example.com"
    told = {row.line: row.problem or "" for row in rows if row.problem}
    for line, word in {
        4: "no link",
        5: "KOJI_LINK_HOSTS",
        6: "KOJI_LINK_HOSTS",
        7: "neither",
        8: "no address",
        9: "cannot be read",
        12: "in line 10",
        13: "more cells",
        15: "no address",
    }.items():
        assert word in told[line]
    assert len(told) == 9


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "does not begin with the names"),
        (b"name,email\nMia,m@example.com\n", "no column for the link"),
        (b"link,name\nhttps://koji.so/1,Mia\n", "whose it is"),
        ("link,name\nhttps://koji.so/1,Jürgen\n".encode("latin-1"), "UTF-8"),
        (b'"link,external_id\n', "cannot be read as CSV"),
    ],
)
def test_what_is_no_such_file_is_refused_in_words(tmp_path: Path, text: bytes, words: str) -> None:
    with pytest.raises(click.ClickException, match=words):
        read(tmp_path, text)
