"""The studies' pages: a key is never shown again, and nobody overwrites what they have not seen."""

from __future__ import annotations

import dataclasses
import re
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.interviews import studies
from canvas_app.interviews.tables import audit, studies as studies_table
from canvas_app.settings import DEFAULT_STUDY, Study
from tests.console.conftest import Person, person, words
from tests.console.test_door import HOSTILE
from tests.interviews.test_words import GERMAN
from tests.support.searching import find_everywhere
from tests.support.world import PUBLIC_URL, World

KEY, SECRET = "pk_planted_key_1", "planted_whsec_1"
NEW = {"slug": "exit", "name": "Exit interview", "api_key": KEY, "webhook_secret": SECRET, "enabled": "y"}


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


def study(world: World, slug: str = "exit") -> Study:
    with store.reading(world.engine) as connection:
        return studies.existing(connection, world.settings, slug)


def seen(html: str) -> str:
    found = re.search(r'name="seen"[^>]*value="([^"]*)"', html)
    return unescape(found[1]) if found else ""


def edit(operator: Person, slug: str = "exit", **fields: Any) -> Any:
    """Load the form and send it with these changes."""
    shown = operator.get(f"studies/{slug}/edit").text
    now = study(operator.world, slug)
    form = {
        "name": now.name,
        "link_template": now.link_template or "",
        "mode": now.mode or "any",
        "credits": "" if now.credits is None else str(now.credits),
        "remind_after_days": "" if now.remind_after_days is None else str(now.remind_after_days),
        **({"anonymous": "y"} if now.anonymous else {}),
        "seen": seen(shown),
    }
    return operator.post(f"studies/{slug}/edit", **form | fields)


def no_secret(html: str) -> bool:
    return not any(text in html for text in (KEY, SECRET, "pk_live_key", "koji-webhook-secret", KEY[-6:]))


class TestTheList:
    def test_what_a_study_is_like_is_told_and_nothing_of_its_key(self, world: World, viewer: Person) -> None:
        world.add_study("exit", api_key=KEY, webhook_secret=None, mode="voice", anonymous=True)
        html = viewer.get("studies").text
        text = words(html)
        assert "Exit on exit Key set Webhook secret missing Mode Voice Credits 3 (by the mode)" in text
        assert "nothing is written to Intercom" in text
        assert no_secret(html)

    def test_a_missing_key_and_one_that_cannot_be_read_are_told(self, world: World, viewer: Person) -> None:
        world.deploy(koji_api_key="")
        world.add_study("exit", api_key=KEY)
        with store.writing(world.engine) as connection:
            connection.execute(sa.update(studies_table).values(api_key="sealed by another key"))
        text = viewer.text("studies")
        assert "Key missing" in text
        assert "Key cannot be read" in text
        assert "enter them anew" in text

    def test_a_viewer_is_offered_nothing_and_changes_nothing(self, world: World, viewer: Person) -> None:
        world.add_study("exit")
        assert "Switch" not in viewer.get("studies").text
        before = study(world)
        for path in ("new-study", "studies/exit/edit", "studies/exit/switch", "studies/exit/words"):
            assert viewer.post(path, **NEW, seen="", on="no", language="de", **GERMAN).status_code == 403
        assert viewer.post("studies/exit/words/remove", language="de").status_code == 403
        assert "disabled" in viewer.get("studies/exit/edit").text
        assert (study(world), world.count(audit)) == (before, 0)

    def test_a_study_is_switched_once(self, world: World, operator: Person) -> None:
        world.add_study("exit")
        page = operator.get("studies").text
        here = seen(page[page.index("studies/exit/switch") :])
        operator.post("studies/exit/switch", on="no", seen=here)
        assert not study(world).enabled
        assert "its results still come" in operator.text("studies")
        operator.post("studies/exit/switch", on="no", seen=here)
        assert world.count(audit) == 1
        operator.post("studies/exit/switch", on="yes", seen=here)
        assert not study(world).enabled, "it was changed since that page was shown"
        assert "Somebody else has changed the study" in operator.text("studies")

    def test_the_environments_study_is_switched_too(self, world: World, operator: Person) -> None:
        operator.post(f"studies/{DEFAULT_STUDY}/switch", on="no", seen="")
        assert not study(world, DEFAULT_STUDY).enabled

    def test_a_hostile_name_is_text(self, world: World, operator: Person) -> None:
        world.add_study(
            "exit", name=HOSTILE, wording={"default": {"greeting": HOSTILE.replace("{{7*7}}", "")}}
        )
        for path in ("studies", "studies/exit/edit", "studies/exit/words", "new-rule"):
            html = operator.get(path).text
            assert "<script>alert" not in html, path
        assert HOSTILE in operator.text("studies")


