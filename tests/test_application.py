from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from canvas_app import create_app, store
from canvas_app.canvas.in_turn import InTurn
from canvas_app.errors import SettingsError
from canvas_app.settings import PROJECT_ROOT, Settings, documented_fields
from tests.support.postgres import free_port
from tests.support.world import World, full_settings

NEEDED = [
    "SECRET_KEY",
    "PUBLIC_URL",
    "INTERCOM_CLIENT_SECRET",
    "INTERCOM_ACCESS_TOKEN",
    "KOJI_API_KEY",
    "KOJI_WEBHOOK_SECRET",
]


class TestWithADatabaseAlone:
    """Intercom and Koji must reach the running app before they hand out their secrets."""

    @pytest.fixture
    def client(self, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
        monkeypatch.setenv("DATABASE_URL", sqlite_url)
        return create_app().test_client()

    @pytest.mark.parametrize("path", ["/webhooks/intercom", "/webhooks/koji"])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_the_webhook_doors_answer_whether_they_are_there(
        self, client: FlaskClient, path: str, method: str
    ) -> None:
        assert client.open(path, method=method).status_code == 200

    @pytest.mark.parametrize("body", [b"", b"{}", b'{"type": "ping"}', b'{"event": "verification"}'])
    def test_kojis_question_when_the_address_is_saved_is_answered(
        self, client: FlaskClient, body: bytes
    ) -> None:
        assert client.post("/webhooks/koji", data=body).status_code == 200

    def test_intercoms_question_when_the_address_is_saved_is_answered(self, client: FlaskClient) -> None:
        ping = {"type": "notification_event", "app_id": "ws1", "topic": "ping", "data": {"item": {}}}
        assert client.post("/webhooks/intercom", json=ping).status_code == 200

    def test_the_first_page_lists_what_is_missing_and_how_it_is_set(self, client: FlaskClient) -> None:
        page = client.get("/").text
        assert "Not set up yet" in page
        for name in NEEDED:
            assert f"<code>{name}</code> is missing" in page
            assert f"export {name}=" in page
        assert documented_fields()["KOJI_API_KEY"].split(">")[0].strip() in page
        assert "http://localhost/webhooks/koji" in page

    @pytest.mark.parametrize("path", ["/canvas/initialize", "/canvas/submit"])
    def test_the_card_lists_what_is_missing(self, client: FlaskClient, path: str) -> None:
        body = {"workspace_id": "ws1", "contact": {"id": "c1"}, "component_id": "send"}
        answer = client.post(path, json=body)
        assert answer.status_code == 200
        for name in NEEDED:
            assert name in json.dumps(answer.get_json()["canvas"])


# Without the client's secret nobody is believed: tests/test_web.py.
@pytest.mark.parametrize("name", [name for name in NEEDED if name != "INTERCOM_CLIENT_SECRET"])
def test_the_card_names_the_one_setting_that_is_missing(sqlite_url: str, name: str) -> None:
    settings = full_settings(sqlite_url, **{name.lower(): None if name == "PUBLIC_URL" else ""})
    app = create_app(settings)
    engine = app.extensions["koji_for_intercom"].engine
    world = World(app=app, engine=engine, settings=settings, outside=None)  # type: ignore[arg-type]
    text = json.dumps(world.initialize())
    assert [needed for needed in NEEDED if needed in text] == [name]
    assert sum(world.counts().values()) == 0


def test_on_heroku_a_file_counts_as_no_database(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNO", "web.1")
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    page = create_app().test_client().get("/").text
    assert "<code>DATABASE_URL</code> is missing" in page
    assert "heroku config:set DATABASE_URL=" in page


def test_no_request_waits_long_for_a_statement(migrated_postgres_copy: str) -> None:
    engine = create_app(full_settings(migrated_postgres_copy)).extensions["koji_for_intercom"].engine
    with store.reading(engine) as connection:
        assert connection.execute(sa.text("SHOW statement_timeout")).scalar_one() == "3s"


def test_cards_have_turns_where_the_database_is_a_file(sqlite_url: str, migrated_postgres_copy: str) -> None:
    on_sqlite, on_postgresql = (
        create_app(full_settings(url)) for url in (sqlite_url, migrated_postgres_copy)
    )
    assert isinstance(on_sqlite.wsgi_app, InTurn)
    # A server may be far away: what one card waits for it, others use.
    assert not isinstance(on_postgresql.wsgi_app, InTurn)


def test_malformed_settings_keep_the_app_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIN_QUALITY", "9")
    monkeypatch.setenv("TAG_CONTACT", "perhaps")
    with pytest.raises(SettingsError) as caught:
        create_app()
    assert len(caught.value.problems) == 2


def test_settings_that_are_given_leave_the_environment_and_the_logging_alone(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOJI_STUDY_NAME", "From the environment")
    handlers = logging.getLogger().handlers[:]
    settings = Settings.load({}, database_url=sqlite_url, koji_study_name="Given")
    app = create_app(settings)
    assert app.extensions["koji_for_intercom"].settings.koji_study_name == "Given"
    assert logging.getLogger().handlers == handlers


@pytest.mark.slow
def test_what_gunicorn_says_about_a_request_quotes_nothing_of_it(sqlite_url: str, tmp_path: Path) -> None:
    port, written = free_port(), tmp_path / "web.log"
    with written.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "canvas_app:create_app()"],
            cwd=PROJECT_ROOT,
            env={**os.environ, "DATABASE_URL": sqlite_url, "PORT": str(port)},
            stdout=output,
            stderr=output,
        )

    def said(request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(request)
            return connection.recv(1000)

    try:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                if b"200" in said(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"):
                    break
            except OSError:
                time.sleep(0.05)
        refusals = [
            said(b"GET /i/planted planted@example.com\r\n\r\n"),
            said(b"GET /i/planted HTTP/1.1\r\nX-Planted planted\r\n\r\n"),
            said(b"GET /i/planted HTTP/planted\r\n\r\n"),
        ]
    finally:
        server.terminate()
        server.wait(15)
    lines = written.read_text()
    assert all(b" 400 " in refusal.partition(b"\r\n")[0] for refusal in refusals)
    assert "planted" not in lines.lower()
    ours = [json.loads(line) for line in lines.splitlines() if line.startswith("{")]
    about_requests = [
        line for line in ours if line["logger"] == "gunicorn.error" and "request" in line["event"]
    ]
    assert about_requests, "it does say that something came"


def test_the_worker_does_not_load_the_web_application(tmp_path: Path) -> None:
    code = "import sys, canvas_app.worker; print('flask' in sys.modules, 'gunicorn' in sys.modules)"
    answer = subprocess.run(  # noqa: S603 -- our own code.
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["False", "False"]
