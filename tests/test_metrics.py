"""GET /metrics: who may read it, what it tells, and how little it asks of a large database."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import TestResponse

from bench.filled import fill
from canvas_app import VERSION, create_app, gates, leases, metrics, store
from canvas_app.interviews import measures
from canvas_app.interviews.tables import alerts, workspaces
from canvas_app.settings import PROJECT_ROOT, Settings
from tests.support.databases import BOTH
from tests.support.plans import watched
from tests.support.said import statements
from tests.support.world import KOJI, WORKSPACE, World, full_settings

TOKEN = {"Authorization": "Bearer metrics-token"}
# Those of a family, by their labels.
Samples = dict[tuple[tuple[str, str], ...], float]


def scrape(app: Flask) -> dict[str, Samples]:
    """Every sample by its name, as Prometheus reads it."""
    answer = app.test_client().get("/metrics", headers=TOKEN)
    assert answer.status_code == 200, answer.text
    found: dict[str, Samples] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            samples = found.setdefault(sample.name.removeprefix("koji_intercom_"), {})
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in samples, sample
            samples[labels] = sample.value
    return found


def value(found: dict[str, Samples], name: str, **labels: str) -> float:
    return found[name][tuple(sorted(labels.items()))]


@pytest.fixture
def open_world(sqlite_world: World) -> World:
    sqlite_world.deploy(metrics_token="metrics-token")
    return sqlite_world


class TestWhoMayRead:
    @staticmethod
    def get(world: World, **headers: str) -> TestResponse:
        return world.app.test_client().get("/metrics", headers=headers)

    def test_nobody_while_no_token_is_set(self, sqlite_world: World) -> None:
        answer = self.get(sqlite_world, **TOKEN)
        assert (answer.status_code, answer.get_json()["error"]) == (503, "not_configured")
        assert "METRICS_TOKEN" in answer.get_json()["message"]

    @pytest.mark.parametrize(
        ("header", "reason"),
        [
            (None, "token_missing"),
            ("", "token_missing"),
            ("metrics-token", "token_missing"),
            ("Basic metrics-token", "token_missing"),
            ("Bearer wrong", "token_wrong"),
            ("Bearer metrics-token,old", "token_wrong"),
            ("Bearer métrics", "token_wrong"),
        ],
    )
    def test_nobody_with_another_one(self, open_world: World, header: str | None, reason: str) -> None:
        headers = {} if header is None else {"Authorization": header}
        answer = self.get(open_world, **headers)
        assert (answer.status_code, answer.get_json()["error"]) == (401, reason)
        assert "koji_intercom" not in answer.text
        assert answer.headers["WWW-Authenticate"]

    def test_not_with_the_apis_token(self, sqlite_world: World) -> None:
        sqlite_world.deploy(metrics_token="metrics-token", api_token="api-token")
        assert self.get(sqlite_world, Authorization="Bearer api-token").status_code == 401

    def test_with_either_of_two_while_they_are_rotated(self, sqlite_world: World) -> None:
        sqlite_world.deploy(metrics_token="new,metrics-token")
        for token in ("new", "metrics-token"):
            answer = self.get(sqlite_world, Authorization=f"Bearer {token}")
            assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Type"].startswith("text/plain; version=")


def test_requests_are_told_by_door_and_route_and_never_by_path(open_world: World) -> None:
    open_world.initialize()
    for path in ("/i/a-personal-token", "/nowhere/mia@example.com", "/metrics"):
        open_world.get(path)
    open_world.get("/metrics", headers=TOKEN)
    raw = open_world.get("/metrics", headers=TOKEN).text
    assert "a-personal-token" not in raw
    assert "mia@example" not in raw
    found = scrape(open_world.app)
    assert value(found, "requests_total", door="canvas", route="/canvas/initialize", status="2xx") == 1
    assert value(found, "requests_total", door="pages", route="/i/<token>", status="4xx") == 1
    assert value(found, "requests_total", door="none", route="none", status="4xx") == 1
    assert value(found, "requests_total", door="metrics", route="/metrics", status="2xx") == 2
    assert value(found, "refusals_total", route="/metrics", reason="token_missing") == 1
    assert value(found, "request_seconds_count", door="canvas") == 1
    assert 0 < value(found, "request_seconds_sum", door="canvas") < 60
    assert value(found, "request_seconds_bucket", door="canvas", le="+Inf") == 1


def test_a_count_adds_no_query_to_a_card(open_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with statements(open_world, monkeypatch) as said:
        open_world.initialize()
    assert len(said) in (1, 2)
    assert not any("counts" in statement for statement in said)


def test_a_round_trip_is_told_from_the_tap_to_the_note(world: World) -> None:
    world.deploy(metrics_token="metrics-token")
    world.send()
    world.intercom_takes("reply", "attributes", "tags")
    assert world.koji_event(world.result()).status_code == 200
    world.run_jobs()
    assert world.interview().state == "written_back"
    # The worker is another process, which writes what it has counted itself.
    world.services.tally.keep(world.engine)
    found = scrape(world.app)
    assert value(found, "attempts_total", job="send", outcome="done") == 1
    assert value(found, "attempts_total", job="forward", outcome="done") == 1
    assert value(found, "send_seconds_count", origin="card") == 1
    assert value(found, "send_seconds_bucket", origin="card", le="60.0") == 1
    assert value(found, "result_seconds_count") == 1
    started = {"wire": "koji", "operation": "POST /api/v1/interviews/start", "status": "2xx"}
    assert value(found, "outside_calls_total", **started) == 1
    replies = {"wire": "intercom", "operation": "POST /conversations/{id}/reply", "status": "2xx"}
    assert value(found, "outside_calls_total", **replies) == 2
    assert value(found, "interviews", state="written_back") == 1
    assert value(found, "interviews", state="failed") == 0
    assert value(found, "deliveries", door="koji", state="stored") == 0
    assert value(found, "rate_limit_room", wire="koji") == gates.RATES["koji"].burst


def test_what_a_vendor_refuses_is_told_with_its_status_and_its_pause(open_world: World) -> None:
    open_world.intercom_knows_us()
    open_world.outside.post(f"{KOJI}/api/v1/interviews/start", status=401, json={})
    open_world.initialize()
    open_world.submit("send")
    open_world.run_jobs()
    open_world.run_jobs(delayed=True)
    open_world.services.tally.keep(open_world.engine)
    found = scrape(open_world.app)
    start = {"wire": "koji", "operation": "POST /api/v1/interviews/start"}
    assert value(found, "outside_calls_total", **start, status="401") >= 1
    assert value(found, "pauses", wire="koji", operation="*", reason="koji_token_refused") == 1
    assert value(found, "attempts_total", job="send", outcome="credentials") >= 1


def test_how_it_stands_is_read_when_it_is_asked_for(open_world: World) -> None:
    found = scrape(open_world.app)
    assert value(found, "workers") == 0
    assert value(found, "queue_jobs", queue="taps", state="due") == 0
    assert "interviews" not in found, "nobody knows whose the token is"
    leases.take(open_world.engine)
    leases.take(open_world.engine)
    with store.writing(open_world.engine) as connection:
        now = store.now(connection)
        row = {"kind": "koji_silent", "title": "x", "remedy": "y", "since": now}
        over = {"over_at": now}
        connection.execute(sa.insert(alerts).values(key="a", **row))
        connection.execute(sa.insert(alerts).values(key="b", **row, **over))
    open_world.initialize()
    open_world.submit("send")
    found = scrape(open_world.app)
    assert value(found, "workers") == 2
    assert value(found, "alerts", kind="koji_silent") == 1
    assert value(found, "queue_jobs", queue="taps", state="due") == 1
    assert 0 <= value(found, "queue_oldest_seconds", queue="taps") < 60
    assert value(found, "queue_oldest_seconds", queue="work") == 0


def test_a_worker_that_is_silent_does_not_count(open_world: World) -> None:
    leases.take(open_world.engine)
    open_world.let_time_pass(seconds=leases.SILENT_SECONDS + 1)
    assert value(scrape(open_world.app), "workers") == 0


def test_counts_never_go_down(open_world: World) -> None:
    open_world.get("/metrics")
    before = scrape(open_world.app)
    open_world.let_time_pass(days=400)
    open_world.tick("purge")
    after = scrape(open_world.app)
    for name in ("requests_total", "refusals_total", "request_seconds_count"):
        for labels, number in before[name].items():
            assert after[name][labels] >= number, name


def test_odd_labels_are_escaped(open_world: World) -> None:
    here = open_world.app.extensions["koji_for_intercom"]
    here.tally.refuse('/x"\\\n', "y")
    assert value(scrape(open_world.app), "refusals_total", route='/x"\\\n', reason="y") == 1


def test_without_the_database_it_says_so(open_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise sa.exc.OperationalError("x", {}, Exception("gone"))

    monkeypatch.setattr(store, "reading", fail)
    answer = open_world.get("/metrics", headers=TOKEN)
    assert (answer.status_code, answer.get_json()["error"]) == (503, "database_unavailable")


def test_the_version_is_that_of_the_project(open_world: World) -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
    [labels] = scrape(open_world.app)["build_info"]
    assert dict(labels)["version"] == VERSION


def test_it_tells_nothing_of_the_process_that_answers(open_world: World) -> None:
    text = open_world.get("/metrics", headers=TOKEN).text
    assert "process_" not in text
    assert "python_" not in text
    names = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert all(name.startswith(metrics.PREFIX) for name in names), names


# So many that a database does not rather read all of them, where an index leads to the few that are wanted.
INTERVIEWS, DELIVERIES = 6_000, 12_000
MOST_QUERIES = 12


@dataclass(frozen=True)
class Filled:
    app: Flask
    settings: Settings


@pytest.fixture(scope="module", params=BOTH)
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    server: Any = None
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("filled") / "koji.db"
        path.write_bytes(request.getfixturevalue("migrated_sqlite").read_bytes())
        url = f"sqlite:///{path}"
    else:
        server = request.getfixturevalue("postgres_server")
        url = server.create_database(copy_of=request.getfixturevalue("migrated_postgres"))
    settings = full_settings(url, metrics_token="metrics-token")
    engine = store.make_engine(settings.database_url, pool_size=1)
    with store.writing(engine) as connection:
        connection.execute(
            sa.insert(workspaces).values(
                workspace_id=WORKSPACE,
                admin_id="7",
                read_at=store.now(connection),
                token_fingerprint=gates.token_fingerprint(settings),
            )
        )
    fill(engine, workspace=WORKSPACE, number=INTERVIEWS, received=DELIVERIES)
    engine.dispose()
    app = create_app(settings)
    yield Filled(app, settings)
    app.extensions["koji_for_intercom"].engine.dispose()
    if server is not None:
        server.drop_database(url)


def test_a_scrape_asks_few_questions_and_reads_no_whole_table(filled: Filled) -> None:
    engine = filled.app.extensions["koji_for_intercom"].engine
    filled.app.test_client().get("/metrics", headers=TOKEN)
    with watched(engine) as plans:
        found = scrape(filled.app)
    assert sum(found["interviews"].values()) == INTERVIEWS
    assert value(found, "deliveries", door="koji", state="failed") > 0
    assert len(plans.queries) <= MOST_QUERIES, "\n\n".join(query for query, _ in plans.queries)
    whole = plans.whole_reads(engine)
    assert not whole, "\n\n".join(whole)


def test_interviews_are_counted_from_the_index_alone(filled: Filled) -> None:
    engine = filled.app.extensions["koji_for_intercom"].engine
    with watched(engine) as plans:
        scrape(filled.app)
    [plan] = [
        text
        for (query, _), text in zip(plans.queries, plans.texts(engine), strict=True)
        if "FROM interviews" in query
    ]
    assert re.search("COVERING INDEX ix_interviews_by_state|Index Only Scan", plan), plan


def test_every_measure_is_told(open_world: World) -> None:
    text = open_world.get("/metrics", headers=TOKEN).text
    for measure in (*measures.COUNTED, *measures.MEASURED):
        assert f"# HELP {metrics.PREFIX}{measure.name}" in text
