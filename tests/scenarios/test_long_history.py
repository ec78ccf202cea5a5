"""What one customer's interview costs does not grow with what all others have left in the ledger.

SQLite keeps no figures about its tables, so that it may take the wrong index of several: its plans are looked
at, which are the same for a short history and for a long one.
"""

from __future__ import annotations

from canvas_app.interviews import erase
from canvas_app.interviews.tables import interviews
from tests.scenarios.test_planned import plan, when_its_time_has_come
from tests.support.plans import Plans, watched
from tests.support.world import CONTACT, WORKSPACE, World


def asked_of(plans: Plans) -> list[str]:
    return [query for query, _ in plans.queries if interviews.name in query]


def wide(plans: Plans, world: World) -> list[str]:
    # What the tests ask for themselves has no condition.
    return [text for text in plans.wide_searches(world.engine) if "WHERE" in text]


def test_of_an_interview_from_the_tap_to_the_note(sqlite_world: World) -> None:
    world = sqlite_world
    world.vendors_are_well()
    with watched(world.engine) as plans:
        world.initialize()
        world.submit("send", {"personal_line": "Thanks."})
        world.run_jobs()
        world.get(f"/i/{world.interview().link_token}")
        world.intercom_takes("attributes", "tags")
        world.koji_event(world.result())
        world.run_jobs()
        world.initialize()
    assert world.interview().state == "written_back"
    assert len(asked_of(plans)) > 20
    assert wide(plans, world) == []


def test_of_one_that_a_rule_has_planned(sqlite_world: World) -> None:
    world = sqlite_world
    with watched(world.engine) as plans:
        plan(world)
        when_its_time_has_come(world)
    assert world.interview().state == "sent"
    assert len(asked_of(plans)) > 20
    assert wide(plans, world) == []


def test_of_a_contact_that_was_merged_into_another(sqlite_world: World) -> None:
    world = sqlite_world
    world.vendors_are_well()
    world.send()
    with watched(world.engine) as plans, world.engine.begin() as connection:
        erase.follow_contact(connection, WORKSPACE, CONTACT, "another")
    assert len(asked_of(plans)) == 2
    # What deliveries say is looked through for the contact: that is rare.
    assert plans.wide_searches(world.engine, large=("interviews",)) == []
