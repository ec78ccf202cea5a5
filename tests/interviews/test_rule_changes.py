"""A change to the rules is made once, by whoever has seen what they change, and is written down."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.errors import ChangedMeanwhile, RuleRefused
from canvas_app.interviews import operators, rule_changes, rulestore
from canvas_app.interviews.operators import Entry, Teammate
from canvas_app.interviews.rulebook import Rule
from canvas_app.settings import Settings

ADA = Teammate("ws1", "991", "Ada")
BO = Teammate("ws1", "992", "Bo")


def rule(slug: str = "low", **changes: Any) -> Rule:
    values = {"title": slug, "event": "conversation.admin.closed", **changes}
    return Rule.model_validate({"slug": slug, **values})


def version(engine: Engine, slug: str = "low") -> str:
    with store.reading(engine) as connection:
        return rulestore.versions(connection)[slug]


def found(engine: Engine, slug: str = "low") -> Rule:
    with store.reading(engine) as connection:
        one = rulestore.find(connection, slug)
    assert one is not None
    return one


def order(engine: Engine) -> list[str]:
    with store.reading(engine) as connection:
        return [one.slug for one in rulestore.listed(connection)]


def entries(engine: Engine) -> list[Entry]:
    with store.reading(engine) as connection:
        return operators.newest_entries(connection, most=50)


def test_a_new_rule_is_the_last_one_and_is_written_down(engine: Engine) -> None:
    for slug in ("low", "closed"):
        rule_changes.create(engine, ADA, rule(slug))
    assert order(engine) == ["low", "closed"]
    entry = entries(engine)[0]
    assert (entry.teammate_id, entry.what, entry.subject) == ("991", "rule_added", "closed")
    assert entry.after["event"] == "conversation.admin.closed"


def test_a_name_is_given_once(engine: Engine) -> None:
    rule_changes.create(engine, ADA, rule())
    with pytest.raises(RuleRefused) as refused:
        rule_changes.create(engine, BO, rule(title="Other"))
    assert refused.value.problems == [("slug", "there is a rule low already")]
    assert found(engine).title == "low"


def test_of_two_who_give_a_name_at_once_one_is_told(engine: Engine) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def add() -> None:
        start.wait()
        try:
            rule_changes.create(engine, ADA, rule())
            outcomes.append("added")
        except RuleRefused:
            outcomes.append("told")

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["added", "told"]
    assert len(entries(engine)) == 1


def test_a_change_tells_what_is_different_and_leaves_it_on_or_off(engine: Engine, settings: Settings) -> None:
    rule_changes.create(engine, ADA, rule())
    rule_changes.switch(engine, settings, ADA, "low", on=True, seen=version(engine))
    changed = rule(title="New", conditions={"tag": ["vip"]}, enabled=False)
    assert rule_changes.change(engine, BO, changed, seen=version(engine))
    assert found(engine).enabled
    assert found(engine).conditions.tag == ("vip",)
    entry = entries(engine)[0]
    assert (entry.teammate_name, entry.what) == ("Bo", "rule_changed")
    assert entry.before == {"title": "low", "tag": []}
    assert entry.after == {"title": "New", "tag": ["vip"]}


def test_the_same_again_changes_nothing(engine: Engine) -> None:
    rule_changes.create(engine, ADA, rule())
    before = version(engine)
    assert not rule_changes.change(engine, ADA, rule(), seen=before)
    assert (version(engine), len(entries(engine))) == (before, 1)


def test_who_has_seen_an_older_rule_overwrites_nothing(engine: Engine, settings: Settings) -> None:
    rule_changes.create(engine, ADA, rule())
    seen = version(engine)
    rule_changes.change(engine, ADA, rule(title="Ada's"), seen=seen)
    with pytest.raises(ChangedMeanwhile):
        rule_changes.change(engine, BO, rule(title="Bo's"), seen=seen)
    with pytest.raises(ChangedMeanwhile):
        rule_changes.switch(engine, settings, BO, "low", on=True, seen=seen)
    assert (found(engine).title, found(engine).enabled) == ("Ada's", False)
    assert len(entries(engine)) == 2


def test_of_two_who_save_at_once_one_is_told(engine: Engine) -> None:
    rule_changes.create(engine, ADA, rule())
    seen = version(engine)
    outcomes: list[bool] = []
    start = threading.Barrier(2)

    def save(name: str) -> None:
        start.wait()
        try:
            outcomes.append(rule_changes.change(engine, ADA, rule(title=name), seen=seen))
        except ChangedMeanwhile:
            outcomes.append(False)

    threads = [threading.Thread(target=save, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, True]


def test_what_is_not_there_cannot_be_changed(engine: Engine, settings: Settings) -> None:
    with pytest.raises(ChangedMeanwhile):
        rule_changes.change(engine, ADA, rule("none"), seen="x")
    with pytest.raises(ChangedMeanwhile):
        rule_changes.switch(engine, settings, ADA, "none", on=True, seen="x")
    with pytest.raises(ChangedMeanwhile):
        rule_changes.move(engine, ADA, "none", up=True, seen=rulestore.order_version(["none"]))


def test_a_rule_is_switched_once(engine: Engine, settings: Settings) -> None:
    rule_changes.create(engine, ADA, rule())
    seen = version(engine)
    assert rule_changes.switch(engine, settings, ADA, "low", on=True, seen=seen)
    assert not rule_changes.switch(engine, settings, ADA, "low", on=True, seen=seen), "a second tap"
    assert rule_changes.switch(engine, settings, ADA, "low", on=False, seen=version(engine))
    assert [entry.what for entry in entries(engine)] == [
        "rule_switched_off",
        "rule_switched_on",
        "rule_added",
    ]
    assert (entries(engine)[0].before, entries(engine)[0].after) == ({"enabled": True}, {"enabled": False})


def test_a_rule_whose_study_is_gone_cannot_be_switched_on(engine: Engine, settings: Settings) -> None:
    rule_changes.create(engine, ADA, rule(study="gone"))
    with pytest.raises(RuleRefused) as refused:
        rule_changes.switch(engine, settings, ADA, "low", on=True, seen=version(engine))
    assert [field for field, _ in refused.value.problems] == ["study"]


def test_a_rule_moves_one_place_at_a_time(engine: Engine) -> None:
    for slug in ("a", "b", "c"):
        rule_changes.create(engine, ADA, rule(slug))
    assert rule_changes.move(engine, ADA, "c", up=True, seen=rulestore.order_version(["a", "b", "c"]))
    assert order(engine) == ["a", "c", "b"]
    with pytest.raises(ChangedMeanwhile):
        # The same tap again, by a page that shows it where it was.
        rule_changes.move(engine, ADA, "c", up=True, seen=rulestore.order_version(["a", "b", "c"]))
    assert not rule_changes.move(engine, ADA, "a", up=True, seen=rulestore.order_version(["a", "c", "b"]))
    assert not rule_changes.move(engine, ADA, "b", up=False, seen=rulestore.order_version(["a", "c", "b"]))
    assert rule_changes.move(engine, ADA, "a", up=False, seen=rulestore.order_version(["a", "c", "b"]))
    assert order(engine) == ["c", "a", "b"]
    assert (entries(engine)[0].before, entries(engine)[0].after) == (["a", "c", "b"], ["c", "a", "b"])
