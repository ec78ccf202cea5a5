"""Every command of the guide is run as it stands there, and answered as it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from werkzeug.serving import make_server

from canvas_app.settings import PROJECT_ROOT
from tests.api.caller import TOKEN, connected
from tests.support.world import PUBLIC_URL, World

_BLOCK = re.compile(r"^```(sh|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = "https://your-app.example.com"


def blocks() -> list[tuple[str, str]]:
    guide = (PROJECT_ROOT / "docs" / "api.md").read_text("utf-8")
    return [(match[1], match[2]) for match in _BLOCK.finditer(guide)]


@contextmanager
def served(world: World) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, world.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(setup: str, command: str) -> str:
    bash = shutil.which("bash")
    if bash is None or shutil.which("curl") is None:
        pytest.skip("bash and curl are needed to run the guide's commands")
    done = subprocess.run(  # noqa: S603 -- the guide's own commands
        [bash, "-euo", "pipefail", "-c", f"{setup}\n{command}"], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.slow
def test_every_command_is_answered_as_the_guide_says(sqlite_world: World) -> None:
    connected(sqlite_world)
    (_, setup), *rest = blocks()
    answered: dict[str, Any] = {}
    compared = 0
    with served(sqlite_world) as address:
        setup = setup.replace(ADDRESS, address).replace("the-token-of-your-app", TOKEN)
        for kind, content in rest:
            if kind == "sh":
                known = f"INTERVIEW_ID={answered.get('interview_id', '')}\n"
                answered = json.loads(run(setup, known + content))
                continue
            compared += 1
            told = json.loads(content)
            assert set(answered) == set(told)
            same = ("status", "reason", "error", "message")
            assert {name: answered.get(name) for name in same} == {name: told.get(name) for name in same}
            if told.get("interview_url"):
                assert answered["interview_url"].startswith(f"{PUBLIC_URL}/i/")
    assert compared == 5
    assert answered["openapi"] == "3.1.0"
