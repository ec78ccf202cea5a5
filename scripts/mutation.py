"""Change the code in one small place at a time, and see whether a test notices: ``make mutation``.

mutmut makes the changes, called mutants, and runs the tests that reach each; which modules and which tests
they are stands in pyproject.toml. A mutant that no test kills is a finding, unless a reason why it may live
stands in tests/mutation/survivors.toml. A reason that fits no mutant any more is a finding as well.

The work is done in a temporary copy, so that nothing is left behind in this folder. The environment variable
MUTMUT names another mutmut than the one beside this Python.

https://mutmut.readthedocs.io/
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
SURVIVORS: Final = ROOT / "tests" / "mutation" / "survivors.toml"
KILLED: Final = "killed"
_NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "htmlcov", "instance", "var")
_RESULT = re.compile(r"^ {4}(\S+): (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Mutant:
    """One that was not killed. ``removed`` and ``added`` are the lines in which it differs from the code."""

    name: str
    status: str
    removed: str
    added: str

    @property
    def function(self) -> str:
        """The function it is in, as ``package.module.function`` or ``package.module.Class.method``."""
        module, _, mangled = self.name.partition("__mutmut_")[0].rpartition(".")
        # mutmut's names begin with "x_", for a method with "x" and a letter for the full stop.
        return f"{module}.{mangled.removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}"

    def __str__(self) -> str:
        return f"{self.function}: {self.status}\n- {self.removed}\n+ {self.added}"


@dataclass(frozen=True)
class Reason:
    """Why some mutants may live: those in whose lines the two patterns are found.

    ``function`` may have wildcards, as file names do.
    """

    function: str
    reason: str
    removed: str = ""
    added: str = ""

    def fits(self, mutant: Mutant) -> bool:
        return (
            fnmatchcase(mutant.function, self.function)
            and re.search(self.removed, mutant.removed) is not None
            and re.search(self.added, mutant.added) is not None
        )

    def __str__(self) -> str:
        return f"{self.function}: {self.reason}"


def read_reasons(path: Path) -> list[Reason]:
    return [Reason(**entry) for entry in tomllib.loads(path.read_text(encoding="utf-8"))["survivor"]]


def without_reason(mutants: list[Mutant], reasons: list[Reason]) -> list[Mutant]:
    return [mutant for mutant in mutants if not any(reason.fits(mutant) for reason in reasons)]


def stale(mutants: list[Mutant], reasons: list[Reason]) -> list[Reason]:
    """The reasons that fit no mutant."""
    return [reason for reason in reasons if not any(reason.fits(mutant) for mutant in mutants)]


class Mutmut:
    """mutmut's command line, in a folder."""

    def __init__(self, program: str, folder: Path) -> None:
        self.program = program
        self.folder = folder

    def run(self, max_children: int | None) -> None:
        """Make the mutants and try them all. Raises CalledProcessError when that does not work."""
        command = [self.program, "run", *(["--max-children", str(max_children)] if max_children else [])]
        # Its progress is drawn over and over on one line, which only a terminal can show.
        output = None if sys.stdout.isatty() else subprocess.PIPE
        subprocess.run(  # noqa: S603 -- mutmut, from our own environment.
            command, cwd=self.folder, stdout=output, stderr=subprocess.STDOUT, text=True, check=True
        )

    def statuses(self) -> dict[str, str]:
        """Each mutant's name and status: ``killed``, ``survived``, ``no tests``, ``timeout`` and others."""
        return dict(_RESULT.findall(self._said("results", "--all", "true")))

    def mutant(self, name: str, status: str) -> Mutant:
        lines = self._said("show", name).splitlines()
        removed = [line[1:].strip() for line in lines if line.startswith("-") and not line.startswith("---")]
        added = [line[1:].strip() for line in lines if line.startswith("+") and not line.startswith("+++")]
        return Mutant(name, status, "\n".join(removed), "\n".join(added))

    def living(self, statuses: dict[str, str]) -> list[Mutant]:
        """Those that were not killed."""
        with ThreadPoolExecutor(max_workers=2) as pool:
            return list(pool.map(self.mutant, *zip(*_not_killed(statuses), strict=True)))

    def _said(self, *arguments: str) -> str:
        return subprocess.run(  # noqa: S603 -- mutmut, from our own environment.
            [self.program, *arguments], cwd=self.folder, capture_output=True, text=True, check=True
        ).stdout


def _not_killed(statuses: dict[str, str]) -> list[tuple[str, str]]:
    return [(name, status) for name, status in statuses.items() if status != KILLED]


def verdict(statuses: dict[str, str], living: list[Mutant], reasons: list[Reason]) -> tuple[str, bool]:
    """The report on a run, and whether all is well."""
    unexplained, unused = without_reason(living, reasons), stale(living, reasons)
    counts = ", ".join(f"{count} {status}" for status, count in Counter(statuses.values()).most_common())
    lines = [f"{len(statuses)} mutants: {counts}; {len(living) - len(unexplained)} live for a reason."]
    if unexplained:
        lines += [f"{len(unexplained)} without a reason:", *map(str, unexplained)]
    if unused:
        lines += [f"{len(unused)} reason(s) that fit no mutant:", *map(str, unused)]
    if not statuses:
        lines.append("No mutant was made: is [tool.mutmut] in pyproject.toml right?")
    return "\n".join(lines), bool(statuses) and not unexplained and not unused


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutation testing of the modules named in pyproject.toml.")
    parser.add_argument(
        "--max-children", type=int, help="how many processes try mutants; all cores if left out"
    )
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="koji-mutation-") as name:
        copy = Path(name) / "copy"
        shutil.copytree(ROOT, copy, ignore=_NOT_COPIED)
        mutmut = Mutmut(os.environ.get("MUTMUT") or str(Path(sys.executable).parent / "mutmut"), copy)
        try:
            mutmut.run(options.max_children)
            statuses = mutmut.statuses()
            living = mutmut.living(statuses)
        except subprocess.CalledProcessError as error:
            # The tests fail without a mutant, most likely: the end of the output says so.
            sys.stderr.write(f"{(error.stdout or '')[-4000:]}\n{error.stderr or ''}\n{error}\n")
            return 1
    report, good = verdict(statuses, living, read_reasons(SURVIVORS))
    sys.stdout.write(f"{report}\nThis took {(time.monotonic() - started) / 60:.0f} minutes.\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
