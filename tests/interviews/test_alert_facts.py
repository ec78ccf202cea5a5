"""The facts that alerts are decided by, as they stand in either database."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bench.filled import fill
from canvas_app import store
from canvas_app.errors import CredentialsError
from canvas_app.interviews import alert_facts, ledger, limits, rulestore, workspace
from canvas_app.interviews.rulebook import Limits, Rule
from canvas_app.interviews.tables import deliveries, interviews, refusals
from canvas_app.passages import DatabaseGate
from tests.support.plans import watched
from tests.support.rates import WIDE_OPEN
from tests.support.world import WORKSPACE, World

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def kinds(world: World) -> list[str]:
    with store.reading(world.engine) as connection:
        return [alert.kind for alert in alert_facts.look(connection, world.settings)]


def now(world: World) -> datetime:
    with store.reading(world.engine) as connection:
        return store.now(connection)


def put_deliveries(world: World, number: int, ago: timedelta = HOUR, **values: Any) -> None:
    moment = now(world) - ago
    with store.writing(world.engine) as connection:
        for _ in range(number):
            id_ = ledger.new_id()
            row = {
                "id": id_,
                "door": "koji",
                "dedupe_key": id_,
                "event": "interview.analysis_ready",
                "state": "done",
                "attempt": 1,
                **dict.fromkeys(("waits", "fills", "tries"), 0),
                "received_at": moment,
                "finished_at": moment,
                **values,
            }
            connection.execute(sa.insert(deliveries).values(**row))


def put_interviews(world: World, number: int, **values: Any) -> None:
    moment = now(world)
    with store.writing(world.engine) as connection:
        for _ in range(number):
            id_ = ledger.new_id()
            row = {
                "id": id_,
                "workspace_id": WORKSPACE,
                "contact_id": id_,
                "study": "default",
                "origin": "card",
                "state": "sent",
                "link_token": id_,
                "send_attempt": 1,
                "created_at": moment - HOUR,
                "state_since": moment - HOUR,
                "send_before": moment,
                **values,
            }
            connection.execute(sa.insert(interviews).values(**row))


@pytest.fixture
def known(world: World) -> World:
    """One whose token has told its workspace."""
    world.intercom_knows_us()
    workspace.read(world.services)
    return world


def test_of_a_fresh_app_nothing_is_to_be_told(known: World) -> None:
    assert kinds(known) == []


@pytest.mark.parametrize(("status", "kind"), [(401, "token_dead"), (403, "permission_missing")])
def test_what_is_paused_is_told(world: World, status: int, kind: str) -> None:
    gate = DatabaseGate(world.engine, "koji", "pk_live_key", WIDE_OPEN["koji"])
    with pytest.raises(CredentialsError), gate.passage("POST /x"):
        raise CredentialsError(reason="koji_token_refused", status=status)
    assert kinds(world) == [kind]


def test_a_study_whose_secret_is_lost_is_told(world: World) -> None:
    world.add_study("leaving")
    world.deploy(secret_key="another")
    assert kinds(world) == ["secret_lost"]


class TestFailures:
    def test_those_that_were_given_up_within_a_day_count(self, world: World) -> None:
        put_deliveries(world, 2, 5 * DAY, state="failed", finished_at=now(world) - HOUR)
        assert kinds(world) == []
        put_deliveries(world, 1, 2 * HOUR, state="failed")
        assert kinds(world) == ["results_failing"]

    def test_older_ones_do_not_and_those_of_intercom_are_events(self, world: World) -> None:
        put_deliveries(world, 5, 3 * DAY, state="failed")
        put_deliveries(world, 3, state="failed", door="intercom")
        assert kinds(world) == ["events_failing"]


class TestSilence:
    def test_a_silence_is_told_while_somebody_is_to_answer(self, world: World) -> None:
        for number in range(12):
            put_deliveries(world, 1, 2 * DAY + number * HOUR)
        put_interviews(world, 2)
        assert kinds(world) == []
        put_interviews(world, 1, state="opened")
        assert kinds(world) == ["koji_silent"]

    def test_results_that_koji_was_asked_for_since_its_last_webhook_count(self, world: World) -> None:
        put_deliveries(world, 3, 3 * DAY, door="reconcile")
        put_deliveries(world, 1, 2 * DAY)
        assert kinds(world) == []
        put_deliveries(world, 3, DAY, door="reconcile")
        assert kinds(world) == ["webhooks_lost"]

    def test_without_any_webhook_those_of_a_week_count(self, world: World) -> None:
        put_deliveries(world, 3, 8 * DAY, door="reconcile")
        assert kinds(world) == []
        put_deliveries(world, 3, 6 * DAY, door="reconcile")
        assert kinds(world) == ["webhooks_lost"]


class TestAnswersWithoutAddress:
    def put(self, world: World, number: int, reason: str | None, **values: Any) -> None:
        moment = now(world) - DAY
        answered = {"state": "not_written", "completed_at": moment, "result": {"quality": 4.0}}
        put_interviews(world, number, reason=reason, **{**answered, **values})

    def test_most_of_a_study_are_told(self, known: World) -> None:
        self.put(known, 3, "anonymous")
        self.put(known, 3, "low_quality")
        assert kinds(known) == []
        self.put(known, 1, "anonymous_after_writing")
        assert kinds(known) == ["answers_without_address"]

    def test_of_a_study_that_is_meant_to_be_anonymous_none_are(self, known: World) -> None:
        known.add_study("quiet", anonymous=True)
        self.put(known, 9, "anonymous", study="quiet")
        self.put(known, 9, "anonymous", study="gone")
        self.put(known, 9, "anonymous", completed_at=now(known) - 31 * DAY)
        self.put(known, 9, "anonymous", workspace_id="ws2")
        assert kinds(known) == []


class TestRules:
    def rule(self, world: World, slug: str = "bad", **changes: Any) -> Rule:
        values: dict[str, Any] = {
            "title": "Rated badly",
            "event": "conversation.rating.added",
            "enabled": True,
        }
        rule = Rule(slug=slug, **{**values, **changes})
        with store.writing(world.engine) as connection:
            rulestore.save(connection, rule)
        return rule

    def test_one_that_may_ask_no_more_is_told(self, world: World) -> None:
        self.rule(world, limits=Limits(interviews_per_week=2))
        put_interviews(world, 1, rule="bad", sent_at=now(world) - DAY)
        assert kinds(world) == []
        put_interviews(world, 1, rule="bad", state="queued")
        assert kinds(world) == ["rule_limit"]

    def test_one_that_has_used_its_credits_is_told(self, world: World) -> None:
        self.rule(world, limits=Limits(credits_per_week=10))
        put_interviews(world, 2, rule="bad", sent_at=now(world) - DAY, credits=5)
        assert kinds(world) == ["rule_limit"]

    def test_one_that_is_off_or_has_no_limit_or_whose_week_is_over_is_not(self, world: World) -> None:
        self.rule(world, "off", enabled=False, limits=Limits(interviews_per_week=1))
        self.rule(world, "free")
        self.rule(world, "old", limits=Limits(interviews_per_week=1))
        for slug in ("off", "free"):
            put_interviews(world, 2, rule=slug, sent_at=now(world) - DAY)
        put_interviews(world, 2, rule="old", sent_at=now(world) - 8 * DAY, created_at=now(world) - 8 * DAY)
        assert kinds(world) == []

    def test_it_counts_as_the_decision_about_an_interview_does(self, world: World) -> None:
        rule = self.rule(world, delay="30 days", limits=Limits(interviews_per_week=3))
        moment = now(world)
        # Asked for long ago, and sent this week.
        put_interviews(world, 2, rule="bad", created_at=moment - 33 * DAY, sent_at=moment - DAY)
        put_interviews(world, 1, rule="bad", state="planned", not_before=moment + DAY)
        for more in (0, 1):
            put_interviews(world, more, rule="bad", sent_at=moment - HOUR)
            with store.reading(world.engine) as connection:
                one = limits.against_week(connection, rule, sent_at=moment, cost=1)
                several = limits.against_this_week(connection, [rule], costs={"default": 1}, now=moment)
            assert several == ({} if one is None else {"bad": one})
            assert bool(several) is bool(more)


class TestRefusals:
    def put(self, world: World, reason: str, number: int, ago: timedelta = timedelta(0)) -> None:
        hour = now(world).replace(minute=0, second=0, microsecond=0) - ago
        with store.writing(world.engine) as connection:
            connection.execute(
                sa.insert(refusals).values(hour=hour, door="/webhooks/koji", reason=reason, number=number)
            )

    def test_many_signatures_of_this_hour_and_the_one_before_are_told(self, world: World) -> None:
        self.put(world, "signature_mismatch", 6)
        self.put(world, "signature_mismatch", 9, 2 * HOUR)
        assert kinds(world) == []
        self.put(world, "signature_mismatch", 4, HOUR)
        assert kinds(world) == ["door_refuses"]

    def test_what_was_refused_for_another_reason_is_not(self, world: World) -> None:
        self.put(world, "body_unreadable", 99)
        assert kinds(world) == []


def test_how_long_the_oldest_job_waits_is_never_less_than_nothing(world: World) -> None:
    from canvas_app.engine import Waiting

    assert alert_facts.oldest_wait(Waiting(0, 0, 0, None)) is None
    ahead = alert_facts.oldest_wait(Waiting(1, 0, 0, now(world).timestamp() + 600))
    assert ahead == timedelta(0)


def test_no_query_reads_a_whole_large_table(known: World) -> None:
    fill(known.engine, workspace=WORKSPACE, number=6_000, received=6_000)
    with store.writing(known.engine) as connection:
        rule = Rule(
            slug="rated-badly",
            title="Rated badly",
            event="conversation.rating.added",
            enabled=True,
            limits=Limits(interviews_per_week=9),
        )
        rulestore.save(connection, rule)
    with watched(known.engine) as plans, store.reading(known.engine) as connection:
        alert_facts.look(connection, known.settings)
    assert plans.whole_reads(known.engine) == []
    assert kinds(known) == ["rule_limit"]
