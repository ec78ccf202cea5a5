"""What is entered for a rule becomes a rule, or all of its mistakes, each at its field."""

from __future__ import annotations

import pytest

from canvas_app.errors import RuleRefused
from canvas_app.interviews import readymade, rule_form
from canvas_app.interviews.rulebook import Rule

EVERYTHING = {
    "title": " After a bad rating ",
    "description": "When support went wrong.\r\nSee the handbook.",
    "event": "conversation.rating.added",
    "study": "exit",
    "delay": "2 hours",
    "rating_at_most": "2",
    "tag": "billing, late\r\n\r\n bug ",
    "tag_not": "VIP",
    "role": "user",
    "closed_by_person": "yes",
    "customer_parts_at_least": "2",
    "characters_at_least": "200",
    "business_hours": "mon-fri 09:00-17:00",
    "share": "50",
    "interviews_per_week": "20",
    "credits_per_week": "60",
}
STUDIES = ("default", "exit")


def entered(slug: str = "low", **given: str) -> Rule:
    return rule_form.entered(slug, given, enabled=False, studies=STUDIES)


def mistakes(slug: str = "low", **given: str) -> dict[str, str]:
    with pytest.raises(RuleRefused) as refused:
        entered(slug, **given)
    assert refused.value.reason == "rule_malformed"
    return dict(refused.value.problems)


def test_everything_may_be_entered() -> None:
    rule = entered(**EVERYTHING)
    assert (rule.slug, rule.title, rule.study, rule.delay) == ("low", "After a bad rating", "exit", 7200)
    assert rule.description == "When support went wrong.\nSee the handbook."
    assert rule.conditions.tag == ("billing, late", "bug")
    assert rule.conditions.closed_by_person is True
    assert rule.limits.share == 50
    assert not rule.enabled
    assert set(EVERYTHING) == set(rule_form.FIELDS), "the form covers every condition and limit"


def test_what_is_blank_is_left_out() -> None:
    blank = dict.fromkeys(EVERYTHING, " ") | {"title": "T", "event": "conversation.admin.closed"}
    assert entered(**blank) == Rule(slug="low", title="T", event="conversation.admin.closed")


def test_every_mistake_is_told_at_its_field() -> None:
    assert set(
        mistakes(
            "Low rating",
            title="",
            event="conversation.opened",
            study="none",
            delay="soon",
            rating_at_most="6",
            role="admin",
            customer_parts_at_least="some",
            characters_at_least="0",
            business_hours="always",
            share="101",
            interviews_per_week="-1",
            credits_per_week="1.5",
            tag="x" * 121,
        )
    ) == {"slug", *EVERYTHING} - {"description", "tag_not", "closed_by_person"}


def test_a_mistake_is_told_in_words() -> None:
    found = mistakes(title="", event="contact.tag.created", rating_at_most="9" * 5000, share="x")
    assert found["title"] == "is missing"
    assert found["tag"].startswith("is missing: a rule about tags names those")
    assert "valid integer" in found["rating_at_most"]
    assert "valid integer" in found["share"]


def test_what_does_not_fit_together_is_told_at_its_field() -> None:
    found = mistakes(title="T", event="contact.tag.created", tag="vip", rating_at_most="3")
    assert found == {"rating_at_most": "is about conversations, and a tag on a contact has none"}


def test_control_characters_are_refused() -> None:
    assert mistakes(title="a\x00b", event="conversation.admin.closed") == {
        "title": "holds a control character"
    }


@pytest.mark.parametrize("rule", readymade.rules(), ids=lambda rule: rule.slug)
def test_a_rule_that_is_shown_and_sent_back_is_the_same(rule: Rule) -> None:
    assert (
        rule_form.entered(rule.slug, rule_form.texts(rule), enabled=rule.enabled, studies=(rule.study,))
        == rule
    )


def test_everything_that_is_shown_and_sent_back_is_the_same() -> None:
    rule = entered(**EVERYTHING)
    assert entered(**rule_form.texts(rule)) == rule
