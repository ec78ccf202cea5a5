"""The database goes away for ten seconds and comes back: nothing that was acknowledged is lost.

Nobody restarts a process here: the same web and the same worker are at work before, while and after.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from canvas_app import migrate, store
from canvas_app.interviews.rulebook import DO_NOT_ASK
from canvas_app.koji import signatures
from canvas_app.settings import Settings
from tests.processes.stage import BROWSER, Stage, Talk, until, words
from tests.processes.test_planned import DELAY, plan, row_of, state_of
from tests.support.databases import BOTH
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.slow

AWAY_SECONDS = 10.0

Outage = Callable[[], AbstractContextManager[None]]


@pytest.fixture(params=BOTH)
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Stage, Outage]]:
    """Web, a worker and stand-ins over a database of their own, and what takes that away for a while."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/koji.db"
        migrate.release(url)
        yield from _scene(request, url, tmp_path, lambda: _locked(url))
        return
    # The server that the other tests share is asked for only so that this is skipped where there is none.
    shared: PostgresServer = request.getfixturevalue("postgres_server")
    with PostgresServer(shared._bin_dir) as server:
        url = Settings.load({}, database_url=server.create_database()).database_url
        migrate.release(url)
        yield from _scene(request, url, tmp_path, lambda: _stopped(server))


def _scene(
    request: pytest.FixtureRequest, url: str, tmp_path: Path, outage: Outage
) -> Iterator[tuple[Stage, Outage]]:
    stage = Stage(url, tmp_path / "logs")
    try:
        with stage:
            stage.start_worker(quick=False)
            stage.wait_until_healthy()
            yield stage, outage
    finally:
        request.node.add_report_section("teardown", "processes", stage.all_logs())


@contextmanager
def _stopped(server: PostgresServer) -> Iterator[None]:
    """PostgreSQL has crashed."""
    server.stop_hard()
    yield
    server.start_again()


@contextmanager
def _locked(url: str) -> Iterator[None]:
    """Another program holds SQLite's file for itself, as a backup or a repair does."""
    engine = store.make_engine(url, pool_size=1)
    with store.writing(engine):
        yield
    engine.dispose()


def test_nothing_that_was_acknowledged_is_lost(scene: tuple[Stage, Outage]) -> None:
    stage, outage = scene
    processes = {stage.app.processes["web"].pid, stage.workers[0].pid}
    answered, sent = stage.customer("Answers Before"), stage.customer("Opens Meanwhile")
    for talk in (answered, sent):
        stage.tap(talk)
        stage.until_card(talk, "Interview sent")
    # Under way when the database goes: a message that Intercom is slow with, and a result.
    slow = stage.spoil("intercom", "POST", ".*/reply", "latency", delay=2.0)
    under_way = stage.customer("Is Waited For")
    tap = stage.tap_aside(under_way)
    assert slow.reached.wait(20)
    koji_id = stage.answer(answered)
    new, refused = stage.customer("Taps Meanwhile"), stage.customer("Is Refused")
    event = started(stage)
    with outage():
        ends = time.monotonic() + AWAY_SECONDS
        meanwhile = [
            threading.Thread(target=check_doors, args=(stage, sent, new, refused, event)) for _ in range(2)
        ]
        for thread in meanwhile:
            thread.start()
        for thread in meanwhile:
            thread.join()
        time.sleep(max(0.0, ends - time.monotonic()))
    tap.join()
    until("all is well again", lambda: get(stage, "/healthz").status_code == 200, within=40)
    # What was acknowledged before is done; the messages are there once.
    stage.until_card(under_way, "Interview sent")
    assert len(stage.links(under_way)) == 1
    stage.check_round_trip(answered, koji_id)
    # What was refused has left nothing behind, and can be done now.
    assert stage.links(new) == []
    assert post_koji(stage, *event).status_code == 200
    stage.tap(new)
    stage.until_card(new, "Interview sent")
    stage.until_nothing_is_left_to_do()
    for talk in (answered, sent, under_way, new):
        assert len(stage.links(talk)) == 1
    assert processes == {stage.app.processes["web"].pid, stage.workers[0].pid}
    assert all(process.poll() is None for process in (*stage.app.processes.values(), *stage.workers))
    for log in stage.logs.glob("*.log"):
        assert "Traceback" not in log.read_text(), log
    assert stage.intercom.canvas_problems == []


def test_a_planned_send_goes_out_once_after_the_database_was_away(scene: tuple[Stage, Outage]) -> None:
    stage, outage = scene
    wanted, unwanted = stage.customer(), stage.customer()
    plan(stage, wanted, unwanted)
    with outage():
        # It comes back after the time of both.
        time.sleep(DELAY)
        stage.intercom.tag_contact(unwanted.contact, stage.intercom.ensure_tag(DO_NOT_ASK))
    until("it is sent", lambda: state_of(stage, wanted) == "sent", within=60)
    until("the other is not", lambda: state_of(stage, unwanted) == "skipped", within=60)
    stage.until_nothing_is_left_to_do()
    assert len(stage.links(wanted)) == 1
    assert stage.links(unwanted) == []
    row = row_of(stage, wanted)
    assert row.sent_at - row.created_at >= timedelta(seconds=DELAY)


def check_doors(
    stage: Stage, sent: Talk, new: Talk, refused: Talk, event: tuple[bytes, dict[str, str]]
) -> None:
    """Every door says clearly that it cannot, in less time than its caller waits."""
    readable = stage.engine.dialect.name == "sqlite"
    card = words(stage.tap(new))
    assert "cannot reach its database" in card
    if not readable:
        assert "cannot reach its database" in words(stage.card(refused))
        assert get(stage, "/healthz").json()["down"] == ["database"]
        assert get(stage, "/").status_code == 200
    answer = post_koji(stage, *event)
    assert (answer.status_code, answer.json()["error"]) == (503, "database_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    link = get(stage, httpx.URL(stage.links(sent)[0]).path)
    assert link.status_code == (302 if readable else 503)


def started(stage: Stage) -> tuple[bytes, dict[str, str]]:
    """An event of Koji's that is delivered by hand, with its signature."""
    interview_id = next(iter(stage.koji.interviews))
    raw = json.dumps({"event": "interview.started", "data": {"interview_id": interview_id}}).encode()
    secret = stage.app.environment["KOJI_WEBHOOK_SECRET"]
    return raw, {"X-Koji-Signature": signatures.sign(raw, secret)}


def post_koji(stage: Stage, raw: bytes, headers: dict[str, str]) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=10) as client:
        return client.post(f"{stage.app.url}/webhooks/koji", content=raw, headers=headers)


def get(stage: Stage, path: str) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=10, headers=BROWSER) as client:
        return client.get(f"{stage.app.url}{path}")
