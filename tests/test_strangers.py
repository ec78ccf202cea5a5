"""Who is refused again and again is told to wait, and whoever is known never is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from canvas_app.console import access
from canvas_app.interviews.operators import Teammate
from canvas_app.strangers import MOST_REFUSALS, SECONDS, Strangers, Wait
from tests.api.caller import TOKEN, connected
from tests.console.conftest import person, token_in
from tests.support.doors import DOORS, Door
from tests.support.world import CONTACT, PUBLIC_URL, WORKSPACE, World

LogLines = Callable[[], list[dict[str, Any]]]
HERE = {"X-Forwarded-For": "198.51.100.7"}
ELSEWHERE = {"X-Forwarded-For": "198.51.100.8"}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class TestCounts:
    def test_so_many_are_refused_as_they_are_and_the_others_wait(self) -> None:
        strangers = Strangers(most_refusals=2, clock=Clock())
        told = [strangers.refused("a") for _ in range(4)]
        assert told == [None, None, Wait(60, first=True), Wait(60, first=False)]
        assert strangers.refused("b") is None

    def test_a_minute_after_the_first_one_all_is_as_before(self) -> None:
        clock = Clock()
        strangers = Strangers(most_refusals=1, clock=clock)
        strangers.refused("a")
        clock.now = SECONDS - 0.5
        assert strangers.refused("a") == Wait(1, first=True)
        clock.now = SECONDS
        assert strangers.refused("a") is None, "waiting is not made longer by asking"

    def test_no_more_addresses_than_fit_are_remembered(self) -> None:
        strangers = Strangers(most_refusals=1, most_addresses=100, clock=Clock())
        strangers.refused("first")
        for number in range(10_000):
            strangers.refused(str(number))
            strangers.refused("first")
        assert len(strangers) == 100
        assert strangers.refused("first") is not None, "whoever goes on is not forgotten"


def sign_in_form(world: World, headers: dict[str, str], token: str) -> TestResponse:
    """The form of a sign-in link, sent as a browser does."""
    client = world.app.test_client()
    link = access.make_link(world.settings, PUBLIC_URL, Teammate(WORKSPACE, "992", "Bo"))
    page = client.get(link.removeprefix(PUBLIC_URL), base_url=PUBLIC_URL)
    return client.post(
        "/console/sign-in",
        data={"token": token, "csrf_token": token_in(page.text)},
        base_url=PUBLIC_URL,
        headers={"Referer": f"{PUBLIC_URL}/console/", **headers},
    )


def signed(door: Door, *, rightly: bool) -> Callable[[World, dict[str, str]], TestResponse]:
    secret = door.secret if rightly else "another-secret"
    return lambda world, headers: world.app.test_client().post(
        door.path, data=door.raw, headers={door.header: door.sign(door.raw, secret), **headers}
    )


def asked(token: str) -> Callable[[World, dict[str, str]], TestResponse]:
    return lambda world, headers: world.app.test_client().post(
        "/api/interviews",
        json={"contact_id": CONTACT},
        headers={"Authorization": f"Bearer {token}", **headers},
    )


def own_link(world: World, headers: dict[str, str]) -> TestResponse:
    return world.get(f"/i/{world.interview().link_token}", headers=headers)


def used_link(world: World, headers: dict[str, str]) -> TestResponse:
    link = access.make_link(world.settings, PUBLIC_URL, Teammate(WORKSPACE, "992", "Bo"))
    token = link.partition("?token=")[2]
    assert sign_in_form(world, ELSEWHERE, token).status_code == 302
    return sign_in_form(world, headers, token)


def good_link(world: World, headers: dict[str, str]) -> TestResponse:
    link = access.make_link(world.settings, PUBLIC_URL, Teammate(WORKSPACE, "992", "Bo"))
    return sign_in_form(world, headers, link.partition("?token=")[2])


# What a stranger does, how it is refused, and what somebody who is known does at the same door, from there.
WAYS: dict[str, tuple[Any, int, Any, int]] = {
    **{door.path: (signed(door, rightly=False), 401, signed(door, rightly=True), 200) for door in DOORS},
    "/api/interviews": (asked("wrong"), 401, asked(TOKEN), 201),
    "/i/<token>": (lambda world, headers: world.get("/i/guessed", headers=headers), 404, own_link, 302),
    "/console/sign-in": (lambda world, headers: sign_in_form(world, headers, "guessed"), 403, good_link, 302),
    "a used link": (used_link, 403, good_link, 302),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_stranger_is_told_to_wait_and_whoever_is_known_gets_through(
    sqlite_world: World, log_lines: LogLines, way: str
) -> None:
    world = sqlite_world
    refused, status, known, success = WAYS[way]
    world.deploy(api_token=TOKEN)
    world.send()
    if way == "/api/interviews":
        connected(world)
    statuses = [refused(world, HERE).status_code for _ in range(MOST_REFUSALS)]
    assert statuses == [status] * MOST_REFUSALS
    log_lines()
    for _ in range(3):
        turned_away = refused(world, HERE)
        assert turned_away.status_code == 429
        assert 1 <= int(turned_away.headers["Retry-After"]) <= 60
        if turned_away.is_json:
            assert turned_away.get_json()["error"] == "too_many_refused"
    lines = log_lines()
    told = [line for line in lines if line["event"] == "refused"]
    assert [line["reason"] for line in told] == ["too_many_refused"]
    assert len([line for line in lines if line["event"] == "request" and line["status"] == 429]) == 1
    assert "198.51.100" not in json.dumps(lines), "an address is somebody's, and stands in no log"
    assert (
        sum(n for name, n in world.get("/healthz").get_json()["refusals"].items() if "too_many" in name) == 3
    )
    # From the very same address.
    assert known(world, HERE).status_code == success
    assert refused(world, HERE).status_code == 429
    assert refused(world, ELSEWHERE).status_code == status


def test_all_doors_count_together(sqlite_world: World) -> None:
    client = sqlite_world.app.test_client()
    for number in range(MOST_REFUSALS):
        door = DOORS[number % len(DOORS)]
        assert client.post(door.path, data=door.raw, headers=HERE).status_code == 401
    assert client.get("/i/guessed", headers=HERE).status_code == 429
    assert client.get("/console/sign-in?token=guessed", headers=HERE).status_code == 429


def test_a_form_without_its_token_counts_as_well(sqlite_world: World) -> None:
    client = sqlite_world.app.test_client()
    statuses = [client.post("/console/sign-out", headers=HERE).status_code for _ in range(MOST_REFUSALS + 1)]
    assert statuses == [400] * MOST_REFUSALS + [429]


def test_who_has_signed_in_and_sends_old_forms_is_no_stranger(sqlite_world: World) -> None:
    bo = person(sqlite_world, Teammate(WORKSPACE, "992", "Bo")).sign_in()
    statuses = {bo.post("sign-out", csrf_token="old").status_code for _ in range(MOST_REFUSALS + 5)}
    assert statuses == {400}


@pytest.mark.parametrize("path", ["/i/guessed", "/api/interviews/0b7f6a4e2d9c4f0c8d9a3f5b7c1e2d3f"])
def test_whoever_waits_costs_the_database_nothing(sqlite_world: World, path: str) -> None:
    sqlite_world.deploy(api_token=TOKEN)
    client, statements = sqlite_world.app.test_client(), []
    for _ in range(MOST_REFUSALS):
        client.get(path, headers=HERE)
    engine = sqlite_world.app.extensions["koji_for_intercom"].engine
    sa.event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert [client.get(path, headers=HERE).status_code for _ in range(20)] == [429] * 20
    assert statements == []


def test_what_is_signed_and_cannot_be_used_is_no_stranger_s(sqlite_world: World) -> None:
    """An outdated field at Intercom must not end in 429."""
    door = DOORS[0]
    headers = {door.header: door.sign(b"{}", door.secret), **HERE}
    client = sqlite_world.app.test_client()
    statuses = {client.post(door.path, data=b"{}", headers=headers).status_code for _ in range(50)}
    assert statuses == {400}
