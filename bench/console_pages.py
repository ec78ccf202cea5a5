"""How long the console's pages take: ``python -m bench.console_pages [--rounds 30] [--postgres]``.

One web process of gunicorn runs as where it is deployed, beside a database of 100,000 interviews and 300,000
deliveries. Each round calls every page once, in an order of its own, over one connection that has signed in:
a busy machine slows all of them alike. Pages that can show much are called in more than one way.

The console's smallest static file is the floor: what gunicorn, Flask and the network take where nothing is
read from the database or drawn. What counts are the ratios to it. Nothing is asserted.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import re
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from pathlib import Path

import click
import httpx
import sqlalchemy as sa

from bench import databases
from bench.figures import median_and_95
from bench.filled import fill
from canvas_app import store
from canvas_app.console import access
from canvas_app.interviews import operators, readymade
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.tables import interviews
from canvas_app.settings import Settings
from sandbox.processes import App, free_port
from sandbox.server import Sandbox, quiet_logs

FLOOR = "(a static file)"
WARM_UP = 3
OPERATOR = "991"
# By what is shown in the table; {…} are ids and a place in the middle of the list.
PAGES = {
    FLOOR: "static/reload.js",
    "overview, 30 days": "",
    "overview, 365 days": "?days=365",
    "interviews": "interviews",
    "interviews, in the middle": "interviews?after={place}",
    "interviews, failed": "interviews?state=failed",
    "interviews, by id": "interviews?text={contact}",
    "interviews, by a frequent name": "interviews?text=mia",
    "interview": "interviews/{interview}",
    "send again": "interviews/{failed}/send-again",
    "erase": "interviews/{interview}/erase",
    "deliveries": "deliveries",
    "deliveries, in the middle": "deliveries?after={place}",
    "deliveries, failed": "deliveries?state=failed",
    "rules": "rules",
    "rule": "rules/churn-signal",
    "edit a rule": "rules/churn-signal/edit",
    "decisions": "decisions",
    "studies": "studies",
    "edit a study": "studies/default/edit",
    "words of a study": "studies/default/words",
    "write-back": "write-back",
    "card preview": "card-preview",
    "people": "people",
}

Timings = dict[str, list[float]]


@click.command()
@click.option("--rounds", default=30, show_default=True, help="How often each page is called.")
@click.option("--interviews", "number", default=100_000, show_default=True)
@click.option("--deliveries", "received", default=300_000, show_default=True)
@click.option("--postgres", is_flag=True, help="On PostgreSQL instead of SQLite.")
def main(rounds: int, number: int, received: int, postgres: bool) -> None:
    """Measure, and print the table."""
    sizes: dict[str, int] = {}
    _print(measure(rounds=rounds, number=number, received=received, postgres=postgres, sizes=sizes), sizes)


def measure(
    *,
    rounds: int,
    number: int,
    received: int,
    postgres: bool,
    sizes: dict[str, int] | None = None,
    say: Callable[[str], None] = click.echo,
) -> Timings:
    """Seconds that each call took, by page; ``sizes`` is filled with the bytes of each page."""
    quiet_logs()
    with contextlib.ExitStack() as everything:
        database_url = everything.enter_context(databases.fresh(postgres=postgres))
        folder = everything.enter_context(tempfile.TemporaryDirectory(prefix="koji-bench-"))
        # After a server of PostgreSQL has taken its own.
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        sandbox = everything.enter_context(Sandbox(url))
        environment = sandbox.env(url, database_url)
        app = App(environment, port=port, logs=Path(folder))
        everything.callback(app.stop)
        app.release()
        settings = Settings.load({}, database_url=database_url, secret_key=environment["SECRET_KEY"])
        begun = time.perf_counter()
        names = _fill(settings, sandbox.state.intercom.workspace_id, number, received)
        say(
            f"  {'PostgreSQL' if postgres else 'SQLite'}: {number:,} interviews and {received:,} deliveries, "
            f"written in {time.perf_counter() - begun:.0f} s"
        )
        app.start("web")
        _wait_for(url)
        teammate = Teammate(sandbox.state.intercom.workspace_id, OPERATOR, "Ada Byrne")
        link = access.make_link(settings, url, teammate)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            timings, found = pool.apply(_measure, (url, link, names, rounds))
        (sizes if sizes is not None else {}).update(found)
        return timings


def _fill(settings: Settings, workspace: str, number: int, received: int) -> dict[str, str]:
    """Write everything; the names that the pages' addresses are made of."""
    engine = store.make_engine(settings.database_url, pool_size=1)
    fill(engine, workspace=workspace, number=number, received=received)
    with store.writing(engine) as connection:
        operators.add(connection, workspace, OPERATOR, "Ada Byrne")
        readymade.plant(connection)
        now = store.now(connection)
        newest = sa.select(interviews.c.id).order_by(interviews.c.created_at.desc()).limit(1)
        failed = newest.where(interviews.c.state == "failed")
        names = {
            "interview": connection.execute(newest).scalar_one(),
            "failed": connection.execute(failed).scalar_one(),
            "contact": f"contact-{number // 2:032x}",
            "place": f"{(now - timedelta(days=180)).isoformat()}~{0:032x}".replace("+", "%2B"),
        }
    engine.dispose()
    return names


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(f"{url}/console/sign-in", trust_env=False, timeout=30)
            return
        time.sleep(0.1)
    raise click.ClickException("The web process did not come up.")


def _measure(url: str, link: str, names: dict[str, str], rounds: int) -> tuple[Timings, dict[str, int]]:
    """Seconds that each call took, by page, and how many bytes each page has; the first rounds warm up."""
    chance = random.Random(1)  # noqa: S311 -- the same order in every run
    with httpx.Client(base_url=f"{url}/console/", trust_env=False, timeout=60) as client:
        page = client.get(link)
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        if token is None:
            raise RuntimeError("The page to sign in has no form.")
        said = {"csrf_token": unescape(token[1]), "token": link.partition("?token=")[2]}
        client.post("sign-in", data=said)
        timings: Timings = {name: [] for name in PAGES}
        sizes: dict[str, int] = {}
        for number in range(WARM_UP + rounds):
            for name in chance.sample(list(PAGES), len(PAGES)):
                address = re.sub(r"\{(\w+)\}", lambda found: names[found[1]], PAGES[name])
                begun = time.perf_counter()
                answer = client.get(address)
                took = time.perf_counter() - begun
                if answer.status_code != 200:
                    raise RuntimeError(f"{name} answered {answer.status_code}: {answer.text[:300]}")
                sizes[name] = len(answer.content)
                if number >= WARM_UP:
                    timings[name].append(took)
    return timings, sizes


def _print(timings: Timings, sizes: dict[str, int]) -> None:
    click.echo(f"{'':32}{'calls':>6}{'kB':>6}{'median':>9}{'95 %':>9}  ms{'ratio':>9}{'95 %':>9}")
    floor = median_and_95(timings[FLOOR])
    for name, values in timings.items():
        figures = median_and_95(values)
        cells = "".join(f"{figure * 1000:9.1f}" for figure in figures)
        ratios = "".join(f"{mine / least:9.2f}" for mine, least in zip(figures, floor, strict=True))
        click.echo(f"{name:32}{len(values):6}{sizes[name] // 1000:6}{cells}    {ratios}")


if __name__ == "__main__":
    main()
