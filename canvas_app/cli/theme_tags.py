"""``theme-tags``: the allow-list of the themes that may become tags."""

from __future__ import annotations

import click
import sqlalchemy as sa

from canvas_app import store
from canvas_app.cli.common import database, load_settings
from canvas_app.interviews import rules
from canvas_app.interviews.tables import theme_tags


@click.group("theme-tags")
def theme_tag_commands() -> None:
    """Which of Koji's themes become tags in Intercom."""


@theme_tag_commands.command("list")
def list_theme_tags() -> None:
    """Show the tags that themes may become."""
    with database(load_settings()) as engine, store.reading(engine) as connection:
        slugs = connection.execute(sa.select(theme_tags.c.slug).order_by(theme_tags.c.slug)).scalars().all()
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
    with database(load_settings()) as engine, store.writing(engine) as connection:
        store.insert_ignoring_conflicts(connection, theme_tags, {"slug": slug})
    click.echo(f"Interviews with this theme are tagged koji_{slug}.")


@theme_tag_commands.command("remove")
@click.argument("theme")
def remove_theme_tag(theme: str) -> None:
    """Let THEME no longer become a tag. Tags that are in Intercom already stay."""
    with database(load_settings()) as engine, store.writing(engine) as connection:
        slug = rules.tag_slug(theme.removeprefix("koji_"))
        removed = connection.execute(sa.delete(theme_tags).where(theme_tags.c.slug == slug)).rowcount
    click.echo("Removed." if removed else "It was not on the list.")
