"""The first run by hand: contacts out as CSV, personal links in."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.cli import contacts
from canvas_app.interviews.tables import imported_links
from tests.cli.conftest import Terminal, run
from tests.support.world import INTERCOM


def contact(number: int, **changes: Any) -> dict[str, Any]:
    """A contact as Intercom gives it."""
    return {
        "type": "contact",
        "id": f"c{number}",
        "role": "user",
        "name": f"Person {number}",
        "email": f"person{number}@example.com",
        "unsubscribed_from_emails": False,
        "marked_email_as_spam": False,
        "browser_language": "en",
        "location": {"type": "location", "country": "Ireland"},
        "tags": {"type": "list", "data": [], "has_more": False},
        "companies": {"type": "list", "data": []},
        "custom_attributes": {},
        **changes,
    }


HAS_COMPANY = {"type": "list", "data": [{"type": "company", "id": "9"}]}


def is_there(terminal: Terminal, *people: dict[str, Any]) -> None:
    for person in people:
        terminal.outside.get(f"{INTERCOM}/contacts/{person['id']}", json=person)


def listed(tmp_path: Path, *ids: str) -> str:
    path = tmp_path / "ids.txt"
    path.write_text("\n".join(ids))
    return str(path)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def searches(terminal: Terminal, path: str) -> list[dict[str, Any]]:
    return [
        json.loads(cast(bytes, call.request.body))
        for call in terminal.outside.calls
        if str(call.request.url) == f"{INTERCOM}{path}"
    ]


def test_listed_contacts_become_a_file_that_koji_takes(terminal: Terminal, tmp_path: Path) -> None:
    terminal.tags()
    is_there(
        terminal,
        contact(1, companies=HAS_COMPANY, custom_attributes={"plan": "Free"}, language_override="de"),
        contact(2, role="lead", custom_attributes={"plan": "Free"}, name="=HYPERLINK(1)", email=None),
    )
    terminal.outside.get(
        f"{INTERCOM}/contacts/c1/companies",
        json={
            "type": "list",
            "data": [{"id": "9", "name": "Blue Sun", "plan": {"type": "plan", "name": "Pro"}}],
        },
    )
    out = tmp_path / "contacts.csv"
    answer = run("export-contacts", "--ids", listed(tmp_path, "c1", "", "c2", "c1"), "--out", str(out))
    assert answer.exit_code == 0, answer.output
    assert answer.output == f"2 contact(s) in {out}\n"
    assert out.read_text(encoding="utf-8").splitlines()[0] == ",".join(contacts.COLUMNS)
    assert rows_of(out) == [
        {
            "name": "Person 1",
            "email": "person1@example.com",
            "external_id": "c1",
            "company": "Blue Sun",
            "role": "user",
            "plan": "Pro",
            "language": "de",
            "country": "Ireland",
        },
        {
            "name": "'=HYPERLINK(1)",
            "email": "",
            "external_id": "c2",
            "company": "",
            "role": "lead",
            "plan": "Free",
            "language": "en",
            "country": "Ireland",
        },
    ]


def test_who_is_not_to_be_asked_is_left_out_and_counted(terminal: Terminal, tmp_path: Path) -> None:
    terminal.tags(Koji_Do_Not_Ask="66", other="67")
    many = {"type": "list", "data": [{"type": "tag", "id": str(n)} for n in range(10)], "has_more": True}
    is_there(
        terminal,
        contact(1),
        contact(2, unsubscribed_from_emails=True),
        contact(3, marked_email_as_spam=True),
        contact(4, tags={"type": "list", "data": [{"type": "tag", "id": "66"}], "has_more": False}),
        contact(5, tags=many),
        contact(6, tags=many),
    )
    for id_, tag in (("c5", "66"), ("c6", "67")):
        data = [{"type": "tag", "id": tag, "name": "any"}]
        terminal.outside.get(f"{INTERCOM}/contacts/{id_}/tags", json={"type": "list", "data": data})
    terminal.outside.get(f"{INTERCOM}/contacts/gone", status=404, json={"type": "error.list", "errors": []})
    ids = listed(tmp_path, *(f"c{number}" for number in range(1, 7)), "gone")
    out = tmp_path / "contacts.csv"
    answer = run("export-contacts", "--ids", ids, "--out", str(out))
    assert [row["external_id"] for row in rows_of(out)] == ["c1", "c6"]
    assert "Left out: 1 not found" in answer.output
    assert "Left out: 2 unsubscribed" in answer.output
    assert "Left out: 2 tagged koji_do_not_ask" in answer.output


def test_a_merged_contact_is_followed_and_stands_there_once(terminal: Terminal, tmp_path: Path) -> None:
    terminal.tags()
    is_there(terminal, contact(1))
    link = {"Link": '<https://api.intercom.io/contacts/c1>; rel="canonical"'}
    terminal.outside.get(f"{INTERCOM}/contacts/old", status=410, headers=link, json={})
    terminal.outside.get(f"{INTERCOM}/contacts/lost", status=410, json={})
    out = tmp_path / "contacts.csv"
    answer = run("export-contacts", "--ids", listed(tmp_path, "old", "c1", "lost"), "--out", str(out))
    assert [row["external_id"] for row in rows_of(out)] == ["c1"]
    assert "Left out: 1 not found" in answer.output


def test_contacts_with_a_tag_are_read_page_by_page_and_split_after_500(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal.tags(Beta="71")

    def page(request: Any) -> tuple[int, dict[str, str], str]:
        body = json.loads(request.body)
        assert body["query"] == {"field": "tag_id", "operator": "=", "value": "71"}
        first = int(body["pagination"].get("starting_after", 0))
        last = min(first + body["pagination"]["per_page"], 620)
        following = {"next": {"starting_after": str(last)}} if last < 620 else {"next": None}
        people = [contact(number) for number in range(first, last)]
        return 200, {}, json.dumps({"type": "list", "data": people, "total_count": 620, "pages": following})

    terminal.outside.add_callback("POST", f"{INTERCOM}/contacts/search", page)
    out = tmp_path / "contacts.csv"
    answer = run("export-contacts", "--tag", "beta", "--out", str(out))
    assert answer.exit_code == 0, answer.output
    assert not out.exists()
    files = [tmp_path / "contacts-1.csv", tmp_path / "contacts-2.csv"]
    assert [len(rows_of(path)) for path in files] == [500, 120]
    assert {row["external_id"] for path in files for row in rows_of(path)} == {f"c{n}" for n in range(620)}


@pytest.mark.parametrize("named", ["data", "companies"])
def test_a_company_is_read_under_either_of_intercoms_names_for_the_list(
    terminal: Terminal, tmp_path: Path, named: str
) -> None:
    terminal.tags()
    is_there(terminal, contact(1, companies=HAS_COMPANY))
    companies = {"type": "list", named: [{"id": "9", "name": "Blue Sun"}]}
    terminal.outside.get(f"{INTERCOM}/contacts/c1/companies", json=companies)
    out = tmp_path / "contacts.csv"
    answer = run("export-contacts", "--ids", listed(tmp_path, "c1"), "--out", str(out))
    assert answer.exit_code == 0, answer.output
    assert [row["company"] for row in rows_of(out)] == ["Blue Sun"]


def test_who_is_deleted_or_merged_while_it_reads_does_not_end_it(terminal: Terminal, tmp_path: Path) -> None:
    terminal.tags(Beta="71")
    people = [contact(1, companies=HAS_COMPANY), contact(2, companies=HAS_COMPANY), contact(4)]
    terminal.outside.post(f"{INTERCOM}/contacts/search", json={"data": people, "total_count": 3})
    gone = {"type": "error.list", "errors": [{"code": "not_found", "message": "Not Found"}]}
    terminal.outside.get(f"{INTERCOM}/contacts/c1/companies", status=404, json=gone)
    link = {"Link": '<https://api.intercom.io/contacts/c3>; rel="canonical"'}
    terminal.outside.get(f"{INTERCOM}/contacts/c2/companies", status=410, headers=link, json=gone)
    is_there(terminal, contact(3))
    out = tmp_path / "contacts.csv"
    answer = run("export-contacts", "--tag", "beta", "--out", str(out))
    assert answer.exit_code == 0, answer.output
    assert [row["external_id"] for row in rows_of(out)] == ["c3", "c4"]
    assert "Left out: 1 not found" in answer.output


def test_a_file_that_is_there_is_told_before_anything_is_read(terminal: Terminal, tmp_path: Path) -> None:
    out = tmp_path / "contacts.csv"
    out.write_text("precious")
    answer = run("export-contacts", "--tag", "beta", "--out", str(out))
    assert answer.exit_code == 1
    assert "is there already" in answer.output
    assert len(terminal.outside.calls) == 0


def test_an_unknown_tag_is_told(terminal: Terminal, tmp_path: Path) -> None:
    terminal.tags(other="1")
    answer = run("export-contacts", "--tag", "beta", "--out", str(tmp_path / "c.csv"))
    assert answer.exit_code == 1
    assert "no tag named beta" in answer.output


def test_conversations_that_were_closed_lately_name_their_contacts(
    terminal: Terminal, tmp_path: Path
) -> None:
    now = int(time.time())

    def closed(number: int, hours: float) -> dict[str, Any]:
        people = [{"type": "contact", "id": f"c{number}"}]
        return {
            "type": "conversation",
            "id": str(number),
            "contacts": {"type": "contact.list", "contacts": people},
            "statistics": {"last_close_at": int(now - hours * 3_600)},
        }

    terminal.tags()
    first = [closed(1, 1), closed(2, 47), closed(3, 49)]
    pages: list[dict[str, Any]] = [
        {"conversations": first, "total_count": 5, "pages": {"next": {"starting_after": "x"}}},
        {"conversations": [closed(1, 3), closed(4, 5)], "total_count": 5, "pages": {"next": None}},
    ]
    for one in pages:
        terminal.outside.post(f"{INTERCOM}/conversations/search", json={"type": "conversation.list", **one})
    is_there(terminal, contact(1), contact(2), contact(4))
    out = tmp_path / "contacts.csv"
    answer = run("export-contacts", "--closed-since", "48h", "--out", str(out))
    assert answer.exit_code == 0, answer.output
    assert [row["external_id"] for row in rows_of(out)] == ["c1", "c2", "c4"]
    [one, two] = searches(terminal, "/conversations/search")
    assert one["query"]["value"][0] == {"field": "state", "operator": "=", "value": "closed"}
    assert two["pagination"]["starting_after"] == "x"


def test_a_limit_of_intercoms_is_waited_out(terminal: Terminal, tmp_path: Path) -> None:
    terminal.tags()
    url = f"{INTERCOM}/contacts/c1"
    terminal.outside.get(url, status=503, json={})
    terminal.outside.get(url, json=contact(1))
    out = tmp_path / "contacts.csv"
    assert run("export-contacts", "--ids", listed(tmp_path, "c1"), "--out", str(out)).exit_code == 0
    assert terminal.waited == [2.0]


@pytest.mark.parametrize(
    ("status", "words"), [(401, "INTERCOM_ACCESS_TOKEN"), (403, "permission"), (500, "try again")]
)
def test_what_intercom_refuses_is_told_with_what_to_do(
    terminal: Terminal, tmp_path: Path, status: int, words: str
) -> None:
    terminal.outside.get(f"{INTERCOM}/tags", status=status, json={})
    answer = run("export-contacts", "--tag", "beta", "--out", str(tmp_path / "c.csv"))
    assert answer.exit_code == 1
    assert words in answer.output
    assert "planted" not in answer.output
    assert list(tmp_path.glob("*.csv")) == []


def test_nobody_to_write_is_said_and_no_file_is_made(terminal: Terminal, tmp_path: Path) -> None:
    terminal.tags()
    is_there(terminal, contact(1, unsubscribed_from_emails=True))
    answer = run("export-contacts", "--ids", listed(tmp_path, "c1"), "--out", str(tmp_path / "c.csv"))
    assert answer.exit_code == 0
    assert answer.output.startswith("No contact to write.\n")
    assert not (tmp_path / "c.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "one of --closed-since"),
        (("--tag", "a", "--closed-since", "48h"), "one of --closed-since"),
        (("--closed-since", "yesterday"), "such as 48h"),
    ],
)
def test_what_was_asked_for_wrongly_is_told(
    terminal: Terminal, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    answer = run("export-contacts", *arguments, "--out", str(tmp_path / "c.csv"))
    assert answer.exit_code == 2
    assert words in answer.output


def test_a_file_of_ids_that_holds_something_else_is_refused_by_line(
    terminal: Terminal, tmp_path: Path
) -> None:
    ids = listed(tmp_path, "c1", "mia@example.com", "c 3")
    terminal.tags()
    answer = run("export-contacts", "--ids", ids, "--out", str(tmp_path / "c.csv"))
    assert answer.exit_code == 1
    assert "line 2, 3" in answer.output


def test_without_a_token_it_says_where_to_find_one(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INTERCOM_ACCESS_TOKEN")
    answer = run("export-contacts", "--tag", "a", "--out", str(tmp_path / "c.csv"))
    assert answer.exit_code == 1
    assert "Developer Hub" in answer.output


class TestImportLinks:
    GOOD = (
        "name,External ID,Email,Personal link\n"
        "Mia,c1,Mia@Example.com,https://koji.so/i/1\n"
        "Noa,,noa@example.com,https://koji.so/i/2\n"
    )

    def file(self, tmp_path: Path, text: str) -> str:
        path = tmp_path / "links.csv"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def rows(self, terminal: Terminal) -> list[tuple[str, str | None, str | None, str]]:
        columns = imported_links.c
        query = sa.select(columns.study, columns.external_id, columns.email, columns.link)
        with store.reading(terminal.engine) as connection:
            return [tuple(row) for row in connection.execute(query.order_by(columns.link))]

    def test_links_are_stored_for_their_people(self, terminal: Terminal, tmp_path: Path) -> None:
        answer = run("import-links", self.file(tmp_path, self.GOOD))
        assert (answer.exit_code, answer.output) == (0, "2 link(s) imported, 0 known already.\n")
        assert self.rows(terminal) == [
            ("default", "c1", "mia@example.com", "https://koji.so/i/1"),
            ("default", None, "noa@example.com", "https://koji.so/i/2"),
        ]

    def test_the_same_file_again_changes_nothing(self, terminal: Terminal, tmp_path: Path) -> None:
        path = self.file(tmp_path, self.GOOD)
        run("import-links", path)
        before = self.rows(terminal)
        answer = run("import-links", path)
        assert (answer.exit_code, answer.output) == (0, "0 link(s) imported, 2 known already.\n")
        assert self.rows(terminal) == before

    def test_broken_rows_are_told_by_line_and_the_others_are_imported(
        self, terminal: Terminal, tmp_path: Path
    ) -> None:
        run("import-links", self.file(tmp_path, self.GOOD))
        header, _, noa = self.GOOD.splitlines()
        bad = "X,c9,,https://evil.example/i\nY,c8,,https://koji.so/i/1\nZ,c7,,https://koji.so/i/3\n"
        answer = run("import-links", self.file(tmp_path, f"{header}\n{noa}\n{bad}"))
        assert answer.exit_code == 1
        assert "1 link(s) imported, 1 known already." in answer.output
        assert "line 3: its link does not lead to an address of KOJI_LINK_HOSTS over https" in answer.output
        assert "line 4: its link was imported before, for somebody else" in answer.output
        assert "2 row(s) left out." in answer.output
        assert self.rows(terminal)[-1] == ("default", "c7", None, "https://koji.so/i/3")

    def test_an_unknown_study_is_told(self, terminal: Terminal, tmp_path: Path) -> None:
        answer = run("import-links", self.file(tmp_path, self.GOOD), "--study", "churn")
        assert answer.exit_code == 2
        assert "no study of this name" in answer.output
        assert self.rows(terminal) == []
