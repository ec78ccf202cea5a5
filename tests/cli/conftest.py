"""The command line as an operator runs it: the environment's settings, and the vendors answered for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import responses
from click.testing import CliRunner, Result
from sqlalchemy.engine import Engine

from canvas_app import cli, http_outcomes, store
from canvas_app.settings import Settings
from tests.support.httpx_responses import ResponsesTransport
from tests.support.intercom_contract import CheckedTransport
from tests.support.world import CLIENT_SECRET, INTERCOM, KOJI_SECRET, OWN_ADMIN, PUBLIC_URL, WORKSPACE

SETTINGS = {
    "SECRET_KEY": "planted-secret-key",
    "PUBLIC_URL": PUBLIC_URL,
    "INTERCOM_CLIENT_SECRET": CLIENT_SECRET,
    "INTERCOM_ACCESS_TOKEN": "planted-intercom-token",
    "KOJI_API_KEY": "planted-koji-key",
    "KOJI_WEBHOOK_SECRET": KOJI_SECRET,
}


def run(*arguments: str, **options: Any) -> Result:
    """Run a command; what it raises beyond its own words fails the test."""
    return CliRunner().invoke(cli.commands, arguments, catch_exceptions=False, **options)


@dataclass
class Terminal:
    """Where commands are run: the database, the vendors, and how long a command has waited."""

    outside: responses.RequestsMock
    engine: Engine
    settings: Settings
    waited: list[float] = field(default_factory=list)

    def me(self, headers: dict[str, str] | None = None, **app: Any) -> None:
        told = {
            "type": "app",
            "id_code": WORKSPACE,
            "name": "Acme",
            "region": "US",
            "timezone": "Europe/Berlin",
        }
        answer = {"type": "admin", "id": OWN_ADMIN, "app": told | app}
        self.outside.get(f"{INTERCOM}/me", json=answer, headers=headers or {})

    def tags(self, **ids_by_name: str) -> None:
        data = [{"type": "tag", "id": id_, "name": name} for name, id_ in ids_by_name.items()]
        self.outside.get(f"{INTERCOM}/tags", json={"type": "list", "data": data})


@pytest.fixture
def environment(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names the database and nothing else."""
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    return monkeypatch


@pytest.fixture
def terminal(
    sqlite_url: str, environment: pytest.MonkeyPatch, outside: responses.RequestsMock
) -> Iterator[Terminal]:
    """An environment with every setting. A call that no test prepared an answer for fails the test."""
    for name, value in SETTINGS.items():
        environment.setenv(name, value)
    make = http_outcomes.make_http_client
    transport = CheckedTransport(ResponsesTransport(), host="api.intercom.io")
    environment.setattr(http_outcomes, "make_http_client", lambda given=None: make(given or transport))
    engine = store.make_engine(sqlite_url, pool_size=2)
    settings = Settings.load(
        {}, database_url=sqlite_url, **{name.lower(): value for name, value in SETTINGS.items()}
    )
    terminal = Terminal(outside, engine, settings)
    environment.setattr("canvas_app.cli.common.time.sleep", terminal.waited.append)
    yield terminal
    engine.dispose()
