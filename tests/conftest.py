"""Fixtures for all tests: a migrated database of either kind, settings, the app, and its jobs run in turn."""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import responses
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine
from sqlalchemy.pool import PoolProxiedConnection

from canvas_app import create_app, log, migrate, store
from canvas_app.settings import Settings
from tests.support import quick_databases
from tests.support.clean_copies import CleanCopies
from tests.support.databases import BOTH
from tests.support.postgres import PostgresServer
from tests.support.world import World, full_settings

pytest_plugins = ["tests.support.plugin"]

# The same examples in every run, and no time limit for one: a busy machine is not a finding. A mutation run
# calls pytest more than once in one process, which Hypothesis would take for a mistake.
hypothesis.settings.register_profile(
    "koji",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.differing_executors],
)
hypothesis.settings.load_profile("koji")
quick_databases.hurry()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine's reaches a test."""
    for name in list(os.environ):
        if name.lower() in Settings.model_fields or name == "DYNO":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _nothing_is_written_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test counts is written when it says so, and not seconds later into a database that is gone."""
    monkeypatch.setattr("canvas_app.interviews.measures.Tally.keep_by_itself", lambda *_: None)


@pytest.fixture(autouse=True)
def _closed_engines(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever engine a test has made is closed at its end.

    A connection that is left to the garbage collector warns whenever that comes by, in the middle of some
    other test.
    """
    used: set[Engine] = set()
    raw_connection = Engine.raw_connection

    def remembering(engine: Engine) -> PoolProxiedConnection:
        used.add(engine)
        return raw_connection(engine)

    with monkeypatch.context() as patched:
        patched.setattr(Engine, "raw_connection", remembering)
        yield
    for engine in used:
        engine.dispose()


@pytest.fixture(autouse=True)
def _clean_logging() -> Iterator[None]:
    """Logging is the process's; a test that configures it leaves it as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    looks = ("logThreads", "logProcesses", "logMultiprocessing", "logAsyncioTasks")
    looked = {name: getattr(logging, name) for name in looks if hasattr(logging, name)}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, value in looked.items():
        setattr(logging, name, value)
    log.request_id.set(None)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "koji.db"
    migrate.release(f"sqlite:///{path}")
    return path


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest, migrated_sqlite: Path, tmp_path: Path) -> str:
    """The address of a migrated and empty database: each test that asks for it runs on both kinds."""
    if request.param == "sqlite":
        copy = tmp_path / "koji.db"
        shutil.copy(migrated_sqlite, copy)
        return f"sqlite:///{copy}"
    url: str = request.getfixturevalue("migrated_postgres_copy")
    return url


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: PostgresServer) -> str:
    """A database with all tables, to be copied: that takes a tenth of the time of migrating."""
    url = postgres_server.create_database()
    migrate.release(full_settings(url).database_url)
    return url


@pytest.fixture(scope="session")
def clean_copies(postgres_server: PostgresServer, migrated_postgres: str) -> CleanCopies:
    return CleanCopies(postgres_server, migrated_postgres)


@pytest.fixture
def migrated_postgres_copy(clean_copies: CleanCopies) -> Iterator[str]:
    url = clean_copies.take()
    yield url
    clean_copies.give_back(url)


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """A migrated and empty SQLite database, for tests in which the kind of database does not matter."""
    copy = tmp_path / "koji.db"
    shutil.copy(migrated_sqlite, copy)
    return f"sqlite:///{copy}"


@pytest.fixture
def settings(database_url: str) -> Settings:
    return full_settings(database_url)


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    engine = store.make_engine(settings.database_url, pool_size=5)
    yield engine
    engine.dispose()


@pytest.fixture
def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    # No worker runs beside the app here, so that there is nothing to watch for after a tap.
    monkeypatch.setattr("canvas_app.canvas.views._WATCH_SECONDS", 0.0)
    app = create_app(settings)
    yield app
    app.extensions["koji_for_intercom"].engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def outside() -> Iterator[responses.RequestsMock]:
    """Intercom and Koji: what a test prepares here is answered; any other call fails the test."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def world(app: Flask, engine: Engine, settings: Settings, outside: responses.RequestsMock) -> World:
    """The app with its doors, its database, its jobs and the two vendors."""
    return World(app=app, engine=engine, settings=settings, outside=outside)


@pytest.fixture
def sqlite_world(
    sqlite_url: str, outside: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """A world on SQLite alone, for tests in which the kind of database does not matter."""
    monkeypatch.setattr("canvas_app.canvas.views._WATCH_SECONDS", 0.0)
    settings = full_settings(sqlite_url)
    app = create_app(settings)
    engine = app.extensions["koji_for_intercom"].engine
    yield World(app=app, engine=engine, settings=settings, outside=outside)
    engine.dispose()


@pytest.fixture
def log_lines() -> Callable[[], list[dict[str, Any]]]:
    """Log as in production; what has been logged since the last call, each line read as JSON."""
    log.configure()
    [handler] = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    handler.setStream(written)

    def read() -> list[dict[str, Any]]:
        lines = written.getvalue().splitlines()
        written.seek(0)
        written.truncate()
        return [json.loads(line) for line in lines]

    return read
