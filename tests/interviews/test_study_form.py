"""What an operator enters for a study: good values, and every mistake at once."""

from __future__ import annotations

from typing import Any

import pytest

from canvas_app.errors import StudyRefused
from canvas_app.interviews import study_form
from canvas_app.settings import Study
from tests.interviews.test_words import GERMAN
from tests.support.world import full_settings

SETTINGS = full_settings("sqlite:///x.db", open_days=14, koji_link_hosts="koji.so,app.example.com")
DEFAULT = SETTINGS.default_study
EXIT = Study(slug="exit", name="Exit interview", api_key="pk_exit", link_template=None)
GOOD = {"name": " Onboarding ", "api_key": " pk_live_onboarding "}
EVERYTHING = {
    **GOOD,
    "webhook_secret": "whsec",
    "mode": "voice",
    "link_template": "https://koji.so/i/a?rid={contact_id}",
    "anonymous": "yes",
    "credits": "5",
    "remind_after_days": "3",
    "enabled": "no",
}


def new(slug: str = "onboarding", **given: str) -> Study:
    return study_form.new(slug, given, settings=SETTINGS, others=[DEFAULT, EXIT])


def changed(study: Study, **given: str) -> Study:
    return study_form.changed(study, given, settings=SETTINGS, others=[DEFAULT, EXIT])


def mistakes(entering: Any, *args: Any, **given: str) -> list[str]:
    with pytest.raises(StudyRefused) as refused:
        entering(*args, **given)
    assert refused.value.reason == "study_malformed"
    assert str(refused.value).splitlines()[1:] == refused.value.problems
    return refused.value.problems


def test_a_study_needs_a_slug_a_name_and_a_key() -> None:
    study = new(**GOOD)
    assert study == Study(
        slug="onboarding", name="Onboarding", api_key="pk_live_onboarding", link_template=None
    )
    assert (study.enabled, study.cost, study.anonymous) == (True, 1, False)


def test_everything_may_be_entered() -> None:
    study = new(**EVERYTHING)
    assert (study.mode, study.anonymous, study.credits, study.cost) == ("voice", True, 5, 5)
    assert (study.remind_after_days, study.enabled, study.webhook_secret) == (3, False, "whsec")
    assert study.link_template == EVERYTHING["link_template"]


def test_what_is_given_up_is_given_up_and_the_rest_stays() -> None:
    study = changed(
        new(**EVERYTHING),
        mode="any",
        credits="auto",
        remind_after_days="off",
        link_template="",
        enabled="yes",
    )
    assert (study.mode, study.credits, study.remind_after_days, study.link_template) == (None,) * 4
    assert (study.enabled, study.anonymous, study.api_key) == (True, True, "pk_live_onboarding")


@pytest.mark.parametrize("slug", ["a", "a1", "exit-2", "a_b", "x" * 64])
def test_a_good_slug(slug: str) -> None:
    assert new(slug, **GOOD).slug == slug


@pytest.mark.parametrize("slug", ["", "A", "é", "a b", "-a", "a-", "_", "a/b", "x" * 65, "a\n", "٣"])
def test_a_bad_slug(slug: str) -> None:
    [mistake] = mistakes(new, slug, **GOOD)
    assert mistake.startswith("slug: is not 1 to 64")


@pytest.mark.parametrize("slug", ["default", "exit"])
def test_a_slug_that_is_taken(slug: str) -> None:
    assert mistakes(new, slug, **GOOD) == [f"slug: there is a study {slug} already"]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "x" * 81, "name: is not 1 to 80"),
        ("name", "\u200b", "name: is not 1 to 80"),
        ("name", "EXIT interview", "name: another study is called that"),
        ("name", SETTINGS.koji_study_name, "name: another study is called that"),
        ("api_key", "pk live planted", "key: holds a space"),
        ("api_key", "pk_plänted", "key: holds a space or a character"),
        ("mode", "video", "mode: is none of"),
        ("mode", "", "mode: is none of"),
        ("link_template", "planted", "link-template: is not an address"),
        ("link_template", "https://koji.so/{phone}", "link-template: the link template has an unknown"),
        ("link_template", "https://evil.example/{contact_id}", "link-template: leads to a host"),
        ("link_template", "http://koji.so/{contact_id}", "link-template: is not an address"),
        ("link_template", "https://koji.so/?" + "{name}" * 400, "link-template: is longer"),
        ("anonymous", "maybe", "anonymous: is neither yes nor no"),
        ("credits", "-1", "credits: is neither"),
        ("credits", "1.5", "credits: is neither"),
        ("credits", "1001", "credits: is neither"),
        ("credits", "٣", "credits: is neither"),
        ("remind_after_days", "0", "remind: is neither off nor 1 to 13 days"),
        ("remind_after_days", "14", "remind: is neither off nor 1 to 13 days"),
        ("enabled", "true", "on: is neither yes nor no"),
    ],
)
def test_a_mistake_is_named_with_what_would_do(field: str, value: str, said: str) -> None:
    [mistake] = mistakes(new, "onboarding", **{**GOOD, field: value})
    assert mistake.startswith(said)
    assert field != "api_key" or value not in mistake, "nothing of a key is repeated"


