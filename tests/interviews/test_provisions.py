"""What we need in the Intercom workspace, made by a worker for whoever asks in the console."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from canvas_app import store
from canvas_app.interviews import options, provisions
from canvas_app.interviews.provisions import Provision
from tests.cli.test_setup import attributes
from tests.support.world import INTERCOM, World


def ready(world: World, **changes: dict[str, Any] | None) -> None:
    world.outside.get(f"{INTERCOM}/data_attributes", json=attributes(**changes))
    world.outside.post(f"{INTERCOM}/data_attributes", json={"type": "data_attribute"})
    world.outside.post(f"{INTERCOM}/tags", json={"type": "tag", "id": "1", "name": "any"})


def ask(world: World) -> bool:
    with store.writing(world.engine) as connection:
        return provisions.ask(connection, world.services.jobs, world.settings)


def known(world: World) -> Provision:
    with store.reading(world.engine) as connection:
        values = {name: options.raw(connection, name) for name in provisions.OPTIONS}
        return provisions.known(values, store.now(connection), world.settings)


def test_before_anybody_has_asked_nothing_is_known(world: World) -> None:
    found = known(world)
    assert (found.at, found.waiting, found.complete) == (None, False, False)


def test_a_worker_makes_what_is_missing(world: World) -> None:
    ready(world, last_interview_quality=None, koji_interview_url=None)
    assert ask(world)
    assert known(world).waiting
    assert world.run_jobs() == ["set_up"]
    made = [body["name"] for body in world.calls("POST", "/data_attributes")]
    assert made == ["last_interview_quality", "koji_interview_url"]
    assert [body["name"] for body in world.calls("POST", "/tags")] == list(
        provisions.tags(options.defaults(world.settings))
    )
    found = known(world)
    assert found.complete
    assert found.attributes == dict.fromkeys(provisions.attributes(options.defaults(world.settings)), "there")
    assert not found.waiting


def test_asked_twice_it_is_done_once(world: World) -> None:
    ready(world)
    assert [ask(world), ask(world)] == [True, False]
    assert world.run_jobs() == ["set_up"]
    assert ask(world)


def test_a_worker_that_does_not_answer_is_not_waited_for_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(world)
    monkeypatch.setattr(provisions, "_WAITED_FOR", timedelta(0))
    assert not known(world).waiting
    assert ask(world)


def test_what_is_in_the_way_is_told(world: World) -> None:
    ready(world, last_interview_url={"archived": True}, last_interview_quality={"data_type": "integer"})
    ask(world)
    world.run_jobs()
    found = known(world)
    assert found.attributes["last_interview_url"] == "archived"
    assert found.attributes["last_interview_quality"] == "other_type"
    assert found.problem is None
    assert not found.complete


def test_a_permission_that_is_missing_for_the_one_does_not_keep_the_other_from_being_made(
    world: World,
) -> None:
    world.outside.get(f"{INTERCOM}/data_attributes", status=403, json={})
    world.outside.post(f"{INTERCOM}/tags", json={"type": "tag", "id": "1", "name": "any"})
    ask(world)
    world.run_jobs()
    found = known(world)
    assert (found.problem, found.tags, found.complete) == ("intercom_scope_missing", True, False)


def test_without_a_token_it_says_so(world: World) -> None:
    world.deploy(intercom_access_token="")
    ask(world)
    world.run_jobs()
    assert known(world).problem == "not_configured"
