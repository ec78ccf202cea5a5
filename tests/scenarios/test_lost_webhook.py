"""Koji's webhook never comes: the clock asks, and the rep has the result all the same."""

from __future__ import annotations

import json

import pytest

from tests.interviews.results import GET, event, notes
from tests.support.world import CONTACT, KOJI_ID, World, texts

THEMES = ["Pricing friction", "Slow exports"]
IN_PROGRESS = {"interview_id": KOJI_ID, "status": "in_progress", "analysis": None}
ANSWERED = {
    "interview_id": KOJI_ID,
    "status": "completed",
    "completed_at": "2026-11-20T10:00:00Z",
    "external_id": CONTACT,
    "analysis": {
        "sentiment": "negative",
        "quality_score": 4,
        "themes": THEMES,
        "transcript_url": "https://koji.so/t/1",
    },
}


def test_a_lost_result_is_found_and_written_back(world: World) -> None:
    world.send()
    world.intercom_takes("attributes", "tags")
    world.outside.get(GET, json=IN_PROGRESS)
    for hours in (1, 2):
        world.let_time_pass(hours=hours, minutes=1)
        world.tick("reconcile")
        assert world.run_jobs() == []
        assert world.interview().state == "sent"

    world.outside.upsert("GET", GET, json=ANSWERED)
    world.let_time_pass(hours=3)
    world.tick("reconcile")
    assert world.run_jobs() == ["forward"]
    assert world.interview().state == "written_back"
    [put] = world.calls("PUT", "/contacts/")
    assert put["custom_attributes"]["last_interview_sentiment"] == "negative"
    assert len(notes(world)) == 1
    assert "Pricing friction" in texts(world.initialize())

    # Then the webhook comes after all, and the clock goes on ticking: nothing is written twice.
    assert world.koji_event(event(world, themes=THEMES)).status_code == 200
    world.run_jobs()
    asked = len(world.calls("GET", "/api/v1/interviews/"))
    world.let_time_pass(days=2)
    world.tick("reconcile")
    assert world.run_jobs() == []
    assert len(notes(world)) == 1
    assert len(world.calls("GET", "/api/v1/interviews/")) == asked


def test_an_interview_that_nobody_answers_is_asked_about_until_it_expires(sqlite_world: World) -> None:
    world = sqlite_world
    world.send()
    world.outside.get(GET, json=IN_PROGRESS)
    for _ in range(15 * 24):
        world.let_time_pass(hours=1)
        world.tick("reconcile")
    # After 1, 3, 6, 12 and 24 hours and once a day, the last time when its time is over.
    assert len(world.calls("GET", "/api/v1/interviews/")) == 5 + 13
    assert world.interview().state == "expired"
    assert world.pending() == []


def test_what_is_answered_on_the_last_day_is_not_lost(sqlite_world: World) -> None:
    world = sqlite_world
    world.send()
    world.intercom_takes("attributes", "tags")
    world.outside.get(GET, json=ANSWERED)
    world.let_time_pass(days=14, minutes=1)
    # It expires in the same tick, and has its result a moment later.
    world.tick("reconcile")
    assert world.interview().state == "expired"
    assert world.run_jobs() == ["forward"]
    assert world.interview().state == "written_back"


@pytest.mark.parametrize("days", [366, 1000])
def test_a_year_later_nothing_of_the_customer_is_left(world: World, days: int) -> None:
    world.send()
    world.intercom_takes("attributes", "tags")
    world.koji_event(event(world))
    world.run_jobs()
    world.let_time_pass(days=days)
    world.tick("reconcile")
    world.tick("purge")
    # Not even what the steps of the jobs have told, which the engine keeps for a week.
    said = json.dumps(world.step_results[-5:])
    for personal in ("mia", "Mia", CONTACT, KOJI_ID):
        assert personal not in str(world.interview())
        assert personal not in said
    assert world.interview().purged_at is not None
