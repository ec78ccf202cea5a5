"""A rule says what it does, in words that need no manual."""

from __future__ import annotations

from typing import get_args

from canvas_app.console import rule_words
from canvas_app.interviews import rule_form
from canvas_app.interviews.decisions import Verdict
from canvas_app.interviews.rulebook import EVENTS, Rule
from tests.interviews.test_rule_form import EVERYTHING, entered


def test_every_event_and_every_verdict_has_words() -> None:
    assert set(rule_words.EVENTS) == set(EVENTS)
    assert set(rule_words.VERDICTS) == set(get_args(Verdict))


def test_every_condition_and_limit_is_told() -> None:
    rule = entered(**EVERYTHING)
    assert rule_words.moment(rule) == "A conversation is rated; asked 2 hours later"
    assert list(rule_words.conditions(rule)) == [
        "One of these tags is there: billing, late, bug",
        "None of these tags is there: VIP",
        "The rating is 2 or less",
        "A person has closed the conversation",
        "Users only",
        "The customer has written at least 2 messages",
        "The customer has written at least 200 characters",
        "It goes out within mon-fri 09:00-17:00, by the workspace's clocks",
    ]
    assert len(list(rule_words.conditions(rule))) == len(rule_form.CONDITIONS)
    assert list(rule_words.limits(rule)) == [
        "50 per cent of the contacts",
        "At most 20 interviews in seven days",
        "At most 60 credits in seven days",
    ]


def test_what_is_not_there_is_not_told() -> None:
    rule = Rule(slug="a", title="A", event="contact.tag.created", conditions={"tag": "vip"})  # type: ignore[arg-type]
    assert rule_words.moment(rule) == "A contact is tagged; asked at once"
    assert list(rule_words.conditions(rule)) == ["One of these tags was put on: vip"]
    assert list(rule_words.limits(rule)) == []
