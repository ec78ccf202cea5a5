"""What the documentation shows, so that tests can run it: commands, requests and their answers.

A block of the kind ``sh`` is run. One of the kind ``json`` or ``text`` that follows it is what it answers.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from canvas_app.settings import PROJECT_ROOT

GUIDES = tuple(
    sorted(str(path.relative_to(PROJECT_ROOT)) for path in (PROJECT_ROOT / "docs" / "guides").glob("*.md"))
)
DOCUMENTS = ("README.md", "docs/api.md", "docs/commands.md", *GUIDES)

_BLOCK = re.compile(r"^(?P<in> *)```(?P<kind>[a-z]*)\n(?P<text>.*?)^(?P=in)```$", re.MULTILINE | re.DOTALL)
# At the beginning of a line, indented or not, or as code within one. What Heroku is to run is one, too.
_COMMAND = re.compile(
    r"(?:^\s*|`)(?:heroku run -- )?((?:\.venv/bin/)?python -m canvas_app|flask --app canvas_app) "
    r"([a-z][^`#\n]*)",
    re.MULTILINE,
)
_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")

# What stands in the documentation where a reader puts in what is theirs.
ADDRESS = "https://your-app.example.com"
TOKEN = "the-token-of-your-app"


@dataclass(frozen=True, slots=True)
class Block:
    """``kind`` is what stands behind the backticks: ``sh``, ``json``, ``text``, ``toml`` or nothing."""

    kind: str
    text: str

    @property
    def is_request(self) -> bool:
        """Whether a shell has to run it: it calls the app over HTTP, or says where the app is."""
        return self.kind == "sh" and re.search(r"\bcurl\b|^export ", self.text, re.MULTILINE) is not None

    @property
    def is_template(self) -> bool:
        """Whether it is a body into which a tool fills values."""
        return self.kind == "json" and _PLACEHOLDER.search(self.text) is not None

    @property
    def lines(self) -> list[str]:
        """What stands in it, without comments and empty lines."""
        lines = (line.strip() for line in self.text.splitlines())
        return [line for line in lines if line and not line.startswith("#")]


@dataclass(frozen=True, slots=True)
class Command:
    """A command of ours as it is shown; ``says`` is what its output holds, as far as that is shown."""

    program: str
    line: str
    says: tuple[str, ...] = ()


def read(document: str) -> str:
    return (PROJECT_ROOT / document).read_text(encoding="utf-8")


def blocks(document: str) -> list[Block]:
    return [
        Block(match["kind"], re.sub(f"^{match['in']}", "", match["text"], flags=re.MULTILINE))
        for match in _BLOCK.finditer(read(document))
    ]


def commands(*documents: str) -> list[Command]:
    """Every command that these documents show, each once."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for document in documents:
        for match in _COMMAND.finditer(read(document)):
            found.setdefault(_named(match), ())
        shown = blocks(document)
        for block, answer in itertools.pairwise(shown):
            if block.kind == "sh" and answer.kind == "text" and (last := _last(block)) is not None:
                found[last] = tuple(answer.lines)
    return [Command(*name, says) for name, says in sorted(found.items())]


def is_command(line: str) -> bool:
    """Whether the whole line is a command that :func:`commands` finds."""
    return (match := _COMMAND.match(line)) is not None and "`" not in line and match[2] != ""


def _named(match: re.Match[str]) -> tuple[str, str]:
    return match[1].removeprefix(".venv/bin/"), match[2].strip()


def _last(block: Block) -> tuple[str, str] | None:
    matches = list(_COMMAND.finditer(block.text))
    return _named(matches[-1]) if matches else None


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """The app on a port of this machine; gives its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(script: str, folder: Path) -> str:
    """What a script of a document writes, run in this folder; one that fails fails the test."""
    bash = shutil.which("bash")
    if bash is None or shutil.which("curl") is None:
        pytest.skip("bash and curl are needed to run the requests of the documentation")
    done = subprocess.run(  # noqa: S603 -- the documentation's own commands
        [bash, "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=True, cwd=folder
    )
    return done.stdout


def has_requests(document: str) -> bool:
    return any(block.is_request for block in blocks(document))


def answers(output: str) -> list[Any]:
    """The JSON values that stand in an output one after the other."""
    decoder, found, rest = json.JSONDecoder(), [], output.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found


def filled_in(template: str, values: dict[str, str]) -> str:
    """A template with the values of its placeholders; one that is not among ``values`` is a KeyError."""
    return _PLACEHOLDER.sub(lambda match: json.dumps(values[match[1].strip()])[1:-1], template)


def words(line: str) -> list[str]:
    """A line as a shell reads it."""
    return shlex.split(line, comments=True)