class TestAdding:
    def test_a_study_is_added_and_its_secrets_stand_nowhere(self, world: World, operator: Person) -> None:
        answer = operator.post("new-study", **NEW, mode="voice", credits="2", remind_after_days="3")
        assert answer.location == "/console/studies/exit/edit"
        added = study(world)
        assert (added.api_key, added.webhook_secret, added.mode, added.credits) == (KEY, SECRET, "voice", 2)
        assert (added.enabled, added.anonymous, added.remind_after_days) == (True, False, 3)
        html = operator.get("studies/exit/edit").text
        assert "The key: set . The webhook secret: set ." in words(html)
        assert f"{PUBLIC_URL}/webhooks/koji" in html
        log = operator.get("people").text
        assert "key replaced" in log
        assert no_secret(html)
        assert no_secret(log)
        assert find_everywhere(world.engine, [KEY, SECRET]) == []

    def test_it_may_be_added_without_being_switched_on(self, world: World, operator: Person) -> None:
        operator.post("new-study", **{name: text for name, text in NEW.items() if name != "enabled"})
        assert not study(world).enabled

    def test_every_mistake_is_told_at_once_and_no_secret_comes_back(
        self, world: World, operator: Person
    ) -> None:
        entered = NEW | {
            "slug": "Exit!",
            "name": "",
            "credits": "many",
            "remind_after_days": "99",
            "link_template": HOSTILE,
            "mode": "sung",
        }
        answer = operator.post("new-study", **entered)
        assert answer.status_code == 422
        for field in ("slug", "name", "credits", "remind_after_days", "link_template", "mode"):
            assert f'id="{field}-mistake"' in answer.text, field
        assert "has to be entered once more" in words(answer.text)
        assert no_secret(answer.text)
        assert "<script>alert" not in answer.text
        assert (world.count(studies_table), world.count(audit)) == (0, 0)

    def test_a_key_that_is_none_is_told_without_it(self, operator: Person) -> None:
        answer = operator.post("new-study", **NEW | {"api_key": f"{KEY}\u2026"})
        assert answer.status_code == 422
        assert 'id="api_key-mistake"' in answer.text
        assert no_secret(answer.text)

    def test_a_name_that_is_taken_is_told(self, world: World, operator: Person) -> None:
        world.add_study("exit")
        answer = operator.post("new-study", **NEW)
        assert answer.status_code == 422
        assert "there is a study exit already" in words(answer.text)


class TestEditing:
    def test_what_is_not_entered_anew_stays(self, world: World, operator: Person) -> None:
        operator.post("new-study", **NEW)
        template = "https://koji.so/interview/x?rid={interview_id}"
        answer = edit(
            operator, name="Leaving", anonymous="y", link_template=template, api_key="", credits="4"
        )
        assert answer.location == "/console/studies"
        changed = study(world)
        assert (changed.name, changed.anonymous, changed.credits) == ("Leaving", True, 4)
        assert (changed.api_key, changed.webhook_secret, changed.link_template) == (KEY, SECRET, template)
        log = operator.text("people")
        assert "name: Leaving" in log
        edit(operator, credits="")
        assert study(world).credits is None

    def test_a_new_key_takes_the_place_of_the_old_one(self, world: World, operator: Person) -> None:
        operator.post("new-study", **NEW)
        edit(operator, api_key="pk_planted_key_2")
        assert study(world).api_key == "pk_planted_key_2"
        assert find_everywhere(world.engine, ["pk_planted_key_2"]) == []

    def test_nothing_new_changes_nothing(self, world: World, operator: Person) -> None:
        operator.post("new-study", **NEW)
        edit(operator)
        assert "There was nothing to change" in operator.text("studies")
        assert world.count(audit) == 1

    def test_of_the_environments_study_only_what_no_setting_holds(
        self, world: World, operator: Person
    ) -> None:
        html = operator.get(f"studies/{DEFAULT_STUDY}/edit").text
        assert 'name="api_key"' not in html
        assert "KOJI_API_KEY" in html
        assert no_secret(html)
        assert edit(operator, DEFAULT_STUDY, name="Other", api_key="x", credits="7").status_code == 302
        changed = study(world, DEFAULT_STUDY)
        assert (changed.credits, changed.api_key) == (7, "pk_live_key")
        assert changed.name != "Other"

    def test_mistakes_change_nothing(self, world: World, operator: Person) -> None:
        operator.post("new-study", **NEW)
        before = study(world)
        assert edit(operator, credits="x", api_key="pk_other").status_code == 422
        assert study(world) == before

    def test_of_two_who_edit_at_once_the_second_is_told(self, world: World, operator: Person) -> None:
        operator.post("new-study", **NEW)
        mine = seen(operator.get("studies/exit/edit").text)
        other = person(world, operator.teammate).sign_in()
        edit(other, name="Theirs", credits="9")
        answer = edit(operator, name="Mine", credits="2", seen=mine, api_key="pk_planted_key_3")
        assert answer.status_code == 409
        text = words(answer.text)
        assert "Somebody else has changed this study" in text
        assert "Name Theirs" in text
        assert "pk_planted" not in answer.text
        assert (study(world).name, study(world).credits) == ("Theirs", 9)
        edit(operator, name="Mine", seen=seen(answer.text))
        assert study(world).name == "Mine"

    def test_what_is_not_there_is_not_found(self, operator: Person) -> None:
        for path in ("studies/none/edit", "studies/none/words"):
            assert operator.get(path).status_code == 404


