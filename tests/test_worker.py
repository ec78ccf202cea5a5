"""The worker as a process of its own, told to stop by signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa
from dbos import DBOS
from sqlalchemy.engine import Engine
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    TimeoutError as PoolTimeout,
)

from canvas_app import engine as durable_engine, http_outcomes, leases, migrate, store, worker
from canvas_app.claims import Claims
from canvas_app.engine import Jobs
from canvas_app.errors import NotConfigured
from canvas_app.interviews import studies
from canvas_app.interviews.tables import workers
from canvas_app.settings import PROJECT_ROOT, Settings, Study
from tests.support.databases import on_postgresql
from tests.support.unheard_commit import UnheardCommit
from tests.support.world import full_settings

Keep = Callable[[str, "Turns"], int]
LogLines = Callable[[], list[dict[str, Any]]]

# The product's pauses are too long for a test.
QUICK = """
import sys
from canvas_app import cli, leases
leases.RENEW_SECONDS = 0.2
leases.SILENT_SECONDS = 1.0
sys.argv = ["canvas_app", "worker"]
cli.main()
"""


class Worker:
    """A worker process, and its log read as JSON."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self._path = folder / f"worker-{time.monotonic_ns()}.log"
        with self._path.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 -- our own commands.
                [sys.executable, *arguments],
                cwd=PROJECT_ROOT,
                env={**os.environ, **environment},
                stdout=output,
                stderr=output,
            )

    @property
    def text(self) -> str:
        return self._path.read_text()

    def events(self) -> list[dict[str, Any]]:
        lines = self.text.splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def wait_for(self, event: str, seconds: float = 20) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in self.events():
                if line["event"] == event:
                    return line
            assert self.process.poll() is None, self.text
            time.sleep(0.05)
        raise AssertionError(f"no {event} within {seconds} s:\n{self.text}")

    def ends(self, seconds: float = 10) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it has not ended within {seconds} s:\n{self.text}") from None


StartWorker = Callable[..., Worker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartWorker]:
    started: list[Worker] = []

    def start(*arguments: str, **environment: str) -> Worker:
        one = Worker(tmp_path, *(arguments or ("-m", "canvas_app", "worker")), **environment)
        started.append(one)
        return one

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()


def leave_unfinished(engine: Engine, jobs: Jobs, executor_id: str, job_id: str = "unfinished") -> None:
    """A job as a worker leaves it that was killed, or lost its lease, in the middle of it."""
    schema = "dbos." if engine.dialect.name == "postgresql" else ""
    with store.writing(engine) as connection:
        jobs.enqueue(connection, "read_workspace", job_id=job_id, partition="workspace", delay=3600)
        connection.execute(
            sa.text(
                f"UPDATE {schema}workflow_status SET status = 'PENDING', executor_id = :executor_id,"  # noqa: S608 -- a name of ours
                " delay_until_epoch_ms = NULL WHERE workflow_uuid = :job_id"
            ),
            {"executor_id": executor_id, "job_id": job_id},
        )


def status_of(jobs: Jobs, job_id: str = "unfinished") -> str:
    [job] = jobs._client.list_workflows(workflow_ids=[job_id])
    return str(job.status)


def fall_silent(engine: Engine, executor_id: str, minutes: float = 5) -> None:
    with store.writing(engine) as connection:
        moment = store.now(connection) - timedelta(minutes=minutes)
        this = workers.c.executor_id == executor_id
        connection.execute(sa.update(workers).where(this).values(renewed_at=moment))


