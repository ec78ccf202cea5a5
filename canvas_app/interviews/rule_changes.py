"""What an operator changes about the rules: each in one transaction with its entry in the audit log.

A change says what it was shown. Where somebody else has been quicker it is refused, so that nobody overwrites
what they have not seen, and a second tap does nothing twice.
"""

from __future__ import annotations

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError

from canvas_app import store
from canvas_app.errors import ChangedMeanwhile, RuleRefused
from canvas_app.interviews import operators, rule_form, rulestore, studies
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.rulebook import Rule
from canvas_app.settings import Settings


def create(engine: Engine, teammate: Teammate, rule: Rule) -> None:
    """Write a new rule, the last one. Raises RuleRefused when there is one of this name."""
    try:
        with store.writing(engine) as connection:
            if rulestore.find(connection, rule.slug) is not None:
                raise _taken(rule.slug)
            rulestore.save(connection, rule, new=True)
            said = {
                name: value for name, value in rule_form.flat(rule).items() if value not in (None, "", [])
            }
            operators.note_change(
                connection, teammate, "rule_added", subject=rule.slug, before={}, after=said
            )
    except IntegrityError:
        # Somebody else has just written one of this name.
        raise _taken(rule.slug) from None


def change(engine: Engine, teammate: Teammate, rule: Rule, *, seen: str) -> bool:
    """Let a rule be like this, on or off as it is; whether anything was different.

    ``seen``: its version, see :func:`rulestore.versions`. Raises ChangedMeanwhile.
    """
    with store.writing(engine) as connection:
        before = _as_seen(connection, rule.slug, seen)
        after = rule.model_copy(update={"enabled": before.enabled})
        if after == before:
            return False
        _save(connection, teammate, "rule_changed", before, after)
    return True


def switch(engine: Engine, settings: Settings, teammate: Teammate, slug: str, *, on: bool, seen: str) -> bool:
    """Switch a rule; False when it was so already. Raises ChangedMeanwhile, and RuleRefused for a rule that
    cannot be switched on as it is."""
    with store.writing(engine) as connection:
        before = rulestore.find(connection, slug, lock=True)
        if before is None:
            raise ChangedMeanwhile
        if before.enabled == on:
            return False
        _as_seen(connection, slug, seen)
        after = before.model_copy(update={"enabled": on})
        if on:
            known = [study.slug for study in studies.listed(connection, settings)]
            problems = rule_form.problems_of(after.model_dump(mode="json"), known)
            if problems:
                raise RuleRefused(problems)
        _save(connection, teammate, "rule_switched_on" if on else "rule_switched_off", before, after)
    return True


def move(engine: Engine, teammate: Teammate, slug: str, *, up: bool, seen: str) -> bool:
    """Let a rule be asked one place earlier or later; False where there is no such place.

    ``seen``: the order that was shown, see :func:`rulestore.order_version`. Raises ChangedMeanwhile.
    """
    with store.writing(engine) as connection:
        before = rulestore.lock_order(connection)
        if rulestore.order_version(before) != seen or slug not in before:
            raise ChangedMeanwhile
        here = before.index(slug)
        there = here - 1 if up else here + 1
        if not 0 <= there < len(before):
            return False
        after = list(before)
        after[here], after[there] = after[there], after[here]
        rulestore.put_in_order(connection, after)
        operators.note(connection, teammate, "rules_ordered", subject=slug, before=before, after=after)
    return True


def _as_seen(connection: Connection, slug: str, seen: str) -> Rule:
    """The rule, locked, if it is as it was shown."""
    rule = rulestore.find(connection, slug, lock=True)
    # After the lock was had, and by a statement of its own.
    if rule is None or rulestore.versions(connection)[slug] != seen:
        raise ChangedMeanwhile
    return rule


def _save(connection: Connection, teammate: Teammate, what: str, before: Rule, after: Rule) -> None:
    rulestore.save(connection, after)
    operators.note_change(
        connection,
        teammate,
        what,
        subject=after.slug,
        before=rule_form.flat(before),
        after=rule_form.flat(after),
    )


def _taken(slug: str) -> RuleRefused:
    return RuleRefused([("slug", f"there is a rule {slug} already")])
