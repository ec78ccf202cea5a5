from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from dbos import DBOSClient, WorkflowStatus
from sqlalchemy.engine import Engine

from canvas_app import engine as durable, store
from canvas_app.engine import FAST_QUEUE, QUEUE, VERSION, Jobs, partition_key
from canvas_app.interviews.tables import theme_tags
from canvas_app.worker import make_services
from tests.support.databases import on_postgresql
from tests.support.plans import watched
from tests.support.postgres import free_port
from tests.support.world import full_settings


class Interrupted(Exception):
    """Something of a test's own."""


@pytest.fixture
def jobs(engine: Engine) -> Iterator[Jobs]:
    jobs = Jobs(engine)
    yield jobs
    jobs.close()


def waiting(jobs: Jobs) -> list[WorkflowStatus]:
    client: DBOSClient = jobs._client
    return client.list_workflows()


def enqueue(engine: Engine, jobs: Jobs, job_id: str, **options: Any) -> None:
    with store.writing(engine) as connection:
        jobs.enqueue(connection, "send", "i1", 1, job_id=job_id, **({"partition": "ws:c1"} | options))


def test_a_job_is_enqueued_under_its_id_for_its_contact(engine: Engine, jobs: Jobs) -> None:
    enqueue(engine, jobs, "send:i1:1", partition="ws:c1")
    [job] = waiting(jobs)
    assert (job.workflow_id, job.name, job.status) == ("send:i1:1", "send", "ENQUEUED")
    # The engine's history outlives an erasure: it does not name the contact.
    assert job.queue_partition_key == partition_key("ws:c1")
    assert "c1" not in partition_key("ws:c1")
    assert job.input is not None
    assert list(job.input["args"]) == ["i1", 1]


def test_a_job_and_its_row_are_written_together(engine: Engine, jobs: Jobs) -> None:
    def both(*, fails: bool) -> None:
        with store.writing(engine) as connection:
            connection.execute(sa.insert(theme_tags).values(slug="pricing"))
            jobs.enqueue(connection, "send", "i1", 1, job_id="send:i1:1", partition="ws:c1")
            if fails:
                raise Interrupted

    def counts() -> tuple[int, int]:
        with store.reading(engine) as connection:
            rows = connection.execute(sa.select(sa.func.count()).select_from(theme_tags)).scalar_one()
        return rows, len(waiting(jobs))

    with pytest.raises(Interrupted):
        both(fails=True)
    assert counts() == (0, 0)
    both(fails=False)
    assert counts() == (1, 1)


def test_nobody_sees_a_job_before_its_row_is_committed(engine: Engine, jobs: Jobs) -> None:
    with store.writing(engine) as connection:
        jobs.enqueue(connection, "send", "i1", 1, job_id="send:i1:1", partition="ws:c1")
        assert waiting(jobs) == []
    assert len(waiting(jobs)) == 1


def test_the_same_job_id_is_enqueued_once(engine: Engine, jobs: Jobs) -> None:
    for job_id in ("send:i1:1", "send:i1:1", "send:i1:2"):
        enqueue(engine, jobs, job_id)
    assert [job.workflow_id for job in waiting(jobs)] == ["send:i1:1", "send:i1:2"]


@pytest.mark.parametrize(("delay", "status"), [(0.0, "ENQUEUED"), (90.0, "DELAYED")])
def test_a_delayed_job_waits(engine: Engine, jobs: Jobs, delay: float, status: str) -> None:
    enqueue(engine, jobs, "send:i1:1", delay=delay)
    [job] = waiting(jobs)
    assert job.status == status
    if delay:
        assert job.delay_until_epoch_ms is not None
        assert job.created_at is not None
        assert job.delay_until_epoch_ms - job.created_at == pytest.approx(90_000, abs=2_000)


