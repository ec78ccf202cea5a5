"""Who is erased stands in no table any more; who was merged lives on under the other id."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.engine import Jobs, partition_key
from canvas_app.interviews import erase, ledger_rows
from canvas_app.interviews.ask import ask, partition
from canvas_app.interviews.states import STATES, UNFINISHED_STATES, State
from canvas_app.interviews.tables import (
    GENERATED,
    api_requests,
    decisions,
    deliveries,
    imported_links,
    interviews,
    rehearsal_lines,
    rehearsals,
)
from canvas_app.koji import events
from tests.interviews.asks import NOW, make_ask, read, write
from tests.interviews.results import attributes, event, notes, receive, sent_and_ready
from tests.support.searching import find_everywhere
from tests.support.world import CONTACT, KOJI_ID, WORKSPACE, World

DAY = timedelta(days=1)
OTHER = "another-contact"
PLANTED_ID = "planted-contact-5ba682d2"
PLANTED: dict[str, Any] = {
    "contact_id": PLANTED_ID,
    "conversation_id": "770123456789",
    "contact_name": "Planted Name",
    "contact_email": "Planted.Address@example.com",
    "personal_line": "planted personal line",
    "asked_by_name": "Planted Rep",
    "asked_by_id": "planted-rep-991",
    "language": "planted-language",
}


A_REHEARSAL = {
    "id": "r1",
    "workspace_id": WORKSPACE,
    "rule": "low",
    "fingerprint": "f",
    "state": "done",
    "asked_at": NOW,
    "since": NOW,
    "moved_at": NOW,
    "total": 1,
    "seen": 1,
    "asked": 1,
    "not_asked": {},
    "left_out": [],
}


def erase_planted(world: World, **options: Any) -> int:
    return erase.erase_contact(world.engine, world.services.jobs, WORKSPACE, PLANTED_ID, **options)


def put(world: World, table: sa.Table, **values: Any) -> None:
    with store.writing(world.engine) as connection:
        connection.execute(sa.insert(table).values(**values))


def a_decision(id_: str, contact_id: str, **values: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "delivery_id": "d1",
        "rule": "low-rating",
        "workspace_id": WORKSPACE,
        "contact_id": contact_id,
        "conversation_id": PLANTED["conversation_id"],
        "verdict": "skipped",
        "reason": "rating_too_good",
        "decided_at": NOW,
        **values,
    }


def a_link(id_: str, **values: Any) -> dict[str, Any]:
    return {"id": id_, "study": "default", "link": f"https://koji.so/i/{id_}", "imported_at": NOW, **values}


def fill(world: World) -> list[str]:
    """Rows about the planted contact in every table; what must not be found any more."""
    written = write(
        world.engine,
        state="written_back",
        age=9 * DAY,
        workspace_id=WORKSPACE,
        **PLANTED,
        request_key="planted:request:key",
        koji_interview_id="planted-koji-1",
        koji_link="https://koji.so/planted-link",
        written_as_id="planted-admin",
        contact_tags={"81": "planted_tag"},
        result={
            "identity": "named",
            "sentiment": "negative",
            "quality": 4,
            "themes": ["Pricing friction"],
            "transcript_url": "https://koji.so/planted-transcript",
        },
    )
    planned = world_ask(world, delay=DAY)
    for number, (state, key) in enumerate(
        [("failed", "analysis_ready:planted-koji-1:x"), ("stored", "analysis_ready:-:y"), ("done", "z")]
    ):
        about = {"external_id": PLANTED_ID, "metadata": {"interview_ref": written.id}}
        content = {"kind": "analysis_ready", "result": about} if state != "done" else None
        put(
            world,
            deliveries,
            id=f"d{number}",
            door="koji",
            dedupe_key=key,
            event="interview.analysis_ready",
            interview_id=written.id if state == "done" else None,
            state=state,
            content=content,
            attempt=1,
            waits=0,
            fills=0,
            tries=0,
            received_at=NOW,
        )
    put(world, decisions, **a_decision("e1", PLANTED_ID))
    put(world, decisions, **a_decision("e2", PLANTED_ID, rule="onboarding"))
    put(world, imported_links, **a_link("planted-1", external_id=PLANTED_ID))
    put(world, imported_links, **a_link("planted-2", email="planted.address@example.com"))
    put(world, imported_links, **a_link("planted-3", interview_id=written.id))
    put(world, imported_links, **a_link("planted-4", email="planted.second@example.com"))
    put(world, rehearsals, **A_REHEARSAL)
    put(
        world,
        rehearsal_lines,
        rehearsal_id="r1",
        number=0,
        workspace_id=WORKSPACE,
        contact_id=PLANTED_ID,
        conversation_id=PLANTED["conversation_id"],
        happened_at=NOW,
    )
    put(
        world,
        api_requests,
        key="planted-request-key",
        body_hash="planted-hash",
        interview_id=planned.id,
        created_at=NOW,
    )
    # A job that the version before has enqueued, under the contact's name as it is.
    jobs = world.services.jobs._client._sys_db.tables.workflow_status
    with world.services.jobs._client._sys_db.engine.begin() as connection:
        connection.execute(
            sa.update(jobs)
            .where(jobs.c.queue_partition_key == partition_key(partition(WORKSPACE, PLANTED_ID)))
            .values(queue_partition_key=partition(WORKSPACE, PLANTED_ID))
        )
    tokens = [written.link_token, planned.link_token]
    return ["planted", str(PLANTED["conversation_id"]), *tokens]


def world_ask(world: World, **changes: Any) -> ledger_rows.Interview:
    request = make_ask(**{"workspace_id": WORKSPACE, "origin": "api", **PLANTED} | changes)
    return ask(world.engine, world.services.jobs, world.settings, request).interview


def test_nothing_of_an_erased_contact_stands_in_any_column_of_any_table(world: World) -> None:
    needles = fill(world)
    before = world.counts()
    assert len({place.split(".")[0] for place in find_everywhere(world.engine, needles)}) == 7
    assert erase_planted(world, emails=["Planted.Second@example.com "]) > 10
    assert find_everywhere(world.engine, needles) == []
    # The counts stay.
    assert world.counts() == before
    assert world.count(decisions) == 2
    with store.reading(world.engine) as connection:
        rows = connection.execute(sa.select(interviews).order_by(interviews.c.created_at)).all()
    assert [(row.state, row.study) for row in rows] == [("written_back", "default"), ("skipped", "default")]
    assert rows[0].result["sentiment"] == "negative"
    assert rows[1].reason == erase.ERASED


def test_what_is_about_others_stays(world: World) -> None:
    fill(world)
    theirs = world_ask(world, contact_id=OTHER, contact_email="b@example.com", contact_name="Other")
    put(world, decisions, **a_decision("e3", OTHER))
    put(world, imported_links, **a_link("other", external_id=OTHER))
    elsewhere = write(world.engine, workspace_id="ws2", contact_id=PLANTED_ID)
    erase_planted(world)
    assert read(world.engine, theirs.id) == theirs
    assert read(world.engine, elsewhere.id) == elsewhere
    with store.reading(world.engine) as connection:
        left = set(connection.execute(sa.select(imported_links.c.id)).scalars())
        contacts = set(connection.execute(sa.select(decisions.c.contact_id)).scalars())
    assert {"other"} <= left
    assert OTHER in contacts


def test_what_was_asked_for_by_their_address_alone_is_erased_too(world: World) -> None:
    for number in range(2):
        email = ("Planted.Address@example.com", "other@example.com")[number]
        write(world.engine, workspace_id=WORKSPACE, contact_id=f"email:{number}", contact_email=email)
    erase_planted(world, emails=["planted.address@example.com"])
    assert find_everywhere(world.engine, ["planted"]) == []
    with store.reading(world.engine) as connection:
        states = connection.execute(sa.select(interviews.c.state)).scalars().all()
    assert sorted(states) == ["cancelled", "queued"]


def test_nobody_cannot_be_erased(world: World) -> None:
    with pytest.raises(ValueError, match="nobody"):
        erase.erase_contact(world.engine, world.services.jobs, WORKSPACE, "")


def test_erasing_again_changes_nothing(world: World) -> None:
    fill(world)
    assert erase_planted(world, emails=["planted.second@example.com"]) > 0
    assert erase_planted(world, emails=["planted.second@example.com"]) == 0


@pytest.mark.parametrize("state", STATES)
def test_what_is_under_way_ends_and_what_has_ended_stays_as_it_is(engine: Engine, state: State) -> None:
    row = write(engine, state=state, reason="before")
    erase.erase_contact(engine, Jobs(engine), row.workspace_id, row.contact_id)
    after = read(engine, row.id)
    assert after.state not in UNFINISHED_STATES
    if state not in UNFINISHED_STATES:
        assert (after.state, after.reason, after.state_since) == (state, "before", row.state_since)
    else:
        assert after.reason == erase.ERASED


def test_what_a_rule_writes_at_that_moment_is_erased_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world)
    empty = erase._erase_deliveries

    def and_meanwhile(connection: sa.Connection, *args: Any) -> int:
        changed = empty(connection, *args)
        with store.reading(world.engine) as other:
            columns = [column for column in interviews.c if column.name not in GENERATED]
            row = dict(other.execute(sa.select(*columns).limit(1)).mappings().one())
        # Whoever had the delivery locked has written it, and committed.
        row |= {"id": "f" * 32, "link_token": "new", "state": "sent", "request_key": None, **PLANTED}
        connection.execute(sa.insert(interviews).values(**row))
        return changed

    monkeypatch.setattr(erase, "_erase_deliveries", and_meanwhile)
    erase_planted(world, emails=["Planted.Second@example.com "])
    assert find_everywhere(world.engine, ["planted"]) == []
    assert read(world.engine, "f" * 32).state == "cancelled"


def test_a_planned_and_a_queued_interview_are_not_sent(world: World) -> None:
    world.vendors_are_well()
    world_ask(world)
    erase_planted(world)
    world.run_jobs(delayed=True)
    assert len(world.outside.calls) == 0
    assert world.interview().state == "cancelled"


def test_the_link_of_an_erased_contact_is_kindly_over(world: World) -> None:
    token = world.send().link_token
    erase.erase_contact(world.engine, world.services.jobs, WORKSPACE, CONTACT)
    answer = world.get(f"/i/{token}")
    assert answer.status_code == 410
    assert "This interview is over" in answer.text


def test_a_result_that_is_on_its_way_is_written_nowhere_and_leaves_nothing(world: World) -> None:
    sent_and_ready(world)
    body = event(world)
    world.koji_event(body)
    erase.erase_contact(world.engine, world.services.jobs, WORKSPACE, CONTACT)
    world.run_jobs()
    # And once more, after everything.
    world.koji_event({**body, "id": "another-delivery"})
    for _ in range(5):
        world.run_jobs(delayed=True)
    assert notes(world) == []
    assert attributes(world) == []
    assert find_everywhere(world.engine, ["mia@", "Mia Chen", "koji.so/t/1"]) == []


def test_a_late_result_that_names_nothing_but_the_contact_leaves_nothing(world: World) -> None:
    sent_and_ready(world)
    erase.erase_contact(world.engine, world.services.jobs, WORKSPACE, CONTACT)
    data = {"external_id": CONTACT, "respondent_email": "mia@example.com", "sentiment": "negative"}
    world.koji_event({"event": "interview.analysis_ready", "data": data})
    for _ in range(5):
        world.run_jobs(delayed=True)
    assert find_everywhere(world.engine, [CONTACT, "mia@"]) == []


def test_an_answer_that_koji_gives_while_the_contact_is_erased_is_not_kept(world: World) -> None:
    sent_and_ready(world)

    def erased_meanwhile(_request: Any) -> tuple[int, dict[str, str], str]:
        erase.erase_contact(world.engine, world.services.jobs, WORKSPACE, CONTACT)
        return (200, {}, '{"themes": ["Planted theme"], "transcript_url": "https://koji.so/planted"}')

    world.outside.add_callback("GET", f"https://koji.so/api/v1/interviews/{KOJI_ID}", erased_meanwhile)
    receive(world, themes=...)
    assert find_everywhere(world.engine, ["planted", "Mia"]) == []
    assert world.interview().state == "not_written"
    assert attributes(world) == []


def test_link_attributes_of_an_erased_contact_count_as_taken_away(world: World) -> None:
    row = write(world.engine, workspace_id=WORKSPACE, state="sent", link_attribute_at=NOW, **PLANTED)
    erase_planted(world)
    assert read(world.engine, row.id).link_attribute_cleared_at is not None


def test_an_event_about_another_person_of_the_same_conversation_is_still_worked_on(world: World) -> None:
    write(world.engine, workspace_id=WORKSPACE, state="sent", **PLANTED)
    parsed = events.parse(b'{"event": "interview.completed", "data": {"interview_id": "k2"}}')
    content = {**parsed.model_dump(mode="json"), "conversation": PLANTED["conversation_id"]}
    put(
        world,
        deliveries,
        id="d9",
        door="koji",
        dedupe_key="k",
        event="x",
        state="stored",
        content=content,
        attempt=1,
        waits=0,
        fills=0,
        tries=0,
        received_at=NOW,
    )
    erase_planted(world)
    with store.reading(world.engine) as connection:
        assert connection.execute(sa.select(deliveries.c.state)).scalar_one() == "stored"


# A contact that was merged into another one


def follow(engine: Engine, old: str = "contact1", new: str = "contact2") -> None:
    with store.writing(engine) as connection:
        erase.follow_contact(connection, "ws1", old, new)


def test_a_merged_contacts_interviews_follow_whatever_their_state(engine: Engine) -> None:
    rows = [write(engine, age=DAY, state=state) for state in STATES if state not in UNFINISHED_STATES]
    rows += [write(engine, state=state) for state in ("planned", "analysed", "opened")]
    foreign = write(engine, state="written_back", workspace_id="ws2")
    follow(engine)
    after = [read(engine, row.id) for row in rows]
    assert {row.contact_id for row in after} == {"contact2"}
    assert [row.state for row in after] == [row.state for row in rows]
    assert read(engine, foreign.id).contact_id == "contact1"


@pytest.mark.parametrize(
    ("olds", "news", "stays"),
    [
        ("sent", "sent", "new"),
        ("opened", "sent", "old"),
        ("sent", "queued", "old"),
        ("queued", "sent", "new"),
        ("sending", "opened", "new"),
        ("unknown", "sending", "old"),
    ],
)
def test_of_two_open_interviews_the_one_stays_that_the_customer_is_furthest_into(
    engine: Engine, olds: str, news: str, stays: str
) -> None:
    old = write(engine, state=olds)
    new = write(engine, state=news, contact_id="contact2")
    follow(engine)
    after = {"old": read(engine, old.id), "new": read(engine, new.id)}
    other = after["old" if stays == "new" else "new"]
    assert after[stays].state == (olds if stays == "old" else news)
    assert (other.state, other.reason, other.check_at) == ("cancelled", erase.MERGED_AWAY, None)
    assert {row.contact_id for row in after.values()} == {"contact2"}


def test_of_two_planned_interviews_that_of_the_contact_who_remains_stays(engine: Engine) -> None:
    old = write(engine, state="planned")
    new = write(engine, state="planned", contact_id="contact2")
    follow(engine)
    assert (read(engine, old.id).state, read(engine, old.id).reason) == ("skipped", erase.MERGED_AWAY)
    assert read(engine, new.id).state == "planned"


def test_decisions_and_imported_links_follow_a_merge_too(world: World) -> None:
    put(world, decisions, **a_decision("e1", "contact1"))
    put(world, decisions, **a_decision("e2", "contact2"))
    put(world, decisions, **a_decision("e3", "contact1", rule="onboarding"))
    put(world, imported_links, **a_link("one", external_id="contact1"))
    follow(world.engine)
    with store.reading(world.engine) as connection:
        rows = connection.execute(sa.select(decisions.c.id, decisions.c.contact_id)).all()
        link = connection.execute(sa.select(imported_links.c.external_id)).scalar_one()
    # The same event was about both: one decision about the contact, and none is lost.
    assert {row.id: row.contact_id for row in rows} == {"e1": "purged:e1", "e2": "contact2", "e3": "contact2"}
    assert link == "contact2"
