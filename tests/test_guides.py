"""The guides hold what they promise: each of their blocks is tried out by a test, and they leave nothing out.

Their requests are made in tests/api/test_guide.py and their commands run in tests/cli/test_documented.py.
"""

from __future__ import annotations

import re
from typing import get_args

import pytest

from canvas_app.cli import findings
from canvas_app.interviews import emptied, readymade, tables
from canvas_app.interviews.contact_attributes import LINK
from tests.support import heroku, shown

NAMES = ("first-run", "heroku", "make", "moments", "privacy", "series", "workflows", "zapier")


def guide(name: str) -> str:
    return shown.read(f"docs/guides/{name}.md")


def coded(text: str) -> set[str]:
    """What stands between backticks, in lines of text."""
    return set(re.findall(r"`([^`\n]+)`", text))


def test_the_guides_are_there() -> None:
    assert {f"docs/guides/{name}.md" for name in NAMES} == set(shown.GUIDES)


@pytest.mark.parametrize("document", shown.GUIDES)
def test_every_guide_is_linked_from_the_readme(document: str) -> None:
    assert f"]({document})" in shown.read("README.md")


@pytest.mark.parametrize("document", shown.GUIDES)
class TestBlocks:
    def test_every_line_for_a_shell_is_run_or_checked(self, document: str) -> None:
        for block in shown.blocks(document):
            if block.is_request:
                # A shell of the tests runs it, and does not know our commands.
                assert "canvas_app" not in block.text
                continue
            for line in block.lines if block.kind == "sh" else ():
                assert shown.is_command(line) or heroku.is_true(line), line

    def test_every_answer_that_is_shown_stands_behind_what_is_answered(self, document: str) -> None:
        blocks = shown.blocks(document)
        for before, block in zip([shown.Block("", ""), *blocks], blocks, strict=False):
            assert block.kind in ("sh", "json", "text"), "no test knows what to do with it"
            if block.kind == "json" and not block.is_template:
                assert before.is_request
            if block.kind == "text":
                assert before.kind == "sh"


def test_the_readme_names_heroku_truly() -> None:
    lines = re.findall(r"^ {4}((?:heroku|git push) .*)$", shown.read("README.md"), re.MULTILINE)
    assert lines
    assert [line for line in lines if not heroku.is_true(line)] == []


@pytest.mark.parametrize(
    "line",
    [
        "heroku ps:scale web=1 wörker=1",
        "heroku ps:scale release=1",
        "heroku ps:restart clock",
        "heroku config:set SECRET_KEYS=x",
        "heroku config:set SECRET_KEY=new,$(heroku config:get SECRET)",
        "heroku create --stack heroku-22",
        "heroku addons:create heroku-postgresql:mini",
        "heroku run -- python -m other_app doctor",
        "heroku run python -m canvas_app doctor",
        "heroku destroy",
        "rm -rf .",
    ],
)
def test_a_line_that_names_what_there_is_not_is_noticed(line: str) -> None:
    assert not heroku.is_true(line)
    assert not shown.is_command(line)


def test_the_moments_are_the_ready_made_rules() -> None:
    text = guide("moments")
    sections = {
        section.split("`")[1]: section
        for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]
        if section.startswith("`")
    }
    rules = {rule.slug: rule for rule in readymade.rules()}
    assert set(sections) == set(rules)
    for slug, rule in rules.items():
        section = sections[slug]
        named = coded(section)
        assert set(rule.conditions.tag) <= named
        topics = set(re.findall(r"[a-z_]+(?:\.[a-z]+){2,}", rule.description))
        assert topics
        assert topics <= named
        assert f"At most {rule.limits.interviews_per_week} " in section
        assert f"rules show {slug}" in section
        assert f"rules on {slug}" in section


class TestPrivacy:
    def test_names_every_table(self) -> None:
        assert set(tables.metadata.tables) <= coded(guide("privacy"))

    def test_says_of_every_column_of_the_ledger_whether_it_is_emptied(self) -> None:
        paragraphs = re.split(r"\n\n", guide("privacy"))
        [told] = [text for text in paragraphs if text.startswith("**Emptied**")]
        [kept] = [text for text in paragraphs if text.startswith("**Kept**")]
        columns = {column.name for column in tables.interviews.columns}
        changed = set(emptied.nothing_personal("id", None)) - {"result"}
        assert coded(told) & columns == changed
        assert coded(kept) & columns == columns - changed

    def test_says_what_is_kept_of_a_result(self) -> None:
        paragraphs = re.split(r"\n\n", guide("privacy"))
        [cut] = [text for text in paragraphs if text.startswith("**Cut down**")]
        assert coded(cut) - {"result"} == set(emptied._KEPT_OF_RESULT)


def test_the_series_guide_names_the_attributes() -> None:
    assert set(LINK) <= coded(guide("series"))


class TestHeroku:
    def test_shows_every_process_with_its_command(self) -> None:
        text = guide("heroku")
        for name, command in heroku.processes().items():
            assert f"| `{name}` | `{command}` |" in text

    def test_names_what_the_button_makes(self) -> None:
        app, named = heroku.app_json(), coded(guide("heroku"))
        made = {name for name, setting in app["env"].items() if setting.get("generator") == "secret"}
        assert {app["stack"], app["addons"][0]["plan"], *made} <= named
        assert {dyno["size"] for dyno in app["formation"].values()} <= named

    def test_explains_every_level_of_the_doctor(self) -> None:
        assert set(get_args(findings.Level)) - {"created"} <= coded(guide("heroku"))
