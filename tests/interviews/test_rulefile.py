from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, strategies as st

from canvas_app.interviews import readymade, rulefile
from canvas_app.interviews.rulebook import EVENTS, Rule
from canvas_app.interviews.rulefile import Problem, RuleFileError

STUDIES = ["default", "voice"]
GOOD = """
[[rules]]
slug = "low-rating"
title = "Low rating"
event = "conversation.rating.added"
delay = "2 hours"
enabled = true

[rules.conditions]
rating_at_most = 3
tag_not = "vip"

[rules.limits]
share = 50
"""


def problems(text: str) -> list[Problem]:
    with pytest.raises(RuleFileError) as caught:
        rulefile.read(text, studies=STUDIES)
    return list(caught.value.problems)


def test_a_file_is_read() -> None:
    [rule] = rulefile.read(GOOD, studies=STUDIES)
    assert (rule.slug, rule.delay, rule.enabled, rule.study) == ("low-rating", 7_200, True, "default")
    assert (rule.conditions.rating_at_most, rule.conditions.tag_not) == (3, ("vip",))
    assert rule.limits.share == 50


def test_a_file_without_rules_holds_none() -> None:
    assert rulefile.read("", studies=STUDIES) == []


def test_every_mistake_is_listed_with_its_line_and_field() -> None:
    text = """# Rules
[[rules]]
slug = "Not a slug"
title = ""
event = "conversation.closed"
study = "none"
delay = "soon"
colour = "red"
description = '''
slug = "not a key"
[[rules]]
'''

[rules.conditions]
rating_at_most = 9
tags = ["x"]
business_hours = "mon-fri 17:00-09:00"

[rules.limits]
share = 0

[[rules]]
slug = "tagged"
event = "contact.tag.created"
conditions = { role = "visitor" }

[[rules]]
slug = "tagged"
title = "T"
event = "contact.tag.created"
conditions.rating_at_most = 2

[[rules]]
title = "No slug"
event = "conversation.admin.closed"

[other]
x = 1
"""
    found = [(problem.line, problem.field) for problem in problems(text)]
    assert found == [
        (3, "slug"),
        (4, "title"),
        (5, "event"),
        (6, "study"),
        (7, "delay"),
        (8, "colour"),
        (15, "conditions.rating_at_most"),
        (16, "conditions.tags"),
        (17, "conditions.business_hours"),
        (20, "limits.share"),
        (22, "title"),
        (25, "conditions.role"),
        (25, "conditions.tag"),
        (27, "conditions.tag"),
        (28, "slug"),
        (31, "conditions.rating_at_most"),
        (33, "slug"),
        (37, "other"),
    ]


def test_the_messages_say_what_is_expected() -> None:
    text = (
        GOOD.replace("= 3", "= 9").replace('"2 hours"', '"soon"').replace("[rules.limits]", "[rules.limit]")
    )
    assert [str(problem) for problem in problems(text)] == [
        'line 6: delay is not of the form "30 minutes", "2 hours" or "7 days"',
        "line 10: conditions.rating_at_most input should be less than or equal to 5",
        "line 13: limit is not known here",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[[rules]]\nslug = ", 2),
        ("[[rules]]\nslug = 'a\n", 2),
        ("[[rules]\n", 1),
        ('[[rules]]\ntitle = """\nnever ends', 3),
        ("[[rules]]\nslug = 'a'\nslug = 'b'\n", 3),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(text: str, line: int) -> None:
    [problem] = problems(text)
    assert problem.line == line
    assert "is not TOML" in str(problem)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a = 1\nx = " + "[" * 50_000, 1, "is nested too deeply"),
        ("a = 1\nx = " + "{a=" * 50_000, 1, "is nested too deeply"),
        ("a = 1\nx = " + "1" * 5_000, 2, "holds a number that is too long"),
        ("a = 1\nx = [\n" + "1_" * 5_000 + "1]", 3, "holds a number that is too long"),
        ("#" + " " * 1_000_000, 1, "is longer than 1,000,000 characters"),
    ],
    ids=["lists", "tables", "number", "number-in-list", "long"],
)
def test_what_no_rule_file_holds_is_told_too(text: str, line: int, said: str) -> None:
    [problem] = problems(text)
    assert str(problem) == f"line {line}: {said}"


