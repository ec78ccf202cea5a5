"""What has to be set up, how far it is, and the fix for each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from canvas_app.console import checklist
from canvas_app.console.checklist import Item
from canvas_app.health import Part
from canvas_app.interviews import options, provisions
from canvas_app.interviews.provisions import Provision
from canvas_app.interviews.standing import Queue, Standing, Wired

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
WANTED = provisions.attributes(options.Options(min_quality=3, ask_again_days=30))
MADE = Provision(NOW, dict.fromkeys(WANTED, "there"), tags=True, problem=None, waiting=False, wanted=WANTED)
READY = Standing(
    now=NOW,
    workspace_id="ws1",
    workspace_name="Acme",
    operators=1,
    rules_on=1,
    connections=[Wired("webhooks", "intercom", None, NOW), Wired("webhooks", "koji", None, NOW)],
    queue=Queue(0, 0, 0, timedelta(0)),
    provision=MADE,
    alert_address=None,
)
WORKS = [Part("worker", ok=True, text="A worker is running.")]


def items(standing: Standing = READY, **changes: Any) -> list[Item]:
    options: dict[str, Any] = {"missing": [], "command": "export ", "has_api_token": True}
    parts = changes.pop("parts", WORKS)
    return checklist.items(standing, parts, **(options | changes))


def open_(found: list[Item]) -> list[str]:
    return [item.title for item in found if item.state != "done"]


def provision(**changes: Any) -> list[Item]:
    found = items(replace(READY, provision=replace(MADE, **changes)))
    return [item for item in found if item.state != "done"]


def test_when_all_is_set_up_there_is_nothing_to_do() -> None:
    assert open_(items()) == []


def test_a_missing_setting_comes_with_the_command_that_sets_it() -> None:
    found = items(missing=[("KOJI_API_KEY", "In Koji.")])
    assert found[0] == Item("todo", "KOJI_API_KEY is missing", "In Koji.", "export KOJI_API_KEY=…")


def test_no_worker_is_to_be_mended() -> None:
    found = items(parts=[Part("worker", ok=False, text="Start one.")])
    assert open_(found) == ["No worker is running"]


def test_what_has_not_happened_yet_is_told() -> None:
    nothing = replace(
        READY,
        workspace_id=None,
        workspace_name=None,
        operators=0,
        rules_on=0,
        connections=[Wired("webhooks", "intercom", None, None), Wired("webhooks", "koji", None, None)],
    )
    found = items(nothing, has_api_token=False)
    assert {item.title: item.state for item in found if item.state != "done"} == {
        "Intercom has not told yet whose the access token is": "todo",
        "No webhook of Koji's has come yet": "todo",
        "No webhook of Intercom's has come yet": "note",
        "There is no operator yet": "todo",
        "No rule is on": "note",
        "The HTTP API is closed": "note",
    }
    assert [item.page for item in found if item.page] == ["people"]


def test_what_was_never_made_has_a_button() -> None:
    [found] = provision(at=None, attributes={}, tags=False)
    assert (found.state, found.action) == ("todo", "provide")


def test_while_a_worker_makes_it_there_is_no_button() -> None:
    [found] = provision(at=None, attributes={}, tags=False, waiting=True)
    assert (found.state, found.action) == ("waiting", None)


def test_an_attribute_that_a_newer_version_needs_can_be_made() -> None:
    [found] = provision(attributes={"last_interview_at": "there"})
    assert found.action == "provide"


def test_what_is_in_the_way_says_what_to_do() -> None:
    ours = dict.fromkeys(WANTED, "there")
    archived, other = provision(
        attributes=ours | {"last_interview_url": "archived", "last_interview_quality": "other_type"}
    )
    titles = {archived.title, other.title}
    assert titles == {
        "The attribute last_interview_url is archived",
        "The attribute last_interview_quality has another type than it should",
    }
    assert all(item.text and item.action == "provide" for item in (archived, other))


def test_a_problem_is_told_in_words() -> None:
    [found] = provision(tags=False, problem="intercom_scope_missing")
    assert "could not be made" in found.title
    assert "permission" in found.text
