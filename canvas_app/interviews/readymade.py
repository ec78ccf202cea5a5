"""Rules for the five moments that are most worth asking about: see templates/rules.toml."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app.interviews import rulefile, rulestore
from canvas_app.interviews.rulebook import Rule
from canvas_app.settings import DEFAULT_STUDY, PROJECT_ROOT


def rules() -> list[Rule]:
    """The ready-made rules. All of them are off."""
    text = (PROJECT_ROOT / "templates" / "rules.toml").read_text(encoding="utf-8")
    return rulefile.read(text, studies=[DEFAULT_STUDY])


def plant(connection: Connection) -> int:
    """Write those that are not there, and leave the others as an operator has made them; how many."""
    if connection.dialect.name == "postgresql":
        # Two releases at the same moment take turns, so that the second sees what the first has written.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(0x6B6F6A6A)))
    missing = [rule for rule in rules() if rulestore.find(connection, rule.slug) is None]
    for rule in missing:
        rulestore.save(connection, rule)
    return len(missing)
