from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sandbox import seed
from sandbox.faults import DeliveryFault, Fault, Kind

if TYPE_CHECKING:
    from sandbox.server import Sandbox

REPLY = "/conversations/1001/reply"
NOTE = {"message_type": "note", "type": "admin", "admin_id": seed.ADA, "body": "<p>Hello</p>"}


def fault(kind: Kind, **more: Any) -> Fault:
    return Fault("intercom", "POST", r"/conversations/\d+/reply", kind, **more)


def notes(sandbox: Sandbox) -> int:
    return len(sandbox.state.intercom.notes("1001"))


def test_latency_answers_late(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.faults.set(fault("latency", delay=0.2))
    began = time.monotonic()
    assert api.post(REPLY, json=NOTE).status_code == 200
    assert time.monotonic() - began >= 0.2
    assert notes(sandbox) == 1


@pytest.mark.parametrize(
    ("status", "code", "header"),
    [
        (500, "server_error", "X-RateLimit-Reset"),
        (429, "rate_limit_exceeded", "X-RateLimit-Reset"),
        (401, "unauthorized", "X-RateLimit-Limit"),
        (403, "action_forbidden", "X-RateLimit-Limit"),
    ],
)
def test_status_comes_in_the_vendors_form(
    api: httpx.Client, sandbox: Sandbox, status: int, code: str, header: str
) -> None:
    sandbox.faults.set(fault("status", status=status))
    answer = api.post(REPLY, json=NOTE)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["code"] == code
    assert header in answer.headers
    assert notes(sandbox) == 0


def test_status_may_come_after_the_effect(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.faults.set(fault("status", status=502, effect=True, headers={"X-Odd": "yes"}, body={"odd": True}))
    answer = api.post(REPLY, json=NOTE)
    assert (answer.status_code, answer.json(), answer.headers["X-Odd"]) == (502, {"odd": True}, "yes")
    assert notes(sandbox) == 1


@pytest.mark.parametrize(("kind", "effects"), [("drop_before", 0), ("drop_after", 1)])
def test_drop_closes_the_connection_without_an_answer(
    api: httpx.Client, sandbox: Sandbox, kind: Kind, effects: int
) -> None:
    set_fault = sandbox.faults.set(fault(kind))
    began = time.monotonic()
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        api.post(REPLY, json=NOTE)
    assert time.monotonic() - began < 2
    assert set_fault.reached.is_set()
    assert notes(sandbox) == effects
    assert api.post(REPLY, json=NOTE).status_code == 200


def test_hang_after_holds_the_answer_until_released(api: httpx.Client, sandbox: Sandbox) -> None:
    set_fault = sandbox.faults.set(fault("hang_after"))
    statuses: list[int] = []
    caller = threading.Thread(target=lambda: statuses.append(api.post(REPLY, json=NOTE).status_code))
    caller.start()
    assert set_fault.reached.wait(5)
    assert notes(sandbox) == 1
    assert statuses == []
    set_fault.release.set()
    caller.join(5)
    assert statuses == [200]


def test_a_caller_may_give_up_on_a_hang(api: httpx.Client, sandbox: Sandbox) -> None:
    set_fault = sandbox.faults.set(fault("hang_after"))
    with pytest.raises(httpx.ReadTimeout):
        api.post(REPLY, json=NOTE, timeout=0.2)
    set_fault.release.set()
    assert notes(sandbox) == 1


def test_hang_before_has_no_effect(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.faults.set(fault("hang_before", delay=0.1))
    with pytest.raises(httpx.RemoteProtocolError):
        api.post(REPLY, json=NOTE)
    assert notes(sandbox) == 0


def test_html_is_a_page_of_something_in_between(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.faults.set(fault("html"))
    answer = api.post(REPLY, json=NOTE)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert notes(sandbox) == 0


def test_truncated_answers_break_off(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.faults.set(fault("truncated"))
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        api.post(REPLY, json=NOTE)
    assert notes(sandbox) == 1


def test_a_fault_is_used_up(api: httpx.Client, sandbox: Sandbox) -> None:
    set_fault = sandbox.faults.set(fault("status", times=2, skip=1))
    statuses = [api.post(REPLY, json=NOTE).status_code for _ in range(4)]
    assert statuses == [200, 500, 500, 200]
    assert set_fault.hits == 2
    assert [call.fault for call in sandbox.state.intercom.calls] == [None, "status", "status", None]


def test_only_matching_calls_are_spoiled(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.faults.set(Fault("koji", "*", ".*", "status"))
    sandbox.faults.set(Fault("intercom", "GET", "/conversations/1002", "status"))
    assert api.get("/conversations/1001").status_code == 200
    assert api.post(REPLY, json=NOTE).status_code == 200
    assert api.get("/conversations/1002").status_code == 500


def test_koji_can_be_spoiled_too(koji_api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.faults.set(Fault("koji", "POST", "/api/v1/interviews/start", "status", status=429))
    answer = koji_api.post("/interviews/start", json={})
    assert (answer.status_code, answer.json()["error"]) == (429, "rate_limited")
    assert answer.headers["Retry-After"] == "2"
    assert sandbox.state.koji.interviews == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"wire": "zendesk"},
        {"kind": "explode"},
        {"path_regex": "("},
        {"colour": "red"},
        {"hits": 3},
        {"wire": "koji_delivery", "kind": "nonsense"},
    ],
)
def test_malformed_faults_are_refused(pages: httpx.Client, wrong: dict[str, Any]) -> None:
    good = {"wire": "intercom", "method": "GET", "path_regex": "/me", "kind": "status"}
    if wrong.get("wire") == "koji_delivery":
        good = {}
    answer = pages.post("/_sandbox/faults", json={**good, **wrong})
    assert (answer.status_code, answer.json()["error"]) == (400, "fault_malformed")


def test_faults_by_http(api: httpx.Client, pages: httpx.Client) -> None:
    wanted = {"wire": "intercom", "method": "POST", "path_regex": REPLY, "kind": "hang_after"}
    made = pages.post("/_sandbox/faults", json=wanted)
    assert made.status_code == 201
    statuses: list[int] = []
    caller = threading.Thread(target=lambda: statuses.append(api.post(REPLY, json=NOTE).status_code))
    caller.start()
    deadline = time.monotonic() + 5
    while not pages.get("/_sandbox/faults").json()[0]["reached"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    released = pages.post(f"/_sandbox/faults/{made.json()['id']}/release")
    assert released.json()["released"] is True
    caller.join(5)
    assert statuses == [200]
    assert pages.post("/_sandbox/faults/99/release").status_code == 404
    assert pages.delete("/_sandbox/faults").status_code == 204
    assert pages.get("/_sandbox/faults").json() == []


def test_delivery_faults_by_http(pages: httpx.Client, sandbox: Sandbox) -> None:
    wanted = {"wire": "koji_delivery", "kind": "lose", "event": "interview.completed"}
    assert pages.post("/_sandbox/faults", json=wanted).status_code == 201
    assert sandbox.faults.take_delivery("koji", "interview.analysis_ready") is None
    taken = sandbox.faults.take_delivery("koji", "interview.completed")
    assert isinstance(taken, DeliveryFault)
    assert taken.kind == "lose"
    assert sandbox.faults.take_delivery("koji", "interview.completed") is None
