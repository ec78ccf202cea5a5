"""What operators have chosen: read, checked, stored, and told apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.interviews import options
from canvas_app.interviews.options import ATTRIBUTE_NAMES, PARTS, SENTIMENT_TAGS, Options
from canvas_app.settings import Settings
from tests.support.world import full_settings

SETTINGS = full_settings("sqlite:///x.db", min_quality=3.5, ask_again_days=30, retention_days=90)
BY_DEFAULT = options.defaults(SETTINGS)


def named(**names: str) -> Options:
    every: Any = {**ATTRIBUTE_NAMES} | names
    return replace(BY_DEFAULT, attributes=every)


def tagged(**tags: str | None) -> Options:
    every: Any = {**SENTIMENT_TAGS} | tags
    return replace(BY_DEFAULT, tags=every)


def problems(chosen: Options, settings: Settings = SETTINGS) -> dict[str, str]:
    return options.problems(chosen, settings, rule_tags={"churn risk": "After a churn risk"})


class TestWithoutAChoice:
    def test_the_settings_count(self, engine: Engine) -> None:
        with store.reading(engine) as connection:
            found = options.read(connection, SETTINGS)
        assert (found.min_quality, found.ask_again_days) == (3.5, 30)
        assert found.attributes == {
            "at": "last_interview_at",
            "sentiment": "last_interview_sentiment",
            "top_theme": "last_interview_top_theme",
            "quality": "last_interview_quality",
            "url": "last_interview_url",
        }
        assert found.tags["negative"] == "koji_negative_sentiment"
        assert found.note == PARTS

    def test_nothing_is_stored_and_nothing_is_wrong(self) -> None:
        assert options.stored(BY_DEFAULT, SETTINGS) is None
        assert problems(BY_DEFAULT) == {}


class TestAChoice:
    @pytest.mark.parametrize(
        "chosen",
        [
            replace(BY_DEFAULT, min_quality=4.5, ask_again_days=0),
            replace(BY_DEFAULT, note=("quality",)),
            replace(BY_DEFAULT, note=()),
            named(at="Interviewed at", url="Transcript"),
            tagged(negative="Unhappy", neutral=None),
        ],
    )
    def test_reads_back_as_it_was_written(self, engine: Engine, chosen: Options) -> None:
        with store.writing(engine) as connection:
            options.write(connection, options.WRITE_BACK, options.stored(chosen, SETTINGS))
        with store.reading(engine) as connection:
            assert options.read(connection, SETTINGS) == chosen

    def test_holds_only_what_differs_so_that_a_setting_counts_on(self) -> None:
        value = options.stored(named(at="Interviewed at"), SETTINGS)
        assert value == {"attributes": {"at": "Interviewed at"}}
        other = full_settings("sqlite:///x.db", min_quality=2, ask_again_days=7)
        found = options.of(value, other)
        assert (found.min_quality, found.ask_again_days) == (2, 7)
        assert found.attributes["at"] == "Interviewed at"

    def test_of_another_version_counts_as_far_as_it_is_known_here(self) -> None:
        value = {"note": ["quality", "mood"], "tags": {"furious": "x"}, "attributes": {"mood": "x"}, "new": 1}
        assert options.of(value, SETTINGS) == replace(BY_DEFAULT, note=("quality",))

    def test_asks_again_after_no_more_days_than_are_remembered(self) -> None:
        assert options.of({"ask_again_days": 89}, SETTINGS).ask_again_days == 89
        assert options.of({"ask_again_days": 400}, SETTINGS).ask_again_days == 90

    def test_can_be_taken_back(self, engine: Engine) -> None:
        with store.writing(engine) as connection:
            options.lock(connection, options.WRITE_BACK)
            options.write(connection, options.WRITE_BACK, {"min_quality": 5})
            options.lock(connection, options.WRITE_BACK)
            options.write(connection, options.WRITE_BACK, None)
            assert options.read(connection, SETTINGS) == BY_DEFAULT


class TestProblems:
    def test_all_are_told_at_once(self) -> None:
        chosen = Options(
            min_quality=0,
            ask_again_days=-1,
            attributes={**ATTRIBUTE_NAMES, "at": "", "url": "a.b"},
            tags={**SENTIMENT_TAGS, "mixed": "koji_do_not_ask"},
        )
        assert set(problems(chosen)) == {
            "min_quality",
            "ask_again_days",
            "attribute_at",
            "attribute_url",
            "tag_mixed",
        }

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("", "needed"),
            ("1st", "a letter first"),
            ("a.b", "letters"),
            ("a$b", "letters"),
            ("Stimmung für alle", "letters"),
            ("a\nb", "letters"),
            ("x" * 101, "At most 100"),
            ("Email", "of its own"),
            ("KOJI_interview_url", "personal link"),
            ("Last_Interview_At", "has this name already"),
        ],
    )
    def test_an_attributes_name(self, name: str, said: str) -> None:
        assert said in problems(named(url=name))["attribute_url"]

    @pytest.mark.parametrize("name", ["Koji mood", "k", "NPS-follow-up_2"])
    def test_a_name_that_intercom_takes(self, name: str) -> None:
        assert problems(named(url=name)) == {}

    @pytest.mark.parametrize(
        ("tag", "said"),
        [
            ("x" * 121, "at most 120"),
            ("two\nlines", "One line"),
            ("Koji_Do_Not_Ask", "keeps a contact"),
            ("Churn Risk", "sets off the rule After a churn risk"),
        ],
    )
    def test_a_sentiments_tag(self, tag: str, said: str) -> None:
        assert said in problems(tagged(negative=tag))["tag_negative"]

    def test_two_sentiments_may_share_a_tag_or_have_none(self) -> None:
        assert problems(tagged(negative="Call them", mixed="Call them", neutral=None)) == {}

    @pytest.mark.parametrize("quality", [0.9, 5.1, float("nan"), float("inf")])
    def test_a_quality_that_koji_does_not_give(self, quality: float) -> None:
        assert "min_quality" in problems(replace(BY_DEFAULT, min_quality=quality))

    @pytest.mark.parametrize(("days", "fine"), [(0, True), (90, True), (91, False), (4000, False)])
    def test_nobody_is_forgotten_before_they_may_be_asked_again(self, days: int, fine: bool) -> None:
        assert (problems(replace(BY_DEFAULT, ask_again_days=days)) == {}) is fine


@pytest.mark.parametrize(
    "other",
    [
        replace(BY_DEFAULT, min_quality=4),
        replace(BY_DEFAULT, note=()),
        named(at="x"),
        tagged(mixed=None),
    ],
)
def test_one_choice_is_told_from_another(other: Options) -> None:
    of: Any = options.fingerprint
    assert of(BY_DEFAULT, {"a", "b"}) == of(options.defaults(SETTINGS), {"b", "a"})
    assert of(BY_DEFAULT, {"a"}) != of(BY_DEFAULT, {"b"})
    assert of(other, {"a"}) != of(BY_DEFAULT, {"a"})
