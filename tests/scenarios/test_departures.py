"""A contact is deleted, archived or merged in Intercom, and the ledger does as Intercom did."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.interviews import erase
from canvas_app.interviews.tables import GENERATED, decisions, deliveries, interviews, metadata
from tests.support.events import (
    add_rule,
    all_is_well,
    closed,
    contact_tagged,
    conversation,
    decided,
    happens,
    intercom_has_contact,
    messages,
    notification,
    part,
)
from tests.support.world import CONTACT, CONVERSATION, INTERCOM, OWN_ADMIN, PUBLIC_URL, WORKSPACE, World

NOT_FOUND = {"type": "error.list", "errors": [{"code": "not_found", "message": "Not found"}]}


def gone(topic: str = "contact.deleted") -> dict[str, Any]:
    return notification(topic, {"type": "contact", "id": CONTACT})


def merged(contact_id: str = "living", **item: Any) -> dict[str, Any]:
    return notification("contact.merged", {"type": "contact", "id": contact_id, "role": "user", **item})


def everything(world: World) -> str:
    """All that stands in our tables and in the engine's, as one text."""
    with store.reading(world.engine) as connection:
        own = [list(connection.execute(sa.select(table))) for table in metadata.tables.values()]
        schema = "dbos" if connection.dialect.name == "postgresql" else None
        names = set(sa.inspect(connection).get_table_names(schema=schema)) - set(metadata.tables)
        others = [
            list(connection.execute(sa.select(sa.text("*")).select_from(sa.table(name, schema=schema))))
            for name in sorted(names)
        ]
    return repr((own, others))


@pytest.mark.parametrize("topic", ["contact.deleted", "contact.archived"])
def test_of_a_contact_who_is_gone_nothing_is_kept(world: World, topic: str) -> None:
    add_rule(world)
    all_is_well(world)
    happens(world, closed())
    happens(world, closed())
    assert len(messages(world)) == 1
    for planted in (CONTACT, "Mia Chen", "mia@example.com"):
        assert planted in everything(world)
    happens(world, gone(topic))
    for planted in (CONTACT, "Mia Chen", "mia@example.com"):
        assert planted not in everything(world)
    assert world.interview().state == "cancelled"
    # What is counted stays.
    assert len(decided(world)) == 2
    happens(world, gone(topic))


def test_a_contact_who_is_gone_is_forgotten_without_a_token(sqlite_world: World) -> None:
    world = sqlite_world
    add_rule(world)
    all_is_well(world)
    happens(world, closed())
    world.deploy(intercom_access_token="")
    happens(world, gone())
    assert world.interview().purged_at is not None


