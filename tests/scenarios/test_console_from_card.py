"""The way from the card into the console."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
import sqlalchemy as sa

from canvas_app import create_app, log
from canvas_app.console import access
from canvas_app.interviews import operators
from canvas_app.interviews.tables import sign_ins, workspaces
from tests.console.conftest import token_in, words
from tests.support.said import statements
from tests.support.world import PUBLIC_URL, REP, WORKSPACE, World, component, full_settings, texts

CONSOLE = f"{PUBLIC_URL}/console/sign-in?token="


@pytest.fixture
def world(sqlite_world: World) -> World:
    """The app knows which workspace its token belongs to."""
    sqlite_world.send()
    return sqlite_world


def link(canvas: dict[str, Any]) -> str:
    button = component(canvas, "open_console")
    assert button is not None, canvas
    assert button["action"]["type"] == "url"
    url: str = button["action"]["url"]
    assert url.startswith(CONSOLE)
    return url


def follow(world: World, url: str) -> Any:
    """What a browser does with the link: one look, one tap, and the page that comes then."""
    browser = world.app.test_client()
    path = url.removeprefix(PUBLIC_URL)
    page = browser.get(path, base_url=PUBLIC_URL)
    fields = {"csrf_token": token_in(page.text), "token": url.partition("token=")[2]}
    referer = {"Referer": f"{PUBLIC_URL}{path}"}
    answer = browser.post("/console/sign-in", data=fields, base_url=PUBLIC_URL, headers=referer)
    return browser.get("/console/people", base_url=PUBLIC_URL) if answer.status_code == 302 else answer


def tap(world: World) -> bytes:
    """A tap on the settings of a new card, as its bytes."""
    card = world.initialize()
    body = {**world.canvas_body(), "component_id": "settings", "current_canvas": card}
    return json.dumps(body).encode()


def sent(world: World, raw: bytes) -> dict[str, Any]:
    canvas: dict[str, Any] = world.post_canvas("/canvas/submit", raw).get_json()["canvas"]
    return canvas


def test_a_tap_on_settings_signs_this_teammate_in(world: World) -> None:
    assert component(world.initialize(), "settings") is not None
    card = world.submit("settings", admin={"id": "992", "name": "Bo  Lind\u202e"})
    page = follow(world, link(card))
    assert page.status_code == 200
    assert "Bo Lind" in words(page.text)


def test_each_card_makes_a_new_link_and_each_works_once(world: World) -> None:
    world.initialize()
    first = link(world.submit("settings"))
    world.submit("back")
    second = link(world.submit("settings"))
    assert first != second
    assert follow(world, first).status_code == 200
    assert follow(world, first).status_code == 403
    assert follow(world, second).status_code == 200


def test_a_captured_tap_on_settings_leads_nowhere_once_its_link_was_used(world: World) -> None:
    captured = tap(world)
    first, second = link(sent(world, captured)), link(sent(world, captured))
    assert follow(world, first).status_code == 200
    assert follow(world, second).status_code == 403
    assert follow(world, link(sent(world, captured))).status_code == 403
    with world.engine.begin() as connection:
        # As long as the card is good, it is remembered that it was used.
        operators.use_nonce(connection, "another")
        assert connection.execute(sa.select(sa.func.count()).select_from(sign_ins)).scalar_one() == 2


def test_a_captured_tap_on_settings_leads_nowhere_after_a_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    captured = tap(world)
    monkeypatch.setattr("canvas_app.canvas.offers.GOOD_FOR_SECONDS", -1)
    card = sent(world, captured)
    assert component(card, "open_console") is None
    assert component(card, "settings") is not None, "the card is drawn anew"


@pytest.mark.parametrize("token", [None, "", 5, "no-token", {"a": 1}])
def test_a_tap_on_settings_without_what_its_card_had_draws_the_card_anew(world: World, token: object) -> None:
    world.initialize()
    card = world.submit("settings", current_canvas={"stored_data": {"way_in": token}})
    assert component(card, "open_console") is None
    assert component(card, "settings") is not None


def test_a_tap_of_another_card_gives_no_link_here(world: World) -> None:
    elsewhere = world.initialize(contact={"type": "contact", "id": "contact2"})
    card = world.submit("settings", current_canvas=elsewhere)
    assert component(card, "open_console") is None


def test_of_two_teammates_on_one_card_each_gets_in(world: World) -> None:
    card = world.initialize()
    links = [
        link(world.submit("settings", current_canvas=card, admin={"id": id_, "name": "Bo"}))
        for id_ in ("991", "992")
    ]
    assert [follow(world, one).status_code for one in links] == [200, 200]


def test_back_leads_to_the_card(world: World) -> None:
    before = texts(world.initialize())
    card = world.submit("settings")
    assert component(card, "back") is not None
    assert card["stored_data"] == {}
    after = world.submit("back")
    assert component(after, "settings") is not None
    assert "Interview sent" in texts(after)
    assert "Interview sent" in before


def test_the_link_is_that_of_the_requests_workspace(world: World) -> None:
    world.initialize()
    said = access.read_link(world.settings, link(world.submit("settings")).partition("token=")[2])
    assert said is not None
    assert (said.teammate.workspace_id, said.teammate.id) == (WORKSPACE, REP["id"])
    assert not said.teammate.by_command


def no_way(world: World, **changes: Any) -> str:
    card = world.submit("settings", **changes)
    assert component(card, "open_console") is None
    assert "/console/" not in texts(card)
    assert component(card, "back") is not None
    return texts(card)


def test_somebody_of_another_workspace_gets_none(world: World) -> None:
    assert component(world.initialize(workspace_id="ws2"), "settings") is None
    assert "not connected to this workspace" in no_way(world, workspace_id="ws2")


def test_while_the_tokens_workspace_is_not_known_nobody_gets_one(world: World) -> None:
    with world.engine.begin() as connection:
        connection.execute(sa.delete(workspaces))
    assert component(world.initialize(), "settings") is None
    assert "does not know it yet" in no_way(world)


def test_without_a_name_of_a_teammate_there_is_none(world: World) -> None:
    world.initialize()
    assert "did not say who you are" in no_way(world, admin=None)


@pytest.mark.parametrize("missing", ["secret_key", "public_url"])
def test_without_what_a_link_is_made_of_there_is_none(world: World, missing: str) -> None:
    app = create_app(
        full_settings(world.settings.database_url, **{missing: () if missing == "secret_key" else None})
    )
    other = World(app=app, engine=world.engine, settings=world.settings, outside=world.outside)
    assert component(other.initialize(), "settings") is None
    card = other.submit("settings")
    assert component(card, "open_console") is None
    app.extensions["koji_for_intercom"].engine.dispose()


def test_where_a_setting_is_missing_the_card_still_leads_to_the_console(world: World) -> None:
    world.deploy(koji_api_key="")
    card = world.initialize()
    assert "KOJI_API_KEY" in texts(card)
    assert component(card, "settings") is not None


def test_a_request_that_is_not_signed_gets_no_link(world: World) -> None:
    answer = world.post_canvas("/canvas/submit", b'{"component_id": "settings"}', secret="another")
    assert answer.status_code == 401


def test_the_link_is_in_no_log(world: World) -> None:
    log.configure(level=logging.DEBUG)
    written = io.StringIO()
    [handler] = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    world.initialize()
    url = link(world.submit("settings"))
    follow(world, url)
    said = written.getvalue()
    assert '"action": "settings"' in said or "settings" in said
    token = url.partition("token=")[2]
    assert token not in said
    assert token[:20] not in said


def test_two_reads_are_enough(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.initialize()
    with statements(world, monkeypatch) as said:
        link(world.submit("settings"))
    assert len(said) in (1, 2)
    assert all(statement.startswith("SELECT") for statement in said)
