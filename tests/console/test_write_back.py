"""The page Write-back: what is chosen, checked, previewed and saved."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from canvas_app import store
from canvas_app.interviews import options, rulestore, themes
from canvas_app.interviews.options import Options
from canvas_app.interviews.rulebook import Rule
from canvas_app.interviews.tables import audit
from tests.console.conftest import Person, words
from tests.interviews.asks import write
from tests.interviews.results import attributes, notes, receive, sent_and_ready
from tests.support.world import WORKSPACE, World

HOSTILE = "<script>alert(1)</script>\"'{{7*7}}"


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


def fields(person: Person, **changes: Any) -> dict[str, Any]:
    """The form as it was shown, with these changes, as a browser sends it."""
    html = person.get("write-back").text
    found: dict[str, Any] = {}
    for tag in re.findall(r"<input[^>]*>", html):
        given = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if given.get("type") in ("text", "hidden", "number") and "name" in given:
            found[given["name"]] = given.get("value", "")
    ticked = re.findall(
        r'<input class="form-check-input"[^>]* name="(\w+)"[^>]* value="([^"]*)" checked', html
    )
    for name in ("note", "themes"):
        found[name] = [value for key, value in ticked if key == name]
    return {**found, "more_themes": "", **changes}


def send(person: Person, button: str = "save", **changes: Any) -> TestResponse:
    return person.post("write-back", **{button: "x"}, **fields(person, **changes))


def now(world: World) -> Options:
    with store.reading(world.engine) as connection:
        return options.read(connection, world.settings)


class TestShown:
    def test_what_counts_now_stands_in_the_fields(self, operator: Person) -> None:
        found = fields(operator)
        assert found["attribute_url"] == "last_interview_url"
        assert found["tag_negative"] == "koji_negative_sentiment"
        assert (found["min_quality"], found["ask_again_days"]) == ("3", "0")
        assert found["note"] == ["top_theme", "sentiment", "quality", "themes", "transcript"]

    def test_a_viewer_sees_it_and_has_no_button(self, world: World, viewer: Person) -> None:
        html = viewer.get("write-back").text
        assert "last_interview_url" in html
        assert "<fieldset disabled>" in html
        assert 'name="save"' not in html
        assert viewer.post("write-back", save="x", min_quality="5").status_code == 403
        assert world.count(audit) == 0

    def test_every_field_has_a_label(self, operator: Person) -> None:
        html = operator.get("write-back").text
        labels = set(re.findall(r'<label[^>]* for="([^"]+)"', html))
        ids = set()
        for tag in re.findall(r"<(?:input|textarea|select)[^>]*>", html):
            given = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
            if given.get("type") not in ("hidden", "submit"):
                ids.add(given["id"])
        assert ids
        assert ids <= labels

    def test_no_id_is_used_twice(self, operator: Person) -> None:
        ids = re.findall(r' id="([^"]+)"', operator.get("write-back").text)
        assert len(ids) == len({*ids})

    def test_the_themes_of_late_are_there_to_choose_from_and_those_that_are_chosen(
        self, world: World, operator: Person
    ) -> None:
        at = write(world.engine, workspace_id=WORKSPACE).created_at
        world.set_interview(
            state="written_back", result={"themes": ["Pricing friction", HOSTILE]}, result_at=at
        )
        with store.writing(world.engine) as connection:
            themes.allow(connection, {"pricing_friction", "older_theme"})
        html = operator.get("write-back").text
        assert "<script>alert" not in html
        said = words(html)
        assert HOSTILE in said
        assert "Pricing friction in 1 result" in said
        assert "older theme not seen lately" in said
        assert set(fields(operator)["themes"]) == {"pricing_friction", "older_theme"}

    def test_it_takes_few_queries_and_no_scan(self, world: World, operator: Person) -> None:
        statements: list[str] = []

        def before(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            statements.append(statement)

        engine = world.app.extensions["koji_for_intercom"].engine
        sa.event.listen(engine, "before_cursor_execute", before)
        operator.get("write-back")
        sa.event.remove(engine, "before_cursor_execute", before)
        assert len(statements) <= 6
        [about] = [text for text in statements if "interviews.result" in text]
        with engine.connect() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {about}", (WORKSPACE, 500, 0)).all()
        assert "ix_interviews_result_at" in str(plan)


class TestSaving:
    def test_what_is_saved_counts_for_the_next_result(self, world: World, operator: Person) -> None:
        sent_and_ready(world)
        answer = send(
            operator,
            attribute_sentiment="Interview mood",
            tag_negative="",
            note=["quality"],
            min_quality="3.5",
            ask_again_days="90",
        )
        assert (answer.status_code, answer.location) == (302, "/console/write-back")
        assert "Saved" in operator.text("write-back")
        receive(world)
        assert attributes(world)[0]["Interview mood"] == "negative"
        [note] = notes(world)
        assert "Quality" in note["body"]
        assert "Sentiment" not in note["body"]
        assert world.calls("POST", "/tags$") == []
        assert (now(world).min_quality, now(world).ask_again_days) == (3.5, 90)

    def test_who_has_changed_what_from_what_to_what_stands_in_the_log(
        self, world: World, operator: Person
    ) -> None:
        send(operator, tag_mixed="Call them")
        log = operator.text("people")
        assert "Changed the write-back" in log
        assert "tag_mixed: koji_mixed_sentiment" in log
        assert "tag_mixed: Call them" in log
        assert world.count(audit) == 1

    def test_themes_are_chosen_by_tick_and_by_name(self, world: World, operator: Person) -> None:
        send(operator, more_themes="Slow exports\n\n  Pricing friction! \n")
        with store.reading(world.engine) as connection:
            assert themes.allowed(connection) == {"slow_exports", "pricing_friction"}
        send(operator, themes=["slow_exports"])
        with store.reading(world.engine) as connection:
            assert themes.allowed(connection) == {"slow_exports"}

    def test_every_part_of_the_note_can_be_left_out(self, world: World, operator: Person) -> None:
        assert send(operator, note=[]).status_code == 302
        assert now(world).note == ()

    def test_nothing_changed_is_nothing_to_write_down(self, world: World, operator: Person) -> None:
        assert send(operator).status_code == 302
        assert world.count(audit) == 0

    def test_a_second_click_changes_nothing_more(self, world: World, operator: Person) -> None:
        same = fields(operator, min_quality="4")
        assert operator.post("write-back", save="x", **same).status_code == 302
        assert operator.post("write-back", save="x", **same).status_code == 409
        assert world.count(audit) == 1

    def test_what_another_has_changed_meanwhile_is_told_and_kept(
        self, world: World, operator: Person
    ) -> None:
        mine = fields(operator, tag_positive="Happy")
        send(operator, min_quality="4")
        answer = operator.post("write-back", save="x", **mine)
        assert answer.status_code == 409
        said = words(answer.text)
        assert "somebody else has changed this meanwhile" in said
        assert "min_quality : theirs is 4.0, yours is 3.0" in said
        assert now(world).tags["positive"] == "koji_positive_sentiment"
        # What was entered is still there, and is saved when it is sent once more.
        again = dict(mine, seen=re.findall(r'name="seen"[^>]*value="(\w+)"', answer.text)[0])
        assert operator.post("write-back", save="x", **again).status_code == 302
        assert (now(world).min_quality, now(world).tags["positive"]) == (3, "Happy")


class TestMistakes:
    def test_all_are_told_at_once_and_nothing_is_saved(self, world: World, operator: Person) -> None:
        answer = send(
            operator,
            min_quality="six",
            ask_again_days="400",
            attribute_at="",
            attribute_url="last_interview_quality",
            tag_mixed="koji_do_not_ask",
            more_themes="!!!",
            tag_neutral="Something new",
        )
        assert answer.status_code == 422
        said = words(answer.text)
        for mistake in (
            "Not a valid float value",
            "RETENTION_DAYS",
            "A name is needed",
            "has this name already",
            "keeps a contact from being asked",
            "A theme needs a letter",
        ):
            assert mistake in said, mistake
        assert 'value="Something new"' in answer.text
        assert now(world) == options.defaults(world.settings)
        assert world.count(audit) == 0

    def test_a_tag_that_sets_a_rule_off_is_refused(self, world: World, operator: Person) -> None:
        rule = {
            "slug": "r",
            "title": "Churn",
            "event": "contact.tag.created",
            "conditions": {"tag": "leaving"},
        }
        with store.writing(world.engine) as connection:
            rulestore.save(connection, Rule.model_validate(rule))
        answer = send(operator, tag_negative="Leaving")
        assert answer.status_code == 422
        assert "sets off the rule Churn" in words(answer.text)

    @pytest.mark.parametrize("name", ["attribute_url", "tag_mixed", "more_themes", "min_quality"])
    def test_whatever_is_entered_is_text(self, operator: Person, name: str) -> None:
        answer = send(operator, "preview", **{name: HOSTILE})
        assert "<script>alert" not in answer.text
        assert answer.status_code in (200, 422)

    def test_an_empty_form_is_told_of_and_no_fault(self, operator: Person) -> None:
        assert operator.post("write-back", save="x").status_code == 422


class TestPreview:
    def test_shows_what_would_be_written_and_saves_nothing(self, world: World, operator: Person) -> None:
        answer = send(
            operator,
            "preview",
            note=["themes"],
            tag_negative="Call them",
            attribute_at="Answered",
            more_themes="Slow exports",
        )
        assert answer.status_code == 200
        said = words(answer.text)
        assert "nothing was saved yet" in said
        assert "negative Call them koji_slow_exports" in said
        assert "Answered the moment" in said
        note = answer.text.partition('class="note mb-3">')[2].partition("</div>")[0]
        assert "Themes: Pricing friction; Slow exports; Good support" in words(note)
        assert "Quality" not in note
        assert now(world) == options.defaults(world.settings)
        assert world.count(audit) == 0

    def test_says_that_a_result_below_the_gate_would_not_be_written(self, operator: Person) -> None:
        assert "below the gate" in words(send(operator, "preview", min_quality="4.5").text)
        assert "below the gate, so" not in words(send(operator, "preview", min_quality="4").text)

    def test_leads_to_no_address(self, operator: Person) -> None:
        assert "koji.so" not in operator.get("write-back").text

    def test_of_mistakes_nothing_is_previewed(self, operator: Person) -> None:
        assert send(operator, "preview", attribute_at="").status_code == 422
