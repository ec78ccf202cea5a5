from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from sandbox.canvas import COMPONENTS, CanvasRefused, check_answer, check_component
from tests.sandbox.fake_app import EVERYTHING, OPTIONS, canvas

BUTTON: dict[str, Any] = {"type": "button", "id": "b", "label": "Go", "action": {"type": "submit"}}
TEXT = {"type": "text", "text": "Hello"}
ITEM = {"type": "item", "id": "i", "title": "T"}
PNG = "https://example.com/x.png"


def problems(answer: Any, kind: str = "initialize") -> list[str]:
    raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    with pytest.raises(CanvasRefused) as refused:
        check_answer(raw, kind)
    return refused.value.problems


def test_everything_documented_is_accepted() -> None:
    assert {item["type"] for item in EVERYTHING} == set(COMPONENTS)
    answer = canvas(EVERYTHING, nonce="x")
    assert check_answer(json.dumps(answer).encode(), "initialize") == answer["canvas"]


@pytest.mark.parametrize("component", EVERYTHING, ids=lambda item: item["type"])
def test_nothing_undocumented_is(component: dict[str, Any]) -> None:
    found = check_component({**component, "colour": "red"}, "c")
    assert found == [f"c ({component['type']}).colour is not a documented attribute"]


@pytest.mark.parametrize("component", EVERYTHING, ids=lambda item: item["type"])
def test_what_is_required_is_missed(component: dict[str, Any]) -> None:
    for name in COMPONENTS[component["type"]].required.keys() - {"type"}:
        without = {key: value for key, value in component.items() if key != name}
        assert f"c ({component['type']}).{name} is missing" in check_component(without, "c")


@pytest.mark.parametrize(
    ("component", "said"),
    [
        ("text", "is not an object"),
        ({"type": "spinner"}, "which the inbox does not know"),
        ({}, "which the inbox does not know"),
        ({**TEXT, "text": 1}, "text is not a string"),
        ({**TEXT, "text": None}, "text is not a string"),
        ({**TEXT, "style": "huge"}, "style is 'huge', expected one of header"),
        ({**TEXT, "bottom_margin": "some"}, "bottom_margin is 'some'"),
        ({**BUTTON, "id": " "}, "id is not a string with something in it"),
        ({**BUTTON, "disabled": "no"}, "disabled is not true or false"),
        ({**BUTTON, "action": "submit"}, "action is not an object"),
        ({**BUTTON, "action": {"type": "sheet", "url": PNG}}, "type 'sheet', expected submit or url"),
        ({**BUTTON, "action": {"type": "submit", "url": PNG}}, "url is not a documented attribute"),
        ({**BUTTON, "action": {"type": "url", "url": "http://example.com"}}, "is not an https address"),
        ({**BUTTON, "action": {"type": "url", "url": "javascript:alert(1)"}}, "is not an https address"),
        ({**BUTTON, "action": {"type": "url"}}, "action.url is missing"),
        ({"type": "dropdown", "id": "d", "options": OPTIONS[:1]}, "has 1 entries, expected 2 to 10"),
        ({"type": "dropdown", "id": "d", "options": OPTIONS * 4}, "has 12 entries, expected 2 to 10"),
        ({"type": "dropdown", "id": "d", "options": [OPTIONS[0]] * 2}, "has the id 'one' twice"),
        ({"type": "dropdown", "id": "d", "options": OPTIONS, "value": "x"}, "is none of its options"),
        ({"type": "checkbox", "id": "c", "label": "", "option": OPTIONS}, "options is missing"),
        ({"type": "checkbox", "id": "c", "label": "", "options": OPTIONS, "value": "one"}, "list of strings"),
        ({"type": "checkbox", "id": "c", "label": "", "options": OPTIONS, "value": ["x"]}, "none of its"),
        ({"type": "list", "items": []}, "expected at least 1"),
        ({"type": "list", "items": "x"}, "items is not a list"),
        ({"type": "list", "items": [{**ITEM, "image": PNG}]}, "without image_width and image_height"),
        ({"type": "list", "items": ["x"]}, "is not an object"),
        (
            {"type": "data-table", "items": [{"type": "field-value", "field": "f", "value": 4}]},
            "not a string",
        ),
        ({"type": "image", "url": "http://127.0.0.1/x.png", "width": 1, "height": 1}, "not an https address"),
        ({"type": "image", "url": PNG, "width": "1", "height": 1}, "is not a whole number above 0"),
        (
            {"type": "image", "url": PNG, "width": 1, "height": 1, "action": {"type": "submit"}},
            "expected one of",
        ),
    ],
)
def test_refused_components(component: Any, said: str) -> None:
    found = check_component(component, "c")
    assert any(said in problem for problem in found), found


def test_a_link_to_this_machine_may_be_plain_http() -> None:
    link = {"type": "url", "url": "http://127.0.0.1:5051/transcript/1"}
    assert check_component({**BUTTON, "action": link}, "c") == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"<html>", "the answer is not JSON"),
        ([], "the answer is not {"),
        ({"canvas": None}, "the answer is not {"),
        ({"canvas": {"content": {}}}, "components is not a list"),
        (canvas([]), "components is empty"),
        (
            {**canvas([TEXT]), "event": {"type": "completed"}},
            "event does not belong in an answer to initialize",
        ),
        (
            {"canvas": {**canvas([TEXT])["canvas"], "content_url": PNG}},
            "canvas.content_url is not documented",
        ),
        ({"canvas": {"content": {"components": [TEXT], "version": 1}}}, "version is not documented"),
        ({"canvas": {"content": {"components": [TEXT]}, "stored_data": []}}, "stored_data is not an object"),
        (canvas([BUTTON, BUTTON]), "two components have the id 'b'"),
        (canvas([{**TEXT, "text": "é" * 33_000}]), "more than 65536"),
        (canvas([TEXT], big="x" * 66_000), "canvas.stored_data has"),
    ],
)
def test_refused_answers(answer: Any, said: str) -> None:
    found = problems(answer)
    assert any(said in problem for problem in found), found


def test_a_submit_may_say_completed() -> None:
    answer = {**canvas([TEXT]), "event": {"type": "completed"}}
    assert check_answer(json.dumps(answer).encode(), "submit")
    assert "event is not" in problems({**answer, "event": {"type": "done"}}, "submit")[0]


def test_all_problems_are_told_at_once() -> None:
    wrong = copy.deepcopy(BUTTON)
    del wrong["label"], wrong["action"]
    assert len(problems(canvas([wrong, {"type": "nope"}]))) == 3
