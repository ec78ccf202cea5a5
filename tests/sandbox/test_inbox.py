from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sandbox import seed
from sandbox.server import Sandbox
from tests.sandbox.fake_app import canvas

if TYPE_CHECKING:
    from tests.sandbox.fake_app import FakeApp

PAGE = "/inbox/1001"
CSP = "default-src 'self'"


def sent(app: FakeApp, index: int = -1) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(app.requests[index][1])
    return document


def test_opening_a_conversation_asks_for_the_card(
    pages: httpx.Client, sandbox: Sandbox, fake_app: FakeApp
) -> None:
    page = pages.get("/", follow_redirects=True)
    assert page.url.path == PAGE
    assert CSP in page.headers["Content-Security-Policy"]
    kind, raw, headers = fake_app.requests[0]
    assert kind == "initialize"
    expected = hmac.new(sandbox.client_secret.encode(), raw, hashlib.sha256).hexdigest()
    assert headers["X-Body-Signature"] == expected
    body = sent(fake_app)
    assert set(body) == {"workspace_id", "workspace_region", "admin", "conversation", "contact"}
    assert (body["workspace_id"], body["admin"]["id"]) == ("sandbox1", seed.ADA)
    assert (body["conversation"]["id"], body["contact"]["id"]) == ("1001", seed.MARTA)
    assert sandbox.state.intercom.canvas_problems == []


def test_the_body_is_not_what_json_dumps_would_write(pages: httpx.Client, fake_app: FakeApp) -> None:
    pages.get("/inbox/1002")
    raw = fake_app.requests[0][1]
    assert json.loads(raw)["contact"]["name"] == '<script>alert(1)</script> & "Bob"'
    assert b"<" not in raw
    assert b"&" not in raw


def test_every_component_is_drawn(pages: httpx.Client) -> None:
    text = pages.get(PAGE).text
    for expected in (
        '<p class="c text header left">A header</p>',
        "<strong>bold</strong>",
        '<a href="https://example.com/x?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">a link</a>',
        "Muted &lt;script&gt;alert(1)&lt;/script&gt; text",
        'name="v:line" value="kept"',
        'name="component_id" value="go"',
        '<textarea id="c-many"',
        '<option value="two" selected>Second</option>',
        'name="v:single" value="one" checked',
        'name="choice:act" value="two"',
        'name="v:boxes[]" value="off" disabled',
        'class="button secondary" href="https://example.com/transcript"',
        'class="button primary" name="component_id" value="off" disabled',
        'class="spacer xs"',
        "With an image",
        '<dd title="Positive">Positive</dd>',
        "<hr",
    ):
        assert expected in text


def test_hostile_names_and_messages_are_only_text(pages: httpx.Client) -> None:
    text = pages.get("/inbox/1002").text
    assert "<script>alert" not in text
    assert "alert(2)" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;Bob&#34;" in text
    assert re.findall(r"<script(?! src=)", text) == []


def test_a_tap_sends_what_was_filled_in(pages: httpx.Client, fake_app: FakeApp) -> None:
    fake_app.answers["initialize"] = canvas([{"type": "text", "text": "First"}], nonce="n1")
    fake_app.answers["submit"] = canvas([{"type": "text", "text": "Second **one**"}], nonce="n2")
    pages.get(PAGE)
    form = {
        "component_id": "send",
        "v:line": "Hi é",
        "v:drop": "two",
        "v:boxes[]": ["", "one"],
        "v:none[]": "",
    }
    answer = pages.post(f"{PAGE}/submit?contact={seed.MARTA}", data=form, headers={"X-Fragment": "card"})
    assert "Second <strong>one</strong>" in answer.text
    assert "<html" not in answer.text
    body = sent(fake_app)
    assert "contact" not in body
    assert body["customer"]["id"] == seed.MARTA
    assert body["component_id"] == "send"
    assert body["input_values"] == {"line": "Hi é", "drop": "two", "boxes": ["one"], "none": []}
    assert body["current_canvas"]["stored_data"] == {"nonce": "n1"}
    assert body["current_canvas"]["content"]["components"][0]["text"] == "First"
    pages.post(f"{PAGE}/submit", data={"choice:act": "two"})
    body = sent(fake_app)
    assert (body["component_id"], body["input_values"]) == ("act", {"act": "two"})
    assert body["current_canvas"]["stored_data"] == {"nonce": "n2"}


