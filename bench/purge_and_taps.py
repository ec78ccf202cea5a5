"""What a tap feels of the purge: ``python -m bench.purge_and_taps [--jobs 100000] [--postgres]``.

Fills a fresh database with finished jobs, then times the transaction of a tap (a ledger row and its job,
``ask.ask``) while another process purges, and while it rests, in turns of a few seconds: a busy machine slows
both alike. What counts are the ratios of one run. SQLite needs nothing; ``--postgres`` starts a private
server as the tests do.
"""

from __future__ import annotations

import multiprocessing
import random
import statistics
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from typing import NoReturn

import click
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from bench import databases
from canvas_app import migrate, store
from canvas_app.engine import Jobs
from canvas_app.interviews import ledger, purge
from canvas_app.interviews.ask import ask
from canvas_app.interviews.services import Services
from canvas_app.settings import Settings

STEPS_A_JOB = 3
OLD_DAYS = 8
SLICE_SECONDS = 3.0
# Taps come at any moment of a batch and of the pause after it.
SHORTEST_GAP, LONGEST_GAP = 0.005, 0.03

# A job as the worker leaves it: its status, its arguments, its result, and the results of its steps.
_FILL = (
    """
    INSERT INTO {schema}workflow_status (workflow_uuid, status, name, created_at, updated_at, completed_at,
        application_version, application_name, queue_name, queue_partition_key, priority, recovery_attempts,
        serialization)
    SELECT 'old:' || n, 'SUCCESS', 'send', {old} + n, {old} + n, {old} + n,
        '1', 'koji-for-intercom', 'taps', 'ws:' || n, 0, 1, 'portable_json' FROM {numbers}
    """,
    """
    INSERT INTO {schema}workflow_input (workflow_uuid, inputs, retention_timestamp)
    SELECT 'old:' || n, '{{"args":["0123456789abcdef0123456789abcdef",1],"kwargs":{{}}}}', {old}
    FROM {numbers}
    """,
    """
    INSERT INTO {schema}workflow_output (workflow_uuid, output, retention_timestamp)
    SELECT 'old:' || n, 'null', {old} FROM {numbers}
    """,
    """
    INSERT INTO {schema}operation_outputs (workflow_uuid, function_id, function_name, output,
        completed_at_epoch_ms, application_name, retention_timestamp)
    SELECT 'old:' || n, step, 'start', '{{"kind":"done","reason":null,"after":null}}', {old} + n,
        'koji-for-intercom', {old} FROM {numbers} CROSS JOIN ({steps}) AS steps
    """,
)
_POSTGRES_NUMBERS = "generate_series(1, {jobs}) AS numbers (n)"
_SQLITE_NUMBERS = """
    (WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < {jobs})
    SELECT n FROM counted) AS numbers
"""


@click.command()
@click.option("--jobs", default=100_000, show_default=True, help="Finished jobs to be purged.")
@click.option("--postgres", is_flag=True, help="On PostgreSQL instead of SQLite.")
def main(jobs: int, postgres: bool) -> None:
    """Measure, and print the table."""
    _print(*measure(jobs=jobs, postgres=postgres))


def measure(
    *, jobs: int, postgres: bool, say: Callable[[str], None] = click.echo
) -> tuple[list[float], list[float]]:
    """Seconds that each tap took without the purge, and during it."""
    with databases.fresh(postgres=postgres) as url:
        migrate.release(url)
        engine = store.make_engine(url, pool_size=store.WEB_POOL)
        begun = time.perf_counter()
        _fill(engine, jobs)
        took = time.perf_counter() - begun
        say(f"  {engine.dialect.name}: {_jobs_left(engine):,} finished jobs, written in {took:.1f} s")
        settings = Settings.load({}, database_url=url, secret_key="bench", public_url="https://example.com")  # noqa: S106 -- signs nothing that lives longer than this run
        tapping = _Tapping(engine, settings)
        tapping.run_for(SLICE_SECONDS)
        without: list[float] = []
        during: list[float] = []
        purger = _Purger(url)
        while not purger.finished.is_set():
            without += tapping.run_for(SLICE_SECONDS)
            purger.go()
            during += tapping.run_for(SLICE_SECONDS)
            purger.rest()
        purger.process.join()
        say(f"  jobs left: {_jobs_left(engine)}")
        engine.dispose()
        return without, during


