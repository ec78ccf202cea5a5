"""The description is true: everything that it promises is produced here, and nothing else is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from canvas_app import store, strangers
from canvas_app.api import answers, openapi, request as reading
from canvas_app.interviews.states import STATES, State
from canvas_app.interviews.tables import workspaces
from canvas_app.settings import PROJECT_ROOT
from tests.api.caller import ASKED, TOKEN, Caller, checked, connected, described
from tests.support.postgres import free_port
from tests.support.world import CONTACT, PUBLIC_URL, World, full_settings

Act = Callable[[Caller], Any]


def unknown_workspace(caller: Caller) -> None:
    with store.writing(caller.world.engine) as connection:
        connection.execute(sa.delete(workspaces))


def without_database(caller: Caller) -> Any:
    from canvas_app import create_app

    settings = full_settings(f"postgresql://koji@127.0.0.1:{free_port()}/koji", api_token=TOKEN)
    caller.world.app = create_app(settings)
    return caller.ask(contact_id=CONTACT)


def lost_secret(caller: Caller) -> Any:
    import dataclasses

    from canvas_app.interviews import studies

    study = dataclasses.replace(caller.world.settings.default_study, slug="own", api_key="pk_live_2")
    with store.writing(caller.world.engine) as connection:
        studies.save(connection, caller.world.settings, study)
    caller.world.deploy(api_token=TOKEN, secret_key="another-one")
    return caller.ask(contact_id=CONTACT, study="own")


def cut_off(caller: Caller) -> Any:
    client = caller.world.app.test_client()
    longer = {"CONTENT_LENGTH": "1000", "wsgi.input_terminated": True}
    return checked(
        client.post(ASKED, data=b"contact_id=12", headers=caller.headers, environ_overrides=longer)
    )


def too_many(caller: Caller) -> Any:
    stranger = Caller(caller.world, "wrong")
    for _ in range(strangers.MOST_REFUSALS):
        stranger.status("nobody")
    return stranger.status("nobody")


# How each error that the description names is met.
MEET: dict[str, Act] = {
    "body_missing": lambda caller: caller.send(b""),
    "body_cut_off": cut_off,
    "body_unreadable": lambda caller: caller.send(b"{"),
    "token_missing": lambda caller: Caller(caller.world, None).ask(contact_id=CONTACT),
    "token_wrong": lambda caller: Caller(caller.world, "wrong").ask(contact_id=CONTACT),
    "interview_not_found": lambda caller: caller.status("nobody"),
    "body_too_large": lambda caller: caller.send(b"1" * 2_000_000),
    "fields_invalid": lambda caller: caller.ask(),
    "idempotency_key_invalid": lambda caller: caller.ask(key="x" * 201, contact_id=CONTACT),
    "idempotency_key_reused": lambda caller: (
        caller.ask(key="k", contact_id="1") and caller.ask(key="k", contact_id="2")
    ),
    "too_many_refused": too_many,
    "not_configured": lambda caller: (
        caller.world.deploy(api_token="") or caller.ask(contact_id=CONTACT)  # type: ignore[func-returns-value]
    ),
    "secret_lost": lost_secret,
    "workspace_unknown": lambda caller: unknown_workspace(caller) or caller.ask(contact_id=CONTACT),  # type: ignore[func-returns-value]
    "database_unavailable": without_database,
}


def test_it_is_served_without_a_token_and_is_the_one_that_answers_are_held_against(
    sqlite_world: World,
) -> None:
    answer = sqlite_world.get("/api/openapi.json")
    assert answer.status_code == 200
    assert answer.get_json() == openapi.description(PUBLIC_URL)
    described()


@pytest.mark.parametrize("code", [code for found in openapi.ERRORS.values() for code in found])
def test_every_error_that_it_names_can_be_met(sqlite_world: World, code: str) -> None:
    answer = MEET[code](connected(sqlite_world))
    [status] = [status for status, found in openapi.ERRORS.items() if code in found]
    assert (answer.status_code, answer.get_json()["error"]) == (status, code)
    message = answer.get_json()["message"]
    assert message.endswith(".")
    assert len(message) > 30


def test_no_other_error_is_met_here() -> None:
    assert set(MEET) == {code for found in openapi.ERRORS.values() for code in found}


@pytest.mark.parametrize("state", STATES)
def test_every_status_that_it_names_can_be_told(sqlite_world: World, state: State) -> None:
    caller = connected(sqlite_world)
    id_ = caller.ask(contact_id=CONTACT).get_json()["interview_id"]
    sqlite_world.set_interview(state=state)
    told = caller.status(id_).get_json()
    assert told["status"] == state
    assert (told["interview_url"] is not None) == (
        state in ("planned", "queued", "sending", "sent", "opened", "unknown")
    )


def test_every_status_and_field_is_named() -> None:
    schemas = openapi.description("https://x.example")["components"]["schemas"]
    assert set(answers.STATUSES) == set(STATES)
    assert schemas["Interview"]["properties"]["status"]["enum"] == list(answers.STATUSES)
    assert set(schemas["Request"]["properties"]) == set(reading.FIELDS)
    assert set(openapi._DELIVER) == set(reading.DELIVERIES)


def test_every_http_status_is_produced_for_every_operation(sqlite_world: World) -> None:
    """The two that succeed, beside the errors above."""
    caller = connected(sqlite_world)
    for method in ("POST", "PUT"):
        fields = {"contact_id": method}
        assert caller.ask(method=method, **fields).status_code == 201
        again = caller.ask(method=method, **fields)
        assert again.status_code == 200
        assert caller.status(again.get_json()["interview_id"]).status_code == 200
    paths = openapi.description("")["paths"]
    for method in ("post", "put"):
        declared = {int(status) for status in paths["/api/interviews"][method]["responses"]}
        assert declared == {200, 201} | (set(openapi.ERRORS) - {404})
    told = {int(status) for status in paths["/api/interviews/{interview_id}"]["get"]["responses"]}
    assert told == {200, 401, 404, 429, 503}


def test_the_guide_names_every_field_status_and_error() -> None:
    guide = (PROJECT_ROOT / "docs" / "api.md").read_text("utf-8")
    names = [*reading.FIELDS, *answers.STATUSES, *reading.DELIVERIES, *MEET]
    assert [name for name in names if f"`{name}`" not in guide] == []
