"""A reminder on a person's word: once, and only where it can be written."""

from __future__ import annotations

from typing import Any

import pytest

from canvas_app.interviews import reminders
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.seen import Person, seen
from canvas_app.interviews.states import STATES
from tests.interviews.asks import read, write
from tests.scenarios.test_reminder import sent
from tests.support.events import messages
from tests.support.world import CONTACT, WORKSPACE, World

MIA = Person(WORKSPACE, CONTACT)


def remind(world: World, interview: Interview) -> str:
    jobs = world.services.jobs
    return reminders.remind_now(world.engine, jobs, world.settings, MIA, seen(interview))


def test_the_customer_is_reminded_at_once_also_where_the_study_reminds_nobody(world: World) -> None:
    sent(world, after_days=None)
    interview = world.interview()
    assert remind(world, interview) == "queued"
    assert remind(world, world.interview()) == "changed"
    assert world.run_jobs() == ["remind"]
    assert len(messages(world)) == 2
    assert world.interview().reminded_at is not None
    assert remind(world, world.interview()) == "changed"
    world.let_time_pass(hours=2)
    world.tick("reconcile")
    assert "remind" not in world.run_jobs()
    assert len(messages(world)) == 2


def test_why_it_came_to_nothing_is_kept(sqlite_world: World) -> None:
    sent(sqlite_world, after_days=None)
    remind(sqlite_world, sqlite_world.interview())
    sqlite_world.set_interview(state="opened")
    sqlite_world.run_jobs()
    assert sqlite_world.interview().reminder_reason == "not_to_be_reminded"
    assert len(messages(sqlite_world)) == 1


def test_one_that_must_wait_has_its_turn_with_the_clock(sqlite_world: World) -> None:
    world = sqlite_world
    sent(world, after_days=None)
    world.outside.upsert("GET", "https://api.intercom.io/contacts/contact1", status=503)
    remind(world, world.interview())
    world.run_jobs()
    assert len(messages(world)) == 1
    sent_again_in = world.interview().remind_at
    assert sent_again_in is not None


@pytest.mark.parametrize("state", sorted({*STATES} - {"sent"}))
def test_only_who_has_the_message_and_has_not_opened_it_is_reminded(sqlite_world: World, state: str) -> None:
    assert remind(sqlite_world, write(sqlite_world.engine, state=state)) == "changed"
    assert sqlite_world.pending() == []


@pytest.mark.parametrize(
    "changes", [{"deliver": "none"}, {"deliver": "attribute"}, {"conversation_id": None}]
)
def test_where_there_is_no_message_there_is_no_reminder(sqlite_world: World, changes: dict[str, Any]) -> None:
    row = write(sqlite_world.engine, state="sent", **changes)
    assert remind(sqlite_world, read(sqlite_world.engine, row.id)) == "changed"
