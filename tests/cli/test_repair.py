"""`replay` and `erase`, as an operator runs them."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.cli import repair
from canvas_app.interviews import replay
from canvas_app.interviews.tables import decisions, deliveries, imported_links
from tests.cli.conftest import Terminal, run
from tests.interviews.asks import NOW, read, write
from tests.support.searching import find_everywhere
from tests.support.world import INTERCOM, WORKSPACE

CONTACT = "planted-contact"
PLANTED: dict[str, Any] = {
    "workspace_id": WORKSPACE,
    "contact_id": CONTACT,
    "contact_name": "Planted Name",
    "contact_email": "Planted@example.com",
}


def insert(terminal: Terminal, table: sa.Table, **values: Any) -> None:
    with store.writing(terminal.engine) as connection:
        connection.execute(sa.insert(table).values(**values))


def a_link(terminal: Terminal, id_: str, **values: Any) -> None:
    link = f"https://koji.so/planted/{id_}"
    insert(terminal, imported_links, id=id_, study="default", link=link, imported_at=NOW, **values)


class TestReplay:
    def test_a_failed_delivery_gets_its_next_attempt(self, terminal: Terminal) -> None:
        counters = dict.fromkeys(("attempt", "waits", "fills", "tries"), 3)
        content = {"kind": "analysis_ready", "name": "interview.analysis_ready", "result": {}}
        about = {"id": "d" * 32, "door": "koji", "dedupe_key": "k", "event": "e", "state": "failed"}
        insert(terminal, deliveries, **about, content=content, received_at=NOW, **counters)
        answer = run("replay", "D" * 32)
        assert answer.exit_code == 0, answer.output
        assert "The delivery is taken up again." in answer.output
        with store.reading(terminal.engine) as connection:
            assert connection.execute(sa.select(deliveries.c.state)).scalar_one() == "stored"

    def test_a_failed_send_is_not_repeated_and_the_cards_way_is_told(self, terminal: Terminal) -> None:
        row = write(terminal.engine, state="failed", reason="too_late")
        answer = run("replay", row.id)
        assert answer.exit_code == 1
        assert 'offers "Try again"' in answer.output
        assert read(terminal.engine, row.id) == row

    def test_an_unknown_id_is_told(self, terminal: Terminal) -> None:
        answer = run("replay", "nonsense")
        assert answer.exit_code == 1
        assert "no interview and no delivery" in answer.output

    def test_there_are_words_for_whatever_comes_of_it(self) -> None:
        assert set(repair._WORDS) == set(get_args(replay.Replayed))


class TestErase:
    def test_nothing_of_the_contact_is_left(self, terminal: Terminal) -> None:
        row = write(terminal.engine, state="sent", **PLANTED)
        a_link(terminal, "1", external_id=CONTACT)
        a_link(terminal, "2", email="planted@example.com")
        answer = run("erase", CONTACT, input="y\n")
        assert answer.exit_code == 0, answer.output
        assert answer.output.splitlines()[:3] == [
            "interviews  1",
            "decisions of rules  0",
            "imported links  2",
        ]
        assert "Erased: 3 row(s) emptied or deleted." in answer.output
        assert find_everywhere(terminal.engine, ["planted"]) == []
        assert read(terminal.engine, row.id).state == "cancelled"

    def test_whoever_does_not_confirm_changes_nothing(self, terminal: Terminal) -> None:
        row = write(terminal.engine, state="sent", **PLANTED)
        answer = run("erase", CONTACT, input="n\n")
        assert answer.exit_code == 1
        assert read(terminal.engine, row.id) == row

    def test_what_has_come_in_about_somebody_unknown_is_not_dropped_without_being_asked(
        self, terminal: Terminal
    ) -> None:
        """A mistyped id may be a word of a result that waits to be written."""
        counters = dict.fromkeys(("attempt", "waits", "fills", "tries"), 1)
        content = {"kind": "analysis_ready", "result": {"external_id": "c9", "identity": "named"}}
        about = {"id": "d" * 32, "door": "koji", "dedupe_key": "k", "event": "e", "state": "stored"}
        insert(terminal, deliveries, **about, content=content, received_at=NOW, **counters)
        answer = run("erase", "named", input="n\n")
        assert answer.exit_code == 1
        assert "deliveries  1" in answer.output
        with store.reading(terminal.engine) as connection:
            assert connection.execute(sa.select(deliveries.c.state)).scalar_one() == "stored"
        assert "Erased: 1 row(s)" in run("erase", "c9", "--yes").output

    def test_an_address_finds_everybody_who_has_it(self, terminal: Terminal) -> None:
        for number in range(2):
            write(terminal.engine, **(PLANTED | {"contact_id": f"planted-{number}"}))
        a_link(terminal, "1", email="planted@example.com")
        a_link(terminal, "2", external_id="planted-1")
        other = write(terminal.engine, contact_id="other", contact_email="other@example.com")
        answer = run("erase", " PLANTED@example.com", "--yes")
        assert answer.exit_code == 0, answer.output
        assert find_everywhere(terminal.engine, ["planted"]) == []
        assert read(terminal.engine, other.id) == other

    def test_an_address_that_only_a_link_has_is_erased_too(self, terminal: Terminal) -> None:
        a_link(terminal, "1", email="planted@example.com")
        a_link(terminal, "2", email="other@example.com")
        assert "Erased: 1 row(s)" in run("erase", "planted@example.com", "--yes").output
        with store.reading(terminal.engine) as connection:
            left = connection.execute(sa.select(imported_links.c.email)).scalars().all()
        assert left == ["other@example.com"]

    def test_somebody_who_was_only_ever_decided_about_is_found(self, terminal: Terminal) -> None:
        values = {"id": "e", "delivery_id": "d", "rule": "r", "workspace_id": "ws9", "contact_id": CONTACT}
        insert(terminal, decisions, **values, verdict="skipped", decided_at=NOW)
        assert "Erased: 1 row(s)" in run("erase", CONTACT, "--yes").output
        assert find_everywhere(terminal.engine, ["planted"]) == []

    def test_nobody_is_said_to_be_nobody(self, terminal: Terminal) -> None:
        write(terminal.engine)
        for who in ("stranger", "stranger@example.com"):
            answer = run("erase", who)
            assert (answer.exit_code, answer.output) == (0, "Nothing is known about this contact.\n")

    def test_what_is_no_contact_is_refused(self, terminal: Terminal) -> None:
        answer = run("erase", "c 1; x")
        assert answer.exit_code == 2
        assert "neither an id of Intercom's nor an email address" in answer.output

    @pytest.mark.parametrize("status", [200, 404])
    def test_our_link_is_taken_out_of_the_contacts_attributes_if_they_are_there(
        self, terminal: Terminal, status: int
    ) -> None:
        write(terminal.engine, state="sent", link_attribute_at=NOW, **PLANTED)
        terminal.me()
        terminal.outside.put(f"{INTERCOM}/contacts/{CONTACT}", status=status, json={"id": CONTACT})
        answer = run("erase", CONTACT, "--yes")
        assert answer.exit_code == 0, answer.output
        puts = [call.request for call in terminal.outside.calls if call.request.method == "PUT"]
        emptied = b'{"custom_attributes": {"koji_interview_ready_at": null}}'
        assert puts[0].body == emptied
        assert len(puts) == (2 if status == 200 else 1)
        assert find_everywhere(terminal.engine, ["planted"]) == []

    def test_where_that_fails_nothing_is_erased_unless_it_is_wanted(self, terminal: Terminal) -> None:
        row = write(terminal.engine, state="sent", link_attribute_at=NOW, **PLANTED)
        terminal.me()
        terminal.outside.put(f"{INTERCOM}/contacts/{CONTACT}", status=403, json={})
        answer = run("erase", CONTACT, "--yes")
        assert answer.exit_code == 1
        assert "Nothing is erased." in answer.output
        assert read(terminal.engine, row.id) == row
        assert run("erase", CONTACT, "--yes", "--offline").exit_code == 0
        assert find_everywhere(terminal.engine, ["planted"]) == []
