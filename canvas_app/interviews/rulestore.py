"""The rules in the database, in the order in which they are asked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import store
from canvas_app.interviews.rulebook import TAG_EVENTS, Conditions, Limits, Rule, RuleEvent
from canvas_app.interviews.tables import rules


def listed(connection: Connection) -> list[Rule]:
    """Every rule, in order, those that are off as well."""
    return [_rule(row) for row in connection.execute(_ordered(sa.select(rules)))]


def enabled_for(connection: Connection, event: RuleEvent) -> list[Rule]:
    """The rules about this event that are on, in order."""
    query = sa.select(rules).where(rules.c.enabled, rules.c.event == event)
    return [_rule(row) for row in connection.execute(_ordered(query))]


def tags_that_set_off(connection: Connection) -> dict[str, str]:
    """Tags, in lower case, that set a rule off when they are put on, with its title; also where it is off."""
    return {
        tag.casefold(): rule.title
        for rule in listed(connection)
        if rule.event in TAG_EVENTS
        for tag in rule.conditions.tag
    }


def find(connection: Connection, slug: str, *, lock: bool = False) -> Rule | None:
    """The rule; with ``lock`` nobody else counts against its limits until the transaction ends."""
    query = sa.select(rules).where(rules.c.slug == slug)
    row = connection.execute(query.with_for_update() if lock else query).first()
    return None if row is None else _rule(row)


def versions(connection: Connection) -> dict[str, str]:
    """What tells each rule from how it was before: it is another text after every change."""
    rows = connection.execute(sa.select(rules.c.slug, rules.c.updated_at))
    return {row.slug: row.updated_at.isoformat() for row in rows}


def lock_order(connection: Connection) -> list[str]:
    """The rules in order; nobody else changes or moves one until the transaction ends."""
    # The order is read by a statement of its own, which sees what was committed before the locks were had.
    connection.execute(sa.select(rules.c.slug).order_by(rules.c.slug).with_for_update()).all()
    return list(connection.execute(_ordered(sa.select(rules.c.slug))).scalars())


def order_version(slugs: Sequence[str]) -> str:
    """Tells one order from another."""
    return hashlib.sha256("\n".join(slugs).encode()).hexdigest()[:16]


def save(connection: Connection, rule: Rule, *, new: bool = False) -> bool:
    """Write a rule, changed or new, which then is the last one; True when it is new.

    With ``new`` none is overwritten that somebody else has just written: raises IntegrityError then.
    """
    now = store.now(connection)
    values: dict[str, Any] = {
        "title": rule.title,
        "description": rule.description,
        "event": rule.event,
        "conditions": rule.conditions.model_dump(mode="json", exclude_defaults=True),
        "limits": rule.limits.model_dump(mode="json", exclude_defaults=True),
        "study": rule.study,
        "delay_seconds": rule.delay,
        "enabled": rule.enabled,
        "updated_at": now,
    }
    same = rules.c.slug == rule.slug
    if not new and connection.execute(sa.update(rules).where(same).values(**values)).rowcount:
        return False
    last = connection.execute(sa.select(sa.func.max(rules.c.position))).scalar()
    row = {"slug": rule.slug, **values, "position": (last or 0) + 1, "created_at": now}
    connection.execute(sa.insert(rules).values(**row))
    return True


def put_in_order(connection: Connection, slugs: Sequence[str]) -> None:
    """Let these rules come first, in this order; the others keep theirs behind them."""
    rest = [rule.slug for rule in listed(connection) if rule.slug not in slugs]
    for position, slug in enumerate([*slugs, *rest], start=1):
        connection.execute(sa.update(rules).where(rules.c.slug == slug).values(position=position))


def _ordered(query: sa.Select[Any]) -> sa.Select[Any]:
    return query.order_by(rules.c.position, rules.c.slug)


def _rule(row: Any) -> Rule:
    return Rule(
        slug=row.slug,
        title=row.title,
        description=row.description,
        event=row.event,
        conditions=Conditions.model_validate(row.conditions),
        limits=Limits.model_validate(row.limits),
        study=row.study,
        delay=row.delay_seconds,
        enabled=row.enabled,
    )
