"""Asking for an interview, and asking how it stands."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import pytest
import responses
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.interviews import studies, workspace
from canvas_app.interviews.tables import api_requests, interviews, workspaces
from canvas_app.settings import Settings
from tests.api.caller import ASKED, TOKEN, Caller, connected, refusal
from tests.support.world import CONTACT, CONVERSATION, PUBLIC_URL, World


@pytest.fixture
def caller(sqlite_world: World) -> Caller:
    return connected(sqlite_world)


@pytest.fixture
def world(caller: Caller) -> World:
    return caller.world


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_interview_is_written_with_its_job_and_answered_at_once(
    caller: Caller, world: World, method: str
) -> None:
    before = len(world.outside.calls)
    answer = caller.ask(method=method, contact_id=CONTACT, conversation_id=CONVERSATION)
    interview = world.interview()
    assert answer.status_code == 201
    assert answer.get_json() == {
        "interview_id": interview.id,
        "status": "queued",
        "interview_url": f"{PUBLIC_URL}/i/{interview.link_token}",
        "reason": None,
    }
    assert answer.headers["Cache-Control"] == "no-store"
    assert world.pending() == [("send", 0.0)]
    assert len(world.outside.calls) == before, "the web process calls nobody"
    assert (interview.origin, interview.deliver, interview.study) == ("api", "conversation", "default")
    assert (interview.workspace_id, interview.contact_id, interview.conversation_id) == (
        "ws1",
        CONTACT,
        CONVERSATION,
    )
    assert interview.credits == 1


def test_post_and_put_are_the_same_request(caller: Caller) -> None:
    first = caller.ask(contact_id=CONTACT)
    again = caller.ask(method="PUT", contact_id=CONTACT)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.get_json() == again.get_json()


def test_other_methods_are_told_apart_from_a_bad_token(caller: Caller, world: World) -> None:
    client = world.app.test_client()
    answer = client.delete("/api/interviews", headers=caller.headers)
    assert (answer.status_code, answer.get_json()["error"]) == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST", "PUT"}


def test_a_delay_plans_it(caller: Caller, world: World) -> None:
    answer = caller.ask(contact_id=CONTACT, deliver="message", delay="3600")
    assert answer.get_json()["status"] == "planned"
    assert answer.get_json()["interview_url"]
    interview = world.interview()
    assert interview.not_before is not None
    assert (interview.not_before - interview.created_at).total_seconds() == 3600
    [(name, pause)] = world.pending()
    assert (name, round(pause)) == ("send", 3600)


def test_with_an_address_nothing_is_looked_up_before_the_answer(caller: Caller, world: World) -> None:
    answer = caller.ask(email="Mia@Example.com", deliver="attribute")
    assert (answer.status_code, answer.get_json()["status"]) == (201, "queued")
    interview = world.interview()
    assert interview.contact_id.startswith("email:")
    assert len(interview.contact_id) == 46
    assert "mia" not in interview.contact_id
    assert interview.contact_email == "mia@example.com"


class TestWhatTheLimitsForbid:
    """A no that is no error: it is answered and recorded as skipped, with the reason."""

    def skipped(self, caller: Caller, **fields: Any) -> str:
        before = caller.world.counts()["interviews"]
        jobs = caller.world.pending()
        answer = caller.ask(**{"contact_id": CONTACT, **fields})
        told = answer.get_json()
        assert (answer.status_code, told["status"], told["interview_url"]) == (201, "skipped", None)
        assert caller.world.counts()["interviews"] == before + 1
        assert caller.world.pending() == jobs, "nothing is to be done about it"
        assert caller.status(told["interview_id"]).get_json() == told
        again = caller.ask(**{"contact_id": CONTACT, **fields})
        assert (again.status_code, again.get_json()) == (200, told)
        return str(told["reason"])

    def test_an_open_interview(self, caller: Caller) -> None:
        caller.ask(contact_id=CONTACT)
        assert self.skipped(caller, conversation_id="777") == "open_interview"

    def test_another_one_that_is_planned(self, caller: Caller) -> None:
        caller.ask(contact_id=CONTACT, delay=60)
        assert self.skipped(caller, conversation_id="777", delay=600) == "already_planned"

    def test_somebody_who_was_asked_recently(self, caller: Caller, world: World) -> None:
        world.deploy(api_token=TOKEN, ask_again_days=30)
        caller.ask(contact_id=CONTACT)
        world.set_interview(state="expired", sent_at=world.interview().created_at)
        assert self.skipped(caller, conversation_id="777") == "asked_recently"
        assert self.skipped(caller, conversation_id="778", delay=29 * 86_400) == "asked_recently"
        later = caller.ask(contact_id=CONTACT, conversation_id="779", delay=31 * 86_400)
        assert later.get_json()["status"] == "planned"

    def test_a_study_that_is_not_there(self, caller: Caller) -> None:
        assert self.skipped(caller, study="churn") == "study_unknown"

    def test_a_study_that_is_off(self, caller: Caller, world: World) -> None:
        default = dataclasses.replace(world.settings.default_study, enabled=False)
        with store.writing(world.engine) as connection:
            studies.save(connection, world.settings, default)
        assert self.skipped(caller) == "study_off"


def test_a_study_of_ones_own(caller: Caller, world: World) -> None:
    voice = dataclasses.replace(
        world.settings.default_study, slug="churn", name="Churn", api_key="pk_live_2", mode="voice"
    )
    with store.writing(world.engine) as connection:
        studies.save(connection, world.settings, voice)
    assert caller.ask(contact_id=CONTACT, study="churn").status_code == 201
    assert (world.interview().study, world.interview().credits) == ("churn", 3)
    with store.writing(world.engine) as connection:
        studies.save(connection, world.settings, dataclasses.replace(voice, slug="keyless", api_key=None))
    answer = caller.ask(contact_id="other", study="keyless")
    assert refusal(answer) == (503, "not_configured")
    assert "keyless" in answer.get_json()["message"]


class TestTheSameRequest:
    def test_with_a_key_it_is_the_same_for_good(self, caller: Caller, world: World) -> None:
        first = caller.ask(key="order-7", contact_id=CONTACT)
        world.set_interview(state="written_back")
        world.let_time_pass(days=400)
        again = caller.ask(key="order-7", contact_id=CONTACT)
        assert (again.status_code, again.get_json()["interview_id"]) == (
            200,
            first.get_json()["interview_id"],
        )
        assert (again.get_json()["status"], again.get_json()["interview_url"]) == ("written_back", None)

    @pytest.mark.parametrize(
        "other",
        [
            {"contact_id": "another"},
            {"email": "mia@example.com"},
            {"contact_id": CONTACT, "deliver": "message"},
            {"contact_id": CONTACT, "delay": 5},
            {"contact_id": CONTACT, "study": "other"},
            {"contact_id": CONTACT, "conversation_id": "9", "deliver": "none"},
        ],
    )
    def test_with_a_key_and_another_body_it_is_refused(
        self, caller: Caller, world: World, other: dict[str, Any]
    ) -> None:
        caller.ask(key="order-7", contact_id=CONTACT)
        answer = caller.ask(key="order-7", **other)
        assert refusal(answer) == (422, "idempotency_key_reused")
        assert world.counts()["interviews"] == 1
        assert caller.ask(key="order-7", contact_id=CONTACT).status_code == 200

    def test_how_the_body_is_written_makes_no_difference(self, caller: Caller) -> None:
        caller.ask(key="order-7", contact_id="42", delay=5)
        form = {"delay": "5", "contact_id": "42", "deliver": "none", "email": "", "sent_at": "now"}
        assert caller.send(form, key="order-7").status_code == 200

    def test_an_unusable_key_is_told(self, caller: Caller) -> None:
        assert refusal(caller.ask(key="x" * 201, contact_id=CONTACT)) == (422, "idempotency_key_invalid")

    def test_without_a_key_it_is_the_same_for_a_day(self, caller: Caller, world: World) -> None:
        first = caller.ask(contact_id=CONTACT, conversation_id=CONVERSATION)
        world.set_interview(state="written_back")
        world.let_time_pass(hours=23)
        again = caller.ask(contact_id=CONTACT, conversation_id=CONVERSATION, deliver="message")
        assert again.status_code == 200
        assert again.get_json()["interview_id"] == first.get_json()["interview_id"]
        world.let_time_pass(hours=1, seconds=1)
        later = caller.ask(contact_id=CONTACT, conversation_id=CONVERSATION)
        assert later.status_code == 201
        assert later.get_json()["interview_id"] != first.get_json()["interview_id"]
        assert caller.ask(contact_id=CONTACT, conversation_id=CONVERSATION).status_code == 200

    def test_an_address_is_the_same_however_it_is_written(self, caller: Caller) -> None:
        caller.ask(email="mia@example.com")
        assert caller.ask(email=" MIA@example.COM").status_code == 200

    def test_neither_keys_nor_bodies_stand_in_the_database(self, caller: Caller, world: World) -> None:
        caller.ask(key="order-7-of-mia", email="mia@example.com")
        caller.ask(email="bo@example.com")
        with store.reading(world.engine) as connection:
            rows = connection.execute(sa.select(api_requests)).mappings().all()
        stored = str([dict(row) for row in rows])
        assert len(rows) == 2
        assert not any(word in stored for word in ("order", "mia", "bo@", "example"))


class TestStatus:
    def test_each_state_is_told_with_its_reason(self, caller: Caller, world: World) -> None:
        id_ = caller.ask(contact_id=CONTACT).get_json()["interview_id"]
        world.set_interview(state="sending", reason="rate_limited")
        told = caller.status(id_).get_json()
        assert (told["interview_id"], told["status"], told["reason"]) == (id_, "sending", "rate_limited")

    def test_one_that_was_not_answered_in_time_has_expired(self, caller: Caller, world: World) -> None:
        id_ = caller.ask(contact_id=CONTACT).get_json()["interview_id"]
        world.set_interview(state="sent", sent_at=world.interview().created_at)
        world.let_time_pass(days=15)
        told = caller.status(id_).get_json()
        assert (told["status"], told["interview_url"]) == ("expired", None)

    def test_a_purged_one_has_a_state_and_no_link(self, caller: Caller, world: World) -> None:
        id_ = caller.ask(contact_id=CONTACT).get_json()["interview_id"]
        world.set_interview(state="unknown", purged_at=world.interview().created_at)
        assert caller.status(id_).get_json()["interview_url"] is None

    @pytest.mark.parametrize("id_", ["f" * 32, "x", "%00", "'", "f" * 5000, "é"])
    def test_an_unknown_id_is_404(self, caller: Caller, id_: str) -> None:
        caller.ask(contact_id=CONTACT)
        assert refusal(caller.status(id_)) == (404, "interview_not_found")

    @pytest.mark.parametrize("path", ["%00", "a%00b", f"{'f' * 31}%00"])
    def test_an_id_with_a_zero_byte_is_404_on_both_databases(
        self, app: Flask, engine: Engine, settings: Settings, outside: responses.RequestsMock, path: str
    ) -> None:
        caller = connected(World(app=app, engine=engine, settings=settings, outside=outside))
        answer = app.test_client().get(f"{ASKED}/{path}", headers=caller.headers)
        assert refusal(answer) == (404, "interview_not_found")

    def test_nothing_of_another_workspace_is_told(self, caller: Caller, world: World) -> None:
        id_ = caller.ask(contact_id=CONTACT).get_json()["interview_id"]
        world.outside.reset()
        world.intercom_knows_us(id_code="ws2")
        world.deploy(api_token=TOKEN, intercom_access_token="token-of-ws2")
        workspace.read(world.services)
        assert refusal(caller.status(id_)) == (404, "interview_not_found")
        assert caller.ask(contact_id=CONTACT).status_code == 201, "ids mean nothing elsewhere"
        assert world.interview().workspace_id == "ws2"


class TestUnknownWorkspace:
    def test_it_is_503_until_a_worker_has_asked(self, sqlite_world: World) -> None:
        world = sqlite_world
        caller = connected(world)
        with store.writing(world.engine) as connection:
            connection.execute(sa.delete(workspaces))
        for answer in (caller.ask(contact_id=CONTACT), caller.status("x"), caller.ask(contact_id=CONTACT)):
            assert refusal(answer) == (503, "workspace_unknown")
            assert answer.headers["Retry-After"] == "10"
        assert world.counts()["interviews"] == 0
        # Once a minute at most.
        assert [name for name, _ in world.pending()] in (["read_workspace"], ["read_workspace"] * 2)
        world.run_jobs()
        assert caller.ask(contact_id=CONTACT).status_code == 201

    def test_a_new_token_may_be_of_another_workspace(self, sqlite_world: World) -> None:
        caller = connected(sqlite_world)
        sqlite_world.deploy(api_token=TOKEN, intercom_access_token="another-token")
        assert refusal(caller.ask(contact_id=CONTACT)) == (503, "workspace_unknown")


def test_the_answer_takes_a_moment_and_writes_in_one_transaction(caller: Caller, world: World) -> None:
    begun: list[str] = []
    engine = world.app.extensions["koji_for_intercom"].engine

    def count(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("BEGIN"):
            begun.append(statement)

    sa.event.listen(engine, "before_cursor_execute", count)
    at = time.monotonic()
    assert caller.ask(contact_id=CONTACT).status_code == 201
    took = time.monotonic() - at
    sa.event.remove(engine, "before_cursor_execute", count)
    assert begun == ["BEGIN IMMEDIATE"]
    assert took < 1


def test_the_log_names_no_person(
    caller: Caller, world: World, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    caller.ask(email="mia@example.com", key="secret-key-1", study="planted")
    caller.ask(contact_id="mia@example.com")
    caller.status(world.interview().id)
    lines = log_lines()
    assert {"interview_asked_for", "refused", "request"} <= {line["event"] for line in lines}
    text = str(lines)
    assert not any(word in text for word in ("mia@", "secret-key-1", TOKEN, world.interview().link_token))


def test_what_goes_wrong_leaves_nothing_behind(
    caller: Caller, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise sa.exc.OperationalError("", {}, Exception())

    monkeypatch.setattr("canvas_app.interviews.ask.enqueue_send", fails)
    answer = caller.ask(key="k", contact_id=CONTACT)
    assert refusal(answer) == (503, "database_unavailable")
    assert (world.count(interviews), world.count(api_requests)) == (0, 0)
    monkeypatch.undo()
    assert caller.ask(key="k", contact_id=CONTACT).status_code == 201
