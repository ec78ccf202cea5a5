"""A sample of every inbound request is truly signed, and the app takes it."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from canvas_app.cli import common
from canvas_app.cli.samples import SAMPLES, Subject, raw_body
from canvas_app.intercom import notifications
from canvas_app.interviews.provisions import TOPICS
from canvas_app.interviews.tables import deliveries
from canvas_app.koji import events
from tests.cli.conftest import SETTINGS, Terminal, run
from tests.interviews.results import sent_and_ready
from tests.support.postgres import free_port
from tests.support.world import PUBLIC_URL, World

BUILT = sorted(set(SAMPLES) - {"api"})


@pytest.fixture
def app_runs(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The app answers at any address, with the settings that the environment has too."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATABASE_URL", sqlite_world.settings.database_url)
    answered_by(monkeypatch, httpx.WSGITransport(app=sqlite_world.app))
    return sqlite_world


def answered_by(monkeypatch: pytest.MonkeyPatch, transport: httpx.BaseTransport) -> None:
    monkeypatch.setattr(common, "make_client", lambda _seconds: httpx.Client(transport=transport))


def answers(monkeypatch: pytest.MonkeyPatch, status: int, **options: Any) -> None:
    answered_by(monkeypatch, httpx.MockTransport(lambda _request: httpx.Response(status, **options)))


@pytest.mark.parametrize("kind", BUILT)
def test_the_app_takes_each_sample(app_runs: World, kind: str) -> None:
    answer = run("trigger", kind)
    assert answer.exit_code == 0, answer.output
    assert answer.output.startswith(f"POST {PUBLIC_URL}{SAMPLES[kind].path}\n200 OK\n{{")


def test_there_is_a_sample_of_every_topic_that_is_to_be_ticked() -> None:
    samples = [sample for sample in SAMPLES.values() if sample.path == "/webhooks/intercom"]
    parsed = [notifications.parse(raw_body(sample, Subject())) for sample in samples]
    assert {event.topic for event in parsed} == {"ping", *TOPICS}
    for event in parsed:
        assert event.kind == "ping" or event.contact_ids == ("sample-contact",)
        assert bool(event.tags_added) == ("tag" in event.topic)
        assert bool(event.merged_ids) == (event.topic == "contact.merged")


def test_that_a_contact_is_gone_erases_them(app_runs: World) -> None:
    sent_and_ready(app_runs)
    about = ("--workspace", "ws1", "--contact", app_runs.interview().contact_id)
    assert run("trigger", "intercom-deleted", *about).exit_code == 0
    app_runs.run_jobs()
    assert app_runs.interview().purged_at is not None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("koji-ping",), "What tries the secret is: trigger koji-completed"),
        (("canvas-initialize",), 'of the workspace "sample"'),
        (("canvas-initialize", "--workspace", "ws1"), None),
        (("koji-completed",), None),
    ],
)
def test_what_an_answer_does_not_tell_is_said(
    app_runs: World, arguments: tuple[str, ...], words: str | None
) -> None:
    answer = run("trigger", *arguments)
    assert answer.exit_code == 0
    assert (words in answer.stderr) if words else answer.stderr == ""


def test_the_kinds_stand_in_the_help_and_not_in_the_usage() -> None:
    answer = run("trigger", "--help")
    assert answer.output.startswith("Usage: commands trigger [OPTIONS] KIND\n")
    assert set(SAMPLES) <= set(re.split(r"[,.\s]+", answer.output))


def test_a_sample_is_another_delivery_each_time(app_runs: World) -> None:
    for _ in range(2):
        assert '"stored"' in run("trigger", "koji-completed").output
    assert app_runs.count(deliveries) == 2


def test_nothing_comes_of_a_sample_that_is_about_nobody(app_runs: World) -> None:
    for kind in BUILT:
        run("trigger", kind)
    for _ in range(5):
        app_runs.run_jobs(delayed=True)
    assert len(app_runs.outside.calls) == 0


def test_a_result_may_be_about_an_interview_of_ours(app_runs: World) -> None:
    sent_and_ready(app_runs)
    id_ = app_runs.interview().id
    assert run("trigger", "koji-analysis-ready", "--interview", id_).exit_code == 0
    app_runs.run_jobs()
    assert app_runs.interview().state == "written_back"


def test_the_card_of_a_contact_that_is_named_is_drawn(app_runs: World) -> None:
    answer = run(
        "trigger", "canvas-initialize", "--workspace", "ws1", "--contact", "c1", "--conversation", "7"
    )
    assert "Send Koji interview" in answer.output
    assert "canvas" in answer.output


def test_the_api_is_called_with_the_newest_token(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json={"interview_id": "i"})

    answered_by(monkeypatch, httpx.MockTransport(answer))
    monkeypatch.setenv("API_TOKEN", "newest,older")
    assert run("trigger", "api", "--contact", "c1", "--url", "http://127.0.0.1:9/").exit_code == 0
    [request] = seen
    assert str(request.url) == "http://127.0.0.1:9/api/interviews"
    assert request.headers["Authorization"] == "Bearer newest"
    assert json.loads(request.content) == {"contact_id": "c1", "deliver": "none"}


@pytest.mark.parametrize(
    ("kind", "setting"),
    [("canvas-submit", "INTERCOM_CLIENT_SECRET"), ("koji-ping", "KOJI_WEBHOOK_SECRET"), ("api", "API_TOKEN")],
)
def test_without_the_secret_it_says_which_and_where_it_is_found(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, kind: str, setting: str
) -> None:
    monkeypatch.delenv(setting, raising=False)
    answer = run("trigger", kind)
    assert answer.exit_code == 1
    assert f"{setting} is not set: " in answer.output
    assert f"export {setting}=…" in answer.output


def test_another_secret_than_the_apps_is_told(app_runs: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOJI_WEBHOOK_SECRET", "planted-other")
    answer = run("trigger", "koji-completed")
    assert answer.exit_code == 1
    assert "401 Unauthorized" in answer.output
    assert "The app has another KOJI_WEBHOOK_SECRET than this environment." in answer.output
    assert "planted" not in answer.output


@pytest.mark.parametrize(
    ("status", "options", "words"),
    [
        (503, {"json": {"error": "not_configured"}}, "python -m canvas_app doctor"),
        (404, {"text": "<h1>no</h1>"}, "no such door"),
        (301, {"headers": {"Location": "https://elsewhere.example"}}, "has moved"),
        (500, {"text": "x" * 9000}, "… (9000 characters)"),
    ],
)
def test_what_the_app_refuses_is_told(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, status: int, options: dict[str, Any], words: str
) -> None:
    answers(monkeypatch, status, **options)
    answer = run("trigger", "koji-ping")
    assert answer.exit_code == 1
    assert words in answer.output


def test_it_says_so_when_no_app_runs(terminal: Terminal) -> None:
    answer = run("trigger", "koji-ping", "--url", f"http://127.0.0.1:{free_port()}")
    assert answer.exit_code == 1
    assert "No app answers at http://127.0.0.1:" in answer.output
    assert "gunicorn" in answer.output


def test_it_says_so_when_the_app_is_too_slow(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_slow(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow", request=request)

    answered_by(monkeypatch, httpx.MockTransport(too_slow))
    answer = run("trigger", "koji-ping")
    assert answer.exit_code == 1
    assert "did not answer within 15 seconds" in answer.output


def test_what_is_no_address_is_told(terminal: Terminal) -> None:
    answer = run("trigger", "koji-ping", "--url", "nonsense")
    assert answer.exit_code == 2
    assert "is not an address" in answer.output


def test_without_a_public_url_it_is_this_machines_port(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PUBLIC_URL")
    monkeypatch.setenv("PORT", "5050")
    answers(monkeypatch, 200, json={})
    assert run("trigger", "koji-ping").output.startswith("POST http://127.0.0.1:5050/webhooks/koji\n")


def test_koji_samples_are_read_as_what_they_are() -> None:
    kinds = {
        kind: events.parse(raw_body(SAMPLES[kind], Subject())).kind for kind in SAMPLES if "koji" in kind
    }
    assert kinds == {
        "koji-analysis-ready": "analysis_ready",
        "koji-completed": "completed",
        "koji-ping": "ping",
    }
