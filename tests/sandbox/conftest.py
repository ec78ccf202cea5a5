"""Stand-ins on free ports, and clients that may talk to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from sandbox.server import Sandbox
from tests.sandbox.fake_app import FakeApp
from tests.support import intercom_answers
from tests.support.intercom_contract import contract_if_there

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fake_app() -> Iterator[FakeApp]:
    with FakeApp() as app:
        yield app


@pytest.fixture
def sandbox(fake_app: FakeApp) -> Iterator[Sandbox]:
    with Sandbox(fake_app.url, retry_pauses=(0.01, 0.02)) as running:
        yield running


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client of the stand-in Intercom's REST API, which has to answer as Intercom's description says."""
    headers = {"Authorization": f"Bearer {sandbox.access_token}", "Intercom-Version": "2.16"}
    with httpx.Client(base_url=sandbox.intercom_url, headers=headers, trust_env=False, timeout=5) as client:
        if contract_if_there() is not None:
            client.event_hooks = {"response": [_as_described]}
        yield client


def _as_described(response: httpx.Response) -> None:
    # Refusals of many kinds are not declared, call by call; their form is the same everywhere.
    if response.is_success and response.headers["Content-Type"] == "application/json":
        intercom_answers.check(response)


@pytest.fixture
def koji_api(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client of the stand-in Koji's REST API."""
    headers = {"Authorization": f"Bearer {sandbox.koji_key}"}
    base = f"{sandbox.koji_url}/api/v1"
    with httpx.Client(base_url=base, headers=headers, trust_env=False, timeout=5) as client:
        yield client


@pytest.fixture
def pages(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client of the pages."""
    with httpx.Client(base_url=sandbox.intercom_url, trust_env=False, timeout=5) as client:
        yield client
