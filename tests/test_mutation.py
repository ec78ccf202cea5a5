"""What scripts/mutation.py makes of what mutmut says, with a stand-in for mutmut."""

from __future__ import annotations

import ast
import re
import shutil
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from scripts import mutation
from scripts.mutation import Mutant, Reason

NAME = "canvas_app.hmacs.x_header_bytes__mutmut_5"
MUTANT = Mutant(NAME, "survived", 'return header.encode("latin-1")', 'return header.encode("LATIN-1")')
REASON = Reason("canvas_app.hmacs.header_bytes", "Any case will do.", added="LATIN-1")


@pytest.mark.parametrize(
    ("name", "function"),
    [
        (NAME, "canvas_app.hmacs.header_bytes"),
        ("canvas_app.koji.reading.x__no_constant__mutmut_1", "canvas_app.koji.reading._no_constant"),
        ("canvas_app.http.xǁAnswerǁjson_object__mutmut_12", "canvas_app.http.Answer.json_object"),
    ],
)
def test_a_mutant_s_function(name: str, function: str) -> None:
    assert Mutant(name, "survived", "", "").function == function


@pytest.mark.parametrize(
    ("reason", "fits"),
    [
        (REASON, True),
        (Reason(REASON.function, "All of it."), True),
        (Reason("canvas_app.hmacs.*", "Wherever it is.", added="LATIN-1"), True),
        (Reason(REASON.function, "Both.", removed="latin-1", added="LATIN"), True),
        (Reason(REASON.function, "Another line.", removed="utf-8"), False),
        (Reason(REASON.function, "Another change.", removed="latin-1", added="UTF"), False),
        (Reason("canvas_app.intercom.*", "Another module.", added="LATIN-1"), False),
        (Reason("canvas_app.hmacs.header", "Another function.", added="LATIN-1"), False),
    ],
)
def test_a_reason_fits_by_function_and_lines(reason: Reason, fits: bool) -> None:
    assert reason.fits(MUTANT) is fits
    assert mutation.without_reason([MUTANT], [reason]) == ([] if fits else [MUTANT])
    assert mutation.stale([MUTANT], [reason]) == ([] if fits else [reason])


FAKE = """#!{python}
import pathlib, sys
match sys.argv[1]:
    case "run":
        assert pathlib.Path("canvas_app/hmacs.py").exists() and not pathlib.Path(".venv").exists()
        print("the tests said this")
        sys.exit({exit_code})
    case "results":
        print("    canvas_app.hmacs.x_sha1__mutmut_1: killed")
        print("    {name}: {status}")
    case "show":
        print("# " + sys.argv[2] + ": {status}")
        print("--- canvas_app/hmacs.py")
        print("+++ canvas_app/hmacs.py")
        print("@@ -1,2 +1,2 @@")
        print("-    {removed}")
        print("+    {added}")
"""
ENTRY = '[[survivor]]\nfunction = "{}"\nreason = "{}"\n'


class TestARun:
    @pytest.fixture(autouse=True)
    def _project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        shutil.copytree(mutation.ROOT / "canvas_app", tmp_path / "canvas_app")
        (tmp_path / ".venv").mkdir()
        (tmp_path / "survivors.toml").write_text(ENTRY.format(REASON.function, REASON.reason))
        monkeypatch.setattr(mutation, "ROOT", tmp_path)
        monkeypatch.setattr(mutation, "SURVIVORS", tmp_path / "survivors.toml")
        monkeypatch.setenv("MUTMUT", str(tmp_path / "mutmut"))
        monkeypatch.setattr(sys, "argv", ["mutation"])

    def run(self, folder: Path, *, status: str = "survived", exit_code: int = 0) -> int:
        values = {"name": NAME, "removed": MUTANT.removed, "added": MUTANT.added, "status": status}
        values = {key: value.replace('"', '\\"') for key, value in values.items()}
        program = folder / "mutmut"
        program.write_text(FAKE.format(python=sys.executable, exit_code=exit_code, **values))
        program.chmod(0o700)
        return mutation.main()

    def test_a_survivor_with_a_reason_is_no_finding(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(tmp_path) == 0
        assert "2 mutants: 1 killed, 1 survived; 1 live for a reason." in capsys.readouterr().out
        assert {path.name for path in tmp_path.iterdir()} == {
            ".venv",
            "canvas_app",
            "mutmut",
            "survivors.toml",
        }

    @pytest.mark.parametrize("status", ["survived", "no tests", "timeout"])
    def test_one_without_is(self, status: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with mutation.SURVIVORS.open("a") as file:
            file.write("added = 'ASCII'\n")
        assert self.run(tmp_path, status=status) == 1
        said = capsys.readouterr().out
        assert (
            f"1 without a reason:\n{REASON.function}: {status}\n- {MUTANT.removed}\n+ {MUTANT.added}" in said
        )
        assert f"1 reason(s) that fit no mutant:\n{REASON}" in said

    def test_a_reason_for_one_that_was_killed_is(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(tmp_path, status="killed") == 1
        said = capsys.readouterr().out
        assert "without a reason" not in said
        assert f"1 reason(s) that fit no mutant:\n{REASON}" in said

    def test_tests_that_fail_without_a_mutant_are_shown(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(tmp_path, exit_code=1) == 1
        assert "the tests said this" in capsys.readouterr().err


def test_a_run_without_mutants_is_a_finding() -> None:
    assert mutation.verdict({}, [], [])[1] is False


class TestTheReasons:
    REASONS = mutation.read_reasons(mutation.SURVIVORS)

    @pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.function)
    def test_each_is_a_sentence_about_lines_of_a_function_that_is_mutated(self, reason: Reason) -> None:
        config = tomllib.loads((mutation.ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mutmut"]
        functions = set()
        for path in config["only_mutate"]:
            module = path.removesuffix(".py").replace("/", ".")
            for node in ast.parse((mutation.ROOT / path).read_text("utf-8")).body:
                if isinstance(node, ast.FunctionDef):
                    functions.add(f"{module}.{node.name}")
                elif isinstance(node, ast.ClassDef):
                    methods = (inner for inner in node.body if isinstance(inner, ast.FunctionDef))
                    functions |= {f"{module}.{node.name}.{method.name}" for method in methods}
        assert any(fnmatchcase(function, reason.function) for function in functions)
        assert re.fullmatch(r"[A-Za-z].{20,}\.", reason.reason)
        assert reason.removed or reason.added

    def test_the_modules_and_tests_that_mutmut_is_told_of_exist(self) -> None:
        config = tomllib.loads((mutation.ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mutmut"]
        for path in [*config["only_mutate"], *config["pytest_add_cli_args_test_selection"]]:
            assert (mutation.ROOT / path).exists(), path