@pytest.mark.parametrize("slug", ["[1]", "{ a = 1 }", "1", "true", "2026-11-26", "1.5"])
def test_a_slug_of_another_type_is_a_mistake_like_any_other(slug: str) -> None:
    text = GOOD.replace('"low-rating"', slug)
    assert [str(problem) for problem in problems(text + text)] == [
        "line 3: slug input should be a valid string",
        "line 17: slug input should be a valid string",
    ]


@pytest.mark.parametrize("field", ["title", "description", "conditions.tag", "conditions.tag_not"])
@pytest.mark.parametrize("character", ["\\u0000", "\\u001B"])
def test_no_control_character_comes_from_a_file_to_a_terminal_or_a_database(
    field: str, character: str
) -> None:
    text = f"""
[[rules]]
slug = "a"
event = "conversation.rating.added"
{"" if field == "title" else 'title = "A"'}
{field} = "x{character}"
"""
    [problem] = problems(text)
    assert (problem.line, problem.field.removesuffix(".[0]")) == (6, field)
    assert problem.message == "holds a control character"


def test_a_field_that_is_not_known_is_named_without_control_characters() -> None:
    [problem] = problems('"\\u001B[2J" = 1')
    assert str(problem) == r"line 1: \x1b[2J is not known here; a file holds [[rules]]"


def test_lines_are_counted_as_toml_counts_them() -> None:
    text = "# one\u2028line\x85\n[[rules]]\nslug = 1\r\ntitle = 'T'\nevent = 'x'\n"
    assert [problem.line for problem in problems(text)] == [3, 5]


@pytest.mark.parametrize("text", ["rules = 1", "rules = [1]", "[rules]\nslug = 'a'"])
def test_rules_are_a_list_of_tables(text: str) -> None:
    [problem] = problems(text)
    assert problem.field == "rules"


_SLUGS = st.lists(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True), unique=True, max_size=3)
_TEXT = st.characters(exclude_categories=["Cc", "Cs"])
_TAGS = st.lists(st.text(_TEXT, min_size=1, max_size=20), min_size=1, max_size=3).map(tuple)


@st.composite
def some_rules(draw: Any) -> list[Rule]:
    made = []
    for slug in draw(
        st.lists(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True), unique=True, max_size=3)
    ):
        conditions: dict[str, Any] = {"tag": draw(_TAGS), "role": draw(st.sampled_from([None, "user"]))}
        if draw(st.booleans()):
            conditions["business_hours"] = "mon,wed-fri 08:30-12:00"
        made.append(
            Rule(
                slug=slug,
                title=draw(st.text(_TEXT, min_size=1, max_size=30)),
                description=draw(st.text(_TEXT | st.sampled_from("\n\t"), max_size=60)),
                event=draw(st.sampled_from(EVENTS)),
                study=draw(st.sampled_from(STUDIES)),
                delay=draw(st.integers(0, 90 * 86_400)),
                enabled=draw(st.booleans()),
                conditions=conditions,  # type: ignore[arg-type] # pydantic reads it
                limits={"share": draw(st.integers(1, 100))},  # type: ignore[arg-type] # likewise
            )
        )
    return made


@given(some_rules())
def test_what_is_written_is_read_as_the_same(rules: list[Rule]) -> None:
    assert rulefile.read(rulefile.write(rules), studies=STUDIES) == rules


@given(st.text())
def test_no_text_at_all_ends_in_anything_else_than_its_list(text: str) -> None:
    with contextlib.suppress(RuleFileError):
        rulefile.read(text, studies=STUDIES)


def test_the_ready_made_rules_are_the_five_moments_and_say_what_drives_them() -> None:
    rules = readymade.rules()
    assert [rule.slug for rule in rules] == [
        "major-issue-resolved",
        "onboarding-completed",
        "churn-signal",
        "feature-adopted",
        "trial-midpoint",
    ]
    for rule in rules:
        assert not rule.enabled
        assert "Driven by Intercom's topic" in rule.description
        assert "Ask" in rule.description
        assert rule.conditions.business_hours
    assert {rule.slug: rule.delay for rule in rules}["feature-adopted"] == 7 * 86_400
