"""The routes by which tests of another process play the sandbox."""

from __future__ import annotations

import json
import shlex
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import seed
from sandbox.processes import ROOT

if TYPE_CHECKING:
    import httpx

    from sandbox.server import Sandbox
    from tests.sandbox.fake_app import FakeApp


def play(pages: httpx.Client, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    answer = pages.request(method, f"/_sandbox{path}", json=body)
    assert answer.is_success, answer.text
    return answer.json()


def topics(sandbox: Sandbox, fake_app: FakeApp) -> list[str]:
    assert sandbox.notifier.deliverer.wait_idle()
    return [json.loads(raw)["topic"] for raw, _ in fake_app.notifications]


def test_a_customer_comes_writes_rates_and_goes(
    pages: httpx.Client, sandbox: Sandbox, fake_app: FakeApp
) -> None:
    state = sandbox.state.intercom
    made = {"role": "lead", "name": "Mia", "email": "mia@sandbox.example", "language_override": "de"}
    mia = play(pages, "POST", "/contacts", made)["id"]
    assert (state.contact(mia).role, state.contact(mia).language_override) == ("lead", "de")
    talk = play(pages, "POST", "/conversations", {"contact_id": mia, "text": "Hello?"})["id"]
    play(pages, "POST", f"/conversations/{talk}/say", {"text": "Anyone?"})
    play(pages, "POST", f"/conversations/{talk}/close")
    assert state.conversation(talk).state == "closed"
    play(pages, "POST", f"/conversations/{talk}/rating", {"score": 1, "remark": "Slow"})
    part_id = state.conversation(talk).parts[0].id
    play(pages, "POST", f"/conversations/{talk}/parts/{part_id}/tags", {"name": "bug"})
    play(pages, "POST", f"/contacts/{mia}/tags", {"name": "vip"})
    play(pages, "DELETE", f"/contacts/{mia}/tags/VIP")
    assert state.tags_on_contact(mia) == set()
    play(pages, "PATCH", f"/contacts/{mia}", {"unsubscribed_from_emails": True})
    assert state.contact(mia).unsubscribed_from_emails is True
    play(pages, "POST", f"/contacts/{mia}/merge", {"into": seed.TOM})
    play(pages, "POST", f"/contacts/{seed.PRIYA}/archive")
    play(pages, "DELETE", f"/contacts/{seed.HOSTILE}")
    # Each is sent by itself, and may overtake another.
    assert sorted(topics(sandbox, fake_app)) == [
        "contact.archived",
        "contact.deleted",
        "contact.lead.tag.created",
        "contact.merged",
        "conversation.admin.closed",
        "conversation.rating.added",
        "conversation_part.tag.created",
    ]


def test_a_bot_closes(pages: httpx.Client, sandbox: Sandbox, fake_app: FakeApp) -> None:
    play(pages, "POST", "/conversations/1001/close", {"by": "bot"})
    assert topics(sandbox, fake_app) == ["conversation.admin.closed"]
    part = pages.get("/_sandbox/state").json()["intercom"]["conversations"]["1001"]["parts"][-1]
    assert part["author_type"] == "bot"


def test_what_was_sent_can_be_looked_at(pages: httpx.Client, sandbox: Sandbox, fake_app: FakeApp) -> None:
    play(pages, "POST", "/ping")
    play(pages, "POST", "/notifications", {"topic": "ticket.created", "item": {"type": "ticket", "id": "7"}})
    assert sorted(topics(sandbox, fake_app)) == ["ping", "ticket.created"]
    told = pages.get("/_sandbox/state").json()["intercom"]
    assert told["notifications"][1]["about"] == "7"
    assert told["notifications"][1]["statuses"] == [200]
    assert told["subscription_disabled"] is False


def test_calls_to_the_application(pages: httpx.Client, fake_app: FakeApp) -> None:
    series = play(pages, "POST", "/series", {"payload": {"contact_id": "x"}, "method": "POST"})
    assert (series["statuses"], series["body"]) == ([201], fake_app.api_answer)
    connector = {"template": '{"a": "{{b}}"}', "inputs": {"b": 1}, "outdated": True}
    assert play(pages, "POST", "/connector", connector)["statuses"] == [401, 201]
    assert [method for method, _, _ in fake_app.calls] == ["POST", "POST", "POST"]
    assert fake_app.calls[-1][1] == {"a": "1"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/conversations/1001/close", {"by": "7"}),
        ("POST", "/conversations/1001/rating", {"score": "2"}),
        ("POST", "/conversations/1001/rating", {"score": 9}),
        ("POST", "/conversations/1001/say", {"text": "x", "contact_id": seed.TOM}),
        ("POST", "/conversations", {"contact_id": seed.MERGED, "text": "x"}),
        ("POST", "/contacts", {"role": "admin"}),
        ("PATCH", f"/contacts/{seed.MARTA}", {"id": "x"}),
        ("POST", "/series", {"payload": []}),
        ("POST", "/series", {"payload": {}, "method": "DELETE"}),
        ("POST", "/connector", {"template": "{"}),
        ("POST", "/notifications", {"topic": "x"}),
        ("POST", "/series", [1]),
    ],
)
def test_a_refused_act_says_why(
    pages: httpx.Client, fake_app: FakeApp, method: str, path: str, body: Any
) -> None:
    answer = pages.request(method, f"/_sandbox{path}", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "refused")
    assert answer.json()["message"]
    assert fake_app.calls == []


@pytest.mark.parametrize(
    "path", ["/conversations/9/close", "/contacts/nobody/archive", f"/contacts/{seed.MARTA}/merge"]
)
def test_who_is_not_there_is_404(pages: httpx.Client, path: str) -> None:
    assert pages.post(f"/_sandbox{path}", json={}).status_code == 404


def test_the_commands_of_the_guide_work(
    pages: httpx.Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[timedelta] = []
    monkeypatch.setattr(sandbox.clock, "let_pass", passed.append)
    guide = (ROOT / "docs" / "sandbox.md").read_text().replace("\\\n", " ")
    commands = [shlex.split(line) for line in guide.splitlines() if line.startswith("    curl ")]
    assert len(commands) == 3
    for _, _, method, url, *rest in commands:
        options = dict(zip(rest[::2], rest[1::2], strict=True))
        name, _, value = options.get("-H", "Accept: */*").partition(": ")
        path = url.removeprefix("http://127.0.0.1:5050")
        answer = pages.request(method, path, content=options.get("-d"), headers={name: value})
        assert answer.status_code == 200, answer.text
    talk = sandbox.state.intercom.conversation("1001")
    assert talk.state == "closed"
    assert talk.rating is not None
    assert passed == [timedelta(days=7)]
