from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine

from canvas_app import create_app, gates, health, leases, store
from canvas_app.errors import CredentialsError
from canvas_app.interviews.tables import workers
from canvas_app.passages import DatabaseGate
from canvas_app.settings import Settings
from tests.support.postgres import PostgresServer, free_port
from tests.support.world import World, full_settings


def healthz(database_url: str) -> tuple[int, dict[str, object]]:
    app = create_app(full_settings(database_url))
    answer = app.test_client().get("/healthz")
    app.extensions["koji_for_intercom"].engine.dispose()
    body: dict[str, object] = answer.get_json()
    return answer.status_code, body


def test_all_is_well_with_a_database_its_tables_and_a_worker(engine: Engine, client: FlaskClient) -> None:
    leases.take(engine)
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.get_json() == {
        "status": "ok",
        "down": [],
        "parts": {"database": "ok", "schema": "ok", "worker": "ok"},
        "missing": [],
        "refusals": {},
        "paused": {},
    }


def _silent(engine: Engine, seconds: float) -> None:
    leases.take(engine)
    with store.writing(engine) as connection:
        moment = store.now(connection) - timedelta(seconds=seconds)
        connection.execute(sa.update(workers).values(renewed_at=moment))


def _replaced(engine: Engine) -> None:
    _silent(engine, 60)
    leases.take(engine)


@pytest.mark.parametrize(
    ("prepare", "status"),
    [
        (leases.end_silent, 503),
        (lambda engine: _silent(engine, 29), 200),
        (lambda engine: _silent(engine, 31), 503),
        (lambda engine: leases.end(engine, leases.take(engine)), 503),
        (_replaced, 200),
    ],
    ids=["never", "renewed lately", "silent", "gave its lease back", "replaced"],
)
def test_a_worker_is_running_while_it_renews_its_lease(
    engine: Engine, client: FlaskClient, prepare: Callable[[Engine], object], status: int
) -> None:
    prepare(engine)
    answer = client.get("/healthz")
    assert answer.status_code == status
    assert answer.get_json()["down"] == ([] if status == 200 else ["worker"])


def test_the_newest_of_several_workers_counts(engine: Engine, client: FlaskClient) -> None:
    leases.take(engine)
    _silent(engine, 3600)
    third = leases.take(engine)
    assert client.get("/healthz").status_code == 200
    leases.end(engine, third)
    assert client.get("/healthz").get_json()["down"] == ["worker"]


def test_tables_of_another_version_are_named(engine: Engine, client: FlaskClient) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert (answer.get_json()["status"], answer.get_json()["down"]) == ("down", ["schema"])


