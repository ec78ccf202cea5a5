"""``rules dry-run``: who would have been asked, who not, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import click
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.canvas import reasons
from canvas_app.cli.common import (
    database,
    in_words,
    load_settings,
    make_services,
    patiently,
    progress,
    show_table,
)
from canvas_app.cli.spans import Span
from canvas_app.errors import PermanentError
from canvas_app.interviews import rehearsal, rulebook, rulestore
from canvas_app.interviews.rehearsal import Line
from canvas_app.interviews.rulebook import Rule
from canvas_app.interviews.services import Services
from canvas_app.plaintext import one_line


@click.command("dry-run")
@click.option("--since", type=Span(), default="30d", show_default=True, help="How far back, as in 30d.")
@click.option("--rule", "slug", help="This rule alone, also if it is off; else all that are on.")
@click.option("--only-asked", is_flag=True, help="Leave out who would not have been asked.")
def rehearse(since: timedelta, slug: str | None, only_asked: bool) -> None:
    """Say who would have been asked about past conversations, who not, and why. Sends nothing.

    Intercom tells what conversations and contacts are like today. When a tag was put on a contact it does
    not tell, so that rules about those are left out.
    """
    settings = load_settings()
    with database(settings) as engine:
        rules = _rules(engine, slug)
        left_out = [rule.slug for rule in rules if rule.event not in rulebook.REHEARSED]
        rules = [rule for rule in rules if rule.event in rulebook.REHEARSED]
        if left_out:
            click.echo(f"Left out, because they are about tags on contacts: {', '.join(left_out)}")
        if not rules:
            click.echo("There is no rule to try. Switch one on, or name one with --rule.")
            return
        try:
            lines = _lines(make_services(settings, engine), rules, datetime.now(UTC) - since)
        except PermanentError as error:
            raise click.ClickException(in_words(error)) from error
    _tell(lines, only_asked=only_asked)


def _rules(engine: Engine, slug: str | None) -> list[Rule]:
    with store.reading(engine) as connection:
        if slug is None:
            return [rule for rule in rulestore.listed(connection) if rule.enabled]
        rule = rulestore.find(connection, slug)
    if rule is None:
        raise click.ClickException(f"There is no rule {slug}. See: rules list")
    return [rule]


def _lines(services: Services, rules: Sequence[Rule], since: datetime) -> list[Line]:
    with progress("Reading conversations") as bar:

        def tell(total: int) -> None:
            bar.expect(total)
            bar.advance(1)

        return rehearsal.rehearse(services, rules, since=since, call=patiently, tell=tell)


def _tell(lines: Sequence[Line], *, only_asked: bool) -> None:
    rows = [
        (
            f"{line.happened_at:%Y-%m-%d %H:%M}",
            line.rule.slug,
            # A visitor says what they are called.
            one_line(line.contact_name, 60) or one_line(line.contact_email, 60) or line.contact_id,
            line.conversation_id,
            "yes" if line.no is None else "no",
            _why(line),
        )
        for line in lines
        if line.no is None or not only_asked
    ]
    if rows:
        show_table(("When (UTC)", "Rule", "Contact", "Conversation", "Asked?", "Why"), rows)
    asked = sum(line.no is None for line in lines)
    click.echo(f"{asked} would have been asked, {len(lines) - asked} not. Nothing was sent.")
    for reason, count in Counter(line.no.reason for line in lines if line.no is not None).most_common():
        click.echo(f"{count:>6}  {reasons.in_words(reason)}")


def _why(line: Line) -> str:
    if line.no is None:
        return f"sent {line.sent_at:%Y-%m-%d %H:%M}"
    words = reasons.in_words(line.no.reason) or line.no.reason
    return f"{words} ({line.no.detail})" if line.no.detail else words
