"""Personal links: who signed them, and what they carry."""

from __future__ import annotations

import pytest
from itsdangerous import URLSafeSerializer

from canvas_app.interviews import links

ID = "a" * 32


def test_a_token_names_its_interview() -> None:
    token = links.make_token(ID, ["key"])
    assert links.read_token(token, ["key"]) == ID
    assert links.personal_url("https://interviews.example.com", token).endswith(f"/i/{token}")


def test_a_token_stays_good_while_its_key_is_on_the_list_and_not_longer() -> None:
    token = links.make_token(ID, ["old"])
    assert links.read_token(token, ["new", "old"]) == ID
    assert links.read_token(token, ["new"]) is None
    assert links.read_token(token, []) is None


def test_a_key_that_is_not_utf_8_signs_as_well() -> None:
    # An environment variable of any bytes arrives with surrogate escapes.
    assert links.read_token(links.make_token(ID, ["\udcffabc"]), ["\udcffabc"]) == ID


def test_the_newest_key_signs() -> None:
    token = links.make_token(ID, ["new", "old"])
    assert links.read_token(token, ["new"]) == ID
    assert links.read_token(token, ["old"]) is None


@pytest.mark.parametrize("change", ["", "x", "a.b", "é", "../..", "\0", "a" * 5000])
def test_anything_else_is_no_token(change: str) -> None:
    assert links.read_token(change, ["key"]) is None


def test_an_altered_token_is_no_token() -> None:
    token = links.make_token(ID, ["key"])
    for position in range(len(token) - 1):
        altered = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        assert links.read_token(altered, ["key"]) is None


def test_something_that_the_same_key_signed_for_another_purpose_is_no_token() -> None:
    assert links.read_token(str(URLSafeSerializer("key", salt="login").dumps(ID)), ["key"]) is None


def test_a_signed_value_that_is_no_text_names_no_interview() -> None:
    signed = URLSafeSerializer("key", salt="personal-link").dumps(["not", "an", "id"])
    assert links.read_token(str(signed), ["key"]) is None