def test_what_comes_about_them_later_leads_nobody_to_them(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    happens(world, gone())
    world.outside.upsert("GET", f"{INTERCOM}/contacts/{CONTACT}", status=404, json=NOT_FOUND)
    happens(world, closed())
    assert decided(world) == [("closed", "skipped", "contact_gone")]
    assert CONTACT not in everything(world)


@pytest.mark.parametrize("own", ["closing", "message", "tag"])
def test_what_we_did_ourselves_leads_nobody_to_them_either(world: World, own: str) -> None:
    add_rule(world)
    add_rule(world, "tagged", event="contact.tag.created", conditions={"tag": "koji_negative_sentiment"})
    all_is_well(world)
    happens(world, closed())
    happens(world, gone())
    admin = {"type": "admin", "id": OWN_ADMIN}
    events = {
        "closing": closed(by=admin, app_package_code="koji"),
        "message": closed(body=f"{PUBLIC_URL}/i/x"),
        "tag": contact_tagged("koji_negative_sentiment"),
    }
    happens(world, events[own])
    assert decided(world)[-1][2] == f"own_{own}"
    assert CONTACT not in everything(world)


def test_who_is_erased_while_a_rule_decides_is_not_asked_and_not_kept(world: World) -> None:
    add_rule(world)
    all_is_well(world)

    erased: list[int] = []

    def erased_meanwhile(_request: Any) -> tuple[int, dict[str, str], str]:
        if not erased:
            erased.append(erase.erase_contact(world.engine, world.services.jobs, WORKSPACE, CONTACT))
        return (200, {}, json.dumps(conversation(part("close"))))

    world.outside.remove("GET", f"{INTERCOM}/conversations/{CONVERSATION}")
    world.outside.add_callback("GET", f"{INTERCOM}/conversations/{CONVERSATION}", erased_meanwhile)
    happens(world, closed())
    for planted in (CONTACT, "Mia Chen", "mia@example.com"):
        assert planted not in everything(world)
    assert messages(world) == []
    assert world.count(interviews) == 0


def test_an_archived_contact_loses_the_link_in_their_attributes(sqlite_world: World) -> None:
    world = sqlite_world
    add_rule(world)
    all_is_well(world)
    happens(world, closed())
    with store.writing(world.engine) as connection:
        now = store.now(connection)
        connection.execute(sa.update(interviews).values(link_attribute_at=now))
    world.outside.put(f"{INTERCOM}/contacts/{CONTACT}", status=503, json={})
    happens(world, gone("contact.archived"))
    assert len(world.calls("PUT", f"/contacts/{CONTACT}")) == 1
    assert world.interview().purged_at is not None, "whether or not Intercom takes it"


@pytest.mark.parametrize("named", ["by the notification", "by its history", "by Intercom's history"])
def test_a_merged_contact_is_followed(world: World, named: str) -> None:
    add_rule(world)
    all_is_well(world)
    happens(world, closed())
    intercom_has_contact(world, contact_id="living")
    items: dict[str, dict[str, Any]] = {
        "by the notification": {"merged_from": {"id": CONTACT}},
        "by its history": {"merge_history": [{"source_contact_id": CONTACT}]},
        "by Intercom's history": {},
    }
    history = {"type": "list", "data": [{"source_contact_id": id_} for id_ in ("other", CONTACT)]}
    world.outside.get(f"{INTERCOM}/contacts/living/merge_history", json=history)
    happens(world, merged(**items[named]))
    assert world.interview().contact_id == "living"
    with store.reading(world.engine) as connection:
        assert connection.execute(sa.select(decisions.c.contact_id)).scalar_one() == "living"
    # Who was asked is not asked again under the new name.
    event = closed()
    event["data"]["item"]["contacts"]["contacts"] = [{"type": "contact", "id": "living"}]
    happens(world, event)
    assert decided(world)[-1][2] == "open_interview"


def test_who_was_merged_and_then_erased_stands_in_no_event_that_has_failed(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    happens(world, closed())
    world.intercom_event(closed())
    world._take_job(delayed=False)
    with store.writing(world.engine) as connection:
        connection.execute(sa.update(deliveries).values(state="failed").where(deliveries.c.state == "stored"))
        # It is about another conversation.
        connection.execute(sa.update(interviews).values(conversation_id="777"))
    intercom_has_contact(world, contact_id="living")
    happens(world, merged(merged_from={"id": CONTACT}))
    happens(world, notification("contact.deleted", {"type": "contact", "id": "living"}))
    for planted in (CONTACT, "living", "Mia Chen"):
        assert planted not in everything(world)


def test_one_that_is_named_by_what_it_was_is_followed_too(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    happens(world, closed())
    link = {"Link": '</contacts/living>; rel="canonical"'}
    world.outside.upsert("GET", f"{INTERCOM}/contacts/{CONTACT}", status=410, json={}, headers=link)
    happens(world, merged(CONTACT))
    assert world.interview().contact_id == "living"


def test_who_was_merged_into_somebody_who_is_gone_by_now_is_erased(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    happens(world, closed())
    world.outside.get(f"{INTERCOM}/contacts/living", status=404, json=NOT_FOUND)
    happens(world, merged(merged_from={"id": CONTACT}))
    for planted in (CONTACT, "Mia Chen", "mia@example.com"):
        assert planted not in everything(world)


def test_an_event_about_somebody_who_was_merged_into_one_who_is_gone(sqlite_world: World) -> None:
    world = sqlite_world
    add_rule(world)
    all_is_well(world)
    link = {"Link": '</contacts/living>; rel="canonical"'}
    world.outside.upsert("GET", f"{INTERCOM}/contacts/{CONTACT}", status=410, json={}, headers=link)
    world.outside.get(f"{INTERCOM}/contacts/living", status=404, json=NOT_FOUND)
    happens(world, closed())
    assert decided(world) == [("closed", "skipped", "contact_gone")]
    assert CONTACT not in everything(world)


@pytest.mark.parametrize("named", ["itself", "in a circle"])
def test_a_merge_that_names_the_one_who_remains_changes_nothing_about_them(
    sqlite_world: World, named: str
) -> None:
    world = sqlite_world
    add_rule(world)
    all_is_well(world)
    happens(world, closed())
    before = world.interview()
    if named == "itself":
        happens(world, merged(CONTACT, merged_from={"id": CONTACT}))
    else:
        link = {"Link": f'</contacts/{CONTACT}>; rel="canonical"'}
        world.outside.get(f"{INTERCOM}/contacts/other", status=410, json={}, headers=link)
        happens(world, merged("other", merged_from={"id": CONTACT}))
    assert world.interview() == before
    with store.reading(world.engine) as connection:
        assert connection.execute(sa.select(decisions.c.contact_id)).scalar_one() == CONTACT


def test_of_two_open_interviews_one_stays(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    happens(world, closed())
    with store.writing(world.engine) as connection:
        columns = [column for column in interviews.c if column.name not in GENERATED]
        [row] = connection.execute(sa.select(*columns)).mappings()
        other = {**row, "id": "f" * 32, "contact_id": "living", "link_token": "other", "request_key": None}
        connection.execute(sa.insert(interviews).values(**other))
    intercom_has_contact(world, contact_id="living")
    happens(world, merged(merged_from={"id": CONTACT}))
    with store.reading(world.engine) as connection:
        rows = connection.execute(sa.select(interviews.c.contact_id, interviews.c.state, interviews.c.reason))
        found = sorted(map(tuple, rows))
    assert [contact_id for contact_id, _, _ in found] == ["living", "living"]
    assert sorted(state for _, state, _ in found) == ["cancelled", "sent"]
    assert erase.MERGED_AWAY in json.dumps(found)


def test_a_merge_of_people_whom_nobody_here_knows_changes_nothing(sqlite_world: World) -> None:
    world = sqlite_world
    world.intercom_knows_us()
    intercom_has_contact(world, contact_id="living")
    world.outside.get(f"{INTERCOM}/contacts/living/merge_history", status=404, json=NOT_FOUND)
    happens(world, merged())
    with store.reading(world.engine) as connection:
        [row] = connection.execute(sa.select(deliveries))
    assert (row.state, row.reason, row.content) == ("done", "nobody_followed", None)


def test_a_merge_waits_for_intercom(sqlite_world: World) -> None:
    world = sqlite_world
    world.intercom_knows_us()
    world.outside.get(f"{INTERCOM}/contacts/living", status=503, json={})
    happens(world, merged())
    assert world.pending() == [("react", 5.0)]


def test_a_merge_in_another_workspace_is_none_of_our_business(sqlite_world: World) -> None:
    world = sqlite_world
    world.intercom_knows_us()
    happens(world, merged() | {"app_id": WORKSPACE + "x"})
    with store.reading(world.engine) as connection:
        [row] = connection.execute(sa.select(deliveries))
    assert (row.state, row.reason) == ("ignored", "other_workspace")
