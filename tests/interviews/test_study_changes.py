"""A change to the studies is made once, by whoever has seen what they change, and is written down."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.errors import ChangedMeanwhile, StudyRefused
from canvas_app.interviews import operators, studies, study_changes
from canvas_app.interviews.operators import Entry, Teammate
from canvas_app.settings import DEFAULT_STUDY, Settings, Study
from tests.interviews.test_words import GERMAN
from tests.support.searching import find_everywhere

ADA = Teammate("ws1", "991", "Ada")
BO = Teammate("ws1", "992", "Bo")
GIVEN = {"name": "Exit", "api_key": "pk_planted_key", "webhook_secret": "planted_secret", "credits": "2"}


def add(engine: Engine, settings: Settings, slug: str = "exit", **changes: str) -> Study:
    return study_changes.create(engine, settings, ADA, slug, GIVEN | changes)


def version(engine: Engine, slug: str = "exit") -> str:
    with store.reading(engine) as connection:
        return studies.versions(connection).get(slug, "")


def found(engine: Engine, settings: Settings, slug: str = "exit") -> Study:
    with store.reading(engine) as connection:
        return studies.existing(connection, settings, slug)


def entries(engine: Engine) -> list[Entry]:
    with store.reading(engine) as connection:
        return operators.newest_entries(connection, most=50)


def change(engine: Engine, settings: Settings, slug: str = "exit", **given: Any) -> bool:
    seen = given.pop("seen", None)
    return study_changes.change(
        engine, settings, BO, slug, given, seen=version(engine, slug) if seen is None else seen
    )


def test_a_new_study_is_written_down_without_its_secrets(engine: Engine, settings: Settings) -> None:
    add(engine, settings)
    assert found(engine, settings).api_key == "pk_planted_key"
    [entry] = entries(engine)
    assert (entry.teammate_id, entry.what, entry.subject) == ("991", "study_added", "exit")
    assert entry.after["name"] == "Exit"
    assert (entry.after["api_key"], entry.after["webhook_secret"]) == (
        "key replaced",
        "webhook secret replaced",
    )
    assert find_everywhere(engine, ["planted_key", "planted_secret"]) == []


def test_a_name_is_given_once(engine: Engine, settings: Settings) -> None:
    add(engine, settings)
    with pytest.raises(StudyRefused, match="there is a study exit already"):
        add(engine, settings, name="Other")


def test_a_study_that_somebody_has_just_added_is_told(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(engine, settings)
    monkeypatch.setattr(studies, "listed", lambda *_: [settings.default_study])
    monkeypatch.setattr(studies, "save", _conflict)
    with pytest.raises(StudyRefused, match="already"):
        add(engine, settings, name="Other")
    with pytest.raises(ChangedMeanwhile):
        change(engine, settings, DEFAULT_STUDY, credits="3")
    assert len(entries(engine)) == 1


def _conflict(*_args: object, **_named: object) -> None:
    raise sa.exc.IntegrityError("x", {}, Exception("unique"))


def test_a_change_tells_what_is_different(engine: Engine, settings: Settings) -> None:
    add(engine, settings)
    assert change(engine, settings, credits="5", name="Exit", mode="voice")
    entry = entries(engine)[0]
    assert (entry.teammate_name, entry.what) == ("Bo", "study_changed")
    assert (entry.before, entry.after) == ({"mode": None, "credits": 2}, {"mode": "voice", "credits": 5})


def test_a_new_key_is_written_down_as_that_and_no_more(engine: Engine, settings: Settings) -> None:
    add(engine, settings)
    assert change(engine, settings, api_key="pk_planted_other")
    assert found(engine, settings).api_key == "pk_planted_other"
    entry = entries(engine)[0]
    assert (entry.before, entry.after) == (None, {"api_key": "key replaced"})
    assert find_everywhere(engine, ["planted_other"]) == []


def test_the_same_again_changes_nothing(engine: Engine, settings: Settings) -> None:
    add(engine, settings)
    before = version(engine)
    assert not change(engine, settings, credits="2", api_key="pk_planted_key")
    assert (version(engine), len(entries(engine))) == (before, 1)


def test_who_has_seen_an_older_study_overwrites_nothing(engine: Engine, settings: Settings) -> None:
    add(engine, settings)
    seen = version(engine)
    change(engine, settings, credits="5")
    for late in (
        lambda: change(engine, settings, credits="7", seen=seen),
        lambda: study_changes.switch(engine, settings, BO, "exit", on=False, seen=seen),
        lambda: study_changes.reword(engine, settings, BO, "exit", "de", GERMAN, seen=seen),
        lambda: study_changes.take_words_away(engine, settings, BO, "exit", "de", seen=seen),
        lambda: change(engine, settings, "none", credits="7"),
    ):
        with pytest.raises(ChangedMeanwhile):
            late()
    assert (found(engine, settings).credits, found(engine, settings).enabled) == (5, True)
    assert len(entries(engine)) == 2


@pytest.mark.parametrize("slug", ["exit", DEFAULT_STUDY])
def test_of_two_who_write_a_study_for_the_first_time_one_is_told(
    engine: Engine, settings: Settings, slug: str
) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def first() -> None:
        start.wait()
        try:
            if slug == DEFAULT_STUDY:
                change(engine, settings, slug, credits="4", seen="")
            else:
                add(engine, settings)
            outcomes.append("written")
        except (StudyRefused, ChangedMeanwhile):
            outcomes.append("told")

    threads = [threading.Thread(target=first) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["told", "written"]
    assert len(entries(engine)) == 1


def test_the_environments_study_has_no_version_until_it_is_changed(
    engine: Engine, settings: Settings
) -> None:
    assert version(engine, DEFAULT_STUDY) == ""
    assert change(engine, settings, DEFAULT_STUDY, credits="4")
    with pytest.raises(ChangedMeanwhile):
        change(engine, settings, DEFAULT_STUDY, credits="7", seen="")
    assert found(engine, settings, DEFAULT_STUDY).credits == 4
    assert (entries(engine)[0].before, entries(engine)[0].after) == ({"credits": None}, {"credits": 4})


def test_a_study_is_switched_once(engine: Engine, settings: Settings) -> None:
    add(engine, settings)
    seen = version(engine)
    assert study_changes.switch(engine, settings, ADA, "exit", on=False, seen=seen)
    assert not study_changes.switch(engine, settings, ADA, "exit", on=False, seen=seen), "a second tap"
    assert study_changes.switch(engine, settings, ADA, "exit", on=True, seen=version(engine))
    assert [entry.what for entry in entries(engine)] == [
        "study_switched_on",
        "study_switched_off",
        "study_added",
    ]


def test_words_of_a_language_come_and_go(engine: Engine, settings: Settings) -> None:
    add(engine, settings)
    assert study_changes.reword(engine, settings, ADA, "exit", "DE", GERMAN, seen=version(engine))
    assert found(engine, settings).wording["de"] == GERMAN
    entry = entries(engine)[0]
    assert (entry.what, entry.before, entry.after) == (
        "study_worded",
        None,
        {"words in de": GERMAN},
    )
    study_changes.take_words_away(engine, settings, ADA, "exit", "de", seen=version(engine))
    assert found(engine, settings).wording == {}
    assert entries(engine)[0].what == "study_words_removed"
