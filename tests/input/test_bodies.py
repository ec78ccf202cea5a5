"""What is too large, too deep, or not as long as it says is refused early, by the web as it is deployed."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from canvas_app import migrate, store
from canvas_app.cli.samples import Subject
from canvas_app.settings import Settings
from tests.input import aiming, judge
from tests.input.shots import Aim
from tests.input.web_process import WebProcess, settings_for
from tests.support.doors import DOORS, Door
from tests.support.world import WORKSPACE

pytestmark = pytest.mark.slow

MB = 1024 * 1024
# Every door that reads a body.
PATHS = [*(door.path for door in DOORS), "/api/interviews", "/console/sign-in"]
# What the system holds on the way between two programs of one machine, beside what was read.
ON_THE_WAY = 16 * MB


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = settings_for(f"sqlite:///{tmp_path_factory.mktemp('bodies')}/koji.db")
    migrate.release(settings.database_url)
    engine = store.make_engine(settings.database_url, pool_size=1)
    with store.writing(engine) as connection:
        aiming.know(connection, settings, WORKSPACE)
    engine.dispose()
    return settings


@pytest.fixture(scope="module")
def web(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    with WebProcess(settings, tmp_path_factory.mktemp("logs") / "web.log") as web:
        yield web
        assert judge.faults(web.said()) == []


def headers(settings: Settings, path: str, raw: bytes = b"") -> str:
    """What lets a request in at a door with this body, as lines."""
    for door in DOORS:
        if door.path == path:
            return f"{door.header}: {door.sign(raw, secret_of(settings, door))}\r\n"
    if path == "/api/interviews":
        return f"Authorization: Bearer {settings.api_token[0]}\r\nContent-Type: application/json\r\n"
    return "Content-Type: application/x-www-form-urlencoded\r\n"


def secret_of(settings: Settings, door: Door) -> str:
    secret: str = getattr(settings, door.setting.lower())[0]
    return secret


def answer(connection: socket.socket) -> tuple[int, str]:
    """The status and the whole of what is answered first. ConnectionError where nothing is."""
    connection.settimeout(10)
    said = b""
    while not _is_whole(said):
        part = connection.recv(65_536)
        if not part:
            break
        said += part
    status = re.match(rb"HTTP/1\.1 (\d{3})", said)
    if status is None:
        raise ConnectionError(said[:200])
    return int(status[1]), said.decode("utf-8", "replace")


def _is_whole(said: bytes) -> bool:
    head, blank, body = said.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return bool(blank) and len(body) >= int(length[1] if length else 0)


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(
    web: WebProcess, settings: Settings, path: str
) -> None:
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        begun = time.monotonic()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: a\r\n{headers(settings, path)}Content-Length: 5000000000\r\n\r\n"
        )
        connection.sendall(head.encode())
        # Not a byte of it is sent, and the answer is there.
        status, said = answer(connection)
    # Without its cookie and token a form is refused for that; what counts is that it is not waited for.
    assert status in ((413,) if path != "/console/sign-in" else (400, 413)), said
    assert time.monotonic() - begun < 5
    assert "body_too_large" in said or "html" in said


@pytest.mark.parametrize("path", PATHS)
def test_a_body_in_chunks_is_refused_when_it_gets_too_large(
    web: WebProcess, settings: Settings, path: str
) -> None:
    """It does not say how large it is, and has no end."""
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    sent = 0
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: a\r\n{headers(settings, path)}Transfer-Encoding: chunked\r\n\r\n"
        )
        connection.sendall(head.encode())
        before = web.resident()
        try:
            while sent < 64 * MB:
                connection.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass
        assert sent < ON_THE_WAY, "nobody reads on"
        try:
            status, _said = answer(connection)
        except ConnectionError:
            # The connection was closed while we were still sending; the answer got lost on its way.
            status = 413
    assert status in ((413,) if path != "/console/sign-in" else (400, 413))
    assert web.resident() - before < 8 * MB


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        # It ends before it said it would, as when somebody is cut off: nothing comes of it.
        (lambda raw: f"Content-Length: {len(raw) + 1000}", {400, 401}),
        # It goes on where it said it ends: another request, and no HTTP.
        (lambda raw: f"Content-Length: {len(raw) - 1}", {200, 400, 401, 422}),
        (lambda _raw: "Content-Length: -1", {400}),
        (lambda _raw: "Content-Length: 1e3", {400}),
        (lambda _raw: "Content-Length: 5, 6", {400}),
        (lambda _raw: "Content-Length: " + "9" * 400, {400, 413}),
        (lambda raw: f"Content-Length: {len(raw)}\r\nTransfer-Encoding: chunked", {400}),
        (lambda _raw: "Transfer-Encoding: chunked, identity", {400, 501}),
        (lambda _raw: "Transfer-Encoding: \x0bchunked", {400, 501}),
    ],
    ids=[
        "too long",
        "too short",
        "negative",
        "no number",
        "two",
        "huge",
        "both",
        "two codings",
        "odd coding",
    ],
)
def test_a_length_that_is_not_true_does_no_harm(
    web: WebProcess, settings: Settings, path: str, claim: Callable[[bytes], str], expected: set[int]
) -> None:
    raw = json.dumps({"event": "interview.completed", "contact_id": "x"}).encode()
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\n{headers(settings, path, raw)}{claim(raw)}\r\n\r\n"
        connection.sendall(head.encode() + raw)
        connection.shutdown(socket.SHUT_WR)
        try:
            status, said = answer(connection)
        except ConnectionError:
            return  # Closed without a word.
    assert status in expected, said
    assert "Traceback" not in said


@pytest.mark.parametrize("depth", [900, 1_100, 100_000])
@pytest.mark.parametrize("path", PATHS[:-1])
def test_what_is_nested_deep_is_refused_or_passed_over(
    web: WebProcess, settings: Settings, path: str, depth: int
) -> None:
    deep = b"[" * depth + b"]" * depth
    for raw in (
        deep,
        b'{"event": "interview.completed", "contact_id": ' + deep + b', "data": ' + deep + b"}",
    ):
        with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
            head = (
                f"POST {path} HTTP/1.1\r\nHost: a\r\n{headers(settings, path, raw)}"
                f"Content-Length: {len(raw)}\r\n\r\n"
            )
            connection.sendall(head.encode() + raw)
            status, said = answer(connection)
        # Koji's door says yes to whatever is no event, and makes nothing of it.
        allowed = {200, 400} if path == "/webhooks/koji" else {400, 422}
        assert status in ({400} if depth > 10_000 and raw is not deep else allowed), said


def test_a_form_of_the_console_is_no_larger_than_a_megabyte_either(
    web: WebProcess, settings: Settings, tmp_path: Path
) -> None:
    aim = Aim(settings, subject=Subject(workspace_id=WORKSPACE), link_tokens=[], ids=[])
    aiming.sign_in(aim, web.send)
    raw = b"teammate_id=" + b"1" * (2 * MB)
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        head = (
            f"POST /console/people HTTP/1.1\r\nHost: a\r\nCookie: {aim.cookie}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(raw)}\r\n\r\n"
        )
        connection.sendall(head.encode())
        status, said = answer(connection)
    assert status == 413, said
