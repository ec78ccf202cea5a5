"""One reminder to who has not opened the link, if the study wants it, and never outside the limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from canvas_app import store
from canvas_app.interviews import once, studies
from canvas_app.interviews.hours import DAYS
from tests.scenarios.test_planned import change_rules, day
from tests.support.events import (
    add_rule,
    all_is_well,
    closed,
    decided,
    happens,
    intercom_has_contact,
    intercom_has_conversation,
    messages,
    part,
    tag_list,
)
from tests.support.world import CONTACT, CONVERSATION, INTERCOM, KOJI, KOJI_ID, OWN_ADMIN, REP, World

REPLY = f"{INTERCOM}/conversations/{CONVERSATION}/reply"


def change_study(world: World, **changes: Any) -> None:
    with store.writing(world.engine) as connection:
        study = studies.existing(connection, world.settings, "default")
        studies.save(connection, world.settings, replace(study, **changes))


def sent(world: World, *, after_days: int | None = 3) -> None:
    """A rep has sent an interview, and the customer has not opened it."""
    change_study(world, remind_after_days=after_days)
    intercom_has_contact(world)
    world.send()
    shows(world)
    quiet(world)
    world.outside.get(f"{INTERCOM}/admins/{REP['id']}", json={"type": "admin", "id": REP["id"]})


def shows(world: World, *, times: int = 1, state: str = "open", **changes: Any) -> None:
    said = [part(body=f"<a href='https://x/i/{world.interview().link_token}'>x</a>") for _ in range(times)]
    intercom_has_conversation(world, *said, state=state, **changes)


def quiet(world: World) -> None:
    """Koji says that nobody has answered, whenever the clock asks."""
    answer = {"interview_id": KOJI_ID, "status": "in_progress"}
    world.outside.get(f"{KOJI}/api/v1/interviews/{KOJI_ID}", json=answer)


def days_later(world: World, days: float = 3.01) -> None:
    world.let_time_pass(days=days)
    world.tick("reconcile")
    world.run_jobs()


def test_who_has_not_opened_the_link_is_reminded_once(world: World) -> None:
    sent(world)
    days_later(world, 2.9)
    assert len(messages(world)) == 1
    days_later(world, 0.2)
    first, second = messages(world)
    assert second["admin_id"] == first["admin_id"] == REP["id"]
    assert world.interview().link_token in second["body"]
    assert second["body"] != first["body"]
    assert "Hi Mia," in second["body"]
    interview = world.interview()
    assert (interview.state, interview.remind_at) == ("sent", None)
    assert interview.reminded_at is not None
    for _ in range(3):
        days_later(world, 3.1)
    assert len(messages(world)) == 2


def test_without_the_study_s_wish_nobody_is_reminded(world: World) -> None:
    sent(world, after_days=None)
    days_later(world, 10)
    assert len(messages(world)) == 1


def test_a_study_that_has_changed_its_mind_reminds_nobody(sqlite_world: World) -> None:
    world = sqlite_world
    sent(world)
    change_study(world, remind_after_days=None)
    days_later(world)
    assert len(messages(world)) == 1
    assert world.interview().remind_at is None


def test_who_has_opened_the_link_is_not_reminded(world: World) -> None:
    sent(world)
    browser = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}
    assert world.get(f"/i/{world.interview().link_token}", headers=browser).status_code == 302
    days_later(world)
    assert len(messages(world)) == 1
    assert world.interview().remind_at is None


def test_who_opens_it_while_the_reminder_is_on_its_way_is_not_reminded(sqlite_world: World) -> None:
    world = sqlite_world
    sent(world)
    world.let_time_pass(days=3.01)
    world.tick("reconcile")
    with store.reading(world.engine) as connection:
        opened = store.now(connection)
    world.set_interview(opened_at=opened)
    world.run_jobs()
    assert len(messages(world)) == 1


@pytest.mark.parametrize("state", ["completed", "written_back", "expired", "cancelled", "unknown"])
def test_only_what_waits_for_the_customer_is_reminded_of(sqlite_world: World, state: str) -> None:
    world = sqlite_world
    sent(world)
    world.set_interview(state=state)
    days_later(world)
    assert len(messages(world)) == 1


@pytest.mark.parametrize(
    ("tags", "changes"),
    [
        (["koji_do_not_ask"], {}),
        ([], {"unsubscribed_from_emails": True}),
        ([], {"marked_email_as_spam": True}),
    ],
)
def test_who_does_not_want_to_be_asked_is_not_reminded(
    sqlite_world: World, tags: list[str], changes: dict[str, Any]
) -> None:
    world = sqlite_world
    sent(world)
    intercom_has_contact(world, *tags, **changes)
    days_later(world)
    assert len(messages(world)) == 1
    assert world.interview().remind_at is None


def test_the_tag_on_the_conversation_forbids_it_too(sqlite_world: World) -> None:
    world = sqlite_world
    sent(world)
    shows(world, tags=tag_list("koji_do_not_ask"))
    days_later(world)
    assert len(messages(world)) == 1


def test_in_a_group_nobody_is_reminded(sqlite_world: World) -> None:
    world = sqlite_world
    sent(world)
    shows(world, contacts=(CONTACT, "somebody_else"))
    days_later(world)
    assert len(messages(world)) == 1


def test_while_intercom_cannot_it_is_tried_again_by_the_clock(world: World) -> None:
    sent(world)
    world.outside.upsert("GET", f"{INTERCOM}/contacts/{CONTACT}", status=503, json={})
    days_later(world)
    assert len(messages(world)) == 1
    intercom_has_contact(world)
    world.tick("reconcile")
    world.run_jobs()
    assert len(messages(world)) == 1, "its next turn is in an hour"
    days_later(world, 0.1)
    assert len(messages(world)) == 2


def test_a_rule_s_business_hours_hold_for_its_reminder_too(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    quiet(world)
    change_study(world, remind_after_days=3)
    happens(world, closed())
    shows(world)
    world.run_jobs()
    change_rules(world, conditions={"business_hours": f"{day(2)} 00:00-23:59"})
    days_later(world)
    assert len(messages(world)) == 1
    due = world.interview().remind_at
    assert due is not None
    opens = due.astimezone(ZoneInfo("Europe/Berlin"))
    assert (opens.hour, opens.minute, DAYS[opens.weekday()]) == (0, 0, day(2))
    change_rules(world, conditions={"business_hours": "mon-sun 00:00-23:59"})
    days_later(world, 2)
    assert len(messages(world)) == 2


def test_whose_time_is_over_is_not_reminded_although_nobody_has_looked(sqlite_world: World) -> None:
    world = sqlite_world
    sent(world)
    # It expires once Koji has been asked for the last time, which Koji does not answer.
    world.outside.upsert("GET", f"{KOJI}/api/v1/interviews/{KOJI_ID}", status=503, json={})
    world.deploy(open_days=3)
    days_later(world, 3.01)
    assert world.interview().state == "sent"
    assert len(messages(world)) == 1
    assert world.interview().remind_at is None


@pytest.mark.parametrize(("there", "made"), [(True, 2), (False, 3)])
def test_a_reminder_of_unknown_fate_is_looked_for(world: World, there: bool, made: int) -> None:
    sent(world)
    world.outside.upsert("POST", REPLY, status=500, json={})
    days_later(world)
    assert len(messages(world)) == 2
    assert world.interview().reminded_at is None
    world.outside.upsert("POST", REPLY, json={"type": "conversation", "id": CONVERSATION})
    shows(world, times=2 if there else 1)
    assert once.CLAIM_SECONDS < 3600
    days_later(world, 0.1)
    assert len(messages(world)) == made
    assert world.interview().reminded_at is not None


def test_one_whose_fate_cannot_be_learnt_is_not_repeated(sqlite_world: World) -> None:
    world = sqlite_world
    sent(world)
    world.outside.upsert("POST", REPLY, status=500, json={})
    days_later(world)
    world.outside.upsert("POST", REPLY, json={"type": "conversation", "id": CONVERSATION})
    intercom_has_conversation(
        world, conversation_parts={"conversation_parts": [], "total_count": 900}, state="open"
    )
    days_later(world, 0.1)
    days_later(world, 0.1)
    assert len(messages(world)) == 2
    assert world.interview().remind_at is None


def test_where_the_rep_has_left_the_configured_admin_reminds(sqlite_world: World) -> None:
    world = sqlite_world
    sent(world)
    error = {"type": "error.list", "errors": [{"code": "admin_not_found", "message": "x"}]}
    world.outside.upsert("GET", f"{INTERCOM}/admins/{REP['id']}", status=404, json=error)
    days_later(world)
    assert messages(world)[1]["admin_id"] == OWN_ADMIN


def test_a_conversation_that_was_closed_is_closed_again_and_nothing_follows_from_that(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    quiet(world)
    change_study(world, remind_after_days=3)
    happens(world, closed())
    shows(world)
    world.run_jobs()
    shows(world, times=2, state="closed")
    world.let_time_pass(days=3.01)
    world.tick("reconcile")
    shows(world, times=1, state="closed")
    _, args = world._take_job(delayed=False) or ("", [])
    from canvas_app.interviews import jobs

    jobs.remind(world._call, world.services, *args)
    # The reminder has reopened it, and is the last that was said in it.
    shows(world, times=2, state="open")
    before = len(world.calls("POST", r"/parts$"))
    assert world.run_jobs() == ["close_again"]
    assert len(world.calls("POST", r"/parts$")) == before + 1
    happens(world, closed(by={"type": "admin", "id": OWN_ADMIN}))
    assert decided(world)[-1][2] == "own_closing"
    assert len(messages(world)) == 2
