from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox import board, seed
from sandbox.acts import ActRefused
from sandbox.outgoing import OUTDATED, Caller, connector_inputs, contact_payload

if TYPE_CHECKING:
    from sandbox.server import Sandbox
    from tests.sandbox.fake_app import FakeApp


def test_a_series_step_says_who_with_a_bearer_token(sandbox: Sandbox, fake_app: FakeApp) -> None:
    payload = contact_payload(sandbox.state.intercom.contact(seed.MARTA), {"deliver": "none", "study": ""})
    answer = sandbox.caller.series_step(payload)
    [(method, body, token)] = fake_app.calls
    assert (method, token) == ("PUT", f"Bearer {sandbox.api_token}")
    assert body == {"contact_id": seed.MARTA, "deliver": "none"}
    assert (answer.statuses, answer.body["interview_id"], answer.problems) == ([201], "i1", [])
    sandbox.caller.series_step(payload, method="POST")
    assert fake_app.calls[-1][0] == "POST"


def test_a_connector_fills_its_inputs_in(sandbox: Sandbox, fake_app: FakeApp) -> None:
    state = sandbox.state.intercom
    inputs = connector_inputs(state.conversation("1002"), state.contact(seed.HOSTILE))
    sandbox.caller.connector('{"c": "{{ conversation.id }}", "n": "{{contact.name}}"}', inputs)
    assert fake_app.calls == [
        ("POST", {"c": "1002", "n": '<script>alert(1)</script> & "Bob"'}, "Bearer sandbox-api-token")
    ]
    sandbox.caller.connector(board.TEMPLATE, inputs)
    assert fake_app.calls[-1][1]["contact_id"] == seed.HOSTILE


def test_a_connector_fetches_a_new_token_when_it_is_refused_once(sandbox: Sandbox, fake_app: FakeApp) -> None:
    answer = sandbox.caller.connector("{}", {}, outdated=True)
    assert answer.statuses == [401, 201]
    assert [token for _, _, token in fake_app.calls] == [f"Bearer {OUTDATED}", "Bearer sandbox-api-token"]
    sandbox.caller.token = "wrong"
    assert sandbox.caller.connector("{}", {}, outdated=True).statuses == [401, 401]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('{"interview": {"id": "i1"}, "ok": true}', "interview is nested"),
        ('["i1"]', "the answer is not a JSON object"),
        ("<html>", "the answer is not a JSON object"),
    ],
)
def test_what_cannot_be_mapped_is_told(sandbox: Sandbox, fake_app: FakeApp, body: str, problem: str) -> None:
    fake_app.api_answer = body
    [told] = sandbox.caller.series_step({"contact_id": "x"}).problems
    assert problem in told


def test_an_application_that_is_away_is_told() -> None:
    answer = Caller("http://127.0.0.1:1", "token").series_step({})
    assert (answer.statuses, answer.problems) == ([None], ["no answer: ConnectError"])


@pytest.mark.parametrize("template", ["{", "[]", '{"a": "{{nobody}}"}'])
def test_a_template_with_a_mistake_is_refused(sandbox: Sandbox, fake_app: FakeApp, template: str) -> None:
    with pytest.raises(ActRefused):
        sandbox.caller.connector(template, {})
    assert fake_app.calls == []


def test_without_an_application_nothing_can_be_called() -> None:
    with pytest.raises(ActRefused, match="No application"):
        Caller(None, "token").series_step({})
    with pytest.raises(ActRefused, match="by PUT or by POST"):
        Caller(None, "token").series_step({}, method="DELETE")  # type: ignore[arg-type] # That is the test.
