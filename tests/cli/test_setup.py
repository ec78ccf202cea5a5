"""What `setup` makes in Intercom, and what it says of what it finds."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from canvas_app import store
from canvas_app.interviews import options, provisions
from tests.cli.conftest import Terminal, run
from tests.support.world import INTERCOM, PUBLIC_URL, WORKSPACE, full_settings

BY_DEFAULT = options.defaults(full_settings("sqlite:///x.db"))
WANTED_ATTRIBUTES = provisions.attributes(BY_DEFAULT)
WANTED_TAGS = provisions.tags(BY_DEFAULT)


def attributes(**changes: dict[str, Any] | None) -> dict[str, Any]:
    """Intercom's list, in which all of ours are as they should be but for these changes."""
    told = {"datetime": "date"}
    ours: dict[str, Any] = {
        name: {"name": name, "data_type": told.get(data_type, data_type), "model": "contact", "custom": True}
        for name, (data_type, _) in WANTED_ATTRIBUTES.items()
    }
    for name, change in changes.items():
        if change is None:
            del ours[name]
        else:
            ours[name] |= change
    return {"type": "list", "data": list(ours.values())}


def created(terminal: Terminal, path: str) -> list[dict[str, Any]]:
    return [
        json.loads(cast(bytes, call.request.body))
        for call in terminal.outside.calls
        if call.request.method == "POST" and str(call.request.url) == f"{INTERCOM}{path}"
    ]


def ready(terminal: Terminal, **changes: dict[str, Any] | None) -> None:
    terminal.me()
    terminal.outside.get(f"{INTERCOM}/data_attributes", json=attributes(**changes))
    terminal.outside.post(f"{INTERCOM}/data_attributes", json={"type": "data_attribute"})
    terminal.outside.post(f"{INTERCOM}/tags", json={"type": "tag", "id": "1", "name": "any"})


def test_a_new_workspace_gets_everything_with_the_right_types(terminal: Terminal) -> None:
    ready(terminal, **dict.fromkeys(WANTED_ATTRIBUTES))
    terminal.tags()
    answer = run("setup")
    assert answer.exit_code == 0, answer.output
    made = {item["name"]: item for item in created(terminal, "/data_attributes")}
    assert {name: item["data_type"] for name, item in made.items()} == {
        "last_interview_at": "datetime",
        "last_interview_sentiment": "string",
        "last_interview_top_theme": "string",
        "last_interview_quality": "float",
        "last_interview_url": "string",
        "koji_interview_url": "string",
        "koji_interview_ready_at": "datetime",
    }
    assert all(item["description"] and item["model"] == "contact" for item in made.values())
    assert [item["name"] for item in created(terminal, "/tags")] == list(WANTED_TAGS)
    assert answer.output.count("created  ") == len(WANTED_ATTRIBUTES) + len(WANTED_TAGS)


def test_again_it_changes_nothing_and_says_what_is_there(terminal: Terminal) -> None:
    ready(terminal)
    terminal.tags(**{name.upper(): str(number) for number, name in enumerate(WANTED_TAGS)})
    answer = run("setup")
    assert answer.exit_code == 0, answer.output
    assert created(terminal, "/data_attributes") == created(terminal, "/tags") == []
    assert "created  " not in answer.output
    assert "ok    attribute koji_interview_ready_at (datetime)" in answer.output
    assert "ok    tag koji_do_not_ask" in answer.output


def test_what_operators_have_chosen_is_made_by_its_chosen_name(terminal: Terminal) -> None:
    chosen = {
        "attributes": {"sentiment": "Interview mood"},
        "tags": {"negative": "Call them", "mixed": "Call them", "neutral": None},
    }
    with store.writing(terminal.engine) as connection:
        options.write(connection, options.WRITE_BACK, chosen)
    ready(terminal)
    terminal.tags(koji_do_not_ask="1", **{"CALL THEM": "2"})
    answer = run("setup")
    assert answer.exit_code == 0, answer.output
    assert [item["name"] for item in created(terminal, "/data_attributes")] == ["Interview mood"]
    assert [item["name"] for item in created(terminal, "/tags")] == ["koji_positive_sentiment"]
    assert "ok    tag Call them" in answer.output
    assert "last_interview_sentiment" not in answer.output


def test_what_is_archived_or_of_another_type_is_told_with_what_to_do(terminal: Terminal) -> None:
    ready(
        terminal,
        last_interview_url={"archived": True},
        last_interview_quality={"data_type": "integer"},
        koji_interview_url=None,
    )
    terminal.tags()
    answer = run("setup")
    assert answer.exit_code == 1
    assert "WRONG  attribute last_interview_url is archived." in answer.output
    assert "Unarchive it" in answer.output
    assert "last_interview_quality is of the type integer, and should be float." in answer.output
    assert "created  attribute koji_interview_url" in answer.output


def test_every_address_to_paste_is_printed(terminal: Terminal) -> None:
    ready(terminal)
    terminal.tags()
    output = run("setup").output
    assert f"Workspace {WORKSPACE}" in output
    for path in ("/canvas/initialize", "/canvas/submit", "/webhooks/intercom", "/webhooks/koji"):
        assert PUBLIC_URL + path in output
    assert "conversation.rating.added" in output
    assert "interview.analysis_ready" in output


def test_a_permission_that_is_missing_for_the_one_does_not_keep_the_other_from_being_made(
    terminal: Terminal,
) -> None:
    terminal.me()
    terminal.outside.get(f"{INTERCOM}/data_attributes", status=403, json={})
    terminal.tags()
    terminal.outside.post(f"{INTERCOM}/tags", json={"type": "tag", "id": "1", "name": "any"})
    answer = run("setup")
    assert answer.exit_code == 1
    assert "WRONG  The attributes cannot be set up." in answer.output
    assert "Give the app the permission" in answer.output
    assert len(created(terminal, "/tags")) == len(WANTED_TAGS)


@pytest.mark.parametrize(("status", "words"), [(401, "INTERCOM_ACCESS_TOKEN"), (503, "try again")])
def test_without_an_answer_of_intercoms_it_says_what_to_do(
    terminal: Terminal, status: int, words: str
) -> None:
    terminal.outside.get(f"{INTERCOM}/me", status=status, json={})
    answer = run("setup")
    assert answer.exit_code == 1
    assert words in answer.output
    assert "planted" not in answer.output
