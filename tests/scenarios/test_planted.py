"""Every secret and every personal word is planted, and then looked for where it does not belong.

The log, all pages, all cards and the whole database are searched after a round trip in which much goes wrong.
What a vendor says about a call is in test_secrecy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from canvas_app.console import access
from canvas_app.interviews.operators import Teammate
from tests.api.caller import ASKED
from tests.console.conftest import person
from tests.console.test_every_route import routes
from tests.input.aiming import know
from tests.interviews.results import GET
from tests.scenarios.test_secrecy import everything_stored, logged
from tests.support.doors import DOORS
from tests.support.world import INTERCOM, KOJI_ID, KOJI_LINK, PUBLIC_URL, WORKSPACE, World

__all__ = ["logged"]

SECRETS = {
    "SECRET_KEY, new": "planted-secret-key-new",
    "SECRET_KEY, old": "planted-secret-key-old",
    "INTERCOM_CLIENT_SECRET": "planted-client-secret",
    "INTERCOM_ACCESS_TOKEN": "planted-access-token",
    "KOJI_API_KEY": "pk_planted_key",
    "KOJI_WEBHOOK_SECRET": "planted-webhook-secret",
    "API_TOKEN": "planted-api-token",
    "a study's key": "pk_planted_study",
    "a study's webhook secret": "whsec_planted_study",
    "the alert address": "planted-path-of-the-hook",
    "an Idempotency-Key": "planted-idempotency-key",
}
PERSONAL = [
    "planted.mia@example.com",
    "Planted Mia",
    "planted.rep@example.com",
    "Planted Rep",
    "Planted-line-of-the-rep",
    "Planted theme",
    KOJI_LINK,
    "203.0.113.77",
]


@pytest.fixture
def planted(world: World) -> World:
    """Everything is set, and what can be is sealed."""
    world.deploy(
        secret_key=f"{SECRETS['SECRET_KEY, new']},{SECRETS['SECRET_KEY, old']}",
        intercom_client_secret=SECRETS["INTERCOM_CLIENT_SECRET"],
        intercom_access_token=SECRETS["INTERCOM_ACCESS_TOKEN"],
        koji_api_key=SECRETS["KOJI_API_KEY"],
        koji_webhook_secret=SECRETS["KOJI_WEBHOOK_SECRET"],
        api_token=SECRETS["API_TOKEN"],
    )
    # The console's sessions and sign-in links are signed with the keys that the app was started with.
    access.prepare(world.app, world.settings)
    world.add_study(
        "exit", api_key=SECRETS["a study's key"], webhook_secret=SECRETS["a study's webhook secret"]
    )
    with world.engine.begin() as connection:
        know(connection, world.settings, WORKSPACE)
    return world


def rep(world: World, path: str, **more: Any) -> dict[str, Any]:
    """A request of the rep's, signed with the planted secret; the card that it is answered with."""
    body = {
        **world.canvas_body(),
        "contact": {
            "type": "contact",
            "id": "contact1",
            "name": "Planted Mia",
            "email": "planted.mia@example.com",
        },
        "admin": {
            "type": "admin",
            "id": "991",
            "name": "Planted Rep",
            "email": "planted.rep@example.com",
        },
        "current_canvas": world.last_canvas,
        **more,
    }
    answer = world.post_canvas(path, json.dumps(body).encode(), secret=SECRETS["INTERCOM_CLIENT_SECRET"])
    canvas: dict[str, Any] = answer.get_json()["canvas"]
    world.last_canvas = canvas
    return canvas