@pytest.mark.parametrize(("version", "way_on"), [("9999", "deploy the newer version"), ("0001", "release")])
def test_what_to_do_about_tables_of_another_version_is_said(
    engine: Engine, version: str, way_on: str
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :it"), {"it": version})
    schema = health.parts(engine)[-1]
    assert (schema.name, schema.ok) == ("schema", False)
    assert way_on in schema.text


def test_missing_tables_are_named(tmp_path: Path) -> None:
    status, body = healthz(f"sqlite:///{tmp_path}/new.db")
    assert (status, body["down"], body["parts"]) == (503, ["schema"], {"database": "ok", "schema": "down"})


@pytest.mark.parametrize("kind", ["postgresql", "sqlite", "sqlite, no folder"])
def test_a_database_that_is_away_is_named(kind: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    urls = {
        "postgresql": f"postgresql://koji:planted@127.0.0.1:{free_port()}/koji",
        "sqlite": f"sqlite:///{tmp_path}/folder",
        "sqlite, no folder": f"sqlite:///{tmp_path}/file/a/koji.db",
    }
    status, body = healthz(urls[kind])
    assert (status, body["down"], body["parts"]) == (503, ["database"], {"database": "down"})
    assert "planted" not in str(body)


@pytest.mark.slow
@pytest.mark.postgres
def test_a_full_disk_is_named_as_long_as_it_is_full(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = store.make_engine(sqlite_url, pool_size=1)
    monkeypatch.setattr(store, "is_full", lambda _engine: True)
    down = [part for part in health.parts(engine) if not part.ok]
    assert [part.name for part in down] == ["disk", "worker"]
    assert "goes on by itself" in down[0].text
    monkeypatch.undo()
    assert "disk" not in [part.name for part in health.parts(engine)]


def test_a_database_that_comes_back_is_found_again(postgres_server: PostgresServer) -> None:
    # postgres_server is asked for so that this is skipped where there is no PostgreSQL.
    with PostgresServer(postgres_server._bin_dir) as server:
        engine = store.make_engine(full_settings(server.create_database()).database_url, pool_size=1)
        assert [part.name for part in health.parts(engine) if not part.ok] == ["schema"]
        server.stop_hard()
        assert [part.name for part in health.parts(engine) if not part.ok] == ["database"]
        server.start_again()
        assert [part.name for part in health.parts(engine) if not part.ok] == ["schema"]
        engine.dispose()


def test_what_is_missing_is_listed_but_is_no_outage(sqlite_url: str) -> None:
    engine = store.make_engine(sqlite_url, pool_size=1)
    leases.take(engine)
    engine.dispose()
    answer = create_app(Settings.load({}, database_url=sqlite_url)).test_client().get("/healthz")
    assert answer.status_code == 200
    assert answer.get_json()["missing"] == Settings.load({}).missing_for_card()


def test_what_a_study_of_the_database_has_is_not_missing(sqlite_world: World, tmp_path: Path) -> None:
    world = sqlite_world
    world.deploy(koji_api_key="", koji_webhook_secret="", public_url=None)
    assert health.missing_names(world.engine, world.settings) == [
        *("PUBLIC_URL", "KOJI_API_KEY", "KOJI_WEBHOOK_SECRET"),
    ]
    world.add_study("exit")
    assert [name for name, _ in health.missing(world.engine, world.settings)] == ["PUBLIC_URL"]
    # While the tables cannot be read, there is what is set.
    elsewhere = store.make_engine(f"sqlite:///{tmp_path}/empty.db", pool_size=1)
    assert len(health.missing_names(elsewhere, world.settings)) == 3
    elsewhere.dispose()


@pytest.mark.parametrize(("environ", "command"), [({"DYNO": "web.1"}, "heroku config:set "), ({}, "export ")])
def test_the_command_that_sets_a_setting_is_the_platforms(environ: dict[str, str], command: str) -> None:
    assert health.set_command(Settings.load(environ)) == command


def test_the_addresses_to_paste_are_routes_of_the_app(sqlite_url: str) -> None:
    app = create_app(full_settings(sqlite_url))
    adapter = app.url_map.bind("app.example.net")
    for _label, url in health.addresses("https://app.example.net"):
        path = url.removeprefix("https://app.example.net")
        assert adapter.test(path, method="POST"), path


def _refuse(engine: Engine, wire: gates.Wire, operation: str, reason: str, status: int) -> None:
    token = {"intercom": "intercom-token", "koji": "pk_live_key"}[wire]
    gate = DatabaseGate(engine, wire, token, gates.RATES[wire])
    with pytest.raises(CredentialsError), gate.passage(operation):
        raise CredentialsError(reason=reason, status=status)


def test_what_the_vendors_refuse_is_told_and_is_no_outage(engine: Engine, client: FlaskClient) -> None:
    leases.take(engine)
    _refuse(engine, "intercom", "POST /tags", "intercom_scope_missing", 403)
    _refuse(engine, "koji", "GET /api/v1/interviews/{id}", "koji_token_refused", 401)
    answer = client.get("/healthz")
    assert answer.status_code == 200
    told = answer.get_json()["paused"]
    assert set(told) == {"intercom", "koji"}
    [tags], [everything] = told["intercom"], told["koji"]
    assert (tags["operation"], tags["reason"]) == ("POST /tags", "intercom_scope_missing")
    assert (everything["operation"], everything["reason"]) == ("*", "koji_token_refused")
    since = datetime.fromisoformat(tags["since"])
    assert abs(datetime.now(UTC) - since) < timedelta(minutes=1)
    page = client.get("/").get_data(as_text=True)
    assert "POST /tags" in page
    assert "Set up, and paused" in page


def test_a_refusal_of_a_studys_own_key_names_the_study_and_how_its_key_is_changed(
    sqlite_world: World,
) -> None:
    world = sqlite_world
    world.add_study("exit")
    gate = DatabaseGate(world.engine, "koji", "pk_exit", gates.RATES["koji"])
    with pytest.raises(CredentialsError), gate.passage("GET /api/v1/interviews/{id}"):
        raise CredentialsError(reason="koji_token_refused", status=401)
    [pause] = health.pauses(world.engine, world.settings, health.parts(world.engine))
    told = health.in_words(pause)
    assert "of the study exit" in told
    assert "studies edit exit --key-from prompt" in told
    assert "KOJI_API_KEY" not in told
    assert world.get("/healthz").get_json()["paused"]["koji"][0]["study"] == "exit"
    # One that has the environment's key as well is mended in the environment.
    world.add_study("exit", api_key="pk_live_key")
    _refuse(world.engine, "koji", "GET /api/v1/interviews/{id}", "koji_token_refused", 401)
    [pause] = health.pauses(world.engine, world.settings, health.parts(world.engine))
    assert (pause.study, "KOJI_API_KEY" in health.in_words(pause)) == ("default", True)


@pytest.mark.parametrize(
    ("wire", "reason", "way_on"),
    [
        ("intercom", "intercom_token_refused", "INTERCOM_ACCESS_TOKEN"),
        ("intercom", "intercom_token_malformed", "INTERCOM_ACCESS_TOKEN"),
        ("intercom", "intercom_scope_missing", "Developer Hub"),
        ("koji", "koji_token_refused", "KOJI_API_KEY"),
        ("koji", "koji_token_malformed", "KOJI_API_KEY"),
        ("koji", "koji_scope_missing", "API keys"),
        ("koji", "koji_credits", "credits"),
    ],
)
def test_a_pause_is_told_with_what_to_do(wire: gates.Wire, reason: str, way_on: str) -> None:
    moment = datetime(2026, 11, 23, 12, tzinfo=UTC)
    every = health.in_words(gates.Pause(wire, "*", reason, moment))
    one = health.in_words(gates.Pause(wire, "POST /tags", reason, moment))
    for text in (every, one):
        assert way_on in text
        assert reason in text
        assert "2026-11-23 12:00 UTC" in text
    assert "every call" in every
    assert "POST /tags" in one
