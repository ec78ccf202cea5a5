from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from canvas_app.canvas import kit
from canvas_app.canvas.kit import (
    SIZE_LIMIT,
    Button,
    Canvas,
    ListComponent,
    ListItem,
    SubmitAction,
    Text,
    UrlAction,
    is_https,
    is_linkable,
)

COMPONENT: TypeAdapter[kit.Component] = TypeAdapter(kit.Component)

SUBMIT = {"type": "submit"}
URL = {"type": "url", "url": "https://www.koji.so/docs"}
IMAGE = {"image": "https://www.koji.so/a.png", "image_width": 32, "image_height": 32}


def options(*ids: str) -> list[dict[str, str]]:
    return [{"type": "option", "id": found, "text": f"Option {found}"} for found in ids]


# Every documented attribute of every documented component, once.
# https://developers.intercom.com/docs/canvas-kit
DOCUMENTED: list[dict[str, Any]] = [
    {"type": "text", "text": "Hi", "id": "t", "style": "header", "align": "center", "bottom_margin": "none"},
    {"type": "button", "id": "b", "label": "Go", "action": SUBMIT, "style": "link", "disabled": True},
    {"type": "button", "id": "b", "label": "Go", "action": URL, "style": "secondary"},
    {
        "type": "input",
        "id": "i",
        "label": "Name",
        "placeholder": "Your name",
        "value": "Ana",
        "action": SUBMIT,
        "save_state": "unsaved",
        "disabled": False,
    },
    {
        "type": "textarea",
        "id": "a",
        "label": "Why",
        "placeholder": "In a few words",
        "value": "Because",
        "error": True,
        "disabled": False,
    },
    {
        "type": "dropdown",
        "id": "d",
        "label": "One of",
        "options": options("1", "2"),
        "value": "1",
        "save_state": "saved",
        "disabled": False,
    },
    {
        "type": "single-select",
        "id": "s",
        "label": "One of",
        "options": options(*"0123456789"),
        "value": "2",
        "save_state": "failed",
        "disabled": False,
        "action": SUBMIT,
    },
    {
        "type": "checkbox",
        "id": "c",
        "label": "Some of",
        "options": options("1"),
        "value": ["1"],
        "save_state": "unsaved",
        "disabled": False,
    },
    {
        "type": "list",
        "items": [
            {"type": "item", "id": "1", "title": "One", "action": URL, **IMAGE, "rounded_image": True},
            {
                "type": "item",
                "id": "2",
                "title": "Two",
                "subtitle": "2",
                "tertiary_text": "II",
                "disabled": True,
            },
        ],
        "disabled": False,
    },
    {"type": "data-table", "items": [{"type": "field-value", "field": "Quality", "value": "4 of 5"}]},
    {"type": "divider", "id": "l", "bottom_margin": "none"},
    {"type": "spacer", "id": "e", "size": "xl"},
    {
        "type": "image",
        "url": "https://www.koji.so/a.png",
        "width": 100,
        "height": 80,
        "id": "p",
        "align": "full_width",
        "rounded": True,
        "bottom_margin": "none",
        "action": URL,
    },
]

REFUSED: dict[str, dict[str, Any]] = {
    "unknown type": {"type": "spinner"},
    "no type": {"text": "Hi"},
    "unknown attribute": {"type": "text", "text": "Hi", "color": "red"},
    "unknown style": {"type": "text", "text": "Hi", "style": "body"},
    "empty text": {"type": "text", "text": ""},
    "button without action": {"type": "button", "id": "b", "label": "Go"},
    "button without id": {"type": "button", "label": "Go", "action": SUBMIT},
    "sheet action": {"type": "button", "id": "b", "label": "Go", "action": {**URL, "type": "sheet"}},
    "submit with an address": {
        "type": "button",
        "id": "b",
        "label": "Go",
        "action": {**URL, "type": "submit"},
    },
    "action over http": {
        "type": "button",
        "id": "b",
        "label": "Go",
        "action": {"type": "url", "url": "http://www.koji.so"},
    },
    "one option": {"type": "dropdown", "id": "d", "options": options("1")},
    "eleven options": {"type": "single-select", "id": "d", "options": options(*"0123456789a")},
    "no option": {"type": "checkbox", "id": "d", "options": []},
    "the reference's name of options": {"type": "checkbox", "id": "d", "option": options("1")},
    "options with one id": {"type": "dropdown", "id": "d", "options": options("1", "1")},
    "value not offered": {"type": "dropdown", "id": "d", "options": options("1", "2"), "value": "3"},
    "values not offered": {"type": "checkbox", "id": "c", "options": options("1"), "value": ["1", "2"]},
    "dropdown with an action": {
        "type": "dropdown",
        "id": "d",
        "options": options("1", "2"),
        "action": SUBMIT,
    },
    "unknown save state": {"type": "input", "id": "i", "save_state": "pending"},
    "empty list": {"type": "list", "items": []},
    "list item with an image of no size": {
        "type": "list",
        "items": [{"type": "item", "id": "1", "title": "One", "image": "https://www.koji.so/a.png"}],
    },
    "list item with a size of no image": {
        "type": "list",
        "items": [{"type": "item", "id": "1", "title": "One", "image_width": 1, "image_height": 1}],
    },
    "list item with roundness of no image": {
        "type": "list",
        "items": [{"type": "item", "id": "1", "title": "One", "rounded_image": True}],
    },
    "empty table": {"type": "data-table", "items": []},
    "table with a number": {
        "type": "data-table",
        "items": [{"type": "field-value", "field": "Q", "value": 4}],
    },
    "image over http": {"type": "image", "url": "http://localhost/a.png", "width": 1, "height": 1},
    "image without a height": {"type": "image", "url": "https://www.koji.so/a.png", "width": 1},
    "image of no width": {"type": "image", "url": "https://www.koji.so/a.png", "width": 0, "height": 1},
}


