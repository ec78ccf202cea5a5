"""The runner, the pictures and the load generator; and one part of each kind in small."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import click
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from bench import __main__ as bench, load, plots
from bench.figures import Figure, Plot, Target, table
from bench.filled import fill, multiply
from bench.load import Prepared
from bench.parts import PARTS
from canvas_app import store
from canvas_app.interviews.tables import interviews


def test_each_part_is_listed_with_the_time_that_it_takes() -> None:
    said = CliRunner().invoke(bench.main, ["--list"])
    assert said.exit_code == 0
    assert [line.split()[0] for line in said.output.splitlines()] == [part.name for part in PARTS]


def test_all_of_it_takes_less_than_half_an_hour_on_both_databases() -> None:
    assert sum(part.minutes for part in bench.choose("", short=False)) * 2 < 27


def test_the_long_parts_are_run_where_they_are_named_or_in_small() -> None:
    assert "backlog" not in [part.name for part in bench.choose("", short=False)]
    assert [part.name for part in bench.choose("backlog", short=False)] == ["backlog"]
    assert bench.choose("", short=True) == list(PARTS)


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(click.UsageError, match="no part tea"):
        bench.choose("tea,webhooks", short=True)


def test_plots_of_both_databases_become_one_picture() -> None:
    found = [
        (database, Plot("tap", "Tap", "s", {"seconds": [1.0, 2.0]}, ["50%", "99%"]))
        for database in ("sqlite", "postgresql")
    ]
    [plot] = plots.grouped(found)
    assert list(plot.series) == ["seconds, SQLite", "seconds, PostgreSQL"]
    svg = plots.drawn(plot)
    assert svg.startswith("<svg")
    assert "<script" not in svg


def test_what_was_found_is_written_as_table_plots_and_numbers(tmp_path: Path) -> None:
    figures = [Figure("tap", "median", 0.7, "s", Target(most=0.6), "sqlite")]
    document = {
        "at": "2026-11-26T10:00:00+00:00",
        "machine": {"cores": 2, "cpu": "Some", "memory_gb": 8.0},
        "versions": {"python": "3.12.1", "postgresql": None, "commit": "abc"},
        "short": True,
        "figures": [figure.document() for figure in figures],
        "plots": [{"database": "sqlite", "plot": Plot("tap", "Tap", "s", {"seconds": [0.7]})}],
        "table": table(figures),
        "left_out": ["No node."],
    }
    bench.write(document, tmp_path, "bench")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench-tap.svg", "bench.json", "bench.md"]
    said = (tmp_path / "bench.md").read_text()
    assert "2 cores (Some), 8 GB" in said
    assert "**not reached**" in said
    assert said.endswith("No node.\n")
    assert json.loads((tmp_path / "bench.json").read_text())["figures"][0]["reached"] is False


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bodies: ClassVar[Counter[bytes]] = Counter()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies[body] += 1
        self.send_response(401 if body == b"7" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def door() -> Iterator[str]:
    _Door.bodies.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Door) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_each_request_of_a_burst_is_sent_once_and_refusals_are_counted(door: str) -> None:
    requests = [Prepared("/", body=str(number).encode()) for number in range(50)]
    answers = load.all_of(door, requests, connections=4)
    assert dict(_Door.bodies) == {str(number).encode(): 1 for number in range(50)}
    assert (len(answers.took), answers.refused) == (50, 1)


def test_a_rate_is_taken_without_wrk_too(door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "has_wrk", lambda: False)
    found = load.rate(door, [Prepared("/", body=b"1")], connections=2, seconds=0.3)
    assert found.refused == 0
    assert found.per_second > 1
    assert found.answered == _Door.bodies[b"1"]


@pytest.mark.skipif(not load.has_wrk(), reason="wrk is not there")
def test_wrk_sends_the_prepared_requests_in_turn(door: str) -> None:
    requests = [Prepared("/", body=str(number).encode()) for number in range(8)]
    found = load.rate(door, requests, connections=1, seconds=1)
    assert found.answered > 8
    assert set(_Door.bodies) == {str(number).encode() for number in range(8)}
    assert found.refused == pytest.approx(found.answered / 8, abs=2)


@pytest.mark.slow
def test_a_ledger_is_multiplied_by_the_database_itself(database_url: str) -> None:
    engine = store.make_engine(database_url, pool_size=1)
    fill(engine, workspace="ws", number=50, received=5)
    multiply(engine, 10)
    with store.reading(engine) as connection:
        rows = connection.execute(sa.select(interviews)).all()
    engine.dispose()
    assert len(rows) == 500
    assert len({row.contact_id for row in rows}) == len({row.conversation_id for row in rows}) == 500
    states = Counter(row.state for row in rows)
    assert {number % 10 for number in states.values()} == {0}


@pytest.mark.slow
def test_the_runner_measures_a_part(tmp_path: Path) -> None:
    arguments = ["--short", "--only", "webhooks", "--database", "sqlite", "--out", str(tmp_path)]
    said = CliRunner().invoke(bench.main, arguments)
    assert said.exit_code == 0, said.output
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["left_out"] == []
    assert {figure["part"] for figure in found["figures"]} == {"webhooks"}
    # How many it is depends on how busy this machine is, and is no matter of a test.
    [refused] = [figure["value"] for figure in found["figures"] if "refused" in figure["what"]]
    assert refused >= 0
