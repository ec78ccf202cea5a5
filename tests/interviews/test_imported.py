"""Personal links that were imported: whose they are, and that each goes to one interview only."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.interviews import imported, purge
from canvas_app.interviews.imported import PersonalLink
from canvas_app.interviews.tables import imported_links, outside_writes
from tests.interviews.asks import NOW, write
from tests.interviews.results import event, notes
from tests.support.world import CONTACT, KOJI_ID, World

LINK = "https://koji.so/interview/abc?rid=imported"


def keep(engine: Engine, link: str = LINK, study: str = "default", **whose: Any) -> imported.Kept:
    with store.writing(engine) as connection:
        return imported.keep(connection, PersonalLink(study, link, **whose))


def give(engine: Engine, interview: Any) -> str | None:
    with store.writing(engine) as connection:
        return imported.give(connection, interview)


def given_to(engine: Engine) -> list[str | None]:
    with store.reading(engine) as connection:
        query = sa.select(imported_links.c.interview_id).order_by(imported_links.c.link)
        return list(connection.execute(query).scalars())


def test_the_same_link_is_kept_once_and_for_one_person(engine: Engine) -> None:
    assert keep(engine, external_id="contact1", email="mia@example.com") == "new"
    assert keep(engine, external_id="contact1", email="mia@example.com") == "known"
    assert keep(engine, external_id="contact2") == "another"
    assert keep(engine, external_id="contact2", study="other") == "new"


def test_a_link_is_found_by_the_contacts_id_then_by_their_address(engine: Engine) -> None:
    keep(engine, "https://koji.so/by-address", email="mia@example.com")
    keep(engine, "https://koji.so/by-id", external_id="contact1")
    keep(engine, "https://koji.so/others", external_id="contact2", email="other@example.com")
    asked = write(engine, contact_email=" Mia@Example.com ")
    assert [give(engine, asked) for _ in range(3)] == [
        "https://koji.so/by-id",
        "https://koji.so/by-address",
        None,
    ]


def test_a_link_of_another_study_or_without_an_address_to_go_by_is_not_given(engine: Engine) -> None:
    keep(engine, study="other", external_id="contact1")
    keep(engine, "https://koji.so/nobodys", email=None)
    assert give(engine, write(engine, contact_email=None)) is None


def test_a_link_is_given_to_one_interview_only(engine: Engine) -> None:
    keep(engine, external_id="contact1")
    first = write(engine, age=timedelta(days=40), state="expired")
    assert give(engine, first) == LINK
    assert give(engine, write(engine)) is None
    assert given_to(engine) == [first.id]


@pytest.mark.parametrize("posted", [False, True])
def test_trying_again_gets_the_link_that_nobody_has_received(engine: Engine, posted: bool) -> None:
    keep(engine, external_id="contact1")
    failed = write(engine, state="failed")
    give(engine, failed)
    if posted:
        values = {"interview_id": failed.id, "kind": "message", "claim": "c", "claimed_at": NOW, "tries": 1}
        with store.writing(engine) as connection:
            connection.execute(sa.insert(outside_writes).values(values))
    again = write(engine)
    assert give(engine, again) == (None if posted else LINK)
    assert given_to(engine) == [failed.id if posted else again.id]


def test_an_imported_link_is_the_third_source(world: World) -> None:
    world.intercom_knows_us()
    world.intercom_takes("reply", "attributes", "tags")
    world.koji_starts(interview_url=None)
    keep(world.engine, external_id=CONTACT)
    world.initialize()
    world.submit("send")
    world.run_jobs()
    sent = world.interview()
    # Koji's id is that of another interview than the one behind the imported link.
    assert (sent.state, sent.koji_link, sent.koji_interview_id) == ("sent", LINK, None)
    assert given_to(world.engine) == [sent.id]
    assert world.get(f"/i/{sent.link_token}").headers["Location"] == LINK
    # The answer comes under the id that the CSV gave Koji, and finds its way.
    world.koji_event(event(world, interview_id="0b7f6a4e-0009-4000-8000-000000000009", metadata={}))
    world.run_jobs()
    assert world.interview().state == "written_back"
    assert len(notes(world)) == 1


def test_kojis_own_link_and_the_template_come_first(world: World) -> None:
    world.deploy(koji_link_template="https://koji.so/t?rid={contact_id}")
    keep(world.engine, external_id=CONTACT)
    world.vendors_are_well()
    world.initialize()
    world.submit("send")
    world.run_jobs()
    assert world.interview().koji_link == "https://koji.so/interview/abc?rid=1"
    assert world.interview().koji_interview_id == KOJI_ID
    assert given_to(world.engine) == [None]


def test_an_imported_link_whose_host_is_no_longer_allowed_is_not_used_up(world: World) -> None:
    world.deploy(koji_link_hosts="elsewhere.example")
    world.intercom_knows_us()
    world.koji_starts(interview_url=None)
    keep(world.engine, external_id=CONTACT)
    world.initialize()
    world.submit("send")
    world.run_jobs()
    assert (world.interview().state, world.interview().reason) == ("failed", "link_host_not_allowed")
    assert given_to(world.engine) == [None]


def test_old_links_go_with_the_rest_that_is_too_old(world: World) -> None:
    keep(world.engine, external_id="contact1", email="mia@example.com")
    world.let_time_pass(days=364)
    purge.purge_traces(world.services)
    assert world.count(imported_links) == 1
    world.let_time_pass(days=2)
    assert purge.purge_traces(world.services) is False
    assert world.count(imported_links) == 0
