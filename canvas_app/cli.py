"""The command line: ``python -m canvas_app …``."""

from __future__ import annotations

import logging
import os
import sys

import click
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from canvas_app import health, log, migrate, store
from canvas_app.errors import SettingsError
from canvas_app.interviews import rules
from canvas_app.interviews.tables import theme_tags
from canvas_app.settings import Settings

logger = logging.getLogger(__name__)


def main() -> None:
    try:
        commands(prog_name="python -m canvas_app")
    except SettingsError as error:
        click.echo(str(error), err=True)
        sys.exit(78)


@click.group()
def commands() -> None:
    """Koji for Intercom."""


@commands.command()
def release() -> None:
    """Bring the database to this version. Safe to repeat; run it before a new version's web and worker."""
    log.configure()
    database_url = Settings.load(os.environ).database_url
    try:
        newer = migrate.release(database_url)
    except OperationalError as error:
        log.failure(logger, "release_failed", error)
        raise click.ClickException("The database cannot be reached. Look at DATABASE_URL.") from error
    except SQLAlchemyError as error:
        # Its own text may quote what stands in the address, or in the database.
        log.failure(logger, "release_failed", error)
        kind = type(getattr(error, "orig", None) or error).__name__
        raise click.ClickException(
            f"The database refused it ({kind}). Look at DATABASE_URL, also behind its question mark."
        ) from error
    if newer is not None:
        click.echo(
            f"The database's tables are those of a newer version ({newer}). They are left as they are."
        )
        return
    click.echo("The database is up to date.")


@commands.command()
def worker() -> None:
    """Run the worker, until SIGTERM."""
    # The durable engine takes half a second to import, and only the worker runs it.
    from canvas_app import worker as process

    log.configure()
    status = process.run(Settings.load(os.environ))
    sys.stderr.flush()
    # Threads of the engine that wait for the network would hold the interpreter up past the ten seconds.
    os._exit(status)


@commands.command()
def doctor() -> None:
    """Say what is set up, what is missing, and the command that mends it. Exits with 1 if anything is."""
    settings = Settings.load(os.environ)
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


@commands.group("theme-tags")
def theme_tag_commands() -> None:
    """Which of Koji's themes become tags in Intercom."""


@theme_tag_commands.command("list")
def list_theme_tags() -> None:
    """Show the tags that themes may become."""
    engine = _engine()
    with store.reading(engine) as connection:
        slugs = connection.execute(sa.select(theme_tags.c.slug).order_by(theme_tags.c.slug)).scalars().all()
    engine.dispose()
    for slug in slugs:
        click.echo(f"koji_{slug}")
    if not slugs:
        click.echo("No theme becomes a tag yet.")


@theme_tag_commands.command("add")
@click.argument("theme")
def add_theme_tag(theme: str) -> None:
    """Let THEME become a tag, e.g. "Pricing friction"."""
    slug = rules.tag_slug(theme.removeprefix("koji_"))
    if not slug:
        raise click.BadParameter("it holds no letter or digit that a tag could be named by")
    engine = _engine()
    with store.writing(engine) as connection:
        store.insert_ignoring_conflicts(connection, theme_tags, {"slug": slug})
    engine.dispose()
    click.echo(f"Interviews with this theme are tagged koji_{slug}.")


@theme_tag_commands.command("remove")
@click.argument("theme")
def remove_theme_tag(theme: str) -> None:
    """Let THEME no longer become a tag. Tags that are in Intercom already stay."""
    engine = _engine()
    with store.writing(engine) as connection:
        slug = rules.tag_slug(theme.removeprefix("koji_"))
        removed = connection.execute(sa.delete(theme_tags).where(theme_tags.c.slug == slug)).rowcount
    engine.dispose()
    click.echo("Removed." if removed else "It was not on the list.")


def _engine() -> Engine:
    engine = store.make_engine(Settings.load(os.environ).database_url, pool_size=1)
    try:
        ready = migrate.current_version(engine) is not None
    except SQLAlchemyError as error:
        raise click.ClickException("The database cannot be reached. Look at DATABASE_URL.") from error
    if not ready:
        raise click.ClickException("The database has no tables yet. Run: python -m canvas_app release")
    return engine
