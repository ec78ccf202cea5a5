"""What scripts/audit.py makes of what pip-audit says, with a stand-in for pip-audit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts import audit

GOOD = {"name": "flask", "version": "3.1.3", "vulns": []}
BAD = {"name": "old", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": []}]}
SKIPPED = {"name": "unknown", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.mark.parametrize(
    ("packages", "status", "said"),
    [
        ([GOOD], 0, "1 of 1 packages were looked up; 0 known vulnerabilities."),
        ([GOOD, BAD], audit.FOUND, "old 1.0: PYSEC-1, mended in 1.1"),
        ([GOOD, SKIPPED], audit.NOT_AUDITED, "This is no audit: the database knows not unknown."),
        ([SKIPPED], audit.NOT_AUDITED, "This is no audit: the database knows no package."),
        ([], audit.NOT_AUDITED, "This is no audit"),
        ([BAD, SKIPPED], audit.FOUND, "This is no audit"),
    ],
)
def test_only_what_was_looked_up_is_called_clean(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    packages: list[Any],
    status: int,
    said: str,
) -> None:
    stand_in = tmp_path / "pip-audit"
    answer = json.dumps({"dependencies": packages, "fixes": []})
    stand_in.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
    stand_in.chmod(0o700)
    monkeypatch.setenv("PIP_AUDIT", str(stand_in))
    assert audit.main() == status
    assert said in capsys.readouterr().out


def test_a_database_that_is_not_there_is_not_taken_for_nothing_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in = tmp_path / "pip-audit"
    stand_in.write_text("#!/bin/sh\necho 'requests.exceptions.ConnectionError: no route' >&2\nexit 1\n")
    stand_in.chmod(0o700)
    monkeypatch.setenv("PIP_AUDIT", str(stand_in))
    assert audit.main() == audit.NOT_AUDITED
    assert "Not audited" in capsys.readouterr().out
