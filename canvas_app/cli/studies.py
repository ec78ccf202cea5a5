"""``studies``: which interviews can be asked for, each with a key of its own at Koji."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from canvas_app import health, store
from canvas_app.cli.common import database, load_settings, show_table
from canvas_app.errors import NotConfigured, StudyRefused
from canvas_app.interviews import studies, study_facts, study_form, wording, words
from canvas_app.plaintext import one_line
from canvas_app.settings import Settings, Study

_SOURCES = "prompt, env:NAME, file:PATH or stdin"
_PREVIEW_NAME = "Mia"

Command = Callable[..., Any]


@click.group("studies")
def study_commands() -> None:
    """Which Koji studies can be asked with. The environment's is called "default"."""


def _fields(command: Command) -> Command:
    """What may be entered for a study. Texts, so that every mistake is told at once."""
    options = (
        click.option("--name", help="What the rep reads, 1 to 80 characters."),
        click.option("--key-from", "key_source", metavar="SOURCE", help=f"Koji's API key: {_SOURCES}."),
        click.option(
            "--webhook-secret-from",
            "secret_source",
            metavar="SOURCE",
            help=f"The signing secret of the study's webhooks: {_SOURCES}.",
        ),
        click.option("--mode", help="text, voice, or any: then Koji offers what the study allows."),
        click.option(
            "--link-template", metavar="URL", help="As KOJI_LINK_TEMPLATE, for this study; empty for none."
        ),
        click.option("--anonymous", metavar="yes|no", help="Whether nothing is ever written to Intercom."),
        click.option("--credits", metavar="NUMBER|auto", help="What one interview costs (text 1, voice 3)."),
        click.option(
            "--remind",
            "remind_after_days",
            metavar="DAYS|off",
            help="Remind once, if the link was not opened.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@study_commands.command("list")
def list_studies() -> None:
    """Show every study: what it is, and whether it can be asked with."""
    settings = load_settings()
    with _reading(settings) as connection:
        every = studies.listed(connection, settings)
        older = studies.sealed_with_older_key(connection, settings)
    rows = [
        (
            study.slug,
            one_line(study.name, 80),
            "on" if study.enabled else "off",
            f"key {study_facts.key(study)}",
            _secret(study, settings),
            ", ".join(_traits(study)),
        )
        for study in every
    ]
    # The cells need no headings, since a line that is no table has none.
    show_table(("Study", "Name", "", "", "", ""), rows, whole=("Study",))
    for study in every:
        if study.secrets_lost:
            click.echo(
                f"The secrets of {study.slug} cannot be read: no SECRET_KEY that is listed has sealed them. "
                f"List that one again, or enter them anew: studies edit {study.slug} --key-from prompt"
            )
    for slug in older:
        click.echo(f"An older SECRET_KEY still opens {slug}. Restart the worker before you drop it.")


@study_commands.command("add")
@click.argument("slug")
@_fields
@click.option("--off", is_flag=True, help="Add it without switching it on.")
def add_study(
    slug: str, *, off: bool, key_source: str | None, secret_source: str | None, **fields: str | None
) -> None:
    """Add a study, called SLUG in rules and in the API. Asks for its key where no source is named."""
    settings = load_settings()
    if key_source is None:
        # Somebody sits there, and can be asked for both.
        key_source, secret_source = "prompt", "prompt" if secret_source is None else secret_source
    given = _given(fields, key_source, secret_source)
    with _changing(settings) as connection:
        others = studies.listed(connection, settings)
        study = study_form.new(
            slug, given | {"enabled": "no" if off else "yes"}, settings=settings, others=others
        )
        try:
            studies.save(connection, settings, study, new=True)
        except IntegrityError:
            raise StudyRefused([f"slug: somebody else has just added {slug}"]) from None
    click.echo(f"Added {slug}. It is {'off' if off else 'on'}.")
    _tell_next(study, settings)


@study_commands.command("edit")
@click.argument("slug")
@_fields
def edit_study(slug: str, *, key_source: str | None, secret_source: str | None, **fields: str | None) -> None:
    """Change what is named of the study SLUG; the rest stays as it is."""
    settings = load_settings()
    given = _given(fields, key_source, secret_source)
    if not given:
        raise click.UsageError("Name what is to be changed; see: studies edit --help")
    _change(
        settings,
        slug,
        lambda study, others: study_form.changed(study, given, settings=settings, others=others),
    )
    click.echo(f"Changed {slug}.")
    if "api_key" in given:
        click.echo("It has the new key now.")


@study_commands.command("on")
@click.argument("slug")
def switch_on(slug: str) -> None:
    """Let interviews be asked for with the study SLUG."""
    settings = load_settings()
    study = _change(settings, slug, lambda study, others: _switched(study, others, settings, "yes"))
    click.echo(f"{slug} is on.")
    if not study.askable:
        click.echo(
            "There is no key that can be read, so that nobody can be asked with it yet: "
            f"{study_facts.key(study)}."
        )


@study_commands.command("off")
@click.argument("slug")
def switch_off(slug: str) -> None:
    """Let no interview be asked for with the study SLUG. Results still come, and links still work."""
    settings = load_settings()
    _change(settings, slug, lambda study, others: _switched(study, others, settings, "no"))
    click.echo(f"{slug} is off. What is sent already goes on, and its results still come.")


@study_commands.command("wording")
@click.argument("slug")
@click.option("--language", metavar="TAG", help='Such as de or pt-BR, or "default" for everybody else.')
@click.option("--greeting", metavar="TEXT", help='Such as "Hallo {first_name},".')
@click.option("--invitation", metavar="TEXT", help="The paragraph before the link.")
@click.option("--link-text", metavar="TEXT", help="What the link reads.")
@click.option("--thanks", metavar="TEXT", help="The last paragraph.")
@click.option("--reminder", metavar="TEXT", help="In place of the invitation, in the one reminder.")
@click.option("--remove", is_flag=True, help="Take the words of this language away.")
def word_study(slug: str, *, language: str | None, remove: bool, **parts: str | None) -> None:
    """Show the message of the study SLUG, or word it in a language of the contacts'.

    {first_name} stands for the customer's first name. A contact reads their own language, else the broader
    one (pt for pt-BR), else the default.
    """
    settings = load_settings()
    given = {part: text for part, text in parts.items() if text is not None}
    if (given or remove) and language is None:
        raise click.UsageError("Name the language: --language de")
    if given and remove:
        raise click.UsageError("Either word it or take it away.")
    if remove and language is not None:
        study = _change(settings, slug, lambda study, _: study_form.without_words(study, language))
    elif given and language is not None:
        study = _change(settings, slug, lambda study, _: study_form.worded(study, language, given))
    else:
        with _reading(settings) as connection:
            study = _found(studies.find(connection, settings, slug), slug)
    only = language if language is not None and not remove else None
    for tag in sorted({*study.wording, words.ANY_LANGUAGE}) if only is None else [only]:
        said = words.chosen(study.wording, tag)
        click.echo(f"{tag}:")
        for text in wording.invitation_preview(contact_name=_PREVIEW_NAME, personal_line=None, said=said):
            click.echo(f"    {text}")
        if study.remind_after_days is not None:
            click.echo(f"    (reminder) {words.filled(said.reminder, _PREVIEW_NAME)}")


# What is entered


def _given(
    fields: dict[str, str | None], key_source: str | None, secret_source: str | None
) -> dict[str, str]:
    given = {name: text for name, text in fields.items() if text is not None}
    if key_source == secret_source == "stdin":
        raise click.UsageError("Standard input can hold one of the two; take file:PATH for the other.")
    if key_source is not None:
        given["api_key"] = _secret_from(key_source, "--key-from", "Koji's API key of the study")
    if secret_source is not None:
        what = "Signing secret of its webhooks (leave it empty if Koji has not shown it yet)"
        given["webhook_secret"] = _secret_from(
            secret_source, "--webhook-secret-from", what, may_be_empty=True
        )
    return given


def _secret_from(source: str, option: str, what: str, *, may_be_empty: bool = False) -> str:
    """A secret from where it leaves no trace: an argument would stay in the shell's history."""
    kind, _, name = source.partition(":")
    if source == "prompt":
        return str(
            click.prompt(what, hide_input=True, default="" if may_be_empty else None, show_default=False)
        )
    if source == "stdin":
        return sys.stdin.readline().strip()
    if kind == "env" and name:
        if name not in os.environ:
            raise click.UsageError(f"{option}: there is no variable {name} in the environment.")
        return os.environ[name].strip()
    if kind == "file" and name:
        try:
            return Path(name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise click.UsageError(f"{option}: the file {name} cannot be read.") from None
    # Nothing of it is repeated: it may be the secret itself.
    raise click.UsageError(
        f"{option} takes {_SOURCES}. If this was the secret itself, it stands in your shell's history now."
    )


# The database


@contextmanager
def _reading(settings: Settings) -> Iterator[Connection]:
    with database(settings) as engine, store.reading(engine) as connection:
        yield connection


@contextmanager
def _changing(settings: Settings) -> Iterator[Connection]:
    """One transaction; what is refused in it is told as the mistakes that it is."""
    try:
        with database(settings) as engine, store.writing(engine) as connection:
            yield connection
    except (StudyRefused, NotConfigured) as error:
        raise click.ClickException(str(error)) from None


def _change(settings: Settings, slug: str, change: Callable[[Study, list[Study]], Study]) -> Study:
    with _changing(settings) as connection:
        study = _found(studies.find(connection, settings, slug, lock=True), slug)
        changed = change(study, studies.listed(connection, settings))
        studies.save(connection, settings, changed)
    return changed


def _switched(study: Study, others: list[Study], settings: Settings, on: str) -> Study:
    return study_form.changed(study, {"enabled": on}, settings=settings, others=others)


def _found(study: Study | None, slug: str) -> Study:
    if study is None:
        raise click.ClickException(f"There is no study {one_line(slug, 64)}. See: studies list")
    return study


# What is shown


def _secret(study: Study, settings: Settings) -> str:
    state = study_facts.webhook_secret(study, settings)
    return {study_facts.SET: "webhook secret", study_facts.MISSING: "no webhook secret"}.get(
        state, f"webhook secret {state}"
    )


def _traits(study: Study) -> Iterator[str]:
    """What else a study is, in words that need no heading."""
    yield f"{study.mode} mode" if study.mode else "any mode"
    yield f"{study.cost} credit{'' if study.cost == 1 else 's'}"
    if study.anonymous:
        yield "anonymous"
    if study.link_template is not None:
        yield "link template"
    if study.remind_after_days:
        yield f"reminder after {study.remind_after_days} days"
    if study.wording:
        yield f"words for {' '.join(sorted(study.wording))}"


def _tell_next(study: Study, settings: Settings) -> None:
    address = dict(health.addresses(settings.public_url or "https://<the address of this app>"))
    click.echo("In Koji, let this study's webhooks go to:")
    click.echo(f"    {address['Koji > Settings > Webhooks > Endpoint']}")
    if study.webhook_secret is None:
        click.echo("Then enter the signing secret that Koji shows:")
        click.echo(f"    python -m canvas_app studies edit {study.slug} --webhook-secret-from prompt")
