"""What is sent later is looked at once more when its time has come, and so is every attempt to send it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.interviews import erase, ledger, measures, rulestore, studies, triggers
from canvas_app.interviews.hours import DAYS
from canvas_app.interviews.tables import decisions, interviews, rules as rules_table
from tests.support.events import (
    add_rule,
    all_is_well,
    closed,
    conversation,
    decided,
    happens,
    intercom_has_contact,
    intercom_has_conversation,
    messages,
    notification,
    part,
    tag_list,
)
from tests.support.world import CONTACT, CONVERSATION, INTERCOM, KOJI, WORKSPACE, World

DAY = 86_400.0


def plan(world: World, **changes: Any) -> None:
    """A rule has asked for an interview in three days."""
    add_rule(world, **{"delay": "3 days", **changes})
    all_is_well(world)
    happens(world, closed())
    assert decided(world)[-1] == ("closed", "planned", None)
    assert world.interview().state == "planned"
    assert messages(world) == []


def when_its_time_has_come(world: World) -> None:
    world.let_time_pass(days=3, minutes=1)
    world.run_jobs(delayed=True)


def skipped(world: World, reason: str) -> None:
    """It did not go out, and both the ledger and the record say why."""
    planned = planned_one(world)
    assert (planned.state, planned.reason) == ("skipped", reason)
    with store.reading(world.engine) as connection:
        [row] = connection.execute(sa.select(decisions).where(decisions.c.interview_id == planned.id))
    assert (row.verdict, row.reason) == ("skipped", reason)
    assert messages(world) == []
    assert [name for name, _ in world.pending()] == []


def planned_one(world: World) -> Any:
    with store.reading(world.engine) as connection:
        query = sa.select(interviews).where(interviews.c.rule == "closed")
        return connection.execute(query.order_by(interviews.c.created_at)).first()


def add_other(world: World, **changes: Any) -> None:
    """Another interview of the same contact."""
    with store.writing(world.engine) as connection:
        now = store.now(connection)
        id_ = ledger.new_id()
        values: dict[str, Any] = {
            "id": id_,
            "workspace_id": WORKSPACE,
            "contact_id": CONTACT,
            "study": "default",
            "origin": "card",
            "state": "sent",
            "link_token": id_,
            "send_attempt": 1,
            "created_at": now,
            "state_since": now,
            "send_before": now,
        }
        connection.execute(sa.insert(interviews).values(**values | changes))


def change_rules(world: World, **values: Any) -> None:
    with store.writing(world.engine) as connection:
        connection.execute(sa.update(rules_table).values(**values))


def test_it_goes_out_once_when_its_time_has_come(world: World) -> None:
    plan(world)
    [(name, left)] = world.pending()
    # It counts from when the event came in, a moment before.
    assert name == "send"
    assert 3 * DAY - 5 < left <= 3 * DAY
    # An engine that starts it too early finds that its time has not come.
    world.run_jobs(delayed=True)
    assert messages(world) == []
    [(name, left)] = world.pending()
    assert name == "send"
    assert 0 < left <= 3 * DAY
    when_its_time_has_come(world)
    assert world.interview().state == "sent"
    assert decided(world) == [("closed", "asked", None)]
    world.run_jobs(delayed=True)
    assert len(messages(world)) == 1


def test_it_has_a_day_to_go_out_from_then_on(sqlite_world: World) -> None:
    world = sqlite_world
    plan(world)
    world.outside.upsert("POST", f"{KOJI}/api/v1/interviews/start", status=503, json={})
    when_its_time_has_come(world)
    interview = world.interview()
    assert interview.state == "sending"
    assert interview.send_before - interview.state_since == timedelta(hours=24) or (
        timedelta(hours=23) < interview.send_before - interview.state_since <= timedelta(hours=24)
    )


def no_contact(world: World) -> None:
    error = {"type": "error.list", "errors": [{"code": "not_found", "message": "Not found"}]}
    world.outside.upsert("GET", f"{INTERCOM}/contacts/{CONTACT}", status=404, json=error)


def no_conversation(world: World) -> None:
    error = {"type": "error.list", "errors": [{"code": "not_found", "message": "Not found"}]}
    world.outside.upsert("GET", f"{INTERCOM}/conversations/{CONVERSATION}", status=404, json=error)


def change_study(world: World) -> None:
    with store.writing(world.engine) as connection:
        studies.save(connection, world.settings, replace(world.settings.default_study, enabled=False))


CHANGES: dict[str, Callable[[World], None]] = {
    "do_not_ask": lambda world: intercom_has_contact(world, "koji_do_not_ask"),
    "unsubscribed": lambda world: intercom_has_contact(world, unsubscribed_from_emails=True),
    "blocked": lambda world: intercom_has_contact(world, marked_email_as_spam=True),
    "contact_gone": no_contact,
    "rule_off": lambda world: change_rules(world, enabled=False),
    "study_off": change_study,
    "open_interview": lambda world: add_other(world, state="opened"),
    "answered_meanwhile": lambda world: add_other(
        world, state="written_back", completed_at=datetime.now(UTC), result={}
    ),
    "group_conversation": lambda world: intercom_has_conversation(
        world, part("close"), contacts=(CONTACT, "somebody_else")
    ),
    "conversation_missing": no_conversation,
    "asked_in_conversation": lambda world: add_other(
        world, contact_id="somebody_else", conversation_id=CONVERSATION
    ),
}


@pytest.mark.parametrize("reason", CHANGES)
def test_what_has_changed_meanwhile_keeps_it_from_going_out(world: World, reason: str) -> None:
    plan(world)
    world.let_time_pass(days=3, minutes=1)
    CHANGES[reason](world)
    world.run_jobs(delayed=True)
    skipped(world, reason)


def test_the_tag_that_forbids_asking_may_come_to_the_conversation_meanwhile(sqlite_world: World) -> None:
    world = sqlite_world
    plan(world)
    world.let_time_pass(days=3, minutes=1)
    intercom_has_conversation(world, part("close"), tags=tag_list("koji_do_not_ask"))
    world.run_jobs(delayed=True)
    skipped(world, "do_not_ask")


def test_what_was_planned_for_who_is_erased_meanwhile_is_not_sent(world: World) -> None:
    plan(world)
    erase.erase_contact(world.engine, world.services.jobs, WORKSPACE, CONTACT)
    world.let_time_pass(days=3, minutes=1)
    world.run_jobs(delayed=True)
    world.tick("reconcile")
    world.run_jobs()
    assert (world.interview().state, world.interview().reason) == ("skipped", erase.ERASED)
    assert messages(world) == []
    # The record is about nobody, and says what became of it.
    assert decided(world) == [("closed", "skipped", erase.ERASED)]


def test_what_a_rep_sends_meanwhile_takes_its_place_and_the_record_says_so(world: World) -> None:
    plan(world)
    world.initialize()
    world.submit("send")
    world.run_jobs()
    assert planned_one(world).state == "skipped"
    assert decided(world) == [("closed", "skipped", "replaced")]
    assert len(messages(world)) == 1


@pytest.mark.parametrize("wanted", ["planned", "sending"])
def test_who_was_merged_into_somebody_with_an_open_interview_gets_no_second_one(
    world: World, wanted: str
) -> None:
    # And Intercom's word of the merge was lost.
    if wanted == "planned":
        plan(world)
    else:
        add_rule(world)
        all_is_well(world)
        world.outside.upsert("POST", f"{KOJI}/api/v1/interviews/start", status=503, json={})
        happens(world, closed())
        assert world.interview().state == "sending"
        world.koji_starts()
    world.let_time_pass(days=3 if wanted == "planned" else 0, minutes=1)
    add_other(world, contact_id="living", state="opened")
    link = {"Link": '</contacts/living>; rel="canonical"'}
    world.outside.upsert("GET", f"{INTERCOM}/contacts/{CONTACT}", status=410, json={}, headers=link)
    intercom_has_contact(world, contact_id="living")
    world.run_jobs(delayed=True)
    assert messages(world) == []
    merged = planned_one(world)
    assert merged.contact_id == "living"
    assert (merged.state, merged.reason) == (
        ("skipped", "open_interview") if wanted == "planned" else ("cancelled", erase.MERGED_AWAY)
    )
    assert world.pending() == []


def test_of_two_planned_ones_a_merge_leaves_one_and_the_record_says_so(world: World) -> None:
    plan(world)
    add_other(world, contact_id="living", state="planned")
    with store.writing(world.engine) as connection:
        erase.follow_contact(connection, WORKSPACE, CONTACT, "living")
    assert planned_one(world).state == "skipped"
    assert decided(world) == [("closed", "skipped", erase.MERGED_AWAY)]


def test_who_was_asked_by_hand_meanwhile_is_not_asked_again(world: World) -> None:
    plan(world)
    world.deploy(ask_again_days=30)
    world.let_time_pass(days=3, minutes=1)
    add_other(world, state="expired", sent_at=datetime.now(UTC) - timedelta(days=2))
    world.run_jobs(delayed=True)
    skipped(world, "asked_recently")


@pytest.mark.parametrize(
    ("limits", "reason"),
    [({"interviews_per_week": 1}, "week_full"), ({"credits_per_week": 1}, "credits_used")],
)
def test_a_week_that_is_full_by_then_keeps_it_from_going_out(
    world: World, limits: dict[str, int], reason: str
) -> None:
    plan(world)
    world.let_time_pass(days=3, minutes=1)
    change_rules(world, limits=limits)
    add_other(world, contact_id="another", rule="closed", credits=1)
    with store.writing(world.engine) as connection:
        # So that it is the planned one that planned_one finds.
        connection.execute(
            sa.update(interviews)
            .where(interviews.c.contact_id == "another")
            .values(created_at=store.now(connection))
        )
    world.run_jobs(delayed=True)
    skipped(world, reason)


def test_a_rule_that_is_gone_sends_nothing_more(sqlite_world: World) -> None:
    world = sqlite_world
    plan(world)
    with store.writing(world.engine) as connection:
        connection.execute(sa.delete(rules_table))
    when_its_time_has_come(world)
    skipped(world, "rule_off")


def test_while_intercom_cannot_tell_it_waits(world: World) -> None:
    plan(world)
    world.outside.upsert("GET", f"{INTERCOM}/contacts/{CONTACT}", status=503, json={})
    when_its_time_has_come(world)
    assert world.interview().state == "planned"
    assert world.pending() == [("send", 2.0)]
    intercom_has_contact(world)
    world.run_jobs(delayed=True)
    assert world.interview().state == "sent"


def test_with_a_dead_token_it_is_looked_at_every_ten_minutes_for_a_day(sqlite_world: World) -> None:
    world = sqlite_world
    plan(world)
    world.outside.upsert("GET", f"{INTERCOM}/contacts/{CONTACT}", status=401, json={})
    when_its_time_has_come(world)
    assert world.pending() == [("send", 600.0)]
    world.let_time_pass(hours=24, minutes=1)
    world.run_jobs(delayed=True)
    skipped(world, "intercom_token_refused")


def test_one_that_no_worker_was_there_for_is_not_sent_days_later(world: World) -> None:
    plan(world)
    world.let_time_pass(days=4, minutes=1)
    world.run_jobs(delayed=True)
    skipped(world, "too_late")


def test_one_that_no_job_is_at_gets_its_job_again_by_the_clock(world: World) -> None:
    plan(world)
    world._take_job(delayed=True)
    assert world.pending() == []
    world.let_time_pass(days=2)
    world.tick("reconcile")
    world.run_jobs()
    [(name, left)] = world.pending()
    assert name == "send"
    assert 0 < left <= DAY
    # The one that has a job is left alone.
    world.tick("reconcile")
    assert len(world.pending()) == 1
    world.let_time_pass(days=1, minutes=1)
    world.run_jobs(delayed=True)
    assert world.interview().state == "sent"


# The same at each attempt of what goes out at once


def test_an_attempt_that_is_repeated_looks_again(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    start = f"{KOJI}/api/v1/interviews/start"
    world.outside.upsert("POST", start, status=503, json={})
    happens(world, closed())
    assert world.interview().state == "sending"
    intercom_has_contact(world, "koji_do_not_ask")
    world.run_jobs(delayed=True)
    skipped(world, "do_not_ask")


def test_once_the_message_may_have_left_nothing_speaks_against_it_any_more(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    reply = f"{INTERCOM}/conversations/{CONVERSATION}/reply"
    world.outside.upsert("POST", reply, status=500, json={})
    happens(world, closed())
    assert world.interview().state == "sending"
    intercom_has_contact(world, "koji_do_not_ask")
    said = part(body=f"<a href='https://x/i/{world.interview().link_token}'>x</a>")
    intercom_has_conversation(world, said, state="open")
    world.let_time_pass(minutes=1)
    world.run_jobs(delayed=True)
    assert world.interview().state == "sent"


def test_what_a_rep_has_asked_for_is_not_held_against_the_limits(sqlite_world: World) -> None:
    world = sqlite_world
    intercom_has_contact(world, "koji_do_not_ask")
    world.send()
    assert not [call for call in world.outside.calls if "/contacts/" in str(call.request.url)]


# Business hours


def day(number: int) -> str:
    """A day of the week, this many days from now, as it is in the workspace."""
    return DAYS[(datetime.now(ZoneInfo("Europe/Berlin")).weekday() + number) % 7]


def test_out_of_hours_it_waits_for_the_next_opening(world: World) -> None:
    add_rule(world, conditions={"business_hours": f"{day(2)} 00:00-23:59"})
    all_is_well(world)
    happens(world, closed())
    interview = world.interview()
    assert interview.state == "planned"
    assert interview.not_before is not None
    opens = interview.not_before.astimezone(ZoneInfo("Europe/Berlin"))
    assert (opens.hour, opens.minute, DAYS[opens.weekday()]) == (0, 0, day(2))
    assert decided(world) == [("closed", "planned", None)]


def test_in_hours_it_goes_out_at_once(sqlite_world: World) -> None:
    world = sqlite_world
    add_rule(world, conditions={"business_hours": "mon-sun 00:00-23:59"})
    all_is_well(world)
    happens(world, closed())
    assert world.interview().state in ("sent", "planned")


def test_a_planned_one_that_comes_too_late_waits_for_the_next_opening_too(world: World) -> None:
    plan(world)
    world.let_time_pass(days=3, minutes=1)
    change_rules(world, conditions={"business_hours": f"{day(2)} 00:00-23:59"})
    world.run_jobs(delayed=True)
    assert world.interview().state == "planned"
    [(name, left)] = world.pending()
    assert name == "send"
    assert DAY < left <= 2 * DAY


def test_an_attempt_that_the_closing_time_overtakes_is_planned_for_the_next_day(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    world.outside.upsert("POST", f"{KOJI}/api/v1/interviews/start", status=503, json={})
    happens(world, closed())
    assert world.interview().state == "sending"
    change_rules(world, conditions={"business_hours": f"{day(2)} 00:00-23:59"})
    world.run_jobs(delayed=True)
    interview = world.interview()
    assert interview.state == "planned"
    assert decided(world) == [("closed", "planned", None)]
    world.koji_starts()
    change_rules(world, conditions={})
    world.let_time_pass(days=2)
    world.outside.upsert(
        "POST",
        f"{KOJI}/api/v1/interviews/start",
        status=201,
        json={"interview_id": "k1", "interview_url": "https://koji.so/interview/abc"},
    )
    world.run_jobs(delayed=True)
    assert world.interview().state == "sent"


# Several at once


def test_of_many_at_the_same_moment_no_more_are_asked_than_a_week_allows(world: World) -> None:
    add_rule(world, limits={"interviews_per_week": 3})
    all_is_well(world)
    ids = []
    for number in range(8):
        intercom_has_contact(world, contact_id=f"c{number}")
        conversation_id = str(700 + number)
        changes: dict[str, Any] = {"id": conversation_id, "contacts": (f"c{number}",)}
        intercom_has_conversation(world, part("close"), **changes)
        world.intercom_event(
            notification("conversation.admin.closed", conversation(part("close"), **changes))
        )
        _, args = world._take_job(delayed=False) or ("", [])
        ids.append(args[0])
    together = threading.Barrier(4)

    def work(mine: list[str]) -> None:
        together.wait(10)
        for id_ in mine:
            triggers.decide(world.services, id_)

    threads = [threading.Thread(target=work, args=(ids[number::4],)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdicts = sorted((verdict, reason) for _, verdict, reason in decided(world))
    assert verdicts == [("asked", None)] * 3 + [("skipped", "week_full")] * 5
    assert world.count(interviews) == 3


def test_two_that_begin_at_the_same_moment_count_each_other(sqlite_world: World) -> None:
    world = sqlite_world
    plan(world)
    with store.writing(world.engine) as connection:
        rule = rulestore.find(connection, "closed")
        assert rule is not None
    change_rules(world, limits={"interviews_per_week": 1})
    # The first has begun in the meantime, and is not sent yet.
    add_other(world, contact_id="first", rule="closed", state="sending")
    with store.writing(world.engine) as connection:
        later = store.now(connection) + timedelta(days=4)
        connection.execute(
            sa.update(interviews)
            .where(interviews.c.contact_id == "first")
            .values(created_at=later, state_since=later)
        )
    when_its_time_has_come(world)
    skipped(world, "week_full")


def test_a_delay_that_was_wanted_is_no_time_that_a_send_takes(world: World) -> None:
    plan(world)
    when_its_time_has_come(world)
    assert len(messages(world)) == 1
    world.services.tally.keep(world.engine)
    with store.reading(world.engine) as connection:
        found = measures.totals(connection)["send_seconds"]
    # It was made ready a minute after its time; it was planned three days before.
    assert 60 <= found.pop(("rule", measures.SUM)) < 300
    assert found == {("rule", "300.0"): 1}