class TestWords:
    def send(self, operator: Person, language: str, **fields: str) -> Any:
        here = seen(operator.get("studies/exit/words").text)
        return operator.post("studies/exit/words", **{"language": language, "seen": here, **fields})

    def test_the_message_is_shown_as_it_is_read(self, world: World, viewer: Person) -> None:
        world.add_study("exit", wording={"de": GERMAN})
        text = viewer.text("studies/exit/words")
        assert "Hallo Mia," in text
        assert "Hallo," in text
        assert "Zum Interview" in text
        assert "Hi Mia," in viewer.text("studies/exit/words", language="default")

    def test_a_preview_changes_nothing(self, world: World, operator: Person) -> None:
        world.add_study("exit")
        answer = self.send(operator, "de", **GERMAN, preview="yes")
        assert answer.status_code == 200
        assert "Hallo Mia," in words(answer.text)
        assert 'lang="de"' in answer.text
        assert (study(world).wording, world.count(audit)) == ({}, 0)

    def test_words_are_saved_for_their_language(self, world: World, operator: Person) -> None:
        world.add_study("exit")
        answer = self.send(operator, "DE", **GERMAN, reminder="Noch da?")
        assert answer.status_code == 302
        assert study(world).wording == {"de": {**GERMAN, "reminder": "Noch da?"}}
        self.send(operator, "de", **GERMAN, reminder="")
        assert study(world).wording == {"de": GERMAN}
        assert "Worded a study's message" in operator.text("people")

    def test_mistakes_are_told_at_their_fields(self, world: World, operator: Person) -> None:
        world.add_study("exit")
        answer = self.send(operator, "de", greeting="Hallo {name},", thanks="x" * 201, preview="yes")
        assert answer.status_code == 422
        assert 'id="greeting-mistake"' in answer.text
        assert 'id="thanks-mistake"' in answer.text
        assert "lacks invitation, link_text" in words(answer.text)
        assert 'id="language-mistake"' in self.send(operator, "klingon!", **GERMAN).text
        assert study(world).wording == {}

    def test_words_are_taken_away(self, world: World, operator: Person) -> None:
        world.add_study("exit", wording={"de": GERMAN})
        here = seen(operator.get("studies/exit/words").text)
        operator.post("studies/exit/words/remove", language="de", seen="old")
        assert study(world).wording == {"de": GERMAN}
        operator.post("studies/exit/words/remove", language="de", seen=here)
        assert study(world).wording == {}
        assert "are taken away" in operator.text("studies/exit/words")

    def test_words_that_others_need_are_not_taken_away(self, world: World, operator: Person) -> None:
        world.add_study("exit", wording={"pt": GERMAN, "pt-BR": {"greeting": "Oi {first_name},"}})
        here = seen(operator.get("studies/exit/words").text)
        operator.post("studies/exit/words/remove", language="pt", seen=here)
        assert "lacks" in operator.text("studies/exit/words")
        assert "pt" in study(world).wording

    def test_of_two_who_word_at_once_the_second_is_told(self, world: World, operator: Person) -> None:
        world.add_study("exit")
        here = seen(operator.get("studies/exit/words").text)
        self.send(operator, "de", **GERMAN)
        answer = operator.post(
            "studies/exit/words", **GERMAN | {"thanks": "Danke!"}, language="de", seen=here
        )
        assert answer.status_code == 409
        assert "Thanks Vielen Dank!" in words(answer.text)
        assert study(world).wording == {"de": GERMAN}

    def test_hostile_words_are_text(self, world: World, operator: Person) -> None:
        world.add_study("exit")
        hostile = HOSTILE.replace("{{7*7}}", "")
        answer = self.send(operator, "default", greeting=hostile, link_text=hostile, preview="yes")
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text


def test_a_study_says_nothing_of_its_secrets_when_it_is_printed(world: World) -> None:
    printed = repr(world.add_study("exit", api_key=KEY, webhook_secret=SECRET))
    assert no_secret(printed)
    assert dataclasses.is_dataclass(study(world))
