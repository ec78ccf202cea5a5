"""The clock looks for what needs a person, says so once in the log, and posts one message."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from canvas_app import notices, store
from canvas_app.interviews import alarms, alert_address, alert_facts
from canvas_app.interviews.alerts import Alert
from canvas_app.interviews.tables import alerts as alerts_table
from tests.support.world import World

Logged = Callable[[], list[dict[str, Any]]]

ADDRESS = "https://hooks.example.com/services/T0/planted-secret"
POSTED = "https://93.184.216.34/services/T0/planted-secret"
DEAD = Alert("paused:1:*", "token_dead", "Intercom refuses <every> call", "Get a valid value & set it.")
FULL = Alert("rule_limit:bad", "rule_limit", "The rule Bad may ask no more this week", "Raise its limit.")


@pytest.fixture(autouse=True)
def _known_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name is really looked up."""
    post = notices.post
    monkeypatch.setattr(
        notices, "post", lambda *args: post(*args, resolve=lambda _host, _port: ["93.184.216.34"])
    )


class Clock:
    """What there is at the moment, as a test wants it."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.now: list[Alert] = []
        monkeypatch.setattr(alert_facts, "look", lambda *_: self.now)

    def tick(self, *now: Alert) -> None:
        self.now = list(now)
        self.world.tick("alerts")

    def enter(self) -> None:
        with store.writing(self.world.engine) as connection:
            alert_address.enter(connection, self.world.settings, ADDRESS)

    def takes(self, status: int = 200, **options: Any) -> None:
        self.world.outside.reset()
        self.world.outside.post(POSTED, status=status, **options)

    def told(self) -> list[str]:
        """The texts that were posted since the last look, but for the greeting."""
        texts = [json.loads(cast(bytes, call.request.body))["text"] for call in self.world.outside.calls]
        self.world.outside.calls.reset()
        return texts

    def listed(self) -> list[str]:
        with store.reading(self.world.engine) as connection:
            return [alert.key for alert in alarms.listed(connection)]


@pytest.fixture
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(world, monkeypatch)


@pytest.fixture
def told(clock: Clock) -> Clock:
    """One that posts, and has greeted."""
    clock.enter()
    clock.takes()
    clock.tick()
    assert clock.told() == ["Alerts of Koji for Intercom are posted here."]
    return clock


class TestLooking:
    def test_a_new_alert_is_logged_once_at_warning_level(self, clock: Clock, log_lines: Logged) -> None:
        for _ in range(3):
            clock.tick(DEAD, FULL)
        lines = [line for line in log_lines() if line["event"] == "alert"]
        assert [(line["level"], line["kind"]) for line in lines] == [
            ("warning", "token_dead"),
            ("warning", "rule_limit"),
        ]
        assert clock.listed() == ["paused:1:*", "rule_limit:bad"]

    def test_what_is_over_is_not_listed_and_is_new_when_it_comes_again(
        self, clock: Clock, log_lines: Logged
    ) -> None:
        clock.tick(DEAD)
        clock.tick()
        assert clock.listed() == []
        clock.tick(DEAD)
        assert clock.listed() == ["paused:1:*"]
        events = [line["event"] for line in log_lines() if line["event"].startswith("alert")]
        assert events == ["alert", "alert_over", "alert"]

    def test_its_words_follow_what_it_is_now(self, clock: Clock) -> None:
        clock.tick(DEAD)
        clock.tick(dataclasses.replace(DEAD, title="Intercom refuses more"))
        with store.reading(clock.world.engine) as connection:
            assert [alert.title for alert in alarms.listed(connection)] == ["Intercom refuses more"]

    def test_what_has_been_over_for_long_is_forgotten(self, clock: Clock) -> None:
        clock.tick(DEAD)
        clock.tick()
        clock.world.let_time_pass(days=31)
        clock.tick()
        assert clock.world.count(alerts_table) == 0

    def test_without_an_address_nothing_is_posted(self, clock: Clock) -> None:
        clock.tick(DEAD)
        assert len(clock.world.outside.calls) == 0


class TestTelling:
    def test_all_that_is_new_is_one_message_and_told_once(self, told: Clock) -> None:
        for _ in range(3):
            told.tick(DEAD, FULL)
        [text] = told.told()
        assert text.splitlines() == [
            ":warning: *Intercom refuses &lt;every&gt; call*",
            "Get a valid value &amp; set it.",
            ":warning: *The rule Bad may ask no more this week*",
            "Raise its limit.",
        ]

    def test_what_lasts_is_not_told_again_after_a_day(self, told: Clock) -> None:
        told.tick(DEAD)
        told.told()
        told.world.let_time_pass(days=3)
        told.tick(DEAD)
        assert told.told() == []

    def test_that_it_is_over_is_told_once(self, told: Clock) -> None:
        told.tick(DEAD)
        told.told()
        for _ in range(3):
            told.tick()
        assert told.told() == [":white_check_mark: Resolved: Intercom refuses &lt;every&gt; call"]

    def test_one_that_comes_and_goes_is_told_once_a_day(self, told: Clock) -> None:
        for _ in range(4):
            told.tick(DEAD)
            told.tick()
        assert len(told.told()) == 2
        told.world.let_time_pass(hours=23)
        told.tick(DEAD)
        assert told.told() == []
        told.world.let_time_pass(hours=2)
        told.tick(DEAD)
        assert [text.split("*")[1] for text in told.told()] == ["Intercom refuses &lt;every&gt; call"]

    def test_what_was_not_told_is_not_told_to_be_over(self, clock: Clock) -> None:
        clock.tick(DEAD)
        clock.tick()
        clock.enter()
        clock.takes()
        clock.tick()
        assert clock.told() == ["Alerts of Koji for Intercom are posted here."]

    def test_an_address_that_is_entered_later_is_told_what_lasts(self, clock: Clock) -> None:
        clock.tick(DEAD)
        clock.enter()
        clock.takes()
        clock.tick(DEAD)
        [text] = clock.told()
        assert text.startswith("Alerts of Koji")
        assert "Intercom refuses" in text

    @pytest.mark.parametrize("answer", [{"status": 404}, {"body": httpx.ConnectError("no")}])
    def test_what_was_surely_not_taken_is_posted_again(
        self, told: Clock, log_lines: Logged, answer: dict[str, Any]
    ) -> None:
        told.takes(**answer)
        told.tick(DEAD)
        told.takes()
        told.tick(DEAD)
        assert len(told.told()) == 1
        lines = [line for line in log_lines() if line["event"] == "alerts_not_told"]
        assert [line["tried_again"] for line in lines] == [True]
        assert "planted-secret" not in json.dumps(lines)

    @pytest.mark.parametrize("answer", [{"status": 500}, {"body": httpx.ReadTimeout("slow")}])
    def test_what_may_have_been_taken_is_not_posted_again(self, told: Clock, answer: dict[str, Any]) -> None:
        told.takes(**answer)
        told.tick(DEAD)
        told.takes()
        told.tick(DEAD)
        assert told.told() == []

    def test_what_came_of_it_can_be_seen_and_the_address_cannot(self, told: Clock) -> None:
        told.takes(404)
        told.tick(DEAD)
        with store.reading(told.world.engine) as connection:
            rows = connection.execute(sa.text("SELECT name, value FROM options")).all()
            shown = alert_address.shown(told.world.settings, {row.name: _json(row.value) for row in rows})
        assert shown is not None
        assert (shown.host, shown.problem, shown.lost) == ("hooks.example.com", "not_found", False)
        assert shown.posted_at is not None
        assert "planted-secret" not in str(rows)

    @pytest.mark.parametrize(("status", "again"), [(404, 1), (200, 0)])
    def test_what_came_of_a_message_is_known_also_where_the_database_was_away_then(
        self, told: Clock, monkeypatch: pytest.MonkeyPatch, status: int, again: int
    ) -> None:
        world, writing, away = told.world, store.writing, iter([False, True, False])

        def writing_sometimes(engine: Any) -> Any:
            if next(away, False):
                raise OperationalError("UPDATE", {}, Exception("gone"))
            return writing(engine)

        told.takes(status)
        told.now = [DEAD]
        alarms.look(world.services)
        with monkeypatch.context() as patched:
            patched.setattr("canvas_app.store.time.sleep", lambda _seconds: None)
            patched.setattr(store, "writing", writing_sometimes)
            store.patiently(alarms.tell, world.services)
        assert len(told.told()) == 1
        told.takes(200)
        told.tick(DEAD)
        assert len(told.told()) == again

    def test_a_process_that_dies_while_it_posts_does_not_post_twice(
        self, told: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def dies(*_args: object) -> None:
            raise SystemExit

        with monkeypatch.context() as patched:
            patched.setattr(notices, "post", dies)
            with pytest.raises(SystemExit):
                told.tick(DEAD)
        told.tick(DEAD)
        assert told.told() == []

    def test_many_at_once_are_told_shortly(self, told: Clock) -> None:
        told.tick(*(dataclasses.replace(FULL, key=f"rule_limit:{number}") for number in range(30)))
        [text] = told.told()
        assert text.count(":warning:") == 20
        assert text.endswith("And 10 more: see the console.")


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


class TestAddress:
    def test_it_is_sealed_anew_when_the_newest_key_changes(self, sqlite_world: World) -> None:
        world = sqlite_world
        with store.writing(world.engine) as connection:
            alert_address.enter(connection, world.settings, ADDRESS)
            assert not alert_address.reseal(connection, world.settings)
        world.deploy(secret_key="newest,new-key")
        with store.writing(world.engine) as connection:
            assert alert_address.reseal(connection, world.settings)
            assert not alert_address.reseal(connection, world.settings)
        world.deploy(secret_key="newest")
        with store.reading(world.engine) as connection:
            found = alert_address.current(connection, world.settings)
        assert found is not None
        assert found.url == ADDRESS

    def test_one_that_cannot_be_read_any_more_is_told_and_not_used(self, sqlite_world: World) -> None:
        world = sqlite_world
        with store.writing(world.engine) as connection:
            alert_address.enter(connection, world.settings, ADDRESS)
        world.deploy(secret_key="another")
        with store.writing(world.engine) as connection:
            assert alert_address.current(connection, world.settings) is None
            assert not alert_address.reseal(connection, world.settings)
        assert alarms.tell(world.services) == 0

    def test_removed_it_is_gone(self, sqlite_world: World) -> None:
        world = sqlite_world
        with store.writing(world.engine) as connection:
            alert_address.enter(connection, world.settings, ADDRESS)
            assert alert_address.remove(connection) == "hooks.example.com"
            assert alert_address.remove(connection) is None
            assert alert_address.current(connection, world.settings) is None


def test_a_day_is_the_time_within_which_one_is_told_once() -> None:
    assert timedelta(days=1) == alarms.TOLD_ONCE_WITHIN
