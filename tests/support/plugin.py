"""Fixtures for tests that need PostgreSQL or Chromium. Where those are missing, see ``system.requires``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support import system
from tests.support.chromium import chromium_path, open_browser
from tests.support.postgres import PostgresServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start processes run one after the other, where two workers of pytest-xdist share the tests.

    They mostly wait, so that the other worker has a core for all the others meanwhile.
    """
    for item in items:
        if item.get_closest_marker("slow") is not None:
            item.add_marker(pytest.mark.xdist_group("processes"))


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
