"""The ledger on both databases: what it keeps apart, and what it finds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.interviews import ledger
from canvas_app.interviews.ledger import Ask, Interview
from canvas_app.interviews.states import OPEN_STATES, STATES
from canvas_app.interviews.tables import interviews, worker_slots, workspaces
from tests.interviews.asks import NOW, make_ask, read, write

DAY = timedelta(days=1)
CLOSED = sorted(set(STATES) - set(OPEN_STATES))


def create(engine: Engine, ask: Ask) -> Interview | None:
    id_ = ledger.new_id()
    with store.writing(engine) as connection:
        return ledger.create(
            connection, ask, id_=id_, link_token=id_, now=NOW, send_before=NOW + timedelta(minutes=15)
        )


def blocking(engine: Engine, ask: Ask) -> Interview | None:
    with store.reading(engine) as connection:
        return ledger.blocking(connection, ask)


def test_at_most_one_interview_of_a_contact_is_open(engine: Engine) -> None:
    first = create(engine, make_ask())
    assert first is not None
    for state in OPEN_STATES:
        with store.writing(engine) as connection:
            connection.execute(sa.update(interviews).values(state=state))
        assert create(engine, make_ask(conversation_id="502")) is None
        found = blocking(engine, make_ask(conversation_id="502"))
        assert (found and found.id) == first.id
    for closed in CLOSED:
        with store.writing(engine) as connection:
            connection.execute(sa.update(interviews).values(state=closed))
        assert blocking(engine, make_ask()) is None
    assert create(engine, make_ask()) is not None


def test_another_contact_and_another_workspace_do_not_stand_in_the_way(engine: Engine) -> None:
    asks = [make_ask(), make_ask(contact_id="contact2"), make_ask(workspace_id="ws2")]
    made = [create(engine, ask) for ask in asks]
    assert None not in made
    # And what stands in the way of each is its own.
    assert [blocking(engine, ask) for ask in asks] == made


def test_a_request_is_done_once_however_long_ago_it_was_done(engine: Engine) -> None:
    first = write(engine, age=300 * DAY, request_key="key", state="written_back")
    assert create(engine, make_ask(request_key="key")) is None
    found = blocking(engine, make_ask(request_key="key"))
    assert (found and found.id) == first.id
    assert create(engine, make_ask(request_key="other")) is not None


def test_the_same_request_comes_before_the_contacts_open_interview(engine: Engine) -> None:
    first = write(engine, age=DAY, request_key="key", state="failed")
    write(engine, request_key="newer", state="sent")
    found = blocking(engine, make_ask(request_key="key"))
    assert (found and found.id) == first.id


def test_a_row_reads_back_as_it_was_written(engine: Engine) -> None:
    asked = make_ask(
        request_key="key",
        asked_by_id="991",
        asked_by_name="Ada",
        contact_email="mia@example.com",
        personal_line="Hello. 🙂",
    )
    created = create(engine, asked)
    assert created is not None
    row = read(engine, created.id)
    assert row == created
    assert (row.state, row.send_attempt, row.created_at, row.state_since) == ("queued", 1, NOW, NOW)
    for name in Ask.__dataclass_fields__:
        assert getattr(row, name) == getattr(asked, name), name


def test_a_state_changes_only_from_the_states_that_are_named(engine: Engine) -> None:
    row = write(engine, state="sending", reason="unreachable")
    with store.writing(engine) as connection:
        assert not ledger.move(connection, row.id, "sent", only_from=("queued", "failed"), now=NOW + DAY)
        assert ledger.move(connection, row.id, "sent", only_from=("sending",), now=NOW + DAY, sent_at=NOW)
        assert not ledger.move(connection, row.id, "sent", only_from=("sending",), now=NOW + DAY)
    moved = read(engine, row.id)
    assert (moved.state, moved.state_since, moved.sent_at) == ("sent", NOW + DAY, NOW)
    assert moved.reason is None, "the reason belonged to the state before"


def test_an_attempt_ends_once(engine: Engine) -> None:
    row = write(engine)
    with store.writing(engine) as connection:
        assert ledger.take_attempt(connection, row.id, 1)
        assert not ledger.take_attempt(connection, row.id, 1)
        assert not ledger.take_attempt(connection, row.id, 3)
        assert ledger.take_attempt(connection, row.id, 2)


def for_result(engine: Engine, **given: str | None) -> str | None:
    values = {"ref": None, "koji_interview_id": None, "external_id": None, **given}
    with store.reading(engine) as connection:
        found = ledger.for_result(connection, **values)
    return found.id if found else None


def test_a_result_finds_its_interview_by_reference_then_kojis_id_then_contact(engine: Engine) -> None:
    old = write(engine, age=2 * DAY, state="written_back", koji_interview_id="k1")
    new = write(engine, age=DAY, state="sent", koji_interview_id="k2")
    assert for_result(engine, ref=old.id, koji_interview_id="k2", external_id="contact1") == old.id
    assert for_result(engine, ref="nobody's", koji_interview_id="k1", external_id="contact1") == old.id
    assert for_result(engine, koji_interview_id="k2") == new.id
    assert for_result(engine, external_id="contact1") == new.id
    assert for_result(engine, koji_interview_id="k9") is None
    assert for_result(engine, external_id="contact9") is None
    assert for_result(engine) is None


def test_a_result_whose_koji_id_is_another_one_is_not_the_contacts_open_interview(engine: Engine) -> None:
    write(engine, state="sent", koji_interview_id="k2")
    assert for_result(engine, koji_interview_id="k9", external_id="contact1") is None


def test_a_result_may_come_before_kojis_id_is_recorded(engine: Engine) -> None:
    row = write(engine, state="sending")
    assert for_result(engine, koji_interview_id="k9", external_id="contact1") == row.id


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"result_at": NOW + DAY, "attributes_written_at": NOW}, True),
        ({"result_at": NOW + DAY, "attributes_written_at": None}, False),
        ({"result_at": NOW - DAY, "attributes_written_at": NOW}, False),
        ({"result_at": NOW, "attributes_written_at": NOW}, False),
        ({"result_at": NOW + DAY, "attributes_written_at": NOW, "contact_id": "contact2"}, False),
        ({"result_at": NOW + DAY, "attributes_written_at": NOW, "workspace_id": "ws2"}, False),
    ],
)
def test_only_a_newer_result_of_the_same_contact_that_is_written_counts(
    engine: Engine, other: dict[str, Any], expected: bool
) -> None:
    row = write(engine, state="analysed", result_at=NOW)
    write(engine, state="written_back", **other)
    with store.reading(engine) as connection:
        assert ledger.newer_result_exists(connection, row) is expected


def test_the_card_reads_the_interview_of_this_conversation_first(engine: Engine) -> None:
    here = write(engine, age=3 * DAY, state="written_back")
    newest_here = write(engine, age=2 * DAY, state="failed")
    elsewhere = write(engine, age=DAY, state="sent", conversation_id="502")
    write(engine, contact_id="contact2", state="sent")
    with store.reading(engine) as connection:
        facts = [
            ledger.card_facts(connection, "ws1", "contact1", conversation)
            for conversation in ("501", "502", "503", None)
        ]
        nobody = ledger.card_facts(connection, "ws1", "contact9", "501")
        foreign = ledger.card_facts(connection, "ws2", "contact1", "501")
    found = [fact.interview and fact.interview.id for fact in facts]
    assert found == [newest_here.id, elsewhere.id, elsewhere.id, elsewhere.id]
    assert here.id not in found
    assert (nobody.interview, foreign.interview) == (None, None)


def test_the_card_reads_the_newest_workspace_and_the_newest_sign_of_a_worker(engine: Engine) -> None:
    with store.reading(engine) as connection:
        empty = ledger.card_facts(connection, "ws1", "contact1", "501")
    assert (empty.timezone, empty.token_workspace_id, empty.worker_seen_at) == (None, None, None)
    common = {"admin_id": "7", "token_fingerprint": "f"}
    with store.writing(engine) as connection:
        connection.execute(
            sa.insert(workspaces),
            [
                {"workspace_id": "old", "timezone": "UTC", "read_at": NOW - DAY, **common},
                {"workspace_id": "ws1", "timezone": "Europe/Berlin", "read_at": NOW, **common},
            ],
        )
        connection.execute(
            sa.insert(worker_slots),
            [
                {"slot": 1, "holder": "a", "renewed_at": NOW - DAY},
                {"slot": 2, "holder": "b", "renewed_at": NOW},
                {"slot": 3, "holder": None, "renewed_at": NOW + DAY},
            ],
        )
    with store.reading(engine) as connection:
        facts = ledger.card_facts(connection, "ws1", "contact1", "501")
    assert (facts.timezone, facts.token_workspace_id) == ("Europe/Berlin", "ws1")
    assert facts.worker_seen_at == NOW
    assert facts.now.tzinfo is not None
