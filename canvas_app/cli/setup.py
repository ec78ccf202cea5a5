"""``setup``: what the app needs in the Intercom workspace, and every address to paste."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from canvas_app import health, store
from canvas_app.cli import findings
from canvas_app.cli.common import (
    database,
    directory,
    in_words,
    load_settings,
    make_services,
    patiently,
    progress,
)
from canvas_app.cli.findings import Finding
from canvas_app.errors import PermanentError
from canvas_app.intercom.directory import IntercomDirectory
from canvas_app.interviews import options, provisions, workspace
from canvas_app.interviews.options import Options


@click.command()
def setup() -> None:
    """Create our attributes and tags in Intercom, and print the addresses to paste. Safe to repeat."""
    settings = load_settings()
    with database(settings) as engine:
        intercom = directory(settings, engine)
        try:
            ours = patiently(workspace.read, make_services(settings, engine))
        except PermanentError as error:
            raise click.ClickException(in_words(error)) from error
        click.echo(f"Workspace {ours.workspace_id}, time zone {ours.timezone or 'unknown'}\n")
        with store.reading(engine) as connection:
            chosen = options.read(connection, settings)
        total = len(provisions.attributes(chosen)) + len(provisions.tags(chosen))
        found = []
        with progress("Setting up Intercom", total) as bar:
            for finding in _provide(intercom, chosen):
                found.append(finding)
                bar.advance(1)
    findings.show(found)
    findings.show_addresses(health.addresses(settings.public_url or "https://<the address of this app>"))
    click.echo("\nTopics to tick at Intercom > Webhooks, for rules and for erasing:")
    for topic in provisions.TOPICS:
        click.echo(f"  {topic}")
    click.echo(f"\nEvent to choose at Koji > Webhooks:\n  {provisions.KOJI_EVENT}")
    if not all(finding.is_fine for finding in found):
        sys.exit(1)


def _provide(intercom: IntercomDirectory, chosen: Options) -> Iterator[Finding]:
    """Attributes, then tags. What is refused for the one does not keep the other from being made."""
    for what, provide in (("attributes", _attributes), ("tags", _tags)):
        try:
            yield from provide(intercom, chosen)
        except click.ClickException as error:
            yield Finding("WRONG", f"The {what} cannot be set up.", error.message)
        except PermanentError as error:
            yield Finding("WRONG", f"The {what} cannot be set up.", in_words(error))


def _attributes(intercom: IntercomDirectory, chosen: Options) -> Iterator[Finding]:
    present, wanted = patiently(intercom.contact_attributes), provisions.attributes(chosen)
    for name, how in provisions.compare(present, wanted).items():
        data_type = wanted[name][0]
        created = how == "missing"
        if created:
            how = patiently(provisions.create_attribute, intercom, name, wanted)  # noqa: PLW2901 - what it is now
        if how == "there":
            level: findings.Level = "created" if created else "ok"
            yield Finding(level, f"attribute {name} ({data_type})")
        elif how == "archived":
            yield Finding("WRONG", f"attribute {name} is archived.", provisions.UNARCHIVE)
        else:
            told = present[name].data_type
            text = f"attribute {name} is of the type {told}, and should be {data_type}."
            yield Finding("WRONG", text, provisions.RENAME)


def _tags(intercom: IntercomDirectory, chosen: Options) -> Iterator[Finding]:
    present = {tag.name.casefold() for tag in patiently(intercom.all_tags)}
    for name in provisions.tags(chosen):
        there = name.casefold() in present
        if not there:
            patiently(intercom.ensure_tag, name)
        yield Finding("ok" if there else "created", f"tag {name}")
