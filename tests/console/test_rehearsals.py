"""A rule is tried before it is switched on: begun by a tap, looked at by loading the page again."""

from __future__ import annotations

import pytest

from canvas_app import store
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.tables import decisions, rehearsals
from tests.cli.test_rules import past
from tests.console.conftest import Person, person, words
from tests.console.test_door import HOSTILE
from tests.support.events import add_rule, tag_list
from tests.support.world import INTERCOM, World


@pytest.fixture
def world(sqlite_world: World) -> World:
    sqlite_world.intercom_knows_us(timezone="UTC")
    add_rule(
        sqlite_world,
        "low",
        event="conversation.rating.added",
        conditions={"rating_at_most": 3, "tag_not": [HOSTILE]},
        enabled=False,
    )
    return sqlite_world


def begin(operator: Person, slug: str = "low") -> str:
    answer = operator.post(f"rules/{slug}/try")
    assert answer.status_code == 302
    assert answer.location.startswith("/console/rehearsals/")
    return answer.location.removeprefix("/console/")


def test_it_is_begun_once_and_its_page_tells_how_it_is(world: World, operator: Person) -> None:
    page = begin(operator)
    assert begin(operator) == page, "a second tap"
    assert world.count(rehearsals) == 1
    html = operator.get(page).text
    assert "It waits for a worker" in words(html)
    assert "reload.js" in html
    assert "it is under way" in operator.text("rules/low")


def test_how_far_it_has_come_is_shown(world: World, operator: Person) -> None:
    page = begin(operator)
    with store.writing(world.engine) as connection:
        connection.execute(rehearsals.update().values(state="running", seen=3, total=40))
    html = operator.get(page).text
    assert "3 of 40 conversations read" in words(html)
    assert '<progress id="progress"' in html


def test_what_it_has_found_is_shown_with_the_reasons(world: World, operator: Person) -> None:
    past(world)
    world.outside.upsert("GET", f"{INTERCOM}/contacts/c3/tags", json={"data": tag_list(HOSTILE)["tags"]})
    page = begin(operator)
    world.run_jobs()
    html = operator.get(page).text
    text = words(html)
    assert "2 would have been asked , 3 not. 6 conversations were read, and nothing was sent." in text
    assert "The rating was better than the rule asks about. (rated 5, asked is at 3 or less)" in text
    assert "601" in text
    assert HOSTILE.casefold() in text
    assert "<script>alert" not in html
    assert "reload.js" not in html
    assert "Name of" not in text
    assert "Switch the rule on" in text
    assert "2 would have been asked" in operator.text("rules/low")
    assert world.count(decisions) == 0


def test_after_a_change_it_is_to_be_tried_once_more(world: World, operator: Person) -> None:
    past(world)
    page = begin(operator)
    world.run_jobs()
    add_rule(world, "low", event="conversation.rating.added", enabled=False)
    assert "The rule was changed since" in operator.text(page)
    assert "Switch the rule on" not in operator.text(page)
    assert "The rule was changed since" in operator.text("rules/low")


def test_one_that_did_not_work_says_why(world: World, operator: Person) -> None:
    world.outside.upsert("GET", f"{INTERCOM}/me", status=401, json={})
    page = begin(operator)
    world.run_jobs()
    assert "It did not work. Intercom does not accept the app's access token." in operator.text(page)
    assert "it did not work" in operator.text("rules/low")


def test_a_rule_about_tags_on_contacts_is_not_tried(world: World, operator: Person) -> None:
    add_rule(world, "vip", event="contact.tag.created", conditions={"tag": ["vip"]})
    assert "cannot be tried beforehand" in operator.text("rules/vip")
    assert operator.post("rules/vip/try").status_code == 404


def test_a_viewer_sees_it_and_begins_none(world: World, operator: Person, viewer: Person) -> None:
    page = begin(operator)
    assert "It waits for a worker" in viewer.text(page)
    assert viewer.post("rules/low/try").status_code == 403


def test_it_is_another_workspaces_business_of_its_own(world: World, operator: Person) -> None:
    page = begin(operator)
    stranger = person(world, Teammate("ws2", "1", "Eve")).sign_in()
    assert stranger.get(page).status_code == 404


def test_while_nobody_knows_the_workspace_there_is_none(world: World) -> None:
    shell = person(world, Teammate(None, "shell", None, by_command=True)).sign_in()
    assert shell.post("rules/low/try").location == "/console/rules/low"
    assert "not known yet which workspace" in shell.text("rules/low")
    assert shell.get("rehearsals/x").status_code == 404
    assert "Nothing was decided yet" in shell.text("decisions")
