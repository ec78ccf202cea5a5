"""Known vulnerabilities of what runs in production: ``make audit``.

pip-audit asks PyPI's database about each package of requirements.txt. Where that database cannot be asked it
only "skips" the package and ends well, as if all were in order; here that is an error of its own, so that
"nothing found" is only said where everything was looked up. The environment variable PIP_AUDIT names another
pip-audit than the one beside this Python.

https://github.com/pypa/pip-audit
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import click

ROOT: Final = Path(__file__).resolve().parent.parent
FOUND: Final = 1
NOT_AUDITED: Final = 2


def main() -> int:
    """0: all were looked up, and nothing is known. 1: something is. 2: some or all could not be looked up."""
    program = os.environ.get("PIP_AUDIT") or str(Path(sys.executable).with_name("pip-audit"))
    command = [program, "--disable-pip", "--require-hashes", "--requirement", "requirements.txt"]
    done = subprocess.run(  # noqa: S603 -- our own command.
        [*command, "--format", "json", "--progress-spinner", "off"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        said = done.stderr.strip().splitlines()[-1:]
        click.echo(f"Not audited: pip-audit could not ask its database. {' '.join(said)[:300]}")
        return NOT_AUDITED
    return told(packages)


def told(packages: list[dict[str, Any]]) -> int:
    """Say what pip-audit has found, in a line or a few; the exit status."""
    skipped = [one["name"] for one in packages if "skip_reason" in one]
    found = [(one, vulnerability) for one in packages for vulnerability in one.get("vulns", [])]
    for one, vulnerability in found:
        mended = ", ".join(vulnerability.get("fix_versions", [])) or "no version yet"
        click.echo(f"{one['name']} {one['version']}: {vulnerability['id']}, mended in {mended}")
    looked_up = len(packages) - len(skipped)
    click.echo(f"{looked_up} of {len(packages)} packages were looked up; {len(found)} known vulnerabilities.")
    if skipped or not packages:
        which = "no package" if not looked_up else f"not {', '.join(skipped)}"
        click.echo(f"This is no audit: the database knows {which}. It has to be asked from elsewhere.")
    if found:
        return FOUND
    return NOT_AUDITED if skipped or not packages else 0


if __name__ == "__main__":
    sys.exit(main())
