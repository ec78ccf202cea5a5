"""``rules``: when an interview goes out by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import click
from pydantic import ValidationError
from sqlalchemy.engine import Connection

from canvas_app import store
from canvas_app.canvas import reasons
from canvas_app.cli.common import database, load_settings, show_table
from canvas_app.cli.rehearse import rehearse
from canvas_app.cli.spans import Span
from canvas_app.interviews import decisions, rulebook, rulefile, rulestore, studies
from canvas_app.interviews.decisions import Verdict
from canvas_app.interviews.rulebook import EVENTS, Rule
from canvas_app.interviews.rulefile import RuleFileError
from canvas_app.settings import Settings

_CONDITIONS = (
    "rating_at_most",
    "tag",
    "tag_not",
    "role",
    "closed_by_person",
    "customer_parts_at_least",
    "characters_at_least",
    "business_hours",
)
_LIMITS = ("share", "interviews_per_week", "credits_per_week")


@click.group("rules")
def rule_commands() -> None:
    """When an interview goes out by itself, and what was decided."""


@rule_commands.command("list")
def list_rules() -> None:
    """Show every rule, in the order in which they are asked."""
    with _database(write=False) as (_, connection):
        rules = rulestore.listed(connection)
    if not rules:
        click.echo("There is no rule yet.")
        return
    rows = [
        (
            str(number),
            "on" if rule.enabled else "off",
            rule.slug,
            rule.event,
            rulebook.delay_in_words(rule.delay) if rule.delay else "at once",
            rule.study,
            rule.title,
        )
        for number, rule in enumerate(rules, start=1)
    ]
    show_table(("", "", "Rule", "Event", "After", "Study", "What for"), rows, whole=("Rule",))


@rule_commands.command("show")
@click.argument("slug")
def show_rule(slug: str) -> None:
    """Show everything about the rule SLUG."""
    with _database(write=False) as (_, connection):
        click.echo(rulefile.write([_existing(connection, slug)]), nl=False)


def _fields(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say what a rule is like."""
    options = (
        click.option("--title", help="What it is for, in a few words."),
        click.option("--description", help="When to use it, and what in Intercom drives it."),
        click.option("--event", type=click.Choice(EVENTS), help="What has to happen in Intercom."),
        click.option("--study", help="Which study to ask with."),
        click.option("--delay", help='How long after it, as in "7 days".'),
        click.option("--rating-at-most", type=int, metavar="1-5", help="Only after such a rating or less."),
        click.option("--tag", multiple=True, help="One of these tags was put on, or is there."),
        click.option("--tag-not", multiple=True, help="None of these tags is there."),
        click.option("--role", type=click.Choice(["user", "lead"]), help="Only users, or only leads."),
        click.option(
            "--closed-by-person/--closed-by-anybody", default=None, help="Not where a bot has closed it."
        ),
        click.option("--customer-parts-at-least", type=int, help="So often the customer must have written."),
        click.option("--characters-at-least", type=int, help="So much the customer must have written."),
        click.option("--business-hours", help='When it may be sent, as in "mon-fri 09:00-17:00".'),
        click.option("--share", type=int, metavar="1-100", help="Per cent of the contacts who are asked."),
        click.option("--interviews-per-week", type=int, help="At most so many in seven days."),
        click.option("--credits-per-week", type=int, help="At most so many of Koji's credits in seven days."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@rule_commands.command("add")
@click.argument("slug")
@_fields
def add_rule(slug: str, **given: Any) -> None:
    """Write a new rule, named SLUG. It is off until you switch it on."""
    with _database() as (settings, connection):
        if rulestore.find(connection, slug) is not None:
            raise click.ClickException(f"There is a rule {slug} already; change it with: rules edit {slug}")
        rulestore.save(connection, _checked(connection, settings, _with({"slug": slug}, given)))
    click.echo(f"{slug} is written, and off. Switch it on with: rules on {slug}")


@rule_commands.command("edit")
@click.argument("slug")
@_fields
@click.option(
    "--clear",
    multiple=True,
    type=click.Choice((*_CONDITIONS, *_LIMITS, "delay", "description")),
    help="Take a condition or a limit away.",
)
def edit_rule(slug: str, clear: tuple[str, ...], **given: Any) -> None:
    """Change the rule SLUG. What no option names stays as it is."""
    with _database() as (settings, connection):
        values = _existing(connection, slug).model_dump(mode="json", exclude_defaults=True)
        for name in clear:
            for table in (values, values.get("conditions", {}), values.get("limits", {})):
                table.pop(name, None)
        rulestore.save(connection, _checked(connection, settings, _with(values, given)))
    click.echo(f"{slug} is changed.")


@rule_commands.command("on")
@click.argument("slugs", nargs=-1, required=True)
def switch_on(slugs: tuple[str, ...]) -> None:
    """Let the rules SLUGS ask."""
    _switch(slugs, on=True)


@rule_commands.command("off")
@click.argument("slugs", nargs=-1, required=True)
def switch_off(slugs: tuple[str, ...]) -> None:
    """Let the rules SLUGS ask no more. What they have planned is not sent either."""
    _switch(slugs, on=False)


@rule_commands.command("order")
@click.argument("slugs", nargs=-1, required=True)
def order_rules(slugs: tuple[str, ...]) -> None:
    """Ask the rules SLUGS first, in this order. The first rule that says yes asks."""
    with _database() as (_, connection):
        for slug in slugs:
            _existing(connection, slug)
        rulestore.put_in_order(connection, list(dict.fromkeys(slugs)))
        names = [rule.slug for rule in rulestore.listed(connection)]
    click.echo("The order is now: " + ", ".join(names))


@rule_commands.command("decisions")
@click.option("--rule", "slug", help="Of this rule alone.")
@click.option("--verdict", type=click.Choice(get_args(Verdict)), help="Only these.")
@click.option("--since", type=Span(), help="Not older than this, as in 7d.")
@click.option("--most", type=click.IntRange(1, 1000), default=50, show_default=True)
def show_decisions(slug: str | None, verdict: Verdict | None, since: timedelta | None, most: int) -> None:
    """Show the newest decisions, yes and no, with their reasons."""
    with _database(write=False) as (_, connection):
        after = None if since is None else store.now(connection) - since
        found = decisions.newest(connection, most=most, rule=slug, verdict=verdict, since=after)
    if not found:
        click.echo("Nothing was decided yet.")
        return
    rows = []
    for one in found:
        why = " ".join(filter(None, (reasons.in_words(one.reason), one.detail and f"({one.detail})")))
        when = f"{one.decided_at:%Y-%m-%d %H:%M}"
        rows.append((when, one.rule, one.verdict, why, one.contact_id, one.conversation_id or ""))
    show_table(("When (UTC)", "Rule", "Verdict", "Why", "Contact", "Conversation"), rows)


@rule_commands.command("export")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default="-")
def export_rules(file: Path) -> None:
    """Write every rule as TOML into FILE, or to the screen."""
    with _database(write=False) as (_, connection):
        text = rulefile.write(rulestore.listed(connection))
    if str(file) == "-":
        click.echo(text, nl=False)
    else:
        file.write_text(text, encoding="utf-8")
        click.echo(f"Written to {file}.")


@rule_commands.command("import")
@click.argument("file", type=click.File(encoding="utf-8"))
def import_rules(file: Any) -> None:
    """Take the rules of the TOML file FILE, new or changed, in its order. The others stay behind them.

    Where the file has mistakes, all of them are listed and nothing is changed.
    """
    try:
        text = file.read()
    except UnicodeDecodeError as error:
        raise click.ClickException("The file is not UTF-8. Nothing was changed.") from error
    with _database(write=False) as (settings, connection):
        known = [study.slug for study in studies.listed(connection, settings)]
    try:
        # Before anything is locked: on SQLite a webhook would have to wait for a long file.
        rules = rulefile.read(text, studies=known)
    except RuleFileError as error:
        count = len(error.problems)
        raise click.ClickException(
            f"{count} mistake{'s' if count != 1 else ''}, and nothing was changed:\n{error}"
        ) from None
    with _database() as (_, connection):
        new = sum(rulestore.save(connection, rule) for rule in rules)
        rulestore.put_in_order(connection, [rule.slug for rule in rules])
    click.echo(f"{new} new, {len(rules) - new} changed.")


rule_commands.add_command(rehearse)


@contextmanager
def _database(*, write: bool = True) -> Iterator[tuple[Settings, Connection]]:
    settings = load_settings()
    with database(settings) as engine, (store.writing if write else store.reading)(engine) as connection:
        yield settings, connection


def _switch(slugs: tuple[str, ...], *, on: bool) -> None:
    with _database() as (settings, connection):
        for slug in slugs:
            values = _existing(connection, slug).model_dump(mode="json") | {"enabled": on}
            rulestore.save(connection, _checked(connection, settings, values) if on else Rule(**values))
    click.echo(f"{', '.join(slugs)}: {'on' if on else 'off'}.")


def _existing(connection: Connection, slug: str) -> Rule:
    rule = rulestore.find(connection, slug)
    if rule is None:
        raise click.ClickException(f"There is no rule {slug}. See: rules list")
    return rule


def _with(values: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The values of a rule, with what the options say in their place."""
    said = {name: value for name, value in given.items() if value not in (None, ())}
    for table, names in (("conditions", _CONDITIONS), ("limits", _LIMITS)):
        values[table] = {**values.get(table, {}), **{name: said.pop(name) for name in names if name in said}}
    return values | said


def _checked(connection: Connection, settings: Settings, values: dict[str, Any]) -> Rule:
    """The rule, or a list of everything that is wrong with it."""
    problems: list[str] = []
    try:
        rule = Rule.model_validate(values)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, place))} {text}".strip() for place, text in rulefile.mistakes(error)]
    study = values.get("study", "default")
    if studies.find(connection, settings, str(study)) is None:
        problems.append(f"study is none that there is: {study}")
    if problems:
        raise click.ClickException("The rule has mistakes, and nothing was changed:\n" + "\n".join(problems))
    return rule
