"""The long form of the random run: ``python -m tests.faults --help``. ``make faults`` starts it."""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

import click

from canvas_app import migrate
from tests.faults import plan
from tests.faults.audit import audit, summary
from tests.faults.driver import SETTINGS, play
from tests.processes.stage import Stage


@click.command()
@click.option("--seed", type=int, help="Which run; drawn and printed where it is left out.")
@click.option("--interviews", default=500, show_default=True)
@click.option("--kills", default=100, show_default=True)
@click.option("--lost", default=0.0, help="Share of Koji's webhooks that never arrive, 0 to 1.")
@click.option("--database-url", help="An empty database; a new SQLite file where it is left out.")
@click.option("--show-plan", is_flag=True, help="Print what is to go wrong, and stop.")
def main(
    seed: int | None, interviews: int, kills: int, lost: float, database_url: str | None, show_plan: bool
) -> None:
    """Send and answer interviews while calls fail and processes are killed, and audit what came of it."""
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    drawn = plan.make(seed, interviews=interviews, kills=kills, lost=lost)
    if show_plan:
        click.echo(str(drawn))
        return
    click.echo(f"seed {seed}: {interviews} interviews, {kills} kills", err=True)
    with tempfile.TemporaryDirectory(prefix="koji-faults-") as folder:
        database_url = database_url or f"sqlite:///{folder}/koji.db"
        migrate.release(database_url)
        with Stage(database_url, Path(folder) / "logs", **SETTINGS) as stage:
            run = play(drawn, stage, patience=300.0)
            problems = audit(run)
            click.echo(summary(run))
    for problem in problems:
        click.echo(f"\n{problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
