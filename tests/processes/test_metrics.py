"""One scrape of any web process tells of all processes: two webs and a worker, each a real one."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from canvas_app.interviews.measures import KEPT_BACK_SECONDS
from sandbox.processes import App, free_port
from tests.processes.stage import PATIENCE, Stage, until
from tests.support.databases import on_postgresql, on_sqlite

pytestmark = [
    pytest.mark.slow,
    # Processes that end by themselves tell what was reached in them.
    pytest.mark.parametrize("stage", [{"measured": True, "METRICS_TOKEN": "metrics-token"}], indirect=True),
]
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(app: App) -> Samples:
    headers = {"Authorization": "Bearer metrics-token"}
    answer = httpx.get(f"{app.url}/metrics", headers=headers, trust_env=False, timeout=10)
    assert answer.status_code == 200, answer.text
    return {
        (sample.name.removeprefix("koji_intercom_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, tuple(sorted(labels.items()))), 0.0)


def links_followed(found: Samples) -> float:
    return value(found, "requests_total", door="pages", route="/i/<token>", status="4xx")


def follow_a_link(app: App) -> None:
    assert httpx.get(f"{app.url}/i/none", trust_env=False, timeout=10).status_code == 404


@contextmanager
def another_web(stage: Stage) -> Iterator[App]:
    app = App(stage.app.environment, port=free_port(), logs=stage.logs / "another")
    app.logs.mkdir()
    app.start("web")
    try:
        until("another web answers", lambda: _answers(app))
        yield app
    finally:
        for name in list(app.processes):
            app.kill(name)


def _answers(app: App) -> bool:
    try:
        return httpx.get(f"{app.url}/api/openapi.json", trust_env=False, timeout=10).is_success
    except httpx.HTTPError:
        return False


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=15)


# How the counts are added up on either kind: tests/interviews/test_measures.py.
@on_postgresql
def test_a_scrape_of_one_tells_of_all_and_a_restart_loses_nothing(stage: Stage) -> None:
    worker = stage.start_worker(quick=False)
    stage.wait_until_healthy()
    first = stage.app
    with another_web(stage) as second:
        for app in (first, first, first, second, second):
            follow_a_link(app)
        talk = stage.customer()
        stage.tap(talk)
        stage.until_nothing_is_left_to_do()
        stage.answer(talk)
        stage.until_card(talk, "Open transcript")
        stage.until_nothing_is_left_to_do()

        def told() -> Samples | None:
            found = scrape(second)
            wanted = (
                links_followed(found) == 5,
                value(found, "attempts_total", job="send", outcome="done") == 1,
                value(found, "result_seconds_count") == 1,
            )
            return found if all(wanted) else None

        found = until("the second web tells of all", told, within=KEPT_BACK_SECONDS + PATIENCE)
        assert found is not None
        assert value(found, "send_seconds_count", origin="card") == 1
        assert value(found, "workers") == 1
        assert value(found, "interviews", state="written_back") == 1
        reply = {"operation": "POST /conversations/{id}/reply", "status": "2xx", "wire": "intercom"}
        assert value(found, "outside_calls_total", **reply) == 2, "the message and the note"
        assert value(found, "rate_limit_room", wire="intercom") > 0
        # What was counted in the last moment goes with a process that is told to stop, and with no other.
        follow_a_link(second)
        end(second.processes.pop("web"))
        assert links_followed(scrape(first)) == 6
    end(worker)
    stage.workers.remove(worker)
    after = scrape(first)
    assert value(after, "workers") == 0
    for (name, labels), number in found.items():
        if name.endswith(("_total", "_count", "_sum", "_bucket")):
            assert after[name, labels] >= number, name


@on_sqlite
def test_a_scrape_is_quick_while_others_are_served(stage: Stage) -> None:
    stop = threading.Event()

    def knock() -> None:
        with httpx.Client(base_url=stage.app.url, trust_env=False, timeout=10) as client:
            while not stop.is_set():
                client.post("/api/interviews", json={})

    until("the web answers", lambda: _answers(stage.app))
    threads = [threading.Thread(target=knock) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        took = []
        for _ in range(10):
            begun = time.perf_counter()
            scrape(stage.app)
            took.append(time.perf_counter() - begun)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert sorted(took)[5] < 1.0, took
    assert value(scrape(stage.app), "refusals_total", route="/api/interviews", reason="token_missing") > 10
