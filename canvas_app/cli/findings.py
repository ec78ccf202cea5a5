"""What `doctor` and `setup` find, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import click

from canvas_app.cli.common import is_terminal

Level = Literal["ok", "note", "created", "MISSING", "WRONG", "DOWN", "PAUSED"]

_FINE: Final = frozenset({"ok", "note", "created"})
_STYLES: Final[dict[Level, str]] = {"ok": "green", "created": "green", "note": "default"}


@dataclass(frozen=True, slots=True)
class Finding:
    """How one thing stands; where it is not well, ``remedy`` says what to do."""

    level: Level
    text: str
    remedy: str | None = None

    @property
    def is_fine(self) -> bool:
        return self.level in _FINE


def show(findings: Sequence[Finding]) -> None:
    """A table at a terminal; elsewhere one line each, the remedy below, for scripts and for logs."""
    if is_terminal():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table("", "What is", "What to do", header_style="bold")
        for finding in findings:
            level = Text(finding.level, style=_STYLES.get(finding.level, "bold red"))
            table.add_row(level, Text(finding.text), Text(finding.remedy or ""))
        Console().print(table)
        return
    for finding in findings:
        click.echo(f"{finding.level:<4}  {finding.text}")
        if finding.remedy:
            click.echo(f"{'':<{max(4, len(finding.level))}}  {finding.remedy}")


def show_addresses(addresses: Sequence[tuple[str, str]]) -> None:
    click.echo("\nAddresses to paste:")
    for label, url in addresses:
        click.echo(f"  {label}\n    {url}")
