"""Decisions about results, pauses and tags."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from canvas_app.interviews import rules
from canvas_app.interviews.options import SENTIMENT_TAGS
from canvas_app.interviews.rules import Verdict
from canvas_app.koji.results import KojiResult

FULL = KojiResult(identity="named", sentiment="positive", quality=4.0, themes=("Pricing",))
WRITE, FILL = Verdict("write"), Verdict("fill")
ANONYMOUS, LOW, UNKNOWN = (
    Verdict("record", reason) for reason in ("anonymous", "low_quality", "quality_unknown")
)


def verdict(
    *, study_anonymous: bool = False, min_quality: float = 3, may_fill: bool = True, **changes: object
) -> Verdict:
    return rules.verdict(
        FULL.model_copy(update=changes),
        study_anonymous=study_anonymous,
        min_quality=min_quality,
        may_fill=may_fill,
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, WRITE),
        ({"identity": "absent"}, WRITE),
        ({"identity": "anonymous"}, ANONYMOUS),
        ({"study_anonymous": True}, ANONYMOUS),
        ({"identity": "anonymous", "quality": 1.0}, ANONYMOUS),
        ({"quality": 2.9}, LOW),
        ({"quality": 3.0}, WRITE),
        ({"quality": 4.0, "min_quality": 4.5}, LOW),
        ({"quality": None}, FILL),
        ({"quality": None, "may_fill": False}, UNKNOWN),
        ({"sentiment": None}, FILL),
        ({"themes": ()}, FILL),
        ({"sentiment": None, "themes": (), "may_fill": False}, WRITE),
        ({"quality": 1.0, "sentiment": None}, LOW),
        # Koji's own gate is final: no score that comes beside it counts.
        ({"status": rules.FAILED_GATE}, LOW),
        ({"status": rules.FAILED_GATE, "quality": None}, LOW),
        ({"status": rules.FAILED_GATE, "identity": "anonymous"}, ANONYMOUS),
        ({"status": "completed"}, WRITE),
    ],
)
def test_what_happens_with_a_result(given: dict[str, object], expected: Verdict) -> None:
    assert verdict(**given) == expected  # type: ignore[arg-type] # The rows are the arguments.


def test_a_send_is_tried_at_ever_longer_intervals_up_to_a_minute() -> None:
    pauses = [rules.send_pause(attempt, None, chance=0.0) for attempt in range(1, 9)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (2.0, 60.0)


def test_no_attempt_is_made_sooner_than_the_other_side_said() -> None:
    for chance in (0.0, 0.99):
        assert rules.send_pause(1, 45.0, chance=chance) >= 45.0
        assert (rules.result_pause(1, 45.0, chance=chance) or 0.0) >= 45.0


@pytest.mark.parametrize("retry_after", [0.0, 1.0])
def test_a_short_wait_that_the_other_side_asks_for_shortens_nothing(retry_after: float) -> None:
    assert rules.send_pause(1, retry_after, chance=0.0) == 2.0
    assert rules.result_pause(1, retry_after, chance=0.0) == 5.0


def test_pauses_are_spread_so_that_not_all_come_back_at_once() -> None:
    spread = {rules.send_pause(3, None, chance=chance / 10) for chance in range(10)}
    assert len(spread) == 10
    assert max(spread) <= 15.0 * 1.2


def test_writing_a_result_back_is_tried_for_more_than_three_days() -> None:
    pauses = [
        pause
        for attempt in range(1, 100)
        if (pause := rules.result_pause(attempt, None, chance=0.0)) is not None
    ]
    assert timedelta(hours=76) < timedelta(seconds=sum(pauses)) < timedelta(hours=120)


def fill_pauses(*, analysed: bool) -> list[float]:
    asked = (rules.fill_pause(number, analysed=analysed, chance=0.0) for number in range(1, 50))
    return [pause for pause in asked if pause is not None]


def test_koji_is_asked_for_what_is_missing_a_few_times_and_no_more() -> None:
    pauses = fill_pauses(analysed=True)
    assert len(pauses) == 4
    assert sum(pauses) < 3600


def test_koji_is_asked_for_an_analysis_at_ever_longer_pauses_for_days() -> None:
    pauses = fill_pauses(analysed=False)
    assert pauses[:4] == fill_pauses(analysed=True)
    assert pauses == sorted(pauses)
    assert timedelta(days=3) < timedelta(seconds=sum(pauses)) < timedelta(days=7)
    assert len(pauses) <= 12
    assert max(rules.fill_pause(1, analysed=False, chance=chance / 10) or 0 for chance in range(10)) > 30


def test_a_result_of_an_unknown_interview_is_held_for_minutes() -> None:
    pauses = []
    for attempt in count(1):
        pause = rules.unknown_pause(attempt, chance=0.0)
        if pause is None:
            break
        pauses.append(pause)
    assert 60 < sum(pauses) < 3600


@pytest.mark.parametrize(
    ("silent_for", "alive"),
    [(None, False), (29.9, True), (30.0, False), (3600, False), (-5, True), (-30.0, True), (-31, False)],
)
def test_a_worker_that_was_not_heard_of_lately_is_not_alive(silent_for: float | None, alive: bool) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    seen = None if silent_for is None else now - timedelta(seconds=silent_for)
    assert rules.worker_alive(seen, now, silent_after=30.0) is alive


@pytest.mark.parametrize(
    ("days", "after", "early"),
    [(1, 0.9, True), (30, 0, True), (30, 29.9, True), (30, 30, False), (0, 0, False)],
)
def test_a_contact_is_asked_again_when_the_days_are_over(days: int, after: float, early: bool) -> None:
    asked_at = datetime(2026, 11, 1, tzinfo=UTC)
    now = asked_at + timedelta(days=after)
    assert rules.asked_recently(asked_at, now, ask_again_days=days) is early
    assert (now < rules.ask_again_from(asked_at, ask_again_days=days)) is early


def test_without_a_limit_it_is_never_too_early_not_even_by_a_clock_that_was_set_back() -> None:
    asked_at = datetime(2026, 11, 1, tzinfo=UTC)
    assert not rules.asked_recently(asked_at, asked_at - timedelta(days=1), ask_again_days=0)


def test_a_conversation_is_closed_again_at_once_and_then_tried_for_about_an_hour() -> None:
    pauses = [rules.closing_pause(attempt) for attempt in range(1, 7)]
    assert pauses == [0.0, 5.0, 60.0, 600.0, 3_600.0, None]


@pytest.mark.parametrize(
    ("theme", "slug"),
    [
        ("Pricing friction!", "pricing_friction"),
        ("  API / SSO  ", "api_sso"),
        ("___", ""),
        ("<b>", "b"),
        ("x" * 100, "x" * 60),
    ],
)
def test_a_theme_as_part_of_a_tag(theme: str, slug: str) -> None:
    assert rules.tag_slug(theme) == slug


def test_only_themes_of_the_allow_list_become_tags_and_each_once() -> None:
    result = FULL.model_copy(
        update={"sentiment": "mixed", "themes": ("Pricing friction", "pricing-friction", "SSO", "???")}
    )
    assert rules.tags_for(
        result, sentiment_tags=SENTIMENT_TAGS, allowed_themes={"pricing_friction", "exports", ""}
    ) == [
        "koji_mixed_sentiment",
        "koji_pricing_friction",
    ]


def test_a_result_without_a_sentiment_has_no_sentiment_tag() -> None:
    assert (
        rules.tags_for(
            FULL.model_copy(update={"sentiment": None}), sentiment_tags=SENTIMENT_TAGS, allowed_themes=()
        )
        == []
    )


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("Unhappy after interview", ["Unhappy after interview", "koji_exports"]),
        (None, ["koji_exports"]),
        # Intercom takes both for the same tag.
        ("Koji_Exports", ["Koji_Exports"]),
    ],
)
def test_a_sentiments_tag_is_the_one_that_was_chosen_or_none(tag: str | None, expected: list[str]) -> None:
    result = KojiResult(sentiment="negative", themes=("Exports",))
    chosen = {**SENTIMENT_TAGS, "negative": tag}
    assert rules.tags_for(result, sentiment_tags=chosen, allowed_themes={"exports"}) == expected


@pytest.mark.parametrize(("retry_after", "pause"), [(None, 600.0), (3.0, 30.0), (900.0, 900.0)])
def test_what_is_held_comes_back_when_its_turn_comes_or_in_ten_minutes(
    retry_after: float | None, pause: float
) -> None:
    assert rules.held_pause(retry_after, chance=0.0) == pause
    assert pause < rules.held_pause(retry_after, chance=0.9) <= pause * 1.2


# When Koji is asked about a quiet interview

SENT = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def check_hours(*, open_days: int, chance: float) -> list[float]:
    """Hours after the sending at which Koji is asked, when each answer says that nothing has happened."""
    hours = []
    now = SENT
    while (check_at := rules.next_check(SENT, now, open_days=open_days, chance=chance)) is not None:
        now = check_at
        hours.append((now - SENT) / timedelta(hours=1))
    return hours


def test_koji_is_asked_ever_more_rarely_and_a_last_time_when_the_time_is_over() -> None:
    assert check_hours(open_days=4, chance=0.0) == [1, 3, 6, 12, 24, 48, 72, 96]
    assert check_hours(open_days=1, chance=0.0) == [1, 3, 6, 12, 24]


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_chance_spreads_the_checks_and_leaves_none_out(chance: float) -> None:
    hours = check_hours(open_days=14, chance=chance)
    assert len(hours) == 5 + 13
    assert hours == sorted(set(hours))
    assert hours[0] == pytest.approx(1 + 0.2 * chance)
    assert hours[7] == pytest.approx(96 + 24 * 0.2 * chance)
    assert hours[-1] == 14 * 24


@pytest.mark.parametrize(("quiet_hours", "next_hours"), [(0.5, 1), (1, 3), (5, 6), (24, 48), (100, 120)])
def test_checks_that_were_missed_are_not_made_up_for(quiet_hours: float, next_hours: float) -> None:
    now = SENT + timedelta(hours=quiet_hours)
    assert rules.next_check(SENT, now, open_days=14, chance=0.0) == SENT + timedelta(hours=next_hours)


@pytest.mark.parametrize("days", [14, 15])
def test_when_the_time_is_over_nobody_is_asked(days: int) -> None:
    assert rules.next_check(SENT, SENT + timedelta(days=days), open_days=14, chance=0.0) is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (KojiResult(), None),
        (KojiResult(status="in_progress"), None),
        (KojiResult(status="in_progress", quality=2), None),
        (KojiResult(status="partial", themes=("A",)), None),
        (KojiResult(status="a word of koji's"), None),
        (KojiResult(status="completed"), "completed"),
        (KojiResult(status="completed", quality=4), "analysis_ready"),
        (KojiResult(status="a word of koji's", sentiment="mixed"), "analysis_ready"),
        (KojiResult(quality=4), "analysis_ready"),
        (KojiResult(status="failed_quality_gate", quality=1), "failed_quality_gate"),
    ],
)
def test_what_koji_answers_stands_for_the_event_that_it_would_have_sent(
    answer: KojiResult, kind: str | None
) -> None:
    assert rules.event_for(answer) == kind
