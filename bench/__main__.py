"""Measure how fast it is: ``python -m bench [--list] [--only initialize,webhooks] [--short]``.

Writes a table in Markdown, a plot of each part as SVG, and the raw numbers with machine, versions and date as
JSON: into ``docs/figures/`` where everything is measured in full, else into ``var/bench/``.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bench import machine, plots
from bench.figures import TITLES, Database, Figure, table
from bench.parts import PARTS, Part
from bench.place import Run
from sandbox.server import quiet_logs

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs" / "figures"
PASSING = ROOT / "var" / "bench"


@click.command()
@click.option("--list", "list_them", is_flag=True, help="Say what is measured, and measure nothing.")
@click.option("--only", default="", help="Names of parts with commas between them.")
@click.option("--short", is_flag=True, help="Small sizes: shows that it works, and measures little.")
@click.option(
    "--database",
    type=click.Choice(["both", "sqlite", "postgresql"]),
    default="both",
    show_default=True,
)
@click.option("--out", type=click.Path(path_type=Path), help="The folder that is written into.")
@click.option("--name", default="bench", show_default=True, help="The beginning of the files' names.")
def main(list_them: bool, only: str, short: bool, database: str, out: Path | None, name: str) -> None:
    """Measure, and write down what was found."""
    if list_them:
        for part in PARTS:
            told = f"{part.minutes:g} min" + (", only where it is named" if part.long else "")
            click.echo(f"{part.name:12}{part.what} ({told})")
        return
    chosen = choose(only, short=short)
    quiet_logs()
    logging.getLogger("sandbox").setLevel(logging.ERROR)
    databases = [one for one in ("sqlite", "postgresql") if database in ("both", one)]
    folder = out or (PASSING if short or only or database != "both" else KEPT)
    document = measure_all(chosen, databases, short=short)
    write(document, folder, name)
    click.echo(f"\n{document['table']}")
    for said in document["left_out"]:
        click.echo(said)
    click.echo(f"Written to {folder}.")


def choose(only: str, *, short: bool) -> list[Part]:
    """The parts of these names, or all that are not long. UsageError for a name that is none."""
    names = [name.strip() for name in only.split(",") if name.strip()]
    if unknown := set(names) - {part.name for part in PARTS}:
        raise click.UsageError(f"There is no part {', '.join(sorted(unknown))}; --list names them.")
    return [part for part in PARTS if (part.name in names if names else short or not part.long)]


def measure_all(chosen: Sequence[Part], databases: Sequence[str], *, short: bool) -> dict[str, Any]:
    """Run the parts on each database; what was found, as JSON."""
    document: dict[str, Any] = {
        **machine.described(),
        "short": short,
        "raw": {},
        "left_out": [],
        "failed": [],
    }
    figures: list[Figure] = []
    drawn: list[dict[str, Any]] = []
    for part in chosen:
        for database in databases:
            found = _measured(part, _database(database), short=short, document=document)
            if found is None:
                continue
            figures += found.figures
            drawn += [{"database": database, "plot": plot} for plot in found.plots]
            document["raw"][f"{part.name}, {database}"] = found.raw
            document["left_out"] += [said for said in found.left_out if said not in document["left_out"]]
    document["figures"] = [figure.document() for figure in figures]
    document["plots"] = drawn
    document["table"] = table(figures)
    return document


def _measured(part: Part, database: Database, *, short: bool, document: dict[str, Any]) -> Any:
    if database == "postgresql" and document["versions"]["postgresql"] is None:
        said = "PostgreSQL's programs are not there: only SQLite was measured."
        if said not in document["left_out"]:
            document["left_out"].append(said)
        return None
    click.echo(f"{part.name} on {TITLES[database]}")
    begun = time.perf_counter()
    try:
        found = part.measure(Run(database, short))
    except Exception as error:  # noqa: BLE001 -- the other parts are to be measured all the same
        said = f"{part.name} on {TITLES[database]} was not measured: {type(error).__name__}: {error}"
        document["left_out"].append(said)
        click.echo(f"  {said}")
        return None
    click.echo(f"  took {time.perf_counter() - begun:.0f} s")
    return found


def write(document: dict[str, Any], folder: Path, name: str) -> None:
    """Write JSON, table and plots."""
    folder.mkdir(parents=True, exist_ok=True)
    grouped = plots.grouped([(one["database"], one["plot"]) for one in document.pop("plots")])
    for plot in grouped:
        (folder / f"{name}-{plot.name}.svg").write_text(plots.drawn(plot))
    size = ", in a short run that shows only that it works" if document["short"] else ""
    said = [f"Measured{size} on {machine.in_words(document)}.", "", document["table"], *document["left_out"]]
    (folder / f"{name}.md").write_text("\n".join(said).rstrip("\n") + "\n")
    text = json.dumps({key: value for key, value in document.items() if key != "table"}, indent=1)
    (folder / f"{name}.json").write_text(f"{text}\n")


def _database(name: str) -> Database:
    return "postgresql" if name == "postgresql" else "sqlite"


if __name__ == "__main__":
    main()