def _print(without: list[float], during: list[float]) -> None:
    click.echo(f"{'':8}{'taps':>8}{'median':>10}{'p95':>10}{'p99':>10}{'max':>10}  ms")
    rows = {"without": _figures(without), "during": _figures(during)}
    for name, figures in rows.items():
        cells = "".join(f"{figure * 1000:10.2f}" for figure in figures)
        click.echo(f"{name:8}{len(without if name == 'without' else during):8}{cells}")
    ratios = "".join(f"{b / a:10.2f}" for a, b in zip(rows["without"], rows["during"], strict=True))
    click.echo(f"{'ratio':8}{'':8}{ratios}")


def _figures(values: list[float]) -> tuple[float, float, float, float]:
    hundredths = statistics.quantiles(values, n=100)
    return hundredths[49], hundredths[94], hundredths[98], max(values)


class _Tapping:
    """Taps of ever new customers, one after the other."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine, self._settings, self._jobs = engine, settings, Jobs(engine)
        self._chance = random.Random(1)  # noqa: S311 -- the same gaps in every run
        self._customers = 0

    def run_for(self, seconds: float) -> list[float]:
        """Seconds that each tap took."""
        timings: list[float] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._customers += 1
            request = ledger.Ask(
                workspace_id="ws",
                contact_id=f"contact-{self._customers}",
                conversation_id="501",
                study="default",
                origin="card",
                request_key=f"{self._customers:064}",
            )
            begun = time.perf_counter()
            asked = ask(self._engine, self._jobs, self._settings, request)
            timings.append(time.perf_counter() - begun)
            if not asked.created:
                raise RuntimeError("a tap made no interview")
            time.sleep(self._chance.uniform(SHORTEST_GAP, LONGEST_GAP))
        return timings


class _Purger:
    """The worker's part, in a process of its own that purges and rests when it is told to."""

    def __init__(self, url: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.finished, self._going, self._resting = context.Event(), context.Event(), context.Event()
        self._resting.set()
        events = self.finished, self._going, self._resting
        self.process = context.Process(target=_purge, args=(url, *events))
        self.process.start()

    def go(self) -> None:
        self._resting.clear()
        self._going.set()

    def rest(self) -> None:
        self._going.clear()
        self._resting.wait()


def _no_koji(_key: str) -> NoReturn:
    raise LookupError("Nothing here calls Koji.")


def _purge(url: str, finished: Event, going: Event, resting: Event) -> None:
    engine = store.make_engine(url, pool_size=store.WORKER_POOL)
    settings = Settings.load({}, database_url=url)
    services = Services(settings, engine, Jobs(engine), intercom_client=None, make_koji_client=_no_koji)
    more = True
    try:
        while more:
            if not going.is_set():
                resting.set()
                going.wait()
            more = purge.purge_history(services)
    finally:
        finished.set()
        resting.set()
        engine.dispose()


def _fill(engine: Engine, jobs: int) -> None:
    postgres = engine.dialect.name == "postgresql"
    numbers = _POSTGRES_NUMBERS if postgres else _SQLITE_NUMBERS
    numbers = numbers.format(jobs=jobs)
    old = int((time.time() - OLD_DAYS * 86_400) * 1000) - jobs
    steps = " UNION ALL ".join(f"SELECT {step} AS step" for step in range(1, STEPS_A_JOB + 1))
    schema = "dbos." if postgres else ""
    with engine.begin() as connection:
        for statement in _FILL:
            filled = statement.format(schema=schema, numbers=numbers, old=old, steps=steps)
            connection.exec_driver_sql(filled)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def _jobs_left(engine: Engine) -> int:
    schema = "dbos." if engine.dialect.name == "postgresql" else ""
    query = f"SELECT count(*) FROM {schema}workflow_status WHERE workflow_uuid LIKE 'old:%%'"  # noqa: S608 -- no value from outside
    with engine.connect() as connection:
        return int(connection.execute(sa.text(query.replace("%%", "%"))).scalar_one())


if __name__ == "__main__":
    main()
