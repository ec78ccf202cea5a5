"""``doctor``: what is set up, what is missing, and the command that mends it."""

from __future__ import annotations

import sys

import click

from canvas_app import health, store
from canvas_app.cli import checks, findings, outside_checks
from canvas_app.cli.common import load_settings, progress


@click.command()
@click.option("--offline", is_flag=True, help="Leave out what needs a call to Intercom or Koji.")
def doctor(offline: bool) -> None:
    """Say what is set up, what is missing, and what mends it. Exits with 1 if anything is not well."""
    settings = load_settings()
    engine = store.make_engine(settings.database_url, pool_size=1, somebody_waits=True)
    try:
        found = list(checks.look(settings, engine))
        # The gates, which every call passes, stand in the database.
        reachable = all(part.ok for part in health.parts(engine) if part.name != "worker")
        if not offline and reachable:
            with progress("Asking Intercom and Koji") as bar:
                for finding in outside_checks.look(settings, engine):
                    found.append(finding)
                    bar.advance(1)
    finally:
        engine.dispose()
    findings.show(found)
    findings.show_addresses(health.addresses(settings.public_url or "https://<the address of this app>"))
    if not all(finding.is_fine for finding in found):
        sys.exit(1)
