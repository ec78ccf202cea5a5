"""Fixtures for tests that need PostgreSQL or Chromium. Where those are missing, see ``system.requires``."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.support import system
from tests.support.chromium import chromium_path, open_browser
from tests.support.postgres import PostgresServer

# Folders whose tests that start processes wait as long as it takes.
_PATIENT: Final = ("tests/faults/", "tests/browser/", "tests/sandbox/")
_ROOT: Final = Path(__file__).resolve().parents[2]


class ProcessesInTurn(LoadScopeScheduling):
    """Gives modules with slow tests to two workers of pytest-xdist, and deals out the others one by one.

    Tests that start processes mostly wait, so that others have a core for all the rest meanwhile. Those in
    which time limits are tried are in one line, so that two of them never compete for what their limits were
    made for; random runs and browsers are in the other.
    https://pytest-xdist.readthedocs.io/en/stable/distribution.html
    """

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def scope_of(nodeid: str) -> str:
    """What a test is dealt out with: ``processes``, ``patient processes``, or itself alone."""
    module = nodeid.partition("::")[0]
    if not _has_slow_tests(module):
        return nodeid
    return "patient processes" if module.startswith(_PATIENT) else "processes"


@functools.cache
def _has_slow_tests(path: str) -> bool:
    return "pytest.mark.slow" in (_ROOT / path).read_text()


# The option "loadgroup" would be shorter, but with pytest 9.2 the marks do not reach its scheduler.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ProcessesInTurn:
    return ProcessesInTurn(config, log)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for all tests. A test that stops it starts its own ``PostgresServer`` instead."""
    folder = system.requires(system.postgres_bin(), "a PostgreSQL server (Debian package postgresql)")
    with PostgresServer(folder) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of an empty database, removed after the test."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Where Chromium is."""
    return chromium_path()


# For a module and not for the session: while Playwright is open it runs an event loop in this thread, and
# asyncio.run in any other test would refuse to start.
@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    """A headless Chromium. A test opens its own page with ``browser.new_page()`` and closes it."""
    with open_browser(chromium) as opened:
        yield opened
