"""What was let in is worked on: no step fails over it, and no call is built from what nobody has checked."""

from __future__ import annotations

import json
import re
from typing import Any

import responses

from tests.api.caller import TOKEN
from tests.input import aiming, firing, judge
from tests.input.firing import Score
from tests.support.world import WORKSPACE, World

SHOTS = 120
_ID = r"[A-Za-z0-9_-]{1,64}"
# Every call there is, with an id where there is one.
CALLS = re.compile(
    rf"GET https://api\.intercom\.io/(me|admins/{_ID}|tags|data_attributes|contacts/{_ID}(/tags|/merge_history)?"
    r"|conversations/[0-9]{1,15}|conversations)(\?[A-Za-z0-9_=&%.+-]*)?"
    rf"|PUT https://api\.intercom\.io/(contacts/{_ID}|conversations/[0-9]{{1,15}}|data_attributes/[0-9]+)"
    r"|POST https://api\.intercom\.io/(contacts/search|conversations/search|messages|tags|data_attributes"
    rf"|conversations/[0-9]{{1,15}}/(reply|tags|parts)|contacts/{_ID}/tags)"
    rf"|DELETE https://api\.intercom\.io/(contacts/{_ID}/tags/{_ID}|conversations/[0-9]{{1,15}}/tags/{_ID})"
    r"|POST https://koji\.so/api/v1/interviews/start"
    r"|GET https://koji\.so/api/v1/interviews/[A-Za-z0-9_-]{1,128}"
)


def answer(request: Any) -> tuple[int, dict[str, str], str]:
    """Intercom and Koji as they are when all is well, about whoever is asked for."""
    path = request.url.partition("?")[0].rstrip("/").split("/")
    found: dict[str, Any] = {"type": "any", "id": path[-1]}
    if path[-1] == "me":
        found = {"type": "admin", "id": "7", "app": {"type": "app", "id_code": WORKSPACE}}
    elif path[-1] == "start":
        found = {"interview_id": "k-1", "interview_url": "https://koji.so/i/1"}
    elif path[-1] in ("search", "tags", "data_attributes", "conversations"):
        found = {"type": "list", "data": [], "conversations": [], "total_count": 0, "id": "81", "name": "any"}
    elif path[-1] in ("reply", "parts"):
        found = {"type": "conversation", "id": path[-2]}
    return 200, {"Content-Type": "application/json"}, json.dumps(found)


def test_what_was_let_in_leads_to_calls_that_may_be_made_and_to_no_fault(world: World) -> None:
    world.deploy(api_token=TOKEN)
    for method in (responses.GET, responses.POST, responses.PUT, responses.DELETE):
        world.outside.add_callback(method, re.compile(r".*"), answer)
    aim = aiming.furnish(world.engine, world.settings, WORKSPACE)
    ran: list[str] = []

    def work(score: Score) -> None:
        if score.shots % 10 == 0:
            # Raises what a step has raised.
            ran.extend(world.run_jobs())

    score = firing.fire(aim, firing.to_flask(world.app), SHOTS, seed=5, every=work)
    ran += world.run_jobs()
    world.tick("reconcile")
    ran += world.run_jobs(delayed=True)
    assert score.wrong == []
    assert len({*ran}) >= 3, ran
    calls = [f"{call.request.method} {call.request.url}" for call in world.outside.calls]
    assert calls
    assert [call for call in calls if not CALLS.fullmatch(call)] == []
    assert judge.bad_rows(world.engine) == []
