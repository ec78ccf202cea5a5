from __future__ import annotations

import logging
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from canvas_app import cli, gates, leases, migrate, store
from canvas_app.errors import CredentialsError
from canvas_app.interviews.tables import SCHEMA_VERSION, theme_tags
from canvas_app.passages import DatabaseGate
from canvas_app.settings import documented_fields
from tests.cli.conftest import run
from tests.support.postgres import free_port
from tests.support.world import full_settings

ALL = {
    "SECRET_KEY": "planted-secret",
    "PUBLIC_URL": "https://interviews.example.com",
    "INTERCOM_CLIENT_SECRET": "planted-secret",
    "INTERCOM_ACCESS_TOKEN": "planted-secret",
    "KOJI_API_KEY": "planted-secret",
    "KOJI_WEBHOOK_SECRET": "planted-secret",
}


def set_all(environment: pytest.MonkeyPatch) -> None:
    for name, value in ALL.items():
        environment.setenv(name, value)


@pytest.fixture
def living_worker(sqlite_url: str) -> Iterator[None]:
    engine = store.make_engine(sqlite_url, pool_size=1)
    leases.take(engine)
    yield
    engine.dispose()


class TestDoctor:
    @pytest.mark.usefixtures("living_worker")
    def test_is_content_when_all_is_well(self, environment: pytest.MonkeyPatch) -> None:
        set_all(environment)
        answer = run("doctor", "--offline")
        assert answer.exit_code == 0, answer.output
        assert "DOWN" not in answer.output
        assert "MISSING" not in answer.output
        assert "https://interviews.example.com/webhooks/koji" in answer.output
        assert "planted" not in answer.output

    @pytest.mark.usefixtures("living_worker")
    def test_tells_what_is_paused_and_what_to_do(
        self, environment: pytest.MonkeyPatch, sqlite_url: str
    ) -> None:
        set_all(environment)
        engine = store.make_engine(sqlite_url, pool_size=1)
        gate = DatabaseGate(engine, "koji", "planted-secret", gates.RATES["koji"])
        with pytest.raises(CredentialsError), gate.passage("GET /me"):
            raise CredentialsError(reason="koji_token_refused", status=401)
        engine.dispose()
        answer = run("doctor", "--offline")
        assert answer.exit_code == 1
        assert "PAUSED  Koji has refused every call" in answer.output
        assert "KOJI_API_KEY" in answer.output
        assert "planted" not in answer.output

    @pytest.mark.usefixtures("living_worker")
    @pytest.mark.parametrize("name", sorted(ALL))
    @pytest.mark.parametrize(("dyno", "command"), [("", "export"), ("web.1", "heroku config:set")])
    def test_names_what_is_missing_with_the_command_that_sets_it(
        self, environment: pytest.MonkeyPatch, name: str, dyno: str, command: str
    ) -> None:
        set_all(environment)
        environment.delenv(name)
        if dyno:
            environment.setenv("DYNO", dyno)
        answer = run("doctor", "--offline")
        assert answer.exit_code == 1
        assert f"MISSING  {name}: {documented_fields()[name]}" in answer.output
        assert f"{command} {name}=…" in answer.output
        assert ("MISSING  DATABASE_URL" in answer.output) is bool(dyno)

    def test_says_that_no_worker_is_running(self, environment: pytest.MonkeyPatch) -> None:
        set_all(environment)
        answer = run("doctor", "--offline")
        assert answer.exit_code == 1
        assert "DOWN  No worker is running" in answer.output

    def test_says_what_to_run_when_there_are_no_tables(
        self, environment: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        environment.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/new.db")
        answer = run("doctor", "--offline")
        assert answer.exit_code == 1
        assert "python -m canvas_app release" in answer.output

    @pytest.mark.parametrize(
        "url", ["postgresql://koji:planted@127.0.0.1:1/koji", "sqlite:////dev/null/planted/koji.db"]
    )
    def test_says_that_the_database_is_away(self, environment: pytest.MonkeyPatch, url: str) -> None:
        environment.setenv("DATABASE_URL", url)
        answer = run("doctor", "--offline")
        assert answer.exit_code == 1
        assert "DOWN  The database cannot be reached" in answer.output
        assert "planted" not in answer.output


class TestThemeTags:
    def test_are_added_listed_and_removed(self, environment: pytest.MonkeyPatch, sqlite_url: str) -> None:
        assert run("theme-tags", "list").output == "No theme becomes a tag yet.\n"
        assert "koji_pricing_friction" in run("theme-tags", "add", "Pricing friction").output
        run("theme-tags", "add", "Missing SSO")
        assert run("theme-tags", "add", "pricing  FRICTION").exit_code == 0
        assert run("theme-tags", "list").output == "koji_missing_sso\nkoji_pricing_friction\n"
        engine = store.make_engine(sqlite_url, pool_size=1)
        with store.reading(engine) as connection:
            slugs = set(connection.execute(sa.select(theme_tags.c.slug)).scalars())
        engine.dispose()
        assert slugs == {"missing_sso", "pricing_friction"}
        assert run("theme-tags", "remove", "koji_missing_sso").output == "Removed.\n"
        assert run("theme-tags", "remove", "Missing SSO").output == "It was not on the list.\n"
        assert run("theme-tags", "list").output == "koji_pricing_friction\n"

    @pytest.mark.usefixtures("environment")
    def test_may_be_given_by_the_name_of_the_tag(self) -> None:
        # As the list shows them, and as they stand in Intercom.
        assert "tagged koji_pricing_friction." in run("theme-tags", "add", "koji_pricing_friction").output
        assert run("theme-tags", "list").output == "koji_pricing_friction\n"

    @pytest.mark.usefixtures("environment")
    @pytest.mark.parametrize("theme", ["!?", "koji_", "koji_!"])
    def test_need_a_letter_or_a_digit(self, theme: str) -> None:
        answer = run("theme-tags", "add", theme)
        assert answer.exit_code == 2
        assert "no letter or digit" in answer.output

    @pytest.mark.parametrize("command", [["list"], ["add", "Pricing"], ["remove", "Pricing"]])
    def test_say_what_to_do_without_a_database(
        self, environment: pytest.MonkeyPatch, tmp_path: Path, command: list[str]
    ) -> None:
        environment.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/new.db")
        answer = run("theme-tags", *command)
        assert answer.exit_code == 1
        assert "python -m canvas_app release" in answer.output
        environment.setenv("DATABASE_URL", f"postgresql://koji:planted@127.0.0.1:{free_port()}/koji")
        answer = run("theme-tags", *command)
        assert answer.exit_code == 1
        assert "Look at DATABASE_URL" in answer.output
        assert "planted" not in answer.output


class TestRelease:
    def test_needs_a_database_and_nothing_else(self, environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/new.db"
        environment.setenv("DATABASE_URL", url)
        answer = run("release")
        assert answer.exit_code == 0
        assert answer.stdout.endswith("The database is up to date.\n")
        engine = store.make_engine(full_settings(url).database_url, pool_size=1)
        assert migrate.current_version(engine) == SCHEMA_VERSION
        engine.dispose()

    def test_says_that_the_database_is_away_without_telling_its_password(
        self, environment: pytest.MonkeyPatch
    ) -> None:
        environment.setenv("DATABASE_URL", f"postgresql://koji:planted@127.0.0.1:{free_port()}/koji")
        answer = run("release")
        assert answer.exit_code == 1
        assert "Look at DATABASE_URL" in answer.output
        assert "planted" not in answer.output

    def test_says_what_it_was_refused_without_telling_the_address(
        self, environment: pytest.MonkeyPatch
    ) -> None:
        environment.setenv("DATABASE_URL", "postgresql://koji:planted@127.0.0.1:1/koji?pgbouncer=true")
        answer = run("release")
        assert answer.exit_code == 1
        assert "The database refused it (ProgrammingError). Look at DATABASE_URL" in answer.output
        assert "planted" not in answer.output

    def test_is_content_with_newer_tables_and_leaves_them(
        self, environment: pytest.MonkeyPatch, sqlite_url: str
    ) -> None:
        engine = store.make_engine(sqlite_url, pool_size=1)
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        answer = run("release")
        assert (answer.exit_code, "newer version (9999)" in answer.output) == (0, True)
        assert migrate.current_version(engine) == "9999"
        engine.dispose()


@pytest.mark.parametrize("command", ["release", "doctor", "worker"])
def test_malformed_settings_end_every_command_with_their_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setenv("MIN_QUALITY", "planted")
    monkeypatch.setenv("OPEN_DAYS", "planted")
    monkeypatch.setattr("sys.argv", ["canvas_app", command])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 78
    said = capsys.readouterr().err
    assert [line.partition(":")[0] for line in said.splitlines()] == [
        "2 setting(s) cannot be used",
        "MIN_QUALITY",
        "OPEN_DAYS",
    ]
    assert "planted" not in said


@pytest.mark.parametrize(
    "command",
    [
        "theme-tags add Pricing",
        "theme-tags remove Pricing",
        "studies off default",
        "studies edit default --name Other",
        "rules add later --title Later --event conversation.admin.closed",
    ],
)
def test_a_database_that_goes_away_meanwhile_is_told_in_words(
    environment: pytest.MonkeyPatch, command: str
) -> None:
    environment.setenv("SECRET_KEY", "planted-secret-key")

    def locked(_engine: sa.Engine) -> NoReturn:
        raise OperationalError("BEGIN IMMEDIATE", {}, sqlite3.OperationalError("database is locked"))

    environment.setattr(store, "writing", locked)
    answer = run(*shlex.split(command))
    assert answer.exit_code == 1
    assert answer.output == "Error: The database cannot be reached. Look at DATABASE_URL.\n"


def test_no_bare_code_of_the_log_stands_between_what_a_command_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["canvas_app", "--help"])
    root = logging.getLogger()
    # As in a process of its own, in which nobody has configured a log.
    monkeypatch.setattr(root, "handlers", [])
    with pytest.raises(SystemExit):
        cli.main()
    capsys.readouterr()
    logging.getLogger("canvas_app.passages").warning("wire_paused")
    assert capsys.readouterr().err == ""


def test_every_command_says_what_it_is_for() -> None:
    answer = run("--help")
    assert answer.exit_code == 0
    for name in (
        "release",
        "worker",
        "doctor",
        "rules",
        "setup",
        "export-contacts",
        "import-links",
        "theme-tags",
    ):
        assert name in answer.output