@pytest.fixture(params=[300, -300])
def another_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """This machine's clock is so many seconds fast, and the database's is right."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + request.param)
    return int(request.param)


# On SQLite all processes are on one machine, and so have one clock.
@on_postgresql
def test_a_delay_counts_by_the_databases_clock(engine: Engine, jobs: Jobs, another_clock: int) -> None:
    enqueue(engine, jobs, "send:i1:1", delay=90.0)
    [job] = waiting(jobs)
    assert job.delay_until_epoch_ms is not None
    assert job.delay_until_epoch_ms == pytest.approx((time.time() - another_clock + 90) * 1000, abs=2_000)


@on_postgresql
def test_a_delay_ends_by_the_databases_clock(engine: Engine, jobs: Jobs, another_clock: int) -> None:
    enqueue(engine, jobs, "send:i1:1", delay=1e-6)
    enqueue(engine, jobs, "send:i1:2", delay=90.0)
    durable._end_delays(jobs._client._sys_db)
    assert [job.status for job in waiting(jobs)] == ["ENQUEUED", "DELAYED"]


@pytest.mark.parametrize(("fast", "queue"), [(True, FAST_QUEUE), (False, QUEUE)])
def test_a_tap_has_a_queue_of_its_own(engine: Engine, jobs: Jobs, fast: bool, queue: str) -> None:
    enqueue(engine, jobs, "send:i1:1", fast=fast)
    assert [job.queue_name for job in waiting(jobs)] == [queue]


def test_the_version_never_changes(engine: Engine, jobs: Jobs) -> None:
    enqueue(engine, jobs, "send:i1:1")
    assert [job.app_version for job in waiting(jobs)] == [VERSION] == ["1"]


def test_a_job_is_kept_as_json(engine: Engine, jobs: Jobs) -> None:
    enqueue(engine, jobs, "send:i1:1")
    table = "dbos.workflow_input" if engine.dialect.name == "postgresql" else "workflow_input"
    with store.reading(engine) as connection:
        stored = connection.execute(sa.text(f"SELECT inputs FROM {table}")).scalar_one()  # noqa: S608 -- one of two fixed names.
    assert "i1" in json.dumps(json.loads(stored))


def test_jobs_connect_to_nothing_before_the_first_is_enqueued() -> None:
    settings = full_settings(f"postgresql://koji@127.0.0.1:{free_port()}/koji")
    engine = store.make_engine(settings.database_url, pool_size=1)
    services = make_services(settings, engine)
    services.jobs.close()
    engine.dispose()
    assert services.jobs is not None


def test_a_worker_shares_its_one_engine_and_keeps_within_its_connections(sqlite_url: str) -> None:
    engine = store.make_engine(sqlite_url, pool_size=store.WORKER_POOL)
    config = durable.worker_config(engine, "executor-3")
    engine.dispose()
    assert config["system_database_engine"] is engine
    assert (config["executor_id"], config["application_version"]) == ("executor-3", VERSION)
    # Web and worker run no migrations, and no listener holds a connection for itself.
    assert (config["run_migrations"], config["use_listen_notify"]) == (False, False)
    assert store.WEB_POOL + store.WORKER_POOL <= 8


@pytest.mark.parametrize(
    ("name", "schema", "is_engines"),
    [
        ("workflow_status", "dbos", True),
        ("anything", "dbos", True),
        ("workflow_status", None, True),
        ("dbos_migrations", None, True),
        ("interviews", None, False),
        ("deliveries", "public", False),
    ],
)
def test_the_engines_tables_are_told_from_ours(name: str, schema: str | None, is_engines: bool) -> None:
    assert durable.is_engine_table(name, schema) is is_engines


def test_counting_what_waits_does_not_look_at_what_is_finished(sqlite_url: str) -> None:
    engine = store.make_engine(sqlite_url, pool_size=1)
    with watched(engine) as plans, store.reading(engine) as connection:
        durable.waiting(connection)
    assert plans.queries
    for line in "\n".join(plans.texts(engine)).splitlines():
        assert "SCAN workflow_status" not in line or "USING INDEX idx_workflow_status_" in line


def test_each_queue_is_told_apart_and_all_of_them_together(engine: Engine, jobs: Jobs) -> None:
    with store.reading(engine) as connection:
        nothing = durable.queues(connection)
    assert nothing == {FAST_QUEUE: durable.Waiting(), QUEUE: durable.Waiting()}
    enqueue(engine, jobs, "a", fast=True)
    enqueue(engine, jobs, "b")
    enqueue(engine, jobs, "c", delay=600.0)
    with store.reading(engine) as connection:
        found, together = durable.queues(connection), durable.waiting(connection)
    assert (found[FAST_QUEUE].due, found[FAST_QUEUE].delayed) == (1, 0)
    assert (found[QUEUE].due, found[QUEUE].delayed) == (1, 1)
    assert (together.due, together.delayed, together.running) == (2, 1, 0)
    since = [queue.oldest_since for queue in found.values()]
    assert None not in since
    assert together.oldest_since == min(one for one in since if one is not None)
