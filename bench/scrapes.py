"""How long a scrape of GET /metrics takes: ``python -m bench.scrapes [--rounds 50] [--postgres]``.

One web process of gunicorn runs as where it is deployed, beside a database of 100,000 interviews, 300,000
deliveries and 20,000 jobs that wait. It is scraped one time after another: alone, then while four callers
knock at another door without a pause. Nothing is asserted.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import click
import httpx
import sqlalchemy as sa

from bench import databases
from bench.figures import median_and_95
from bench.filled import fill
from canvas_app import gates, store
from canvas_app.engine import Jobs
from canvas_app.interviews.tables import workspaces
from canvas_app.settings import Settings
from sandbox.processes import App, free_port
from sandbox.server import Sandbox, quiet_logs

TOKEN = "bench-metrics-token"  # noqa: S105 -- of a process that is gone after the run.
_KNOCKING = 4


@click.command()
@click.option("--rounds", default=50, show_default=True, help="How often it is scraped, each time.")
@click.option("--interviews", "number", default=100_000, show_default=True)
@click.option("--deliveries", "received", default=300_000, show_default=True)
@click.option("--jobs", default=20_000, show_default=True, help="Jobs that wait for a worker.")
@click.option("--postgres", is_flag=True, help="On PostgreSQL instead of SQLite.")
def main(rounds: int, number: int, received: int, jobs: int, postgres: bool) -> None:
    """Measure, and print the figures."""
    quiet_logs()
    with contextlib.ExitStack() as everything:
        database_url = everything.enter_context(databases.fresh(postgres=postgres))
        folder = everything.enter_context(tempfile.TemporaryDirectory(prefix="koji-bench-"))
        # After a server of PostgreSQL has taken its own.
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        sandbox = everything.enter_context(Sandbox(url))
        environment = {**sandbox.env(url, database_url), "METRICS_TOKEN": TOKEN}
        app = App(environment, port=port, logs=Path(folder))
        everything.callback(app.stop)
        app.release()
        token = environment["INTERCOM_ACCESS_TOKEN"]
        settings = Settings.load({}, database_url=database_url, intercom_access_token=token)
        _fill(settings, sandbox.state.intercom.workspace_id, number, received, jobs)
        click.echo(
            f"{'PostgreSQL' if postgres else 'SQLite'}: {number:,} interviews, {received:,} deliveries, "
            f"{jobs:,} jobs that wait"
        )
        app.start("web")
        with httpx.Client(
            base_url=url, trust_env=False, timeout=60, headers={"Authorization": f"Bearer {TOKEN}"}
        ) as client:
            _wait_for(client)
            _print("alone", _scrape(client, rounds))
            with _knocking(url):
                _print("while others are served", _scrape(client, rounds))


def _fill(settings: Settings, workspace: str, number: int, received: int, jobs: int) -> None:
    engine = store.make_engine(settings.database_url, pool_size=1)
    with store.writing(engine) as connection:
        connection.execute(
            sa.insert(workspaces).values(
                workspace_id=workspace,
                admin_id="7",
                read_at=store.now(connection),
                token_fingerprint=gates.token_fingerprint(settings),
            )
        )
    queue = Jobs(engine)
    with store.writing(engine) as connection:
        for index in range(jobs):
            delay = 3600.0 if index % 4 == 0 else 0.0
            queue.enqueue(
                connection, "forward", "d", 1, job_id=f"bench:{index}", partition=str(index), delay=delay
            )
    fill(engine, workspace=workspace, number=number, received=received)
    queue.close()
    engine.dispose()


def _wait_for(client: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if client.get("/metrics").is_success:
                return
        time.sleep(0.1)
    raise click.ClickException("The web process did not come up.")


def _scrape(client: httpx.Client, rounds: int) -> list[float]:
    took = []
    for _ in range(rounds):
        begun = time.perf_counter()
        answer = client.get("/metrics")
        took.append(time.perf_counter() - begun)
        if 'state="written_back"' not in answer.text:
            raise click.ClickException(f"{answer.status_code}: {answer.text[:300]}")
    return took


@contextlib.contextmanager
def _knocking(url: str) -> Iterator[None]:
    stop = threading.Event()

    def knock() -> None:
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            while not stop.is_set():
                client.post("/api/interviews", json={})

    threads = [threading.Thread(target=knock) for _ in range(_KNOCKING)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _print(name: str, took: list[float]) -> None:
    half, most = median_and_95(took)
    click.echo(
        f"{name:26} {len(took)} scrapes: median {half * 1000:.0f} ms, "
        f"95 % {most * 1000:.0f} ms, slowest {max(took) * 1000:.0f} ms"
    )


if __name__ == "__main__":
    main()
