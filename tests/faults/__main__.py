"""The long forms of the random runs: ``python -m tests.faults --help``. ``make faults`` starts them."""

from __future__ import annotations

import contextlib
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from tests.faults import plan
from tests.faults.results import Report, write_json
from tests.faults.scenarios import SCENARIOS, CannotBeRun, Place, Scenario, Size
from tests.support import system
from tests.support.postgres import PostgresServer

_NEEDS_POSTGRES = "needs a PostgreSQL server's programs (Debian package postgresql)"


@click.command()
@click.option(
    "--scenario",
    default="kills",
    show_default=True,
    type=click.Choice([*SCENARIOS, "all"]),
    help="Which run.",
)
@click.option("--seed", type=int, help="Which plan; drawn and printed where it is left out.")
@click.option("--interviews", type=int, help="How many, in place of the long form's number.")
@click.option("--kills", type=int, help="The same of the kills.")
@click.option("--short", is_flag=True, help='As in "make test".')
@click.option("--postgres", is_flag=True, help="On a PostgreSQL server that is started for this.")
@click.option("--database-url", help="An empty database; a new SQLite file where it is left out.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Where to keep the figures.")
@click.option("--show-plan", is_flag=True, help="Print what is to go wrong with single calls, and stop.")
def main(
    scenario: str,
    seed: int | None,
    interviews: int | None,
    kills: int | None,
    short: bool,
    postgres: bool,
    database_url: str | None,
    json_file: Path | None,
    show_plan: bool,
) -> None:
    """Send and answer interviews while everything goes wrong, and audit what came of it.

    "all" runs every scenario on each of its databases, one after the other. Prints one row of the table in
    docs/reliability.md for each run, and what is not as it must be.
    """
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    runs = [
        (name, database)
        for name in (SCENARIOS if scenario == "all" else [scenario])
        for database in _databases(SCENARIOS[name], every=scenario == "all", postgres=postgres)
    ]
    reports: list[Report] = []
    for name, database in runs:
        size = _size(SCENARIOS[name], short=short, interviews=interviews, kills=kills)
        if show_plan:
            click.echo(str(plan.make(seed, interviews=size.interviews, kills=size.kills)))
            continue
        click.echo(f"{name} on {database}, seed {seed}: {size}", err=True)
        with _place(database, database_url) as place:
            try:
                done = SCENARIOS[name].run(place, seed, size)
            except CannotBeRun as error:
                raise click.ClickException(str(error)) from None
        click.echo(done.summary, err=True)
        click.echo(done.row)
        for problem in done.problems:
            click.echo(f"\n{problem}")
        reports.append(done)
        if json_file is not None:
            write_json(json_file, reports)
    sys.exit(1 if any(one.problems for one in reports) else 0)


def _databases(scenario: Scenario, *, every: bool, postgres: bool) -> tuple[str, ...]:
    if every:
        return scenario.databases
    return ("postgresql",) if postgres or scenario.databases == ("postgresql",) else ("sqlite",)


def _size(scenario: Scenario, *, short: bool, interviews: int | None, kills: int | None) -> Size:
    size = scenario.short if short else scenario.long
    if interviews is not None:
        size = replace(size, interviews=interviews)
    return size if kills is None else replace(size, kills=kills)


@contextlib.contextmanager
def _place(database: str, database_url: str | None) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="koji-faults-") as name, contextlib.ExitStack() as stack:
        folder, server = Path(name), None
        if database_url is None and database == "postgresql":
            if (programs := system.postgres_bin()) is None:
                raise click.ClickException(_NEEDS_POSTGRES)
            server = stack.enter_context(PostgresServer(programs))
            database_url = server.create_database()
        yield Place(folder, database_url or f"sqlite:///{folder}/koji.db", server)


if __name__ == "__main__":
    main()
