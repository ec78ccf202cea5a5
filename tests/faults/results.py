"""What a run has come to: one line for a table, and JSON with the machine and the versions."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.faults.audit import GONE_WITHIN, audit, summary
from tests.faults.driver import Run

_PACKAGES = ("dbos", "sqlalchemy", "psycopg", "gunicorn", "flask", "httpx")


@dataclass(frozen=True)
class Report:
    """Of one run. ``row`` can be pasted into the table of docs/reliability.md."""

    scenario: str
    database: str
    seed: int
    interviews: int
    kills: int
    happened: dict[str, int]
    calls: int
    spoiled: int
    states: dict[str, int]
    slowest_sigterm: float | None
    seconds: float
    audit_seconds: float
    problems: tuple[str, ...]
    summary: str

    @property
    def command(self) -> str:
        """What gives the same plan again."""
        postgres = " POSTGRES=1" if self.database == "PostgreSQL" else ""
        return f"make faults SCENARIO={self.scenario}{postgres} SEED={self.seed}"

    @property
    def row(self) -> str:
        """A row of the table."""
        happened = Counter({"kills": self.kills})
        for name, number in self.happened.items():
            # Which spells there are, the scenario says.
            happened["spells" if ": " in name else name] += number
        told = ", ".join(f"{number} {name}" for name, number in happened.items() if number)
        if self.slowest_sigterm is not None:
            told += f"; slowest SIGTERM {self.slowest_sigterm:.1f} s of {GONE_WITHIN:g}"
        found = "none" if not self.problems else f"**{len(self.problems)}**"
        return (
            f"| {self.scenario} | {self.database} | {self.interviews:,} | {told} | "
            f"{self.spoiled:,} of {self.calls:,} | {found} | {self.seconds / 60:.1f} min | `{self.command}` |"
        )


def report(scenario: str, run: Run) -> Report:
    """Audit a run, while its processes still run, and sum it up."""
    begun = time.monotonic()
    problems = audit(run)
    audit_seconds = time.monotonic() - begun
    calls = [*run.stage.intercom.calls, *run.stage.koji.calls]
    happened: Counter[str] = Counter()
    for trouble in run.troubles:
        happened += trouble.counts
    if any(one.planned.fate == "flood" for one in run.played):
        sent = run.stage.sandbox.deliverer.deliveries
        happened |= {"webhooks": len(sent), "lost webhooks": sum(item.lost for item in sent)}
    if drained := run.platform.drained:
        happened["SIGTERMs"] = len(drained)
    return Report(
        scenario=scenario,
        database="PostgreSQL" if run.stage.engine.dialect.name == "postgresql" else "SQLite",
        seed=run.plan.seed,
        interviews=len(run.played),
        kills=sum(run.platform.killed.values()),
        happened=dict(happened),
        calls=len(calls),
        spoiled=sum(call.fault is not None for call in calls),
        states=dict(Counter(row.state for row in run.stage.interviews())),
        slowest_sigterm=max((ended.seconds for ended in drained), default=None),
        seconds=run.seconds,
        audit_seconds=audit_seconds,
        problems=tuple(problems),
        summary=summary(run),
    )


def write_json(path: Path, reports: list[Report]) -> None:
    """Keep the figures, with all that somebody needs who wants to compare theirs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **machine()}
    content["runs"] = [asdict(one) for one in reports]
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    git = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607 -- git, from PATH.
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "machine": {
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "memory_gib": round(memory / 2**30, 1),
        },
        "versions": {
            "commit": git.stdout.strip() or None,
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
        },
    }