def eventually(what: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_it_tells_which_studies_secrets_no_key_opens(sqlite_url: str, log_lines: LogLines) -> None:
    engine = store.make_engine(sqlite_url, pool_size=1)
    with store.writing(engine) as connection:
        studies.save(connection, full_settings(sqlite_url), Study("exit", "Exit", "planted", None))
    worker._reseal(engine, full_settings(sqlite_url, secret_key="another-key"))
    engine.dispose()
    assert [(line["event"], line["studies"]) for line in log_lines()] == [("secrets_lost", "exit")]


def test_that_nothing_could_be_sealed_anew_keeps_no_worker_from_starting(
    tmp_path: Path, log_lines: LogLines
) -> None:
    engine = store.make_engine(f"sqlite:///{tmp_path}/empty.db", pool_size=1)
    worker._reseal(engine, full_settings("sqlite:///x.db"))
    engine.dispose()
    assert [line["event"] for line in log_lines()] == ["secrets_not_resealed"]


@pytest.mark.slow
class TestProcess:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_without_any_secret_idles_until_it_is_told_to_stop(
        self, start: StartWorker, engine: Engine, number: signal.Signals
    ) -> None:
        worker = start(DATABASE_URL=engine.url.render_as_string(hide_password=False))
        said = worker.wait_for("worker_started")
        assert "INTERCOM_ACCESS_TOKEN" in said["missing"]
        assert leases.living(engine) == {said["executor"]}
        worker.process.send_signal(number)
        assert worker.ends() == 0
        # Nobody need wait for its silence to take up what it has left.
        assert leases.living(engine) == set()
        assert worker.events()[-1]["event"] == "worker_stopped"
        assert all(line.startswith("{") for line in worker.text.splitlines()), worker.text

    def test_waits_for_the_release_and_then_starts(self, start: StartWorker, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/late.db"
        worker = start(DATABASE_URL=url)
        assert worker.wait_for("worker_waits")["reason"] == "schema_missing_or_older"
        migrate.release(url)
        worker.wait_for("worker_started")
        worker.process.terminate()
        assert worker.ends() == 0

    def test_seals_with_the_newest_key_what_an_older_one_has_sealed(
        self, start: StartWorker, engine: Engine
    ) -> None:
        url = engine.url.render_as_string(hide_password=False)
        study = Study("exit", "Exit", "planted-key", None, webhook_secret="planted-secret")
        with store.writing(engine) as connection:
            studies.save(connection, full_settings(url, secret_key="old-key"), study)
        worker = start(DATABASE_URL=url, SECRET_KEY="new-key,old-key")
        assert worker.wait_for("secrets_resealed")["count"] == 2
        worker.wait_for("worker_started")
        worker.process.terminate()
        assert worker.ends() == 0
        with store.reading(engine) as connection:
            found = studies.find(connection, full_settings(url, secret_key="new-key"), "exit")
        assert found == study
        assert "planted" not in worker.text

    def test_works_on_the_tables_of_a_newer_version(self, start: StartWorker, engine: Engine) -> None:
        # The release was taken back, and its migrations were not.
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        worker = start(DATABASE_URL=engine.url.render_as_string(hide_password=False))
        worker.wait_for("worker_started")
        assert worker.wait_for("schema_newer_than_code")["version"] == "9999"
        worker.process.terminate()
        assert worker.ends() == 0

    @pytest.mark.parametrize(
        ("database", "reason"),
        [
            ("sqlite:///{}/none.db", "schema_missing_or_older"),
            ("postgresql://koji:planted@127.0.0.1:1/koji", "database_unavailable"),
        ],
    )
    def test_that_waits_is_gone_as_soon_as_it_is_told(
        self, start: StartWorker, tmp_path: Path, database: str, reason: str
    ) -> None:
        worker = start(DATABASE_URL=database.format(tmp_path))
        assert worker.wait_for("worker_waits")["reason"] == reason
        worker.process.terminate()
        assert worker.ends(5) == 0
        assert "planted" not in worker.text

    def test_that_lost_its_lease_stops_at_once(self, start: StartWorker, sqlite_url: str) -> None:
        engine = store.make_engine(sqlite_url, pool_size=1)
        frozen = start("-c", QUICK, DATABASE_URL=sqlite_url)
        executor_id = frozen.wait_for("worker_started")["executor"]
        another = leases.take(engine)
        leases.end(engine, executor_id)
        assert frozen.ends(5) == 75
        assert frozen.events()[-1]["event"] == "lease_lost"
        # It does not touch what is not its own.
        assert leases.living(engine) == {another}
        engine.dispose()

    def test_that_cannot_keep_its_lease_for_a_fault_of_ours_stops_at_once(
        self, start: StartWorker, sqlite_url: str
    ) -> None:
        # Its threads would go on working, and another worker take up the same.
        broken = QUICK.replace("sys.argv", "leases.renew = lambda *_: 1 / 0\nsys.argv")
        worker = start("-c", broken, DATABASE_URL=sqlite_url)
        assert worker.ends(20) == 75
        assert worker.events()[-1]["event"] == "lease_not_kept"

    def test_takes_over_the_unfinished_work_of_a_worker_that_has_fallen_silent(
        self, start: StartWorker, sqlite_url: str
    ) -> None:
        engine = store.make_engine(sqlite_url, pool_size=2)
        jobs = Jobs(engine)
        dead = leases.take(engine)
        leave_unfinished(engine, jobs, dead)
        living = start("-c", QUICK, DATABASE_URL=sqlite_url)
        executor_id = living.wait_for("worker_started")["executor"]
        assert eventually(lambda: status_of(jobs) == "SUCCESS"), living.text
        assert living.wait_for("worker_silent")["executor"] == dead
        assert living.wait_for("work_adopted")["executors"] == 1
        assert leases.living(engine) == {executor_id}
        living.process.terminate()
        assert living.ends() == 0
        jobs.close()
        engine.dispose()

    def test_that_claimed_work_after_its_lease_was_ended_leaves_no_orphan(
        self, start: StartWorker, sqlite_url: str
    ) -> None:
        # It was frozen for longer than its lease lasts, woke, took a job from the queue, and then saw that
        # its lease is gone: nobody will ever end the lease of that job's owner again.
        engine = store.make_engine(sqlite_url, pool_size=2)
        jobs = Jobs(engine)
        living = start("-c", QUICK, DATABASE_URL=sqlite_url)
        executor_id = living.wait_for("worker_started")["executor"]
        leave_unfinished(engine, jobs, "e" * 32)
        assert leases.living(engine) == {executor_id}
        assert eventually(lambda: status_of(jobs) == "SUCCESS"), living.text
        assert [line["event"] for line in living.events()].count("worker_silent") == 0
        living.process.terminate()
        assert living.ends() == 0
        jobs.close()
        engine.dispose()

    @on_postgresql
    def test_whose_claim_is_kept_without_its_hearing_of_it_starts_the_job_all_the_same(
        self, start: StartWorker, engine: Engine
    ) -> None:
        # Its connection breaks after the commit: it lives and holds the job, and does not know of it.
        jobs = Jobs(engine)
        claim = (b"recovery_attempts=(", b"queue_partition_key IS NOT NULL")
        with UnheardCommit(engine.url.port or 0, *claim) as unheard:
            url = engine.url.set(port=unheard.port)
            living = start("-c", QUICK, DATABASE_URL=url.render_as_string(hide_password=False))
            executor_id = living.wait_for("worker_started")["executor"]
            with store.writing(engine) as connection:
                for job_id in ("first", "second"):
                    jobs.enqueue(connection, "read_workspace", job_id=job_id, partition="workspace")
            assert unheard.happened.wait(15), living.text
            assert eventually(lambda: status_of(jobs, "second") == "SUCCESS"), (
                status_of(jobs, "first"),
                living.text,
            )
            assert status_of(jobs, "first") == "SUCCESS"
            assert leases.living(engine) == {executor_id}
            assert living.wait_for("claim_put_back")["jobs"] == 1
            living.process.terminate()
            assert living.ends() == 0
        jobs.close()

    def test_with_malformed_settings_does_not_start_and_lists_them(self, start: StartWorker) -> None:
        worker = start(MIN_QUALITY="planted", INTERCOM_REGION="planted")
        assert worker.ends() == 78
        assert [line.partition(":")[0] for line in worker.text.splitlines()] == [
            "2 setting(s) cannot be used",
            "INTERCOM_REGION",
            "MIN_QUALITY",
        ]
        assert "planted" not in worker.text


class Durable:
    """Stands in for the durable engine of a worker that runs in this process."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self.recovered: list[list[str]] = []

    def list_workflows(self, **options: Any) -> Any:
        return self.jobs._client.list_workflows(**options)

    def _recover_pending_workflows(self, executor_ids: list[str]) -> None:
        self.recovered.append(executor_ids)


class Turns:
    """The event that tells a worker to stop: whenever it is waited for, the clock goes on and a test acts."""

    def __init__(self, *between: Callable[[], object], seconds: float = leases.RENEW_SECONDS) -> None:
        self.now = 1000.0
        self.seconds = seconds
        self._between = list(between)

    def wait(self, _seconds: float) -> bool:
        self.now += self.seconds
        if not self._between:
            return True
        self._between.pop(0)()
        return False


class TakesNoWrites(Exception):
    """What the driver says of a standby after a failover."""

    sqlstate = "25006"


def nothing() -> None:
    """Nothing happens."""


class TestKeepingTheLease:
    @pytest.fixture
    def durable(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Durable]:
        durable = Durable(Jobs(engine))
        monkeypatch.setattr(worker, "DBOS", durable)
        yield durable
        durable.jobs.close()

    @pytest.fixture
    def keep(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Turns], int]:
        def keep(executor_id: str, turns: Turns) -> int:
            monkeypatch.setattr("canvas_app.worker.time.monotonic", lambda: turns.now)
            return worker._keep_lease(engine, executor_id, cast(threading.Event, turns), Claims())

        return keep

    def test_ends_well_when_told_to_stop(self, engine: Engine, durable: Durable, keep: Keep) -> None:
        assert keep(leases.take(engine), Turns()) == 0
        assert durable.recovered == []

    def test_renews_it_each_time(self, engine: Engine, durable: Durable, keep: Keep) -> None:
        mine = leases.take(engine)
        fall_silent(engine, mine)
        assert keep(mine, Turns()) == 0
        assert leases.end_silent(engine) == []

    def test_ends_with_its_own_status_when_the_lease_is_gone(
        self, engine: Engine, durable: Durable, keep: Keep, log_lines: LogLines
    ) -> None:
        mine = leases.take(engine)
        leave_unfinished(engine, durable.jobs, "e" * 32)
        leases.end(engine, mine)
        assert keep(mine, Turns()) == 75
        assert durable.recovered == [], "others do that"
        [line] = log_lines()
        assert (line["event"], line["level"], line["executor"]) == ("lease_lost", "critical", mine)

    def test_adopts_what_belongs_to_nobody_and_leaves_what_belongs_to_the_living(
        self, engine: Engine, durable: Durable, keep: Keep, log_lines: LogLines
    ) -> None:
        mine, other = leases.take(engine), leases.take(engine)
        leave_unfinished(engine, durable.jobs, mine, "mine")
        leave_unfinished(engine, durable.jobs, other, "another's")
        assert keep(mine, Turns()) == 0
        assert durable.recovered == []
        leave_unfinished(engine, durable.jobs, "e" * 32, "nobody's")
        leave_unfinished(engine, durable.jobs, "d" * 32, "nobody's either")
        assert keep(mine, Turns()) == 0
        assert durable.recovered == [["d" * 32, "e" * 32]]
        [line] = log_lines()
        assert (line["event"], line["executors"]) == ("work_adopted", 2)

    def test_leaves_the_work_of_a_worker_that_begins_meanwhile(
        self, engine: Engine, durable: Durable, keep: Keep, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Its lease comes before its work: so the work has to be read before the leases.
        listed = durable.list_workflows

        def begin_and_list(**options: Any) -> Any:
            leave_unfinished(engine, durable.jobs, leases.take(engine), "new")
            return listed(**options)

        monkeypatch.setattr(durable, "list_workflows", begin_and_list)
        assert keep(leases.take(engine), Turns()) == 0
        assert durable.recovered == []

    def test_ends_no_lease_before_it_has_been_in_touch_for_as_long_as_one_may_be_silent(
        self, engine: Engine, durable: Durable, keep: Keep, log_lines: LogLines
    ) -> None:
        # All may have been away together, as in an outage: then every lease looks silent at first.
        mine, other = leases.take(engine), leases.take(engine)
        fall_silent(engine, other)
        turns = int(leases.SILENT_SECONDS / leases.RENEW_SECONDS)
        assert keep(mine, Turns(*[nothing] * turns)) == 0
        assert leases.living(engine) == {mine, other}
        assert keep(mine, Turns(*[nothing] * (turns + 1))) == 0
        assert leases.living(engine) == {mine}
        [line] = log_lines()
        assert (line["event"], line["executor"]) == ("worker_silent", other)

    @pytest.mark.parametrize(
        ("error", "missed"),
        [(OperationalError, 1), (InterfaceError, 2), (PoolTimeout, 1), (InternalError, 1)],
    )
    def test_outlasts_an_outage_and_then_gives_the_others_time_to_come_back(
        self,
        engine: Engine,
        durable: Durable,
        keep: Keep,
        log_lines: LogLines,
        monkeypatch: pytest.MonkeyPatch,
        error: type[Exception],
        missed: int,
    ) -> None:
        mine, other = leases.take(engine), leases.take(engine)
        renew = leases.renew

        def away() -> None:
            def refuse(*_args: object) -> bool:
                raise error("planted", {}, TakesNoWrites("planted"))

            monkeypatch.setattr(leases, "renew", refuse)

        def back() -> None:
            monkeypatch.setattr(leases, "renew", renew)
            fall_silent(engine, other)

        long = [nothing] * int(leases.SILENT_SECONDS / leases.RENEW_SECONDS)
        assert keep(mine, Turns(*long, *long, away, *[nothing] * (missed - 1), back, *long[:-1])) == 0
        assert leases.living(engine) == {mine, other}
        lines = log_lines()
        assert {line["event"] for line in lines} == {"lease_not_renewed"}
        assert len(lines) == missed
        assert "planted" not in json.dumps(lines)
        assert keep(mine, Turns(*long, away, back, *long, nothing)) == 0
        assert leases.living(engine) == {mine}

    def test_that_was_held_up_gives_the_others_time_as_well(
        self, engine: Engine, durable: Durable, keep: Keep
    ) -> None:
        # Frozen, or waiting inside the durable engine, which sits an outage out by itself and raises nothing.
        mine, other = leases.take(engine), leases.take(engine)
        turns: Turns

        def held_up() -> None:
            turns.now += 600
            fall_silent(engine, other)

        long = [nothing] * int(leases.SILENT_SECONDS / leases.RENEW_SECONDS + 1)
        turns = Turns(*long, held_up, *long[:-1])
        assert keep(mine, turns) == 0
        assert leases.living(engine) == {mine, other}

    @pytest.mark.parametrize("kind", [IntegrityError, InternalError])
    def test_does_not_hide_a_fault_of_ours(
        self,
        engine: Engine,
        durable: Durable,
        keep: Keep,
        monkeypatch: pytest.MonkeyPatch,
        kind: type[DBAPIError],
    ) -> None:
        def broken(*_args: object) -> bool:
            raise kind("", {}, Exception())

        monkeypatch.setattr(leases, "renew", broken)
        with pytest.raises(kind):
            keep("e" * 32, Turns())


class TestServices:
    def test_have_no_wire_whose_credentials_are_missing(self, sqlite_url: str) -> None:
        engine = store.make_engine(sqlite_url, pool_size=1)
        services = worker.make_services(Settings.load({}, database_url=sqlite_url), engine)
        assert services.intercom_client is None
        with pytest.raises(NotConfigured, match="KOJI_API_KEY"):
            services.koji(services.study("default"))
        engine.dispose()

    def test_have_both_wires_when_all_is_set(self, sqlite_url: str) -> None:
        engine = store.make_engine(sqlite_url, pool_size=1)
        services = worker.make_services(full_settings(sqlite_url), engine)
        assert services.intercom_client is not None
        koji = services.koji(services.study("default"))
        assert koji is services.koji(services.study("default"))
        engine.dispose()

    def test_let_all_jobs_of_a_worker_call_a_vendor_at_once(self, sqlite_url: str) -> None:
        # Whoever waits for a connection of ours would take it for the vendor's being out of reach.
        jobs = sum(durable_engine.CONCURRENCY.values())
        all_there, answered = threading.Barrier(jobs, timeout=30), []

        class Vendor(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                all_there.wait()
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                pass

        class Listening(ThreadingHTTPServer):
            request_queue_size = 100

        with Listening(("127.0.0.1", 0), Vendor) as vendor, http_outcomes.make_http_client() as http:
            threading.Thread(target=vendor.serve_forever, args=(0.01,), daemon=True).start()
            url = f"http://127.0.0.1:{vendor.server_port}/"
            calls = [
                threading.Thread(target=lambda: answered.append(http.get(url).status_code))
                for _ in range(jobs)
            ]
            for one in calls:
                one.start()
            for one in calls:
                one.join(30)
            vendor.shutdown()
        assert answered == [204] * jobs


def test_what_settles_an_attempt_is_no_step_that_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []

    def run_step(options: dict[str, str], function: Callable[..., Any], *args: Any) -> Any:
        kept.append(options["name"])
        return function(*args)

    monkeypatch.setattr(DBOS, "run_step", run_step)
    assert worker._step("take_in", max, 1, 2) == 2
    assert worker._step("settle", max, 3, 4) == 4
    assert kept == ["take_in"]
