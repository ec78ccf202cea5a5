"""Whose token it is, and that nothing is done in another workspace."""

from __future__ import annotations

import dataclasses

import pytest

from canvas_app.errors import CredentialsError, PermanentError
from canvas_app.interviews import workspace
from canvas_app.interviews.tables import workspaces
from canvas_app.interviews.workspace import Workspace
from tests.support.world import INTERCOM, OWN_ADMIN, WORKSPACE, World, full_settings


def test_intercom_is_asked_once_a_day_whose_token_it_is(world: World) -> None:
    world.intercom_knows_us()
    expected = Workspace(WORKSPACE, OWN_ADMIN, "Europe/Berlin")
    assert workspace.known(world.services) == expected
    assert workspace.known(world.services) == expected
    world.let_time_pass(hours=23)
    assert workspace.known(world.services) == expected
    assert len(world.calls("GET", "/me$")) == 1
    world.let_time_pass(hours=2)
    world.outside.reset()
    world.intercom_knows_us(timezone="Asia/Tokyo")
    assert workspace.known(world.services).timezone == "Asia/Tokyo"
    assert world.count(workspaces) == 1


def test_a_new_token_is_asked_whose_it_is(sqlite_world: World) -> None:
    world = sqlite_world
    world.intercom_knows_us()
    workspace.known(world.services)
    world.outside.reset()
    world.intercom_knows_us(id_code="ws2")
    changed = full_settings(world.settings.database_url, intercom_access_token="another")
    assert workspace.known(dataclasses.replace(world.services, settings=changed)).workspace_id == "ws2"
    assert workspace.known(world.services).workspace_id == WORKSPACE


def test_the_configured_admin_writes_instead_of_the_tokens_own(sqlite_world: World) -> None:
    world = sqlite_world
    world.intercom_knows_us()
    configured = full_settings(world.settings.database_url, intercom_admin_id="42")
    services = dataclasses.replace(world.services, settings=configured)
    assert [workspace.known(services).admin_id for _ in range(2)] == ["42", "42"]


def test_endless_names_of_a_workspace_are_cut_to_what_is_kept(world: World) -> None:
    world.intercom_knows_us(name="n" * 5000, region="r" * 5000, timezone="z" * 5000)
    workspace.read(world.services)
    assert world.count(workspaces) == 1


def test_a_refused_token_is_told_and_not_kept(sqlite_world: World) -> None:
    sqlite_world.outside.get(f"{INTERCOM}/me", status=401, json={"type": "error.list", "errors": []})
    with pytest.raises(CredentialsError):
        workspace.known(sqlite_world.services)
    assert sqlite_world.count(workspaces) == 0


def test_another_workspace_is_refused() -> None:
    ours = Workspace("ws1", "7", None)
    workspace.must_match(ours, "ws1")
    with pytest.raises(PermanentError) as refused:
        workspace.must_match(ours, "ws2")
    assert refused.value.reason == "other_workspace"


def test_the_job_that_reads_the_workspace_writes_it_down(sqlite_world: World) -> None:
    world = sqlite_world
    world.intercom_knows_us()
    with_job = world.services.jobs
    with world.engine.begin() as connection:
        with_job.enqueue(connection, "read_workspace", job_id="r", partition="workspace")
    assert world.run_jobs() == ["read_workspace"]
    assert world.count(workspaces) == 1


def test_the_job_that_reads_the_workspace_bears_a_refusal(sqlite_world: World) -> None:
    world = sqlite_world
    world.outside.get(f"{INTERCOM}/me", status=503)
    with world.engine.begin() as connection:
        world.services.jobs.enqueue(connection, "read_workspace", job_id="r", partition="workspace")
    assert world.run_jobs() == ["read_workspace"]
    assert '"server_error"' in world.step_results[0]
    assert world.count(workspaces) == 0
