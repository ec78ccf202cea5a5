"""The rules, without any database: what they weigh is handed to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from canvas_app.interviews import rulebook
from canvas_app.interviews.rulebook import Conditions, Facts, History, Limits, No, Rule

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)  # A Wednesday.


def rule(**changes: Any) -> Rule:
    return Rule.model_validate({"slug": "r", "title": "R", "event": "conversation.admin.closed"} | changes)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7 days", 604_800),
        ("1 week", 604_800),
        ("2 Hours", 7_200),
        ("90minutes", 5_400),
        ("0 minutes", 0),
        (3_600, 3_600),
    ],
)
def test_delays_are_read(text: str | int, seconds: int) -> None:
    assert rule(delay=text).delay == seconds


@pytest.mark.parametrize("delay", ["soon", "-1 days", "7", "1.5 days", "91 days", -1, True, None, 1.5])
def test_what_is_no_delay_is_refused(delay: Any) -> None:
    with pytest.raises(ValidationError):
        rule(delay=delay)


@given(st.integers(min_value=0, max_value=90 * 86_400))
def test_a_delay_in_words_is_read_as_itself(seconds: int) -> None:
    assert rule(delay=rulebook.delay_in_words(seconds)).delay == seconds


@pytest.mark.parametrize(
    "changes",
    [
        {"slug": "With Spaces"},
        {"slug": ""},
        {"title": ""},
        {"event": "conversation.closed"},
        {"conditions": {"rating_at_most": 6}},
        {"conditions": {"rating_at_most": "3"}},
        {"conditions": {"rating": 3}},
        {"conditions": {"role": "visitor"}},
        {"conditions": {"tag": ""}},
        {"conditions": {"closed_by_person": "yes"}},
        {"conditions": {"business_hours": "nine to five"}},
        {"conditions": {"business_hours": 9}},
        {"limits": {"share": 0}},
        {"limits": {"share": 101}},
        {"limits": {"interviews_per_week": 0}},
        {"enabled": "yes"},
        {"something": 1},
        {"event": "contact.tag.created"},
        {"event": "conversation_part.tag.created", "conditions": {"tag_not": "x"}},
        {"event": "contact.tag.created", "conditions": {"tag": "x", "rating_at_most": 3}},
        {"event": "contact.tag.created", "conditions": {"tag": "x", "closed_by_person": True}},
    ],
)
def test_a_rule_with_a_mistake_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rule(**changes)


def test_one_tag_may_be_written_without_a_list_and_hours_as_yes() -> None:
    made = rule(conditions={"tag": "vip", "business_hours": True})
    assert made.conditions.tag == ("vip",)
    assert made.conditions.business_hours == "mon-fri 09:00-17:00"
    assert rule(conditions={"business_hours": False}).conditions.business_hours is None


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        (History(), None),
        (History(open=True, planned=True), "open_interview"),
        (History(planned=True), "planned_interview"),
        (History(asked_at=NOW - timedelta(days=29)), "asked_recently"),
        (History(asked_at=NOW - timedelta(days=30)), None),
        (History(asked_in_conversation=True), "asked_in_conversation"),
    ],
)
def test_what_the_ledger_has_against_it(history: History, reason: str | None) -> None:
    no = rulebook.against_history(history, sent_at=NOW, ask_again_days=30)
    assert (no.reason if no else None) == reason


def test_the_time_between_two_questions_counts_until_the_second_is_sent() -> None:
    history = History(asked_at=NOW - timedelta(days=25))
    in_a_week = NOW + timedelta(days=7)
    assert rulebook.against_history(history, sent_at=in_a_week, ask_again_days=30) is None
    no = rulebook.against_history(history, sent_at=NOW, ask_again_days=30)
    assert no == No("asked_recently", "asked on 31 Oct 2026, again after 30 days")


def test_details_say_what_was_found_and_what_is_asked() -> None:
    low = rule(conditions={"rating_at_most": 3})
    no = rulebook.against_conditions(low, Facts(rating=5))
    assert no == No("rating_too_good", "rated 5, asked is at 3 or less")


@given(st.text(min_size=1, max_size=40), st.integers(min_value=1, max_value=100))
def test_a_contact_in_a_share_is_in_every_larger_one(contact_id: str, share: int) -> None:
    small, large = rule(limits={"share": share}), rule(limits={"share": min(100, share + 10)})
    if rulebook.against_share(small, "ws", contact_id) is None:
        assert rulebook.against_share(large, "ws", contact_id) is None
    assert rulebook.against_share(rule(), "ws", contact_id) is None


def test_rules_draw_their_shares_apart() -> None:
    people = [f"c{number}" for number in range(200)]

    def drawn(slug: str) -> set[str]:
        one = rule(slug=slug, limits={"share": 50})
        return {person for person in people if rulebook.against_share(one, "ws", person) is None}

    assert 70 < len(drawn("a")) < 130
    assert drawn("a") != drawn("b")


@pytest.mark.parametrize(
    ("limits", "interviews", "credits_", "cost", "reason"),
    [
        ({}, 10_000, 10_000, 3, None),
        ({"interviews_per_week": 5}, 4, 0, 1, None),
        ({"interviews_per_week": 5}, 5, 0, 1, "week_full"),
        ({"credits_per_week": 10}, 3, 7, 3, None),
        ({"credits_per_week": 10}, 3, 8, 3, "credits_used"),
        ({"credits_per_week": 1}, 0, 0, 3, "credits_used"),
    ],
)
def test_the_week_s_limits(
    limits: dict[str, int], interviews: int, credits_: int, cost: int, reason: str | None
) -> None:
    no = rulebook.against_week(
        Limits.model_validate(limits), interviews=interviews, credits_=credits_, cost=cost
    )
    assert (no.reason if no else None) == reason


@pytest.mark.parametrize(
    ("delay", "business_hours", "sent_at"),
    [
        (0, False, NOW),
        (3_600, False, NOW + timedelta(hours=1)),
        (0, True, NOW),
        # One o'clock in Berlin and four hours make five o'clock, when it closes.
        (4 * 3_600, True, datetime(2026, 11, 26, 8, tzinfo=UTC)),
        (7 * 86_400, True, NOW + timedelta(days=7)),
        (3 * 86_400, True, datetime(2026, 11, 30, 8, tzinfo=UTC)),
    ],
)
def test_when_a_message_is_sent(delay: int, business_hours: bool, sent_at: datetime) -> None:
    made = rule(delay=delay, conditions={"business_hours": business_hours})
    assert rulebook.sent_at(made, NOW, NOW, "Europe/Berlin") == sent_at


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("koji_negative_sentiment", True),
        ("Koji_Positive_Sentiment", True),
        ("koji_pricing", True),
        ("koji_do_not_ask", False),
        ("koji_interview", False),
        ("pricing", False),
        ("koji_negative_sentiment_2", False),
    ],
)
def test_our_own_tags_are_told_from_those_that_people_put_on(name: str, own: bool) -> None:
    assert rulebook.is_own_tag(name, frozenset({"koji_pricing"})) is own


def test_what_is_left_out_is_asked_about_nothing() -> None:
    assert rulebook.against_conditions(rule(), Facts()) is None
    assert rulebook.against_person(Facts()) is None
    assert rulebook.nonsense("conversation.admin.closed", Conditions()) == []
