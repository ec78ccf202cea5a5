from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from canvas_app.settings import PROJECT_ROOT, documented_fields

DOCUMENTS = sorted(
    path
    for folder in (PROJECT_ROOT, PROJECT_ROOT / "docs")
    for path in folder.rglob("*.md" if folder.name == "docs" else "[A-Z]*.md")
    if not any(part.startswith(".") for part in path.relative_to(PROJECT_ROOT).parts)
)


def text(name: str) -> str:
    return (PROJECT_ROOT / name).read_text(encoding="utf-8")


def rows() -> dict[str, str]:
    """The README's table of settings: name and the rest of the row."""
    return dict(re.findall(r"^\| `([A-Z_]+)` \|(.*)\|$", text("README.md"), re.MULTILINE))


def links(document: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(<?([^)\s>]+)>?(?: [^)]*)?\)", document.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


class TestSettingsTable:
    def test_has_a_row_for_every_setting_and_no_other(self) -> None:
        assert set(rows()) == set(documented_fields())

    @pytest.mark.parametrize("name", sorted(documented_fields()))
    def test_says_what_each_setting_means(self, name: str) -> None:
        cells = rows()[name].split("|")
        assert len(cells) == 2
        assert all(cell.strip() for cell in cells)

    def test_names_the_defaults_of_the_code(self) -> None:
        from canvas_app.settings import Settings

        settings = Settings.load({}).model_dump()
        for name, row in rows().items():
            default = row.split("|")[0].strip()
            if not default.startswith("`") or "file" in default:
                continue
            value = settings[name.lower()]
            shown = ",".join(value) if isinstance(value, tuple) else str(value)
            assert default.strip("`") == {"True": "true"}.get(shown, shown.removesuffix(".0")), name


def test_every_environment_variable_that_documents_name_is_a_setting() -> None:
    of_the_tests = {"REQUIRE_ALL", "STORM_CONTACTS"}
    others = {"WEB_CONCURRENCY", "PORT", "FORWARDED_ALLOW_IPS", "GUNICORN_CMD_ARGS"} | of_the_tests
    assigned = {
        name
        for document in DOCUMENTS
        for name in re.findall(r"\b([A-Z]+_[A-Z_]+)=", document.read_text(encoding="utf-8"))
    }
    assert assigned
    assert assigned <= set(documented_fields()) | others


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_local_link_leads_to_a_file_and_a_heading_that_exist(document: Path) -> None:
    for link in links(document):
        path, _, anchor = link.partition("#")
        target = (document.parent / unquote(path)).resolve() if path else document
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


def test_the_documents_are_looked_at() -> None:
    names = {path.name for path in DOCUMENTS}
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "architecture.md"} <= names
    assert any(links(document) for document in DOCUMENTS)


def test_the_changelog_has_an_entry() -> None:
    assert re.search(r"^## .+\n\n- \w", text("CHANGELOG.md"), re.MULTILINE)


def test_every_command_that_documents_name_exists() -> None:
    from canvas_app.cli import commands

    named = {
        name
        for document in DOCUMENTS
        for name in re.findall(r"-m canvas_app ([a-z-]+)", document.read_text(encoding="utf-8"))
    }
    assert named
    assert named <= set(commands.commands)


def test_every_make_target_that_documents_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    named = {
        name
        for document in DOCUMENTS
        for name in re.findall(
            r"(?:`|^ {4})make ([a-z-]+)", document.read_text(encoding="utf-8"), re.MULTILINE
        )
    }
    assert {"demo", "tour", "test"} <= named
    assert named <= targets


def named_tests(document: str) -> list[str]:
    return re.findall(r"`(tests/[\w/]+\.py(?:::\w+)*)`", text(document))


def test_every_test_that_the_threat_model_names_exists() -> None:
    named = named_tests("docs/security.md")
    assert len(named) > 40
    missing = []
    for name in named:
        path, *within = name.split("::")
        if not (PROJECT_ROOT / path).is_file():
            missing.append(name)
            continue
        node: ast.AST = ast.parse(text(path))
        for part in within:
            found = [
                inner
                for inner in ast.iter_child_nodes(node)
                if isinstance(inner, ast.FunctionDef | ast.ClassDef) and inner.name == part
            ]
            if not found:
                missing.append(name)
                break
            node = found[0]
    assert missing == []


def test_every_row_of_the_threat_model_names_a_test() -> None:
    table = text("docs/security.md").partition("## Who could want what")[2].partition("## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) > 25
    assert [row for row in rows if not re.search(r"`tests/[^`]+`[^|]*\|$", row)] == []
