"""What somebody sends by hand, and no database takes: it is a mistake of theirs, and no outage."""

from __future__ import annotations

import pytest

from canvas_app.interviews.operators import Teammate
from tests.console.conftest import person, token_in, words
from tests.support.world import PUBLIC_URL, WORKSPACE, World


@pytest.mark.parametrize("path", ["rules/%00", "rules/%00/edit", "rehearsals/%00", "decisions?rule=%00"])
def test_what_no_database_can_look_for_is_not_there(world: World, path: str) -> None:
    bo = person(world, Teammate(WORKSPACE, "992", "Bo")).sign_in()
    answer = bo.client.get(f"/console/{path}", base_url=PUBLIC_URL)
    assert answer.status_code in (200, 400, 404), words(answer.text)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("people/remove", {"teammate_id": "\0"}),
        ("people", {"teammate_id": "5", "name": "\0"}),
        ("rules/\0/switch", {"on": "yes"}),
        ("rules/\0/try", {}),
        ("studies/\0/switch", {"on": "yes"}),
        ("studies/default/words", {"language": "de", "greeting": "\0", "seen": ""}),
        ("new-study", {"slug": "exit", "name": "E\0", "api_key": "pk\0", "link_template": "\0"}),
        ("new-rule", {"slug": "low", "title": "\0", "event": "conversation.admin.closed", "tag": "\0"}),
        ("deliveries/replay", {"reason": "\0", "door": "\0"}),
        ("write-back", {"seen": "\0", "more_themes": "\0", "tag_mixed": "\0"}),
        ("overview/alert-address", {"address": "https://hooks.example.com/\0"}),
    ],
)
def test_what_no_database_can_keep_is_no_outage(world: World, path: str, fields: dict[str, str]) -> None:
    root = person(world, Teammate(WORKSPACE, "1", None, by_command=True)).sign_in()
    answer = root.post(path, **fields)
    assert answer.status_code < 500, words(answer.text)


def test_half_a_form_is_taken_for_none(world: World) -> None:
    root = person(world, Teammate(WORKSPACE, "1", None, by_command=True)).sign_in()
    answer = root.client.post(
        "/console/people",
        data={"csrf_token": root.csrf_token(), "teammate_id": "99", "name": "Bo"},
        base_url=PUBLIC_URL,
        headers={"Referer": f"{PUBLIC_URL}/console/"},
        environ_overrides={"CONTENT_LENGTH": "1000", "wsgi.input_terminated": True},
    )
    assert answer.status_code == 400
    assert "Nothing was changed" in words(answer.text)
    assert "Bo" not in root.text("people")


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "@evil.example"]
)
def test_signing_in_and_out_leads_nowhere_else(world: World, elsewhere: str) -> None:
    bo = person(world, Teammate(WORKSPACE, "992", "Bo"))
    token = bo.link().partition("=")[2]
    asked = dict.fromkeys(("next", "url", "return_to", "redirect"), elsewhere)
    page = bo.get("sign-in", token=token, **asked)
    assert "evil" not in page.text
    told = {"X-Forwarded-Host": "evil.example", "Referer": f"{PUBLIC_URL}/console/"}
    form = {"token": token, "csrf_token": token_in(page.text), **asked}
    path = "/console/sign-in"
    answer = bo.client.post(path, data=form, query_string=asked, base_url=PUBLIC_URL, headers=told)
    assert (answer.status_code, answer.location) == (302, "/console/")
    assert bo.post("sign-out", **asked).location == "/console/sign-in"
    assert bo.get("people", **asked).location == "/console/sign-in"
