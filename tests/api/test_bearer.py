"""Who is let in, and that 401 means a bad token and nothing else."""

from __future__ import annotations

import pytest

from canvas_app.api import bearer
from canvas_app.errors import NotConfigured, TokenRefused
from tests.api.caller import ASKED, TOKEN, Caller, checked, connected, refusal
from tests.support.world import CONTACT, World

TOKENS = ["old-token", "new-token"]


@pytest.mark.parametrize(
    "header", ["Bearer new-token", "Bearer old-token", "bearer new-token", "BEARER  new-token  "]
)
def test_each_listed_token_is_let_in(header: str) -> None:
    bearer.check(header, TOKENS)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "token_missing"),
        ("", "token_missing"),
        (" ", "token_missing"),
        ("Bearer", "token_missing"),
        ("Bearer ", "token_missing"),
        ("new-token", "token_missing"),
        ("Basic bmV3LXRva2Vu", "token_missing"),
        ("Bearer new-toke", "token_wrong"),
        ("Bearer new-token2", "token_wrong"),
        ("Bearer NEW-TOKEN", "token_wrong"),
        ('Bearer "new-token"', "token_wrong"),
        ("Bearer old-token,new-token", "token_wrong"),
        ("Bearer new-tokén", "token_wrong"),
        ("Bearer \u2603", "token_missing"),
    ],
)
def test_anything_else_is_not(header: str | None, reason: str) -> None:
    with pytest.raises(TokenRefused) as caught:
        bearer.check(header, TOKENS)
    assert caught.value.reason == reason
    assert "API_TOKEN" in str(caught.value)


@pytest.mark.parametrize("tokens", [[], [""], [" "]])
@pytest.mark.parametrize("header", [None, "Bearer ", "Bearer x"])
def test_without_a_token_of_our_own_nobody_is_let_in(tokens: list[str], header: str | None) -> None:
    with pytest.raises(NotConfigured):
        bearer.check(header, tokens)


@pytest.mark.parametrize("token", [None, "wrong", "zapier-token2", "new-key"])
def test_a_bad_token_is_401_whatever_else_is_wrong(sqlite_world: World, token: str | None) -> None:
    connected(sqlite_world)
    stranger = Caller(sqlite_world, token)
    for answer in (
        stranger.ask(contact_id=CONTACT),
        stranger.send(b"{", content_type="application/json"),
        stranger.send(b"x" * 2_000_000, content_type="application/json"),
        stranger.status("nobody"),
    ):
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert sqlite_world.counts()["interviews"] == 0


def test_a_good_token_is_never_401(sqlite_world: World) -> None:
    caller = connected(sqlite_world)
    assert refusal(caller.send(b"{")) == (400, "body_unreadable")
    assert refusal(caller.ask()) == (422, "fields_invalid")
    assert refusal(caller.status("nobody")) == (404, "interview_not_found")
    assert Caller(sqlite_world, "series-token").ask(contact_id=CONTACT).status_code == 201


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"api_token": ""}, "API_TOKEN"),
        ({"secret_key": ""}, "SECRET_KEY"),
        ({"public_url": None}, "PUBLIC_URL"),
        ({"intercom_access_token": None}, "INTERCOM_ACCESS_TOKEN"),
        ({"koji_api_key": None}, "KOJI_API_KEY"),
    ],
)
def test_a_setting_that_is_missing_is_named(
    sqlite_world: World, changes: dict[str, str | None], missing: str
) -> None:
    caller = connected(sqlite_world)
    sqlite_world.deploy(**{"api_token": TOKEN, **changes})
    answer = caller.ask(contact_id=CONTACT)
    assert refusal(answer) == (503, "not_configured")
    assert missing in answer.get_json()["message"]
    assert sqlite_world.counts()["interviews"] == 0


def test_a_token_in_the_address_or_in_the_body_is_none(sqlite_world: World) -> None:
    connected(sqlite_world)
    client = sqlite_world.app.test_client()
    answer = client.post(f"{ASKED}?token={TOKEN}&api_token={TOKEN}", json={"token": TOKEN, "contact_id": "1"})
    assert refusal(checked(answer)) == (401, "token_missing")
