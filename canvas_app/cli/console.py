"""``console-link`` and ``operators``: the first way into the console, and who may change things there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.engine import Connection

from canvas_app import store
from canvas_app.cli.common import database, load_settings, missing_in_words
from canvas_app.interviews import operators, workspace
from canvas_app.interviews.operators import Teammate
from canvas_app.settings import Settings

_COMMAND_LINE = Teammate(None, "command line", "Command line", by_command=True)


@click.command("console-link")
def console_link() -> None:
    """Print a link that signs you in to the console: it works once, for ten minutes.

    Who follows it may change things there, and can make teammates operators.
    """
    # The web framework takes a moment to import, which the other commands do not have to wait for.
    from canvas_app.console import access

    settings = load_settings()
    for name, there in (("SECRET_KEY", settings.secret_key), ("PUBLIC_URL", settings.public_url)):
        if not there:
            raise click.ClickException(missing_in_words(settings, name))
    click.echo(access.make_link(settings, settings.public_url or "", _COMMAND_LINE))


@click.group("operators")
def operator_commands() -> None:
    """Which teammates may change things in the console; the others may look."""


@operator_commands.command("list")
def list_operators() -> None:
    """Show the operators."""
    with _opened() as (connection, workspace_id):
        found = operators.listed(connection, workspace_id)
    for one in found:
        click.echo(" ".join(filter(None, (one.id, one.name))))
    if not found:
        click.echo("There is no operator yet.")


@operator_commands.command("add")
@click.argument("teammate_id")
@click.option("--name", help="What they are called, for the list.")
def add_operator(teammate_id: str, name: str | None) -> None:
    """Let the teammate with the id TEAMMATE_ID in Intercom change things in the console."""
    if not teammate_id.isdecimal() or len(teammate_id) > 20:
        raise click.BadParameter("is not the id that Intercom gives a teammate: digits")
    with _opened() as (connection, workspace_id):
        added = operators.add(connection, workspace_id, teammate_id, name and name[:120])
        if added:
            operators.note(connection, _COMMAND_LINE, "operator_added", subject=teammate_id, after=name)
    click.echo("They may change things from now on." if added else "They are an operator already.")


@operator_commands.command("remove")
@click.argument("teammate_id")
def remove_operator(teammate_id: str) -> None:
    """Let the teammate TEAMMATE_ID only look from now on."""
    with _opened() as (connection, workspace_id):
        removed = operators.remove(connection, workspace_id, teammate_id)
        if removed:
            operators.note(connection, _COMMAND_LINE, "operator_removed", subject=teammate_id)
    click.echo("They may only look from now on." if removed else "They are no operator.")


@contextmanager
def _opened() -> Iterator[tuple[Connection, str]]:
    settings: Settings = load_settings()
    with database(settings) as engine, store.writing(engine) as connection:
        workspace_id = workspace.of_token(connection, settings)
        if workspace_id is None:
            raise click.ClickException(
                "It is not known yet which workspace this is. Set INTERCOM_ACCESS_TOKEN and start a worker."
            )
        yield connection, workspace_id