def test_without_scripts_a_tap_ends_on_the_page_with_the_new_card(
    pages: httpx.Client, fake_app: FakeApp
) -> None:
    fake_app.answers["submit"] = canvas([{"type": "text", "text": "After the tap"}])
    pages.get(PAGE)
    answer = pages.post(f"{PAGE}/submit", data={"component_id": "send"}, follow_redirects=True)
    assert "After the tap" in answer.text
    assert [kind for kind, _, _ in fake_app.requests] == ["initialize", "submit"]
    assert "After the tap" not in pages.get(PAGE).text


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ({"status": 500}, "the application answered 500"),
        ({"content_type": "text/html"}, "the answer is text/html, not application/json"),
        ({"answers": {"initialize": "{"}}, "the answer is not JSON"),
        ({"answers": {"initialize": canvas([{"type": "nope"}])}}, "which the inbox does not know"),
    ],
)
def test_what_intercom_would_not_draw_went_wrong(
    pages: httpx.Client, sandbox: Sandbox, fake_app: FakeApp, spoil: dict[str, Any], reason: str
) -> None:
    for name, value in spoil.items():
        setattr(fake_app, name, value)
    text = pages.get(PAGE).text
    assert "Something went wrong" in text
    problem = sandbox.state.intercom.canvas_problems[0]
    assert reason in problem.reason
    assert problem.kind == "initialize"


def test_an_application_that_is_away_went_wrong(pages: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inbox.app_url = "http://127.0.0.1:1"
    assert "no answer from the application: ConnectError" in pages.get(PAGE).text
    assert len(sandbox.state.intercom.canvas_problems) == 1


def test_without_an_application_the_inbox_still_opens() -> None:
    with Sandbox() as sandbox:
        page = httpx.get(sandbox.inbox_url, follow_redirects=True, trust_env=False)
        assert "no application is connected to this inbox" in page.text
        assert sandbox.state.intercom.canvas_problems == []


def test_each_participant_has_a_card(pages: httpx.Client, fake_app: FakeApp) -> None:
    page = pages.get(f"/inbox/1003?contact={seed.TOM}").text
    assert sent(fake_app)["contact"]["id"] == seed.TOM
    assert page.count('role="tab"') == 2
    assert pages.get(f"/inbox/1003?contact={seed.MARTA}").status_code == 404
    assert pages.get("/inbox/9999").status_code == 404


def test_live_parts_follow_what_the_api_does(
    api: httpx.Client, pages: httpx.Client, fake_app: FakeApp
) -> None:
    note = {
        "message_type": "note",
        "type": "admin",
        "admin_id": "990",
        "body": "<b>Seen</b><script>x</script>",
    }
    api.post("/conversations/1001/reply", json=note)
    api.post("/data_attributes", json={"name": "quality", "model": "contact", "data_type": "float"})
    api.post("/data_attributes", json={"name": "at", "model": "contact", "data_type": "datetime"})
    values = {"quality": 4.0, "at": 1_795_348_375}
    api.put(f"/contacts/{seed.MARTA}", json={"custom_attributes": values})
    tag_id = api.post("/tags", json={"name": "koji_positive"}).json()["id"]
    api.post("/conversations/1001/tags", json={"id": tag_id, "admin_id": seed.ADA})
    api.post(f"/contacts/{seed.MARTA}/tags", json={"id": tag_id})
    live = pages.get(f"{PAGE}/live").json()
    assert "Private note" in live["thread"]
    assert "<b>Seen</b></div>" in live["thread"]
    assert f'data-key="tag:{tag_id}">koji_positive' in live["thread"]
    assert re.search(r'data-key="attribute:quality">\s*4\s*<', live["details"])
    assert "22 Nov, 12:52" in live["details"]
    assert f'data-key="contact-tag:{tag_id}">koji_positive' in live["details"]
    assert "Marta Lindqvist" in live["list"]
    assert fake_app.requests == []


def test_a_teammate_who_left_is_still_shown(api: httpx.Client, pages: httpx.Client, sandbox: Sandbox) -> None:
    del sandbox.state.intercom.admins[seed.OWN_ADMIN]
    note = {"message_type": "note", "type": "admin", "admin_id": seed.OWN_ADMIN, "body": "x"}
    assert api.post("/conversations/1001/reply", json=note).status_code == 404
    del sandbox.state.intercom.admins[seed.ADA]
    assert "A former teammate" in pages.get(f"{PAGE}/live").json()["thread"]
    assert api.get("/conversations/1001").status_code == 200


def test_static_files_are_served(pages: httpx.Client) -> None:
    for name in ("inbox.css", "inbox.js", "koji.css", "icon.svg"):
        assert pages.get(f"/static/{name}").status_code == 200
