from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser

from tests.support import system
from tests.support.plugin import scope_of
from tests.support.postgres import PostgresServer

pytest_plugins = ["tests.support.plugin"]

# Starts a server, says where it is, and waits to be killed.
OWNER = """
import sys
from pathlib import Path
from tests.support.plugin import scope_of
from tests.support.postgres import PostgresServer
server = PostgresServer(Path(sys.argv[1]))
server.start()
print(server.create_database(), flush=True)
sys.stdin.read()
"""


def eventually(holds: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


class TestRequires:
    def test_gives_back_what_is_there(self) -> None:
        assert system.requires("here", "a thing") == "here"

    def test_skips_with_the_reason(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("REQUIRE_ALL", raising=False)
        with pytest.raises(pytest.skip.Exception, match="needs a thing, which is not on this machine"):
            system.requires(None, "a thing")

    def test_fails_where_nothing_may_be_skipped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REQUIRE_ALL", "1")
        with pytest.raises(pytest.fail.Exception, match=r"needs a thing, .*REQUIRE_ALL=1"):
            system.requires(None, "a thing")


class TestMissing:
    def test_names_the_packages(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(system, "postgres_bin", lambda: None)
        monkeypatch.setattr(system, "chromium", lambda: None)
        monkeypatch.setattr(system, "promtool", lambda: None)
        system.main()
        assert capsys.readouterr().out.split() == ["postgresql", "chromium", "prometheus"]

    def test_finds_no_server_where_there_is_only_the_client(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "postgres").touch()
        monkeypatch.setattr(system, "_postgres_folders", lambda: [tmp_path])
        assert system.postgres_bin() is None


@pytest.mark.slow
@pytest.mark.postgres
class TestPostgresServer:
    def test_each_database_is_empty_and_its_own(self, postgres_server: PostgresServer) -> None:
        first, second = postgres_server.create_database(), postgres_server.create_database()
        with psycopg.connect(first) as connection:
            connection.execute("CREATE TABLE things (id int)")
        with psycopg.connect(second) as connection:
            found = connection.execute("SELECT to_regclass('things')").fetchone()
        assert found == (None,)
        for url in (first, second):
            postgres_server.drop_database(url)
            assert not answers(url)

    def test_a_database_is_dropped_under_an_open_connection(self, postgres_server: PostgresServer) -> None:
        url = postgres_server.create_database()
        with psycopg.connect(url, autocommit=True) as connection:
            postgres_server.drop_database(url)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")

    def test_the_fixture_gives_a_database(self, postgres_url: str) -> None:
        assert answers(postgres_url)

    @pytest.fixture
    def own_server(self) -> Iterator[PostgresServer]:
        folder = system.requires(system.postgres_bin(), "a PostgreSQL server (Debian package postgresql)")
        with PostgresServer(folder) as server:
            yield server

    def test_comes_back_after_a_crash_with_what_was_committed(self, own_server: PostgresServer) -> None:
        url = own_server.create_database()
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE things (id int)")
            connection.execute("INSERT INTO things VALUES (7)")
        own_server.stop_hard()
        assert not own_server.running
        assert not answers(url)
        own_server.start_again()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT id FROM things").fetchone() == (7,)

    def test_leaves_nothing_behind(self, own_server: PostgresServer) -> None:
        folder = Path(own_server.folder)
        assert folder.is_dir()
        own_server.stop()
        own_server.stop()
        assert not own_server.running
        assert not folder.exists()

    def test_is_not_started_twice(self, own_server: PostgresServer) -> None:
        with pytest.raises(RuntimeError, match="still running"):
            own_server.start_again()

    def test_goes_when_its_owner_is_killed(self) -> None:
        folder = system.requires(system.postgres_bin(), "a PostgreSQL server (Debian package postgresql)")
        with subprocess.Popen(  # noqa: S603 -- this Python, with a script of ours.
            [sys.executable, "-c", OWNER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as owner:
            assert owner.stdout is not None
            url = owner.stdout.readline().strip()
            try:
                assert answers(url)
            finally:
                owner.kill()
        assert eventually(lambda: not answers(url))

    def test_says_why_it_does_not_start(self) -> None:
        # Not pytest's folder: the server runs as another user, who must be able to reach the programs.
        with tempfile.TemporaryDirectory(prefix="koji-pg-", dir="/tmp") as folder:
            programs = Path(folder)
            programs.chmod(0o755)
            for name in system.POSTGRES_PROGRAMS:
                (programs / name).write_text("#!/bin/sh\necho no luck today; exit 3\n")
                (programs / name).chmod(0o755)
            server = PostgresServer(programs)
            with pytest.raises(RuntimeError, match=r"initdb ended with 3:\nno luck today"):
                server.start()
        assert not server.folder.exists()


@pytest.mark.slow
@pytest.mark.browser
class TestBrowser:
    def test_draws_a_page(self, browser: Browser) -> None:
        page = browser.new_page()
        page.set_content("<button onclick=\"this.textContent = 'Sent'\">Send</button>")
        page.get_by_role("button").click()
        assert page.get_by_role("button").text_content() == "Sent"
        page.close()


def test_tests_of_modules_that_start_processes_run_in_turn() -> None:
    here = "tests/support/test_support.py::test_a"
    assert scope_of(here) == scope_of("tests/test_worker.py::TestB::test_c[::d]") == "processes"
    patient = "tests/browser/test_console.py::test_a[phone]"
    assert scope_of(patient) == scope_of("tests/sandbox/test_clock.py::test_b") == "patient processes"
    quick = "tests/test_hmacs.py::test_a[::b]"
    assert scope_of(quick) == quick
