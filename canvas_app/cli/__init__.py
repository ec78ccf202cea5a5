"""The command line: ``python -m canvas_app …``. Each command has a module of its own."""

from __future__ import annotations

import logging
import os
import sys

import click
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from canvas_app import log, migrate, store
from canvas_app.cli.common import load_settings
from canvas_app.cli.console import console_link, operator_commands
from canvas_app.cli.contacts import export_contacts, import_links
from canvas_app.cli.doctor import doctor
from canvas_app.cli.repair import erase, replay
from canvas_app.cli.rules import rule_commands
from canvas_app.cli.setup import setup
from canvas_app.cli.studies import study_commands
from canvas_app.cli.theme_tags import theme_tag_commands
from canvas_app.cli.trigger import trigger
from canvas_app.errors import SettingsError
from canvas_app.interviews import readymade

logger = logging.getLogger(__name__)


def main() -> None:
    # What a command has to say it says to the person in front of it. Without a handler the bare codes of
    # warnings would stand between; those that are no person's, `release` and `worker`, configure the log.
    logging.getLogger().addHandler(logging.NullHandler())
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
    database_url = load_settings().database_url
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
    engine = store.make_engine(database_url, pool_size=1)
    with store.writing(engine) as connection:
        readymade.plant(connection)
    engine.dispose()
    click.echo("The database is up to date.")


@commands.command()
def worker() -> None:
    """Run the worker, until SIGTERM."""
    # The durable engine takes half a second to import, and only the worker runs it.
    from canvas_app import worker as process

    log.configure()
    status = process.run(load_settings())
    sys.stderr.flush()
    # Threads of the engine that wait for the network would hold the interpreter up past the ten seconds.
    os._exit(status)


for command in (
    console_link,
    doctor,
    erase,
    export_contacts,
    import_links,
    operator_commands,
    replay,
    rule_commands,
    setup,
    study_commands,
    theme_tag_commands,
    trigger,
):
    commands.add_command(command)
