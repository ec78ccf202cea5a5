"""Requests by the thousand: by ``wrk`` where it is there, and by a small client of our own.

Both send prepared bytes over a few connections that are kept open, each the next request when the former one
was answered. Our own client runs in a process of its own. It takes about a tenth of a millisecond for each
request, which matters where the server takes no more than that itself; that is what ``wrk`` is for.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import multiprocessing
import re
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

SCRIPT = Path(__file__).with_name("prepared.lua")
HELD = 30.0
"""Seconds after which an answer that has not come is given up."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One request as it is sent, but for the host."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Answers:
    """How long each answer took, in seconds, by status (0: there was none)."""

    took: tuple[float, ...]
    statuses: Mapping[int, int]

    @property
    def refused(self) -> int:
        """Those that were not answered with 2xx."""
        return sum(number for status, number in self.statuses.items() if not 200 <= status < 300)


@dataclass(frozen=True, slots=True)
class Rate:
    """How many requests were answered in a second, and how many of all not with 2xx."""

    per_second: float
    answered: int
    refused: int


def has_wrk() -> bool:
    return shutil.which("wrk") is not None


def rate(url: str, requests: Sequence[Prepared], *, connections: int, seconds: float) -> Rate:
    """How many of these requests, over and over, a server answers in a second."""
    if has_wrk():
        return _by_wrk(url, requests, connections, seconds)
    begun = time.perf_counter()
    answers = _apart(url, requests, connections, seconds)
    took = time.perf_counter() - begun
    return Rate(len(answers.took) / took, len(answers.took), answers.refused)


def all_of(url: str, requests: Sequence[Prepared], *, connections: int) -> Answers:
    """Send each of these requests once, and take every answer's time."""
    return _apart(url, requests, connections, None)


def _by_wrk(url: str, requests: Sequence[Prepared], connections: int, seconds: float) -> Rate:
    with tempfile.NamedTemporaryFile("wb", suffix=".requests") as file:
        for request in requests:
            raw = _bytes(request, urlsplit(url).netloc)
            file.write(b"%d\n" % len(raw) + raw)
        file.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", f"-s{SCRIPT}"]
        done = subprocess.run(  # noqa: S603 -- our own words
            [*command, "--timeout", f"{HELD:g}s", url, "--", file.name],
            capture_output=True,
            text=True,
            check=True,
        )
    found = json.loads(re.findall(r"^\{.*\}$", done.stdout, re.MULTILINE)[-1])
    answered = found["requests"]
    refused = found["status"] + found["read"] + found["write"] + found["connect"] + found["timeout"]
    return Rate(answered / (found["microseconds"] / 1_000_000), answered, refused)


def _apart(url: str, requests: Sequence[Prepared], connections: int, seconds: float | None) -> Answers:
    """In a process of its own, so that the stand-ins of this one are not slowed down."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_send, (url, requests, connections, seconds))


def _send(url: str, requests: Sequence[Prepared], connections: int, seconds: float | None) -> Answers:
    return asyncio.run(_all(url, requests, connections, seconds))


async def _all(url: str, requests: Sequence[Prepared], connections: int, seconds: float | None) -> Answers:
    place = urlsplit(url)
    raw = [_bytes(request, place.netloc) for request in requests]
    # All connections take from the same line, so that each request is sent once.
    line = iter(raw) if seconds is None else itertools.cycle(raw)
    until = None if seconds is None else time.perf_counter() + seconds
    took: list[float] = []
    statuses: Counter[int] = Counter()
    host, port = place.hostname or "127.0.0.1", place.port or 80
    await asyncio.gather(*(_one(host, port, line, until, took, statuses) for _ in range(connections)))
    return Answers(tuple(took), dict(statuses))


async def _one(
    host: str,
    port: int,
    line: Iterator[bytes],
    until: float | None,
    took: list[float],
    statuses: Counter[int],
) -> None:
    """What one connection sends; it is opened anew where the server has closed it."""
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    for raw in line:
        if until is not None and time.perf_counter() >= until:
            break
        begun = time.perf_counter()
        status, stays = 0, False
        try:
            if reader is None or writer is None:
                reader, writer = await asyncio.open_connection(host, port)
            writer.write(raw)
            status, stays = await asyncio.wait_for(_answer(reader), HELD)
        except (OSError, EOFError, TimeoutError, ValueError):
            stays = False
        took.append(time.perf_counter() - begun)
        statuses[status] += 1
        if not stays and writer is not None:
            writer.close()
            reader = writer = None
    if writer is not None:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Read one answer: its status, and whether the connection stays open."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = re.search(r"\ncontent-length: *(\d+)", head)
    await reader.readexactly(int(length[1]) if length else 0)
    return int(head.split(" ", 2)[1]), "\nconnection: close" not in head


def _bytes(request: Prepared, host: str) -> bytes:
    headers = {"Host": host, **request.headers, "Content-Length": str(len(request.body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{request.method} {request.path} HTTP/1.1\r\n{lines}\r\n".encode() + request.body
