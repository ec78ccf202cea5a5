"""The first page: what needs a person, what is to be set up, and what came of it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, cast

import pytest
import responses
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.engine import Engine

from canvas_app import leases, notices, store
from canvas_app.errors import CredentialsError
from canvas_app.interviews import alarms, alert_address, alert_facts, options, provisions
from canvas_app.interviews.alerts import Alert
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.tables import audit, interviews
from canvas_app.passages import DatabaseGate
from canvas_app.settings import Settings
from tests.console.conftest import Person, person, words
from tests.interviews.results import receive, sent_and_ready
from tests.support.rates import WIDE_OPEN
from tests.support.world import INTERCOM, World

HOSTILE = "<script>alert(1)</script>"
SILENT = Alert("koji_silent", "koji_silent", "Koji has sent nothing for 40 hours", "Look at its webhook.")
ADDRESS = "https://hooks.example.com/services/T0/planted-secret"


def works(world: World) -> None:
    leases.take(world.engine)


def entries(world: World) -> list[tuple[str, Any, Any]]:
    with store.reading(world.engine) as connection:
        rows = connection.execute(sa.select(audit).order_by(audit.c.at))
        return [(row.what, row.before, row.after) for row in rows]


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


class TestFigures:
    def test_what_came_of_interviews_is_shown_in_charts_and_tables(
        self, app: Flask, engine: Engine, settings: Settings, outside: responses.RequestsMock
    ) -> None:
        # On both databases, unlike the others here.
        world = World(app=app, engine=engine, settings=settings, outside=outside)
        receive(sent_and_ready(world))
        viewer = person(world, Teammate("ws1", "992", "Bo")).sign_in()
        html = viewer.get().text
        assert html.count("<svg") == 5
        said = words(html)
        for text in ("Sent 1", "Answered, of those sent 100 %", "Pricing friction", "Customer interview"):
            assert text in said

    def test_a_study_and_a_period_can_be_chosen(self, sqlite_world: World) -> None:
        world = sent_and_ready(sqlite_world)
        receive(world)
        world.add_study("leaving")
        viewer = person(world, Teammate("ws1", "992", "Bo")).sign_in()
        html = viewer.get(days=7, study="default").text
        assert '<option value="7" selected>' in html
        assert '<option value="default" selected>' in html
        assert "<svg" in html
        assert "<svg" not in viewer.get(study="leaving").text
        world.let_time_pass(days=60)
        assert "<svg" not in viewer.sign_in().get(days=30).text
        assert "<svg" in viewer.get(days=90).text

    @pytest.mark.parametrize("query", [{"days": "9"}, {"days": "x"}, {"study": "nobody's"}, {"days": ""}])
    def test_what_cannot_be_chosen_is_passed_over(self, sqlite_world: World, query: dict[str, str]) -> None:
        viewer = person(sqlite_world, Teammate("ws1", "992", "Bo")).sign_in()
        assert '<option value="30" selected>' in viewer.get(**query).text

    def test_a_hostile_theme_is_text(self, sqlite_world: World) -> None:
        world = sent_and_ready(sqlite_world)
        receive(world, themes=[HOSTILE])
        html = person(world, Teammate("ws1", "992", "Bo")).sign_in().get().text
        assert HOSTILE not in html
        assert "&lt;script&gt;alert(1)" in html

    def test_the_charts_may_be_styled_by_the_page_s_own_policy(self, sqlite_world: World) -> None:
        world = sent_and_ready(sqlite_world)
        receive(world)
        answer = person(world, Teammate("ws1", "992", "Bo")).sign_in().get()
        policy = answer.headers["Content-Security-Policy"]
        nonce = policy.split("'nonce-")[1].split("'")[0]
        assert answer.text.count("<style") == answer.text.count(f'nonce="{nonce}"') == 5

    def test_another_workspace_s_are_not_shown(self, sqlite_world: World) -> None:
        receive(sent_and_ready(sqlite_world))
        assert "<svg" not in person(sqlite_world, Teammate("ws2", "992", "Bo")).sign_in().get().text


class TestAlerts:
    def test_where_nothing_is_wrong_it_says_so(self, sqlite_world: World) -> None:
        works(sqlite_world)
        viewer = person(sqlite_world, Teammate("ws1", "992", "Bo")).sign_in()
        assert "Nothing. All is well." in viewer.text()

    def test_no_worker_and_what_is_refused_are_seen_at_once(self, sqlite_world: World) -> None:
        viewer = person(sqlite_world, Teammate("ws1", "992", "Bo")).sign_in()
        assert "No worker is running" in viewer.text()
        works(sqlite_world)
        gate = DatabaseGate(sqlite_world.engine, "koji", "pk_live_key", WIDE_OPEN["koji"])
        with pytest.raises(CredentialsError), gate.passage("GET /x"):
            raise CredentialsError(reason="koji_token_refused", status=401)
        said = viewer.text()
        assert "No worker is running" not in said
        assert "Koji refuses every call" in said

    def test_what_the_clock_has_found_is_told_until_it_is_over(
        self, sqlite_world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        viewer = person(sqlite_world, Teammate("ws1", "992", "Bo")).sign_in()
        gone = dataclasses.replace(SILENT, key="paused:x:*", kind="token_dead", title="A token that was dead")
        monkeypatch.setattr(alert_facts, "look", lambda *_: [SILENT, gone])
        sqlite_world.tick("alerts")
        said = viewer.text()
        assert "Koji has sent nothing for 40 hours" in said
        assert "A token that was dead" not in said, "what can be seen at once is looked at anew"
        monkeypatch.setattr(alert_facts, "look", lambda *_: [])
        sqlite_world.tick("alerts")
        assert "Koji has sent nothing" not in viewer.text()


class TestAlertAddress:
    def test_an_operator_enters_one_that_is_told_and_never_shown(
        self, operator: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = operator.world
        answer = operator.post("overview/alert-address", address=f" {ADDRESS} ")
        assert answer.status_code == 302
        html = operator.get().text
        assert "hooks.example.com" in html
        assert "planted-secret" not in html
        assert entries(world) == [("alert_address_entered", None, "hooks.example.com")]
        post = notices.post
        monkeypatch.setattr(
            notices, "post", lambda *args: post(*args, resolve=lambda _host, _port: ["93.184.216.34"])
        )
        monkeypatch.setattr(alert_facts, "look", lambda *_: [SILENT])
        world.outside.post("https://93.184.216.34/services/T0/planted-secret")
        world.tick("alerts")
        [call] = world.outside.calls
        assert "Koji has sent nothing" in json.loads(cast(bytes, call.request.body))["text"]
        assert "The last one went out on" in operator.text()
        operator.post("overview/alert-address/remove")
        assert "hooks.example.com" not in operator.get().text
        assert entries(world)[-1] == ("alert_address_removed", "hooks.example.com", None)

    @pytest.mark.parametrize("address", ["", "http://hooks.example.com/x", "https://a b", HOSTILE])
    def test_one_that_will_not_do_is_refused_with_why(self, operator: Person, address: str) -> None:
        answer = operator.post("overview/alert-address", address=address)
        assert answer.status_code == 422
        assert HOSTILE not in answer.text
        assert "<details open" in answer.text
        assert entries(operator.world) == []

    def test_one_inside_our_own_network_is_not_posted_to(
        self, operator: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        operator.post("overview/alert-address", address="https://127.0.0.1/x")
        monkeypatch.setattr(alert_facts, "look", lambda *_: [SILENT])
        operator.world.tick("alerts")
        assert len(operator.world.outside.calls) == 0
        said = operator.text()
        assert "The last one was not taken" in said
        assert "private network" in said

    def test_one_that_can_be_read_no_more_is_told(self, operator: Person) -> None:
        with store.writing(operator.world.engine) as connection:
            alert_address.enter(connection, operator.world.settings, ADDRESS)
        operator.world.deploy(secret_key="another,new-key")
        assert "enter it again" not in operator.text()
        operator.world.deploy(secret_key="another")
        assert "enter it again" in operator.text()

    def test_a_viewer_sees_the_host_and_no_form(self, viewer: Person) -> None:
        with store.writing(viewer.world.engine) as connection:
            alert_address.enter(connection, viewer.world.settings, ADDRESS)
        html = viewer.get().text
        assert "hooks.example.com" in html
        assert "alert-address" not in html
        assert viewer.post("overview/alert-address", address=ADDRESS).status_code == 403


class TestSetUp:
    def test_a_button_lets_a_worker_make_what_is_missing(self, operator: Person) -> None:
        world = operator.world
        works(world)
        assert "Attributes and tags in Intercom have not been made yet" in operator.text()
        for _ in range(2):
            assert operator.post("overview/set-up").status_code == 302
        assert "A worker is at it" in operator.text()
        world.outside.get(f"{INTERCOM}/data_attributes", json={"type": "list", "data": []})
        world.outside.post(f"{INTERCOM}/data_attributes", json={"type": "data_attribute"})
        world.outside.post(f"{INTERCOM}/tags", json={"type": "tag", "id": "1", "name": "any"})
        assert world.run_jobs() == ["set_up"]
        assert len(world.calls("POST", "/tags")) == len(provisions.tags(options.defaults(world.settings)))
        assert "Attributes and tags in Intercom are there" in operator.text()
        assert [what for what, *_ in entries(world)] == ["set_up_asked"]

    def test_what_is_missing_comes_with_its_fix_and_every_address_to_paste(self, operator: Person) -> None:
        operator.world.deploy(koji_api_key="")
        said = operator.text()
        assert "KOJI_API_KEY is missing" in said
        assert "export KOJI_API_KEY=" in said
        for path in ("/canvas/initialize", "/canvas/submit", "/webhooks/intercom", "/webhooks/koji"):
            assert path in said
        assert "conversation.rating.added" in said

    def test_a_viewer_has_no_button(self, viewer: Person) -> None:
        assert "overview/set-up" not in viewer.get().text
        assert viewer.post("overview/set-up").status_code == 403


def test_before_the_tables_are_there_it_says_what_to_do(
    viewer: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("canvas_app.migrate.current_version", lambda _engine: "0003")
    assert "python -m canvas_app release" in viewer.text()


def test_the_table_of_alerts_may_hold_any_number(viewer: Person) -> None:
    with store.writing(viewer.world.engine) as connection:
        many = [dataclasses.replace(SILENT, key=str(number), title=f"No. {number}.") for number in range(40)]
        alarms._write(connection, many)
    assert "No. 39." in viewer.text()


@pytest.mark.parametrize("by_command", [False, True])
def test_it_takes_twelve_queries_at_most(sqlite_world: World, by_command: bool) -> None:
    world = receive_one(sqlite_world)
    world.add_study("leaving")
    viewer = person(world, Teammate(None if by_command else "ws1", "992", "Bo", by_command)).sign_in()
    engine = world.app.extensions["koji_for_intercom"].engine
    statements: list[str] = []

    def remember(*arguments: Any) -> None:
        statements.append(arguments[2])

    sa.event.listen(engine, "before_cursor_execute", remember)
    html = viewer.get(days=365, study="default").text
    sa.event.remove(engine, "before_cursor_execute", remember)
    assert "<svg" in html
    assert len(statements) <= 12, "\n".join(statements)


def receive_one(world: World) -> World:
    receive(sent_and_ready(world))
    assert world.count(interviews) == 1
    return world
