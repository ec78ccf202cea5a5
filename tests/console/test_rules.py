"""The rules' pages: seen by all, changed by operators who have seen what is there."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from canvas_app import store
from canvas_app.interviews import rule_form, rulestore
from canvas_app.interviews.rulebook import Rule
from canvas_app.interviews.tables import audit, rules
from tests.console.conftest import Person, person, words
from tests.console.test_door import HOSTILE
from tests.interviews.test_rule_form import EVERYTHING
from tests.support.events import add_rule
from tests.support.world import World


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


def rule(world: World, slug: str) -> Rule:
    with store.reading(world.engine) as connection:
        found = rulestore.find(connection, slug)
    assert found is not None
    return found


def order(world: World) -> list[str]:
    with store.reading(world.engine) as connection:
        return [one.slug for one in rulestore.listed(connection)]


def hidden(html: str, name: str, after: str = "") -> str:
    """A hidden field of a page, the first one behind a text."""
    found = re.search(rf'name="{name}"[^>]*value="([^"]*)"', html[html.index(after) :])
    assert found is not None, html
    return unescape(found[1])


def fields(html: str) -> dict[str, str]:
    """What a browser would send of the form that it shows."""
    form = html[html.index('class="narrow"') :]
    found = {}
    for name in (*rule_form.FIELDS, "seen"):
        tag = re.search(rf'<(input|textarea|select)\b[^>]*name="{name}"[^>]*>', form)
        assert tag is not None, name
        if tag[1] == "textarea":
            found[name] = unescape(form[tag.end() : form.index("</textarea>", tag.end())]).lstrip("\r\n")
        elif tag[1] == "select":
            options = form[tag.end() : form.index("</select>", tag.end())]
            chosen = re.search(r'<option selected value="([^"]*)"', options)
            found[name] = unescape(chosen[1]) if chosen else ""
        elif "checkbox" in tag[0]:
            found |= {name: "y"} if " checked" in tag[0] else {}
        else:
            value = re.search(r'value="([^"]*)"', tag[0])
            found[name] = unescape(value[1]) if value else ""
    return found


NEW: dict[str, Any] = {"slug": "low", "title": "After a bad rating", "event": "conversation.rating.added"}
FULL = NEW | EVERYTHING | {"closed_by_person": "y"}


class TestTheList:
    def test_rules_are_shown_in_order_in_words(self, world: World, viewer: Person) -> None:
        assert "There is no rule yet" in viewer.text("rules")
        add_rule(world, "b", title="Second", enabled=False)
        add_rule(world, "a", title="First", conditions={"closed_by_person": True}, limits={"share": 20})
        add_rule(world, "c", study="gone", delay="2 days")
        with store.writing(world.engine) as connection:
            rulestore.put_in_order(connection, ["a"])
        text = viewer.text("rules")
        assert text.index("First") < text.index("Second")
        assert "A person has closed the conversation" in text
        assert "20 per cent of the contacts" in text
        assert "A conversation is closed; asked 2 days later" in text
        assert "there is no such study" in text

    def test_a_viewer_is_offered_nothing_and_changes_nothing(self, world: World, viewer: Person) -> None:
        add_rule(world, "a", enabled=False)
        add_rule(world, "b")
        html = viewer.get("rules").text
        assert "Switch" not in html
        assert "New rule" not in html
        for path in ("rules/a/switch", "rules/a/move", "rules/a/edit", "rules/a/try", "new-rule"):
            assert viewer.post(path, on="yes", to="down", seen="").status_code == 403, path
        assert not rule(world, "a").enabled
        assert "disabled" in viewer.get("rules/a/edit").text
        assert world.count(audit) == 0

    def test_a_rule_is_moved_by_one_tap(self, world: World, operator: Person) -> None:
        for slug in ("a", "b", "c"):
            add_rule(world, slug)
        seen = hidden(operator.get("rules").text, "seen")
        assert operator.post("rules/c/move", to="up", seen=seen).location == "/console/rules"
        assert order(world) == ["a", "c", "b"]
        # The same tap once more.
        operator.post("rules/c/move", to="up", seen=seen)
        assert order(world) == ["a", "c", "b"]
        assert "Nothing was changed now" in operator.text("rules")
        operator.post("rules/a/move", to="down", seen=hidden(operator.get("rules").text, "seen"))
        assert order(world) == ["c", "a", "b"]

    def test_a_hostile_title_is_text(self, world: World, operator: Person) -> None:
        add_rule(world, "a", title=HOSTILE, description=HOSTILE, conditions={"tag": [HOSTILE]})
        for path in ("rules", "rules/a", "rules/a/edit", "decisions"):
            html = operator.get(path).text
            assert "<script>alert" not in html, path
            assert HOSTILE in words(html) or path == "rules/a/edit", path


class TestSwitching:
    def test_a_rule_is_switched_and_it_is_written_down(self, world: World, operator: Person) -> None:
        add_rule(world, "a", enabled=False)
        page = operator.get("rules/a").text
        operator.post("rules/a/switch", on="yes", seen=hidden(page, "seen"))
        assert rule(world, "a").enabled
        assert "it asks from now on" in operator.text("rules/a")
        assert "Switched a rule on" in operator.text("people")
        operator.post("rules/a/switch", on="no", seen=hidden(operator.get("rules/a").text, "seen"))
        assert not rule(world, "a").enabled

    def test_one_that_was_changed_meanwhile_is_not_switched_on(self, world: World, operator: Person) -> None:
        add_rule(world, "a", enabled=False)
        seen = hidden(operator.get("rules/a").text, "seen")
        add_rule(world, "a", enabled=False, title="Other")
        assert operator.post("rules/a/switch", on="yes", seen=seen).location == "/console/rules"
        assert not rule(world, "a").enabled
        assert "Somebody else has changed the rules" in operator.text("rules")

    def test_one_whose_study_is_gone_is_not_switched_on(self, world: World, operator: Person) -> None:
        add_rule(world, "a", enabled=False, study="gone")
        seen = hidden(operator.get("rules/a").text, "seen")
        operator.post("rules/a/switch", on="yes", seen=seen)
        assert "cannot be switched on: study is none that there is" in operator.text("rules/a")
        assert not rule(world, "a").enabled

    def test_what_is_not_there_is_not_found(self, operator: Person) -> None:
        assert operator.get("rules/none").status_code == 404
        assert operator.get("rules/none/edit").status_code == 404
        assert operator.post("rules/none/try").status_code == 404
        assert operator.post("rules/none/edit", title="T").status_code == 404


class TestTheForm:
    def test_a_new_rule_is_off_and_comes_last(self, world: World, operator: Person) -> None:
        add_rule(world, "first")
        world.add_study("exit")
        answer = operator.post("new-rule", **FULL)
        assert answer.location == "/console/rules/low"
        assert order(world) == ["first", "low"]
        written = rule(world, "low")
        assert not written.enabled
        assert rule_form.texts(written) == {
            **EVERYTHING,
            "title": "After a bad rating",
            "description": "When support went wrong.\nSee the handbook.",
            "tag": "billing, late\nbug",
        }
        assert "Added a rule" in operator.text("people")

    def test_every_mistake_is_told_at_once_and_nothing_is_changed(
        self, world: World, operator: Person
    ) -> None:
        add_rule(world, "low")
        entered = NEW | {
            "slug": "Low!",
            "title": "",
            "share": "0",
            "rating_at_most": HOSTILE,
            "delay": "soon",
        }
        answer = operator.post("new-rule", **entered)
        assert answer.status_code == 422
        text = words(answer.text)
        assert "5 mistakes" in text
        for field in ("slug", "title", "share", "rating_at_most", "delay"):
            assert f'id="{field}-mistake"' in answer.text, field
            assert f'href="#{field}"' in answer.text, field
        assert 'aria-invalid="true"' in answer.text
        assert "<script>alert" not in answer.text
        assert 'value="soon"' in answer.text, "what was entered is not lost"
        assert (world.count(rules), world.count(audit)) == (1, 0)

    def test_a_name_that_is_taken_is_told_at_its_field(self, world: World, operator: Person) -> None:
        add_rule(world, "low")
        answer = operator.post("new-rule", **NEW)
        assert answer.status_code == 422
        assert "there is a rule low already" in words(answer.text)

    def test_what_the_form_shows_and_sends_back_changes_nothing(self, world: World, operator: Person) -> None:
        world.add_study("exit")
        operator.post("new-rule", **FULL)
        before = rule(world, "low")
        entries = world.count(audit)
        answer = operator.post("rules/low/edit", **fields(operator.get("rules/low/edit").text))
        assert answer.status_code == 302
        assert "There was nothing to change" in operator.text("rules/low")
        assert (rule(world, "low"), world.count(audit)) == (before, entries)

    def test_a_rule_is_changed_and_stays_on(self, world: World, operator: Person) -> None:
        add_rule(world, "low")
        shown = fields(operator.get("rules/low/edit").text)
        assert "a change counts at once" in operator.text("rules/low/edit")
        operator.post("rules/low/edit", **shown | {"title": "New", "tag": "a\r\nb", "credits_per_week": "9"})
        changed = rule(world, "low")
        assert (changed.title, changed.conditions.tag, changed.limits.credits_per_week) == (
            "New",
            ("a", "b"),
            9,
        )
        assert changed.enabled
        assert "title: New" in operator.text("people")

    def test_a_change_with_mistakes_changes_nothing(self, world: World, operator: Person) -> None:
        add_rule(world, "low")
        shown = fields(operator.get("rules/low/edit").text)
        assert operator.post("rules/low/edit", **shown | {"title": "", "share": "x"}).status_code == 422
        assert rule(world, "low").title == "low"

    def test_of_two_who_edit_at_once_the_second_is_told(self, world: World, operator: Person) -> None:
        add_rule(world, "low")
        other = person(world, operator.teammate).sign_in()
        mine, theirs = (fields(one.get("rules/low/edit").text) for one in (operator, other))
        other.post("rules/low/edit", **theirs | {"title": "Theirs", "share": "30"})
        answer = operator.post("rules/low/edit", **mine | {"title": "Mine"})
        assert answer.status_code == 409
        assert "Somebody else has changed this rule" in words(answer.text)
        assert "Title Theirs" in words(answer.text)
        assert "per cent 30" in words(answer.text)
        assert rule(world, "low").title == "Theirs"
        # What they entered is still there, and they may save it now that they know.
        operator.post("rules/low/edit", **fields(answer.text))
        assert (rule(world, "low").title, rule(world, "low").limits.share) == ("Mine", 100)

    def test_a_study_that_is_gone_can_still_be_seen(self, world: World, operator: Person) -> None:
        add_rule(world, "low", study="gone")
        assert "gone (there is no such study)" in operator.text("rules/low/edit")
