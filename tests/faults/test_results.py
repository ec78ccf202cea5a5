from __future__ import annotations

import json
from pathlib import Path

from canvas_app.settings import PROJECT_ROOT
from tests.faults.results import Report, write_json
from tests.faults.scenarios import SCENARIOS

REPORT = Report(
    scenario="vendors",
    database="PostgreSQL",
    seed=7,
    interviews=2000,
    kills=0,
    happened={"koji: 5xx": 1, "koji: 429": 1, "SIGTERMs": 2},
    calls=12_345,
    spoiled=1_234,
    states={"sent": 2000},
    slowest_sigterm=6.04,
    seconds=90.0,
    audit_seconds=1.0,
    problems=("something",),
    summary="seed 7: …",
)


def test_a_row_of_the_table_says_what_happened_and_how_to_have_it_again() -> None:
    assert REPORT.row == (
        "| vendors | PostgreSQL | 2,000 | 2 spells, 2 SIGTERMs; slowest SIGTERM 6.0 s of 10 |"
        " 1,234 of 12,345 | **1** | 1.5 min | `make faults SCENARIO=vendors POSTGRES=1 SEED=7` |"
    )


def test_the_figures_are_kept_with_the_machine_and_the_versions(tmp_path: Path) -> None:
    write_json(tmp_path / "figures" / "faults.json", [REPORT])
    kept = json.loads((tmp_path / "figures" / "faults.json").read_text())
    assert kept["runs"][0]["problems"] == ["something"]
    assert kept["machine"]["cores"] >= 1
    assert kept["versions"]["dbos"]


def test_the_documentation_has_a_row_for_every_scenario_on_each_of_its_databases() -> None:
    text = (PROJECT_ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    names = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
    for name, scenario in SCENARIOS.items():
        for database in scenario.databases:
            assert f"| {name} | {names[database]} | {scenario.long.interviews:,} |" in text