class TestComponents:
    @pytest.mark.parametrize("documented", DOCUMENTED, ids=lambda component: component["type"])
    def test_documented_attributes_are_taken_and_given_back(self, documented: dict[str, Any]) -> None:
        component = COMPONENT.validate_python(documented)
        assert json.loads(component.model_dump_json(exclude_none=True)) == documented

    @pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED.keys())
    def test_what_intercom_refuses_cannot_be_made(self, refused: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            COMPONENT.validate_python(refused)

    def test_a_button_is_secondary_unless_it_says_otherwise(self) -> None:
        assert Button(id="go", label="Go", action=SubmitAction()).style == "secondary"

    def test_a_checkbox_always_has_a_label(self) -> None:
        bare = {"type": "checkbox", "id": "c", "options": options("1")}
        assert COMPONENT.validate_python(bare).model_dump(exclude_none=True)["label"] == ""

    def test_nothing_changes_after_the_making(self) -> None:
        with pytest.raises(ValidationError, match="frozen"):
            Text(text="Hi").text = "Bye"


class TestAddresses:
    @pytest.mark.parametrize(
        "url", ["https://www.koji.so/docs?a=1#b", "https://koji.so:8443", "https://[2001:db8::1]/"]
    )
    def test_https_is_accepted_everywhere(self, url: str) -> None:
        assert is_https(url)
        assert is_linkable(url)

    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1:8080/t", "http://localhost/t", "http://[::1]:80/", "HTTP://LOCALHOST"]
    )
    def test_http_is_accepted_for_links_on_this_machine(self, url: str) -> None:
        assert is_linkable(url)
        assert not is_https(url)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "http://www.koji.so",
            "http://localhost.evil.example",
            "http://127.0.0.1@evil.example",
            "https://www.koji.so@evil.example",
            "https://",
            "https:///docs",
            "//www.koji.so",
            "/docs",
            "www.koji.so",
            "javascript:alert(1)",
            "data:text/html,hi",
            "ftp://localhost/",
            "https://www.koji.so/a b",
            "https://www.koji.so/\n",
            "https://www.köji.so/",
            "https://[::1",
            "https://www.koji.so:port/",
            "https://www.koji.so:99999/",
            "https://www.koji.so/" + "a" * 2048,
        ],
    )
    def test_anything_else_is_refused(self, url: str) -> None:
        assert not is_linkable(url)
        assert not is_https(url)
        with pytest.raises(ValidationError):
            UrlAction(url=url)


def button(component_id: str) -> Button:
    return Button(id=component_id, label="Go", action=SubmitAction())


class TestCanvas:
    def test_an_id_is_used_once(self) -> None:
        with pytest.raises(ValidationError, match="used twice: go"):
            Canvas(components=(button("go"), button("go")))

    def test_list_entries_share_the_ids_of_components(self) -> None:
        entries = ListComponent(items=(ListItem(id="go", title="Go"),))
        with pytest.raises(ValidationError, match="used twice: go"):
            Canvas(components=(button("go"), entries))

    def test_many_components_may_have_no_id(self) -> None:
        assert Canvas(components=(Text(text="a"), Text(text="b"), button("go"))).ids() == ["go"]

    def test_there_is_something_to_see(self) -> None:
        with pytest.raises(ValidationError):
            Canvas(components=())

    @pytest.mark.parametrize("char", ["a", "é", "👍"])
    def test_content_is_measured_in_bytes(self, char: str) -> None:
        frame = len(json.dumps(Canvas(components=(Text(text="-"),)).content(), separators=(",", ":"))) - 1
        room = (SIZE_LIMIT - frame) // len(char.encode())
        assert Canvas(components=(Text(text=char * room),)).ids() == []
        with pytest.raises(ValidationError, match="content has"):
            Canvas(components=(Text(text=char * (room + 1)),))

    def test_stored_data_is_measured_on_its_own(self) -> None:
        components = (Text(text="a" * (SIZE_LIMIT - 1000)),)
        assert Canvas(components=components, stored_data={"a": "é" * (SIZE_LIMIT // 2 - 10)}).stored_data
        with pytest.raises(ValidationError, match="stored_data has"):
            Canvas(components=components, stored_data={"a": "é" * (SIZE_LIMIT // 2)})

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
    def test_stored_data_is_json_in_utf_8(self, value: float | str) -> None:
        with pytest.raises(ValidationError):
            Canvas(components=(Text(text="a"),), stored_data={"a": value})


class TestAnswer:
    def test_is_what_intercom_documents(self) -> None:
        canvas = Canvas(components=(Text(text="Hi"), button("go")), stored_data={"nonce": "n", "none": None})
        assert json.loads(canvas.answer()) == {
            "canvas": {
                "content": {
                    "components": [
                        {"type": "text", "text": "Hi", "style": "paragraph"},
                        {
                            "type": "button",
                            "id": "go",
                            "label": "Go",
                            "style": "secondary",
                            "action": {"type": "submit"},
                        },
                    ]
                },
                "stored_data": {"nonce": "n", "none": None},
            }
        }

    def test_is_what_was_measured(self) -> None:
        canvas = Canvas(components=(Text(text="Grüße 👍"),), stored_data={"line": "ß"})
        parts = {"content": canvas.content(), "stored_data": canvas.stored_data}
        written = json.dumps({"canvas": parts}, ensure_ascii=False, separators=(",", ":"))
        assert canvas.answer().decode() == written
