"""What needs a person, decided from facts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from canvas_app.gates import EVERYTHING, Pause
from canvas_app.interviews import alerts
from canvas_app.interviews.alerts import Alert, Answers, Full, Heard, Kind, Refusals
from canvas_app.interviews.rulebook import No

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def kinds(found: list[Alert]) -> list[str]:
    return [alert.kind for alert in found]


def test_a_dead_token_and_a_missing_permission_say_what_to_do() -> None:
    dead = Pause("intercom", EVERYTHING, "intercom_token_refused", NOW, "intercom:1")
    lacks = Pause("koji", "POST /api/v1/interviews/start", "koji_scope_missing", NOW, "koji:2")
    found = alerts.of_pauses([dead, lacks])
    assert kinds(found) == ["token_dead", "permission_missing"]
    assert "INTERCOM_ACCESS_TOKEN" in found[0].remedy
    assert "every call" in found[0].title
    assert "POST /api/v1/interviews/start" in found[1].title
    assert found[0].since == NOW
    assert len({alert.key for alert in found}) == 2
    assert alerts.of_pauses([]) == []


def test_a_secret_that_cannot_be_read_names_its_study() -> None:
    [found] = alerts.of_lost_secrets(["leaving"])
    assert "leaving" in found.title
    assert found.key == "secret_lost:leaving"


def test_no_worker_is_told_while_there_is_none() -> None:
    assert kinds(alerts.of_worker(alive=False)) == ["no_worker"]
    assert alerts.of_worker(alive=True) == []


@pytest.mark.parametrize(
    ("waited", "expected"),
    [(None, []), (timedelta(minutes=4), []), (timedelta(minutes=12), ["queue_stuck"])],
)
def test_work_that_nobody_takes_up_is_told(waited: timedelta | None, expected: list[str]) -> None:
    found = alerts.of_queue(waited)
    assert kinds(found) == expected
    assert all("12 minutes" in alert.title for alert in found)


@pytest.mark.parametrize(
    ("results", "events", "expected"),
    [
        (0, 0, []),
        (2, 2, []),
        (3, 0, ["results_failing"]),
        (0, 3, ["events_failing"]),
        (9, 9, ["results_failing", "events_failing"]),
    ],
)
def test_several_that_fail_within_a_day_are_told(results: int, events: int, expected: list[str]) -> None:
    assert kinds(alerts.of_failures(results=results, events=events)) == expected


def heard(*hours_ago: float, open_: int = 3, made_up_for: int = 0) -> Heard:
    return Heard([NOW - hours * HOUR for hours in hours_ago], open_, made_up_for)


EVERY_SIX_HOURS = [6.0 * number for number in range(12)]


class TestSilence:
    def test_a_silence_longer_than_any_before_is_told(self) -> None:
        ago = [40 + hours for hours in EVERY_SIX_HOURS]
        [found] = alerts.of_silence(heard(*ago), NOW)
        assert found.kind == "koji_silent"
        assert found.title == "Koji has sent nothing for 40 hours; the longest pause before was 6 hours"
        assert found.since == NOW - 40 * HOUR

    @pytest.mark.parametrize(
        "facts",
        [
            pytest.param(heard(*[23 + hours for hours in EVERY_SIX_HOURS]), id="less than a day"),
            pytest.param(heard(*[40 + 30 * n for n in range(12)]), id="a longer pause is usual"),
            pytest.param(heard(*[40 + n for n in range(9)]), id="what is usual is not known"),
            pytest.param(heard(*[40 + n for n in range(12)], open_=2), id="nobody is to answer"),
            pytest.param(heard(), id="nothing yet"),
        ],
    )
    def test_any_other_silence_is_usual(self, facts: Heard) -> None:
        assert alerts.of_silence(facts, NOW) == []

    def test_results_that_had_to_be_asked_for_tell_that_webhooks_get_lost(self) -> None:
        [found] = alerts.of_silence(heard(made_up_for=3), NOW)
        assert found.kind == "webhooks_lost"
        assert "3 results" in found.title
        assert alerts.of_silence(heard(made_up_for=2), NOW) == []


@pytest.mark.parametrize(
    ("number", "without", "told"), [(4, 4, False), (5, 2, False), (6, 3, False), (5, 3, True), (90, 90, True)]
)
def test_most_answers_without_an_address_are_told(number: int, without: int, told: bool) -> None:
    found = alerts.of_answers([Answers("leaving", "Leaving", number, without)])
    assert bool(found) is told
    if told:
        assert found[0].title == f"{without} of {number} answers of Leaving came without an address"


def test_a_rule_that_may_ask_no_more_says_why() -> None:
    full = [
        Full("bad", "Rated badly", No("credits_used", "50 of 50 in seven days, and one costs 5")),
        Full("tag", "Tagged", No("week_full", "10 of 10 in seven days")),
    ]
    credits_used, week_full = alerts.of_rules(full)
    assert credits_used.title == "The rule “Rated badly” has used its credits of the week"
    assert "50 of 50" in credits_used.remedy
    assert week_full.title == "The rule “Tagged” may ask no more this week"
    assert credits_used.key != week_full.key


def test_a_door_that_refuses_many_signatures_is_told() -> None:
    few, many = (Refusals("/webhooks/koji", "signature_mismatch", number) for number in (9, 10))
    assert alerts.of_refusals([few]) == []
    [found] = alerts.of_refusals([many])
    assert "/webhooks/koji has refused 10 requests" in found.title


def test_whatever_is_named_what_is_told_fits_where_it_is_kept() -> None:
    long = "x" * 500
    found = [
        *alerts.of_answers([Answers("s" * 64, long, 9, 9)]),
        *alerts.of_rules([Full("r" * 64, long, No("week_full", "y" * 200))]),
        *alerts.of_refusals([Refusals("/" + long, "signature_mismatch", 99)]),
        *alerts.of_pauses([Pause("koji", "z" * 80, "koji_scope_missing", NOW, "g" * 70)]),
    ]
    assert len(found) == 4
    for alert in found:
        assert len(alert.key) <= 160
        assert len(alert.title) <= alerts.LONGEST_TITLE
        assert len(alert.remedy) <= alerts.LONGEST_REMEDY


def test_what_is_seen_at_the_moment_are_kinds_of_alerts() -> None:
    assert set(get_args(Kind)) > alerts.LIVE
