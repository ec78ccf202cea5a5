"""How operators change what is written back: all of it together, never over what another has just changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from canvas_app.interviews import operators, options, themes
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.options import WRITE_BACK, Options
from canvas_app.settings import Settings

# How the audit log calls it.
CHANGED = "write_back_changed"


@dataclass(frozen=True, slots=True)
class Choice:
    """What counts. ``themes``: slugs of those that become tags."""

    options: Options
    themes: frozenset[str]

    @property
    def fingerprint(self) -> str:
        return options.fingerprint(self.options, self.themes)

    def flat(self) -> dict[str, Any]:
        """The same as plain values by field, as :func:`canvas_app.interviews.options.problems` calls them."""
        chosen = self.options
        return {
            **{f"attribute_{name}": value for name, value in chosen.attributes.items()},
            **{f"tag_{name}": value for name, value in chosen.tags.items()},
            "min_quality": chosen.min_quality,
            "ask_again_days": chosen.ask_again_days,
            "note": list(chosen.note),
            "themes": sorted(self.themes),
        }


def current(connection: Connection, settings: Settings) -> Choice:
    return Choice(options.read(connection, settings), frozenset(themes.allowed(connection)))


def save(
    connection: Connection, settings: Settings, teammate: Teammate, chosen: Choice, *, seen: str
) -> Choice | None:
    """Choose, and write down who has; ``seen`` is the fingerprint of what they have changed.

    Where another has changed it meanwhile nothing is written, and what counts now is returned.
    """
    options.lock(connection, WRITE_BACK)
    before = current(connection, settings)
    if before.fingerprint != seen:
        return before
    if before == chosen:
        return None
    options.write(connection, WRITE_BACK, options.stored(chosen.options, settings))
    themes.allow(connection, chosen.themes)
    was, becomes = _difference(before.flat(), chosen.flat())
    operators.note(connection, teammate, CHANGED, before=was, after=becomes)
    return None


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What differs, from and to; of the themes those that went, and those that came."""
    changed = [name for name in after if before[name] != after[name]]
    was, becomes = {name: before[name] for name in changed}, {name: after[name] for name in changed}
    if "themes" in changed:
        gone, come = set(before["themes"]), set(after["themes"])
        was["themes"], becomes["themes"] = sorted(gone - come), sorted(come - gone)
    return was, becomes