def round_trip(world: World) -> list[dict[str, Any]]:
    """An interview with everything that can go wrong on its way; the cards that were seen."""
    cards = [rep(world, "/canvas/initialize")]
    world.outside.get(f"{INTERCOM}/me", json={"id": "7", "app": {"id_code": WORKSPACE, "timezone": "UTC"}})
    # Koji is away, then refuses the key, then takes it.
    world.outside.post("https://koji.so/api/v1/interviews/start", status=500, body="planted: Planted Mia")
    inputs = {"personal_line": "Planted-line-of-the-rep"}
    cards.append(rep(world, "/canvas/submit", component_id="send", input_values=inputs))
    world.run_jobs()
    for status in (401, 429):
        world.outside.upsert("POST", "https://koji.so/api/v1/interviews/start", status=status)
        world.let_time_pass(minutes=1)
        world.run_jobs(delayed=True)
        cards.append(rep(world, "/canvas/initialize"))
    world.outside.remove("POST", "https://koji.so/api/v1/interviews/start")
    world.koji_starts()
    world.intercom_takes("reply")
    world.let_time_pass(minutes=2)
    world.run_jobs(delayed=True)
    assert world.interview().state == "sent", world.interview()
    token = world.interview().link_token
    assert world.get(f"/i/{token}").status_code == 302
    # The result: Intercom's token is refused at first, then its attributes are unknown.
    world.outside.get(GET, json={"id": KOJI_ID, "quality_score": 4, "sentiment": "mixed"})
    world.outside.put(f"{INTERCOM}/contacts/contact1", status=401, json={"errors": []})
    world.koji_event(
        world.result(themes=["Planted theme"], respondent_email="planted.mia@example.com"),
        secret=SECRETS["KOJI_WEBHOOK_SECRET"],
    )
    world.run_jobs()
    world.intercom_takes("tags")
    world.outside.upsert("PUT", f"{INTERCOM}/contacts/contact1", json={"type": "contact", "id": "contact1"})
    world.let_time_pass(minutes=15)
    world.run_jobs(delayed=True)
    cards += [rep(world, "/canvas/initialize"), rep(world, "/canvas/submit", component_id="refresh")]
    return cards


def strangers(world: World) -> None:
    """What is refused: wrong signatures, tokens and links, from an address that is somebody's."""
    client, here = world.app.test_client(), {"X-Forwarded-For": "203.0.113.77"}
    for _ in range(9):
        for door in DOORS:
            headers = {door.header: door.sign(door.raw, "wrong"), **here}
            client.post(door.path, data=door.raw, headers=headers)
        client.get("/i/planted-guess", headers=here)
    # Right, and of no use: what it sends is refused.
    bearer = {"Authorization": f"Bearer {SECRETS['API_TOKEN']}", **here}
    client.post(ASKED, json={"email": "planted.mia@example"}, headers=bearer)
    key = {"Idempotency-Key": SECRETS["an Idempotency-Key"]}
    asked = {"email": "planted.mia@example.com", "deliver": "none"}
    assert client.post(ASKED, json=asked, headers=bearer | key).status_code in (200, 201)


def pages(world: World) -> dict[str, str]:
    """Every page of the console as an operator sees it, and those that anybody may see."""
    root = person(world, Teammate(WORKSPACE, "1", None, by_command=True)).sign_in()
    hook = f"https://hooks.example.com/{SECRETS['the alert address']}"
    assert root.post("overview/alert-address", address=hook).status_code == 302
    interview = world.interview().id
    found = {}
    for path in {*routes(world, "GET"), f"interviews/{interview}", f"interviews/{interview}/erase"}:
        found[f"/console/{path}"] = root.get(path).text
    for path in ("/", "/healthz", "/api/openapi.json"):
        found[path] = world.get(path, base_url=PUBLIC_URL).text
    return found


def test_nothing_that_was_planted_is_where_it_does_not_belong(
    planted: World, logged: Callable[[], str]
) -> None:
    world = planted
    cards = round_trip(world)
    strangers(world)
    seen = pages(world)
    stored, said = everything_stored(world) + "".join(world.step_results), logged()
    # The search would find them.
    assert "Planted Mia" in stored
    assert any("Planted Mia" in text for path, text in seen.items() if path.startswith("/console/"))
    assert "forward_attempt" in said
    assert "too_many_refused" in said
    places = {"log": said, "database": stored, "cards": json.dumps(cards), **seen}
    for place, text in places.items():
        for name, secret in SECRETS.items():
            assert secret not in text, (place, name)
    # Who anybody is, is for the console, the card and the database.
    token = world.interview().link_token
    for place in ("log", "/", "/healthz", "/api/openapi.json"):
        for word in [*PERSONAL, token]:
            assert word not in places[place], (place, word)
    assert "203.0.113.77" not in stored
    for path, text in seen.items():
        # A personal link opens an interview in the customer's name: nobody else is given it.
        assert token not in text, path
        assert not re.search(r"Traceback|File \"", text), path
