"""The long form of bad input: ``python -m tests.input --help``. ``make input`` starts it."""

from __future__ import annotations

import json
import platform
import random
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import migrate, store
from canvas_app.interviews.tables import deliveries, interviews
from tests.input import aiming, firing, judge
from tests.input.memory import MB, Memory
from tests.input.web_process import WebProcess, settings_for
from tests.support.world import WORKSPACE


@click.command()
@click.option("--inputs", default=20_000, show_default=True)
@click.option("--seed", type=int, help="Which inputs; drawn and printed where it is left out.")
@click.option("--database-url", help="An empty database; a new SQLite file where it is left out.")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write figures here."
)
def main(inputs: int, seed: int | None, database_url: str | None, json_file: Path | None) -> None:
    """Send so many inputs through all doors of a real web process, and look at what came of it.

    Exit status 1: an answer was wrong, the log tells of a fault of ours, a row holds what was not checked, or
    memory grew.
    """
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    click.echo(f"seed {seed}: {inputs} inputs", err=True)
    with tempfile.TemporaryDirectory(prefix="koji-input-") as folder:
        settings = settings_for(database_url or f"sqlite:///{folder}/koji.db")
        migrate.release(settings.database_url)
        engine = store.make_engine(settings.database_url, pool_size=2)
        aim = aiming.furnish(engine, settings, WORKSPACE)
        before = _rows(engine)
        with WebProcess(settings, Path(folder) / "web.log") as web:
            memory = Memory(web.resident, every=max(1, inputs // 50))
            began = time.monotonic()
            score = firing.fire(aim, web.send, inputs, seed=seed, every=memory.look)
            seconds = time.monotonic() - began
            faults = judge.faults(web.said())
        bad_rows = judge.bad_rows(engine)
        stored = {name: number - before[name] for name, number in _rows(engine).items()}
        engine.dispose()
    for shot, found in score.wrong[:20]:
        click.echo(f"{', '.join(found)}: {shot}")
    for line in [*faults[:20], *bad_rows[:20]]:
        click.echo(line)
    server_errors = sum(number for status, number in score.by_status.items() if status >= 500)
    # Without a worker /healthz is red, as it should be.
    figures: dict[str, Any] = {
        "inputs": score.shots,
        "seed": seed,
        "database": settings.database_url.partition(":")[0].partition("+")[0],
        "seconds": round(seconds, 1),
        "wrong": len(score.wrong),
        "faults": len(faults),
        "bad_rows": len(bad_rows),
        "server_errors": server_errors,
        "resident_mb": {
            "most": round(max((size for _, size in memory.seen), default=0) / MB, 1),
            "growth": round(memory.growth / MB, 1),
        },
        "stored": stored,
        "by_door": dict(score.by_door.most_common()),
        "by_status": {str(status): number for status, number in sorted(score.by_status.items())},
        "resident": memory.seen,
        "machine": _machine(),
    }
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    click.echo(in_one_line(figures))
    sys.exit(1 if score.wrong or faults or bad_rows or not memory.is_flat else 0)


def in_one_line(figures: dict[str, Any]) -> str:
    memory, statuses = figures["resident_mb"], figures["by_status"]
    told = ", ".join(f"{number} of {status}" for status, number in statuses.items())
    return (
        f"{figures['inputs']} inputs through {len(figures['by_door'])} doors in {figures['seconds']} s "
        f"({figures['database']}, seed {figures['seed']}): {figures['wrong']} wrong answers, "
        f"{figures['faults']} faults in the log, {figures['bad_rows']} unchecked values stored; "
        f"memory of the web {memory['most']} MB at most, {memory['growth']} MB more in the second half than "
        f"in the first; answers {told}"
    )


def _rows(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            table.name: int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
            for table in (interviews, deliveries)
        }


def _machine() -> dict[str, str | int | None]:
    import os

    packages = ("flask", "werkzeug", "gunicorn", "sqlalchemy", "pydantic", "hypothesis")
    return {
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


if __name__ == "__main__":
    main()
