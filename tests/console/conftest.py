"""Somebody at the console, signed in the way people are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from canvas_app import store
from canvas_app.console import access
from canvas_app.interviews import operators
from canvas_app.interviews.operators import Teammate
from canvas_app.settings import Settings
from tests.support.world import PUBLIC_URL, REP, WORKSPACE, World

_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


@dataclass
class Person:
    """A browser without JavaScript."""

    world: World
    client: FlaskClient
    teammate: Teammate

    def get(self, path: str = "", **query: Any) -> TestResponse:
        return self.client.get(f"/console/{path}", query_string=query, base_url=PUBLIC_URL)

    def text(self, path: str = "", **query: Any) -> str:
        """What a page says, after it was found there."""
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return words(answer.text)

    def post(self, path: str, **fields: Any) -> TestResponse:
        """Send a form with the token of a page, as a browser does from the same origin."""
        if "csrf_token" not in fields:
            fields["csrf_token"] = self.csrf_token()
        return self.client.post(
            f"/console/{path}",
            data=fields,
            base_url=PUBLIC_URL,
            headers={"Referer": f"{PUBLIC_URL}/console/"},
        )

    def csrf_token(self) -> str:
        return token_in(self.get("").text)

    def link(self) -> str:
        """The path of a new sign-in link."""
        link = access.make_link(self.world.settings, PUBLIC_URL, self.teammate)
        return link.removeprefix(f"{PUBLIC_URL}/console/")

    def sign_in(self) -> Person:
        sign_in(self.client, self.world.settings, self.teammate)
        return self


def sign_in(client: FlaskClient, settings: Settings, teammate: Teammate) -> None:
    """Follow a link of the teammate's, and tap."""
    link = access.make_link(settings, PUBLIC_URL, teammate)
    page = client.get(link.removeprefix(PUBLIC_URL), base_url=PUBLIC_URL)
    assert page.status_code == 200
    answer = client.post(
        "/console/sign-in",
        data={"token": link.partition("?token=")[2], "csrf_token": token_in(page.text)},
        base_url=PUBLIC_URL,
        headers={"Referer": f"{PUBLIC_URL}/console/"},
    )
    assert (answer.status_code, answer.location) == (302, "/console/")


def token_in(html: str) -> str:
    found = _TOKEN.search(html)
    assert found is not None, html
    return unescape(found[1])


def words(html: str) -> str:
    """The text of a page, its white space made one space."""
    body = re.sub(r"(?s)<(style|script|head)\b.*?</\1>", " ", html)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", body)))


def person(world: World, teammate: Teammate) -> Person:
    return Person(world, world.app.test_client(), teammate)


@pytest.fixture
def viewer(world: World) -> Person:
    """A teammate who may look."""
    return person(world, Teammate(WORKSPACE, "992", "Bo")).sign_in()


@pytest.fixture
def operator(world: World) -> Person:
    """A teammate who may change things."""
    with store.writing(world.engine) as connection:
        operators.add(connection, WORKSPACE, REP["id"], "Ada")
    return person(world, Teammate(WORKSPACE, REP["id"], "Ada")).sign_in()
