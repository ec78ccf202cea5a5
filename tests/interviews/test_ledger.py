"""The ledger on both databases: what it keeps apart, and what it finds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from canvas_app import store
from canvas_app.interviews import ledger
from canvas_app.interviews.ledger import Ask
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.states import OPEN_STATES, STATES
from canvas_app.interviews.tables import interviews
from canvas_app.koji.results import KojiResult
from tests.interviews.asks import NOW, make_ask, read, write
from tests.support.world import full_settings

DAY = timedelta(days=1)
CLOSED = sorted(set(STATES) - set(OPEN_STATES))


def create(engine: Engine, ask: Ask) -> Interview | None:
    id_ = ledger.new_id()
    with store.writing(engine) as connection:
        return ledger.create(
            connection,
            ask,
            id_=id_,
            link_token=id_,
            public_url="https://app.example.com",
            now=NOW,
            send_before=NOW + timedelta(minutes=15),
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
    assert row.public_url == "https://app.example.com"
    # A person's word is about this moment, and a delay is kept as the moment that it leads to.
    for name in set(Ask.__dataclass_fields__) - {"anyway", "delay"}:
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


def for_result(engine: Engine, *, lock: bool = False, **given: str | None) -> str | None:
    values: dict[str, Any] = {"ref": None, "koji_interview_id": None, "external_id": None, **given}
    with store.writing(engine) as connection:
        found = ledger.for_result(connection, lock=lock, **values)
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


def test_by_the_contact_alone_only_an_interview_is_found_whose_link_the_customer_can_have(
    engine: Engine,
) -> None:
    rows = {state: write(engine, state=state, contact_id=state).id for state in STATES}
    for state, id_ in rows.items():
        never_reached = state in ("planned", "queued", "sending", "failed", "skipped")
        expected = None if never_reached else id_
        assert for_result(engine, external_id=state) == expected, state
        assert for_result(engine, koji_interview_id="k9", external_id=state) == expected, state
        # By a name of its own it is found whatever has become of it.
        assert for_result(engine, ref=id_) == id_


def test_one_that_was_never_sent_does_not_take_the_result_of_an_earlier_one(engine: Engine) -> None:
    answered = write(engine, age=DAY, state="expired")
    write(engine, state="failed")
    assert for_result(engine, external_id="contact1") == answered.id


def test_the_same_contact_id_in_another_workspace_is_another_contact(engine: Engine) -> None:
    ours = write(engine, age=DAY, state="sent")
    write(engine, state="sent", workspace_id="ws2")
    assert for_result(engine, external_id="contact1", workspace_id="ws1") == ours.id
    assert for_result(engine, external_id="contact1", workspace_id="ws3") is None


def test_a_result_names_its_interview_by_what_we_gave_koji_at_the_start() -> None:
    result = KojiResult(
        koji_interview_id="k1",
        external_id="contact1",
        metadata={"interview_ref": "r", "intercom_workspace_id": "ws1", "intercom_contact_id": "other"},
    )
    assert ledger.addressees(result) == {
        "ref": "r",
        "koji_interview_id": "k1",
        "external_id": "contact1",
        "workspace_id": "ws1",
    }
    assert set(ledger.addressees(KojiResult()).values()) == {None}


@pytest.mark.postgres
@pytest.mark.parametrize("by", ["get", "existing", "ref", "koji_interview_id", "external_id"])
def test_a_locked_row_is_nobody_elses_until_the_transaction_ends(
    migrated_postgres_copy: str, by: str
) -> None:
    engine = store.make_engine(full_settings(migrated_postgres_copy).database_url, pool_size=2)
    row = write(engine, state="sent", koji_interview_id="k1" if by == "koji_interview_id" else None)
    nowait = sa.select(interviews.c.id).where(interviews.c.id == row.id).with_for_update(nowait=True)
    names: dict[str, Any] = {"ref": None, "koji_interview_id": None, "external_id": None}
    values = {"ref": row.id, "koji_interview_id": "k1", "external_id": "contact1"}
    with store.writing(engine) as connection:
        if by == "get":
            ledger.get(connection, row.id, lock=True)
        elif by == "existing":
            ledger.existing(connection, row.id, lock=True)
        else:
            ledger.for_result(connection, **{**names, by: values[by]}, lock=True)
        with pytest.raises(OperationalError), store.writing(engine) as another:
            another.execute(nowait)
    with store.writing(engine) as another:
        assert another.execute(nowait).scalar_one() == row.id
    engine.dispose()


def test_an_interview_of_the_ledger_never_vanishes(engine: Engine) -> None:
    with store.reading(engine) as connection, pytest.raises(LookupError):
        ledger.existing(connection, "gone")


# Time that is up


OPEN_DAYS = 14


@pytest.mark.parametrize(("days", "over"), [(13.9, False), (14.1, True)])
def test_an_interview_that_was_not_answered_in_time_has_expired(
    engine: Engine, days: float, over: bool
) -> None:
    # The state began long before it was sent; what counts is the sending.
    sent_at = NOW - timedelta(days=days)
    for state in STATES:
        row = write(engine, age=30 * DAY, state=state, sent_at=sent_at, contact_id=state)
        now = ledger.as_of(row, NOW, open_days=OPEN_DAYS)
        expires = over and state in ("sent", "opened", "unknown")
        assert now.state == ("expired" if expires else state)
        assert now.state_since == (sent_at + 14 * DAY if expires else row.state_since)
        # And the ledger itself agrees, as soon as another one is asked for.
        with store.writing(engine) as connection:
            ledger.expire(connection, open_days=OPEN_DAYS, now=NOW, ask=make_ask(contact_id=state))
        after = read(engine, row.id)
        assert (after.state, after.state_since) == (now.state, now.state_since)


def test_one_of_unknown_fate_expires_too_though_nobody_knows_when_it_was_sent(engine: Engine) -> None:
    row = write(engine, age=15 * DAY, state="unknown", sent_at=None)
    assert ledger.as_of(row, NOW, open_days=OPEN_DAYS).state == "expired"
    with store.writing(engine) as connection:
        ledger.expire(connection, open_days=OPEN_DAYS, now=NOW, ask=make_ask())
    assert (read(engine, row.id).state, read(engine, row.id).state_since) == ("expired", NOW - DAY)


def test_only_the_interview_of_the_same_contact_expires(engine: Engine) -> None:
    others = [write(engine, age=30 * DAY, state="sent", contact_id="contact2")]
    others += [write(engine, age=30 * DAY, state="sent", workspace_id="ws2")]
    with store.writing(engine) as connection:
        ledger.expire(connection, open_days=OPEN_DAYS, now=NOW, ask=make_ask())
    assert [read(engine, row.id).state for row in others] == ["sent", "sent"]
