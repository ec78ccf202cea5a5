"""Mistakes find their fields, and what somebody else has changed is told."""

from __future__ import annotations

from werkzeug.datastructures import MultiDict
from wtforms import BooleanField, Form, StringField

from canvas_app.console import mistakes
from canvas_app.console.mistakes import Difference, Mistake


class Example(Form):  # type: ignore[misc]
    title = StringField("Title")
    yes = BooleanField("Really")


def form(**fields: str) -> Example:
    return Example(MultiDict(fields))


def test_each_mistake_stands_at_its_field_and_in_the_list() -> None:
    one = form()
    found = mistakes.tell(one, [("title", "is missing"), ("title", "is odd"), ("", "it does not fit")])
    assert found == [
        Mistake("title", "Title", "is missing"),
        Mistake("title", "Title", "is odd"),
        Mistake("", "", "it does not fit"),
    ]
    assert one.title.errors == ["is missing", "is odd"]


def test_a_ticked_box_says_yes() -> None:
    assert mistakes.given(form(title="T", yes="y"), ("title", "yes", "other")) == {"title": "T", "yes": "yes"}
    assert mistakes.given(form(), ("title", "yes")) == {"title": "", "yes": ""}


def test_only_what_is_different_is_told() -> None:
    one = form(title="a\r\nb ", yes="y")
    assert mistakes.differences(one, {"title": "a\nb", "yes": ""}) == [Difference("Really", "nothing")]
    assert mistakes.differences(one, {"title": "c", "yes": "yes"}) == [Difference("Title", "c")]
