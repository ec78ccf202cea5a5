"""Changing what is written back, on both databases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.interviews import choosing, operators, options, rulestore, themes
from canvas_app.interviews.choosing import Choice
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.rulebook import Rule
from tests.support.world import full_settings

SETTINGS = full_settings("sqlite:///x.db", ask_again_days=30)
ADA = Teammate("ws1", "991", "Ada")


def now(engine: Engine) -> Choice:
    with store.reading(engine) as connection:
        return choosing.current(connection, SETTINGS)


def save(engine: Engine, chosen: Choice, seen: str) -> Choice | None:
    with store.writing(engine) as connection:
        return choosing.save(connection, SETTINGS, ADA, chosen, seen=seen)


def changed(choice: Choice, *, slugs: frozenset[str] | None = None, **values: Any) -> Choice:
    return Choice(replace(choice.options, **values), choice.themes if slugs is None else slugs)


def entries(engine: Engine) -> list[operators.Entry]:
    with store.reading(engine) as connection:
        return operators.newest_entries(connection, most=9)


def test_a_change_is_made_and_who_has_made_it_is_written_down_from_what_to_what(engine: Engine) -> None:
    with store.writing(engine) as connection:
        themes.allow(connection, {"exports", "pricing"})
    before = now(engine)
    after = changed(before, min_quality=4.5, slugs=frozenset({"exports", "support"}))
    assert save(engine, after, before.fingerprint) is None
    assert now(engine) == after
    [entry] = entries(engine)
    assert (entry.teammate_id, entry.teammate_name, entry.what) == ("991", "Ada", "write_back_changed")
    assert entry.before == {"min_quality": 3, "themes": ["pricing"]}
    assert entry.after == {"min_quality": 4.5, "themes": ["support"]}


def test_what_another_has_changed_meanwhile_is_not_overwritten(engine: Engine) -> None:
    shown = now(engine)
    first = changed(shown, min_quality=4)
    assert save(engine, first, shown.fingerprint) is None
    assert save(engine, changed(shown, note=()), shown.fingerprint) == first
    assert now(engine) == first
    assert len(entries(engine)) == 1


def test_a_theme_that_was_allowed_meanwhile_counts_as_a_change(engine: Engine) -> None:
    shown = now(engine)
    with store.writing(engine) as connection:
        themes.allow(connection, {"exports"})
    assert save(engine, changed(shown, min_quality=4), shown.fingerprint) is not None
    assert now(engine).themes == {"exports"}


def test_saving_twice_changes_once(engine: Engine) -> None:
    shown = now(engine)
    after = changed(shown, ask_again_days=7)
    assert save(engine, after, shown.fingerprint) is None
    assert save(engine, after, after.fingerprint) is None
    assert len(entries(engine)) == 1


def test_back_to_the_defaults_a_setting_counts_again(engine: Engine) -> None:
    shown = now(engine)
    after = changed(shown, ask_again_days=7)
    save(engine, after, shown.fingerprint)
    assert save(engine, shown, after.fingerprint) is None
    with store.reading(engine) as connection:
        assert options.raw(connection, options.WRITE_BACK) is None


@pytest.mark.parametrize("enabled", [True, False])
def test_tags_that_set_a_rule_off_are_known(engine: Engine, enabled: bool) -> None:
    tagged = {"title": "Churn", "enabled": enabled, "conditions": {"tag": ["Churn Risk", "leaving"]}}
    about = {"title": "Closed", "event": "conversation.admin.closed", "conditions": {"tag": ["vip"]}}
    with store.writing(engine) as connection:
        rulestore.save(
            connection, Rule.model_validate({"slug": "a", "event": "contact.tag.created", **tagged})
        )
        rulestore.save(connection, Rule.model_validate({"slug": "b", **about}))
    with store.reading(engine) as connection:
        assert rulestore.tags_that_set_off(connection) == {"churn risk": "Churn", "leaving": "Churn"}
