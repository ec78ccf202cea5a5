"""Every command that the documentation shows is run as it stands there, and works."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from flask.cli import FlaskGroup

from canvas_app import cli, create_app, gates, store
from canvas_app.cli import common
from canvas_app.interviews import options, provisions, readymade, rulefile, studies
from canvas_app.interviews.tables import interviews, workspaces
from canvas_app.settings import Study
from tests.cli.conftest import SETTINGS, Terminal
from tests.cli.test_contacts import contact
from tests.cli.test_doctor import healthy
from tests.interviews.asks import write
from tests.support import shown
from tests.support.shown import Command
from tests.support.world import INTERCOM, WORKSPACE, full_settings

IDS = {"interview": "3f0c1a52c2b94c8fb5b0a6c6d6f5b9a1", "contact": "5ba682d23d7cf92bef87bfd4"}


WANTED_TAGS = provisions.tags(options.defaults(full_settings("sqlite:///x.db")))
# To "Are you sure?", or to the questions for a key and for a secret.
ANSWERS = "y\nplanted-answer\n"


SHOWN = shown.commands(*shown.DOCUMENTS)


@pytest.fixture
def ready(terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace, an app and files in which each of the commands has something to do."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("API_TOKEN", "planted-api-token")
    Path("contact-ids.txt").write_text("c1\n")
    Path("links.csv").write_text("external_id,link\nc1,https://koji.so/i/1\n")
    healthy(terminal, "tags", "contacts", "conversations")
    terminal.tags(**{"Beta users": "71"} | {name: name for name in WANTED_TAGS})
    outside = terminal.outside
    outside.get(f"{INTERCOM}/contacts/c1", json=contact(1))
    outside.post(f"{INTERCOM}/contacts/search", json={"data": [contact(1)], "total_count": 1})
    conversation = {"id": "1", "contacts": {"contacts": [{"id": "c1"}]}}
    closed = {"conversations": [conversation], "total_count": 1}
    outside.post(f"{INTERCOM}/conversations/search", json=closed)
    outside.get(f"{INTERCOM}/conversations/1", json=conversation)
    row = write(terminal.engine, workspace_id=WORKSPACE, contact_id=IDS["contact"], state="analysed")
    result = {"identity": "named", "sentiment": "negative", "quality": 4, "themes": ["Pricing"]}
    with terminal.engine.begin() as connection:
        readymade.plant(connection)
        Path("rules.toml").write_text(rulefile.write(readymade.rules()), encoding="utf-8")
        values = {"id": IDS["interview"], "contact_email": "mia@example.com", "result": result}
        connection.execute(sa.update(interviews).where(interviews.c.id == row.id).values(**values))
    with store.writing(terminal.engine) as connection:
        token = gates.fingerprint("intercom token", SETTINGS["INTERCOM_ACCESS_TOKEN"])
        told = {"workspace_id": WORKSPACE, "admin_id": "7", "token_fingerprint": token}
        connection.execute(sa.insert(workspaces).values(**told, read_at=store.now(connection)))
        churn = Study("churn", "Churn", "planted-key-of-churn", None)
        studies.save(connection, terminal.settings, churn)
    app = create_app(terminal.settings)
    answers = {"/api/interviews": httpx.Response(201, json={"interview_id": "i"})}
    inside = httpx.WSGITransport(app=app)

    def answer(request: httpx.Request) -> httpx.Response:
        return answers.get(request.url.path) or inside.handle_request(request)

    client = lambda _seconds: httpx.Client(transport=httpx.MockTransport(answer))  # noqa: E731
    monkeypatch.setattr(common, "make_client", client)
    monkeypatch.setattr("canvas_app.worker.run", lambda _settings: 0)
    monkeypatch.setattr(os, "_exit", lambda _status: None)


def test_the_commands_are_found() -> None:
    found = {command.line.split()[0] for command in SHOWN}
    assert found >= set(cli.commands.commands)


@pytest.mark.parametrize("command", SHOWN, ids=lambda command: f"{command.program}-{command.line}")
@pytest.mark.usefixtures("ready")
def test_a_command_works_as_it_is_shown(command: Command) -> None:
    group = FlaskGroup(create_app=create_app) if command.program.startswith("flask") else cli.commands
    answer = CliRunner().invoke(group, shown.words(command.line), input=ANSWERS, catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    assert not any(value in answer.output for value in SETTINGS.values() if value.startswith("planted"))
    told = {" ".join(line.split()) for line in answer.output.splitlines()}
    for line in command.says:
        assert " ".join(line.split()) in told, answer.output