def test_every_mistake_is_told_at_once() -> None:
    told = mistakes(new, "Bad Slug", mode="x", credits="x", anonymous="x")
    assert [line.partition(":")[0] for line in told] == [
        "slug",
        "name",
        "key",
        "mode",
        "credits",
        "anonymous",
    ]


@pytest.mark.parametrize("given", [{"name": ""}, {"api_key": " "}, {"webhook_secret": ""}])
def test_a_name_and_a_secret_may_be_changed_and_not_taken_away(given: dict[str, str]) -> None:
    assert len(mistakes(changed, EXIT, **given)) == 1


def test_a_study_may_keep_its_own_name() -> None:
    assert changed(EXIT, name="Exit Interview").name == "Exit Interview"


def test_of_the_environments_study_what_no_setting_holds_may_be_changed() -> None:
    study = changed(DEFAULT, mode="voice", anonymous="yes", credits="2", remind_after_days="3", enabled="no")
    assert (study.mode, study.anonymous, study.credits, study.remind_after_days) == ("voice", True, 2, 3)
    assert not study.enabled
    told = mistakes(
        changed, DEFAULT, name="x", api_key="k", webhook_secret="s", link_template="", credits="x"
    )
    assert told == [
        "name: the environment's study has it from the setting KOJI_STUDY_NAME",
        "key: the environment's study has it from the setting KOJI_API_KEY",
        "webhook-secret: the environment's study has it from the setting KOJI_WEBHOOK_SECRET",
        "link-template: the environment's study has it from the setting KOJI_LINK_TEMPLATE",
        "credits: is neither a whole number from 0 to 1000 nor auto (text 1, voice 3)",
    ]


def test_words_are_kept_by_language_and_part() -> None:
    study = study_form.worded(EXIT, "DE", GERMAN)
    study = study_form.worded(study, "de_at", {"greeting": " Servus\n{first_name}, "})
    study = study_form.worded(study, "default", {"thanks": "Thanks a lot!"})
    assert study.wording == {
        "de": GERMAN,
        "de-AT": {"greeting": "Servus {first_name},"},
        "default": {"thanks": "Thanks a lot!"},
    }
    again = study_form.worded(study, "de", {"thanks": "Danke!"})
    assert again.wording["de"] == {**GERMAN, "thanks": "Danke!"}
    assert study.wording["de"] == GERMAN, "a study is a value"


def test_words_with_mistakes_are_refused() -> None:
    told = mistakes(study_form.worded, EXIT, "de", given={"greeting": "{name}"})  # type: ignore[arg-type]
    assert len(told) == 2
    assert mistakes(study_form.worded, EXIT, "German", given=GERMAN) == [  # type: ignore[arg-type]
        "language: is neither a language tag like de or pt-BR nor default"
    ]


def test_words_may_be_taken_away_unless_others_rest_on_them() -> None:
    study = study_form.worded(study_form.worded(EXIT, "de", GERMAN), "de-AT", {"greeting": "Servus,"})
    assert "de-AT: lacks" in mistakes(study_form.without_words, study, "de")[0]
    assert study_form.without_words(study, "de-AT").wording == {"de": GERMAN}
    assert mistakes(study_form.without_words, EXIT, "de") == ["language: the study has no words in de"]


def test_reworded_has_these_parts_and_no_others() -> None:
    study = study_form.worded(EXIT, "de", {**GERMAN, "reminder": "Noch da?"})
    assert study_form.reworded(study, "de", {**GERMAN, "reminder": " "}).wording == {"de": GERMAN}
    assert study_form.reworded(EXIT, "default", {"thanks": "Cheers!", "greeting": ""}).wording == {
        "default": {"thanks": "Cheers!"}
    }


def test_reworded_tells_what_another_language_would_lack() -> None:
    study = study_form.worded(EXIT, "de", GERMAN)
    study = study_form.worded(study, "de-AT", {"greeting": "Servus {first_name},"})
    # The default may say as little as it likes, and so may what builds on a whole language.
    assert study_form.reworded(study, "de-AT", {"thanks": "Danke!"}).wording["de-AT"] == {"thanks": "Danke!"}
    found = mistakes(lambda **given: study_form.reworded(study, "de", given), greeting="Hallo,")
    assert any("lacks" in problem for problem in found)


def test_reworded_without_a_word_is_refused() -> None:
    assert mistakes(lambda: study_form.reworded(EXIT, "de", {"thanks": " "}))[0].startswith("language: ")


def test_each_mistake_is_found_at_its_field() -> None:
    with pytest.raises(StudyRefused) as refused:
        new(
            "Bad Slug",
            api_key="",
            remind_after_days="x",
            enabled="x",
            link_template="x",
            webhook_secret="a\nb",
        )
    assert {field for field, _ in study_form.by_field(refused.value)} >= {
        "slug",
        "name",
        "api_key",
        "remind_after_days",
        "enabled",
        "link_template",
    }
    with pytest.raises(StudyRefused) as refused:
        study_form.worded(EXIT, "de", {"greeting": "Hallo {name},"})
    assert [field for field, _ in study_form.by_field(refused.value)] == ["greeting", ""]
