from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

import sandbox
from sandbox.server import Sandbox as Server

if TYPE_CHECKING:
    from sandbox.server import Sandbox


def test_env_has_every_setting_that_the_round_trip_needs(sandbox: Sandbox) -> None:
    settings = sandbox.env("http://127.0.0.1:9", "sqlite:///x")
    assert settings["INTERCOM_API_URL"] == sandbox.intercom_url
    assert settings["KOJI_LINK_HOSTS"] == urlsplit(sandbox.koji_url).netloc
    assert settings["PUBLIC_URL"] == "http://127.0.0.1:9"
    assert all(settings.values())
    assert len(settings["SECRET_KEY"]) >= 32


def test_state_can_be_looked_at_from_outside(
    sandbox: Sandbox, api: httpx.Client, koji_api: httpx.Client, pages: httpx.Client
) -> None:
    api.get("/me")
    interview_id = koji_api.post("/interviews/start", json={}).json()["interview_id"]
    sandbox.state.koji.answer(interview_id, answers=["It was fast."])
    assert sandbox.deliverer.wait_idle()
    dump = pages.get("/_sandbox/state").json()
    assert dump["intercom"]["calls"][0]["path"] == "/me"
    assert dump["intercom"]["conversations"]["1001"]["parts"][0]["body"].startswith("<p>Hi!")
    assert dump["intercom"]["canvas_problems"] == []
    assert dump["koji"]["interviews"][interview_id]["sentiment"] == "positive"
    assert dump["koji"]["deliveries"][1]["statuses"] == [200]
    assert dump["faults"] == []


def test_a_taken_port_is_told_and_leaves_nothing_open(sandbox: Sandbox) -> None:
    taken = urlsplit(sandbox.koji_url).port or 0
    with pytest.raises((OSError, SystemExit)):
        Server(koji_port=taken)


def test_ports_are_closed_at_the_end() -> None:
    with Server() as server:
        assert httpx.get(f"{server.intercom_url}/_sandbox/faults", trust_env=False).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.intercom_url}/_sandbox/faults", trust_env=False)


def test_the_sandbox_imports_nothing_of_the_application() -> None:
    for path in Path(sandbox.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.split(".")[0] == "canvas_app"], path


def test_a_port_that_is_closed_for_a_while_refuses_and_is_the_same_afterwards() -> None:
    with Server() as sandbox, httpx.Client(trust_env=False, timeout=5) as client:
        with sandbox.refusing("koji"):
            with pytest.raises(httpx.ConnectError):
                client.get(f"{sandbox.koji_url}/favicon.ico")
            assert client.get(sandbox.inbox_url).status_code < 400
        assert client.get(f"{sandbox.koji_url}/favicon.ico").status_code < 500
