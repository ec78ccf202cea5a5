"""``doctor``: what is set up, what is missing, and the command that mends it."""

from __future__ import annotations

import sys

import click

from canvas_app import health, store
from canvas_app.cli.common import load_settings


@click.command()
def doctor() -> None:
    """Say what is set up, what is missing, and the command that mends it. Exits with 1 if anything is."""
    settings = load_settings()
    engine = store.make_engine(settings.database_url, pool_size=1, somebody_waits=True)
    parts = health.parts(engine)
    pauses = health.pauses(engine, settings, parts)
    engine.dispose()
    for part in parts:
        click.echo(f"{'ok  ' if part.ok else 'DOWN'}  {part.text}")
    for pause in pauses:
        click.echo(f"PAUSED  {health.in_words(pause)}")
    missing = health.missing(settings)
    for name, description in missing:
        click.echo(f"MISSING  {name}: {description}")
        click.echo(f"         {health.set_command(settings)}{name}=…")
    base = settings.public_url or "https://<the address of this app>"
    click.echo("\nAddresses to paste:")
    for label, url in health.addresses(base):
        click.echo(f"  {label}\n    {url}")
    if missing or pauses or not all(part.ok for part in parts):
        sys.exit(1)
