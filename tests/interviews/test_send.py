"""The steps of a send by themselves: each may be repeated. How they go together, tests/scenarios tells."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.errors import CredentialsError
from canvas_app.interviews import ledger, once, outcomes, repair, send, workspace
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.seen import Person, seen
from canvas_app.interviews.services import Services
from canvas_app.interviews.tables import outside_writes
from canvas_app.worker import make_services
from tests.interviews.asks import read, write
from tests.support.world import (
    CONTACT,
    CONVERSATION,
    INTERCOM,
    KOJI_LINK,
    PUBLIC_URL,
    WORKSPACE,
    World,
    full_settings,
    texts,
)

REPLY = f"{INTERCOM}/conversations/{CONVERSATION}/reply"


@pytest.fixture
def world(sqlite_world: World) -> World:
    sqlite_world.vendors_are_well()
    sqlite_world.initialize()
    sqlite_world.submit("send")
    return sqlite_world


def test_a_repeated_start_keeps_what_the_first_one_stored(world: World) -> None:
    id_ = world.interview().id
    assert send.start(world.services, id_) == outcomes.done()
    assert send.start(world.services, id_) == outcomes.done("started_before")
    assert len(world.calls("POST", "/start$")) == 1


def test_a_repeated_message_is_posted_once(world: World) -> None:
    id_ = world.interview().id
    send.start(world.services, id_)
    assert [send.post(world.services, id_)["reason"] for _ in range(2)] == [None, "done_before"]
    assert len(world.calls("POST", "/reply$")) == 1


@pytest.mark.parametrize("state", ["sent", "opened", "completed", "cancelled", "failed", "written_back"])
def test_what_is_not_to_be_sent_is_not_sent(world: World, state: str) -> None:
    world.set_interview(state=state)
    for step in (send.start, send.post):
        assert step(world.services, world.interview().id) == outcomes.stop("not_to_be_sent")
        assert step(world.services, "gone") == outcomes.stop("not_to_be_sent")
    assert len(world.outside.calls) == 0


@pytest.mark.parametrize(
    "outcome",
    [outcomes.done(), outcomes.later("unreachable"), outcomes.permanent("x"), outcomes.unknown("x")],
)
def test_the_end_of_an_attempt_counts_once(world: World, outcome: Outcome) -> None:
    interview = world.interview()
    world.set_interview(state="sending")
    send.settle(world.services, interview.id, 1, outcome)
    first, jobs = world.interview(), world.pending()
    send.settle(world.services, interview.id, 1, outcomes.permanent("another end"))
    send.settle(world.services, "gone", 1, outcome)
    assert (world.interview(), world.pending()) == (first, jobs)


@pytest.mark.parametrize("opened", [False, True])
def test_a_send_that_is_done_is_sent_or_opened_already(world: World, opened: bool) -> None:
    interview = world.interview()
    world.set_interview(
        state="sending", opened_at=interview.created_at if opened else None, reason="no_answer"
    )
    send.settle(world.services, interview.id, 1, outcomes.done())
    done = world.interview()
    assert (done.state, done.reason) == ("opened" if opened else "sent", None)
    assert done.sent_at is not None


def test_the_next_attempt_is_enqueued_with_the_reason_why(world: World) -> None:
    interview = world.interview()
    world.set_interview(state="sending")
    send.settle(world.services, interview.id, 1, outcomes.later("rate_limited", 30.0))
    assert (world.interview().state, world.interview().reason) == ("sending", "rate_limited")
    [_, (name, pause)] = world.pending()
    assert name == "send"
    assert 29 <= pause <= 31


def test_when_the_time_is_up_a_send_that_has_to_wait_is_given_up_with_the_last_reason(world: World) -> None:
    interview = world.interview()
    world.set_interview(state="sending", send_before=interview.created_at)
    send.settle(world.services, interview.id, 1, outcomes.later("unreachable"))
    assert (world.interview().state, world.interview().reason) == ("failed", "unreachable")
    assert world.pending() == [("send", 0.0)]


def worker_without_address(world: World) -> Services:
    settings = world.settings.model_copy(update={"public_url": None})
    return dataclasses.replace(world.services, settings=settings)


def test_the_link_begins_with_the_address_that_the_web_process_knew_when_it_was_asked(world: World) -> None:
    services, id_ = worker_without_address(world), world.interview().id
    assert send.start(services, id_)["kind"] == "done"
    assert send.post(services, id_)["kind"] == "done"
    [reply] = world.calls("POST", "/reply$")
    assert f"{PUBLIC_URL}/i/{world.interview().link_token}" in reply["body"]


def test_without_an_address_of_ours_nothing_is_started_and_no_message_is_posted(world: World) -> None:
    services, id_ = worker_without_address(world), world.interview().id
    world.set_interview(public_url=None)
    assert send.start(services, id_)["reason"] == "not_configured"
    assert len(world.outside.calls) == 0
    send.start(world.services, id_)
    assert send.post(services, id_)["reason"] == "not_configured"
    assert world.calls("POST", "/reply$") == []
    # What was asked for before the address was kept goes out with the worker's own.
    assert send.post(world.services, id_)["kind"] == "done"
    assert f"{PUBLIC_URL}/i/" in world.calls("POST", "/reply$")[0]["body"]


def test_of_two_starts_the_first_link_that_is_stored_stays(world: World) -> None:
    def another_is_quicker(_request: Any) -> tuple[int, dict[str, str], str]:
        world.set_interview(koji_interview_id="first", koji_link="https://koji.so/i/first")
        return 201, {}, json.dumps({"interview_id": "second", "interview_url": "https://koji.so/i/second"})

    url = "https://koji.so/api/v1/interviews/start"
    world.outside.remove("POST", url)
    world.outside.add_callback("POST", url, callback=another_is_quicker)
    assert send.start(world.services, world.interview().id)["kind"] == "done"
    interview = world.interview()
    assert (interview.koji_interview_id, interview.koji_link) == ("first", "https://koji.so/i/first")


def test_without_a_conversation_there_is_nowhere_to_post_and_the_rep_is_told(world: World) -> None:
    id_ = world.interview().id
    send.start(world.services, id_)
    world.set_interview(conversation_id=None)
    outcome = send.post(world.services, id_)
    assert outcome == outcomes.permanent("no_conversation")
    send.settle(world.services, id_, 1, outcome)
    assert (world.interview().state, world.interview().reason) == ("failed", "no_conversation")


# The message does not go out after the card has said that it will not


def messages(world: World) -> int:
    return len(world.calls("POST", "/reply$"))


def in_between(world: World, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let ``act`` happen after ``post`` has read the interview, and before it claims the write."""
    known = workspace.known

    def known_and_act(services: Services) -> workspace.Workspace:
        found = known(services)
        act()
        return found

    monkeypatch.setattr(workspace, "known", known_and_act)


def test_what_another_worker_has_given_up_is_not_posted(world: World) -> None:
    id_ = world.interview().id
    assert send.start(world.services, id_)["kind"] == "done"
    send.settle(world.services, id_, 1, outcomes.permanent("koji_refused"))
    assert world.interview().state == "failed"
    assert send.post(world.services, id_) == outcomes.stop("not_to_be_sent")
    assert messages(world) == 0


def test_what_another_worker_gives_up_at_the_last_moment_is_not_posted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = world.interview().id
    send.start(world.services, id_)
    give_up = outcomes.permanent("koji_refused")
    in_between(world, monkeypatch, lambda: send.settle(world.services, id_, 1, give_up))
    before = len(world.outside.calls)
    outcome = send.post(world.services, id_)
    assert outcome == outcomes.permanent("not_to_be_sent")
    assert len(world.outside.calls) == before, "no message, and nobody is asked about the rep either"
    # The one who comes second changes nothing.
    send.settle(world.services, id_, 2, outcome)
    assert (world.interview().state, world.interview().reason) == ("failed", "koji_refused")


@pytest.mark.parametrize("away", [{"minutes": 16}, {"days": 3}])
def test_a_message_whose_time_is_up_is_not_posted_when_its_step_is_repeated_later(
    world: World, away: dict[str, float]
) -> None:
    # The worker died between its two steps, and another one takes the attempt up much later.
    id_ = world.interview().id
    send.start(world.services, id_)
    world.let_time_pass(**away)
    outcome = send.post(world.services, id_)
    assert outcome == outcomes.permanent("too_late")
    send.settle(world.services, id_, 1, outcome)
    assert (world.interview().state, world.interview().reason) == ("failed", "too_late")
    assert messages(world) == 0
    assert world.calls("GET", "/admins/") == []


def test_a_worker_that_wakes_from_a_freeze_does_not_post_what_is_too_late(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = world.interview().id
    send.start(world.services, id_)
    in_between(world, monkeypatch, lambda: world.let_time_pass(minutes=16))
    assert send.post(world.services, id_) == outcomes.permanent("too_late")
    assert messages(world) == 0


def test_a_message_that_is_looked_for_in_vain_when_the_time_is_up_is_given_up(world: World) -> None:
    id_ = world.interview().id
    send.start(world.services, id_)
    world.outside.upsert("POST", REPLY, body=httpx.ReadTimeout("slow"))
    assert send.post(world.services, id_)["reason"] == "no_answer"
    world.let_time_pass(minutes=20)
    world.intercom_shows("<p>Something else</p>")
    outcome = send.post(world.services, id_)
    assert outcome == outcomes.permanent("too_late")
    assert messages(world) == 1, "the one that did not arrive"
    send.settle(world.services, id_, 1, outcome)
    assert (world.interview().state, world.interview().reason) == ("failed", "too_late")
    assert "Nothing has reached the customer." in texts(world.initialize())


def test_a_message_that_is_found_when_the_time_is_up_was_sent(world: World) -> None:
    id_ = world.interview().id
    send.start(world.services, id_)
    world.outside.upsert("POST", REPLY, body=httpx.ReadTimeout("slow"))
    send.post(world.services, id_)
    world.let_time_pass(minutes=20)
    world.intercom_shows(f"<p>{world.interview().link_token}</p>")
    outcome = send.post(world.services, id_)
    assert outcome["kind"] == "done"
    send.settle(world.services, id_, 1, outcome)
    assert world.interview().state == "sent"


# A link that was opened proves that the message is there


@pytest.mark.parametrize(
    "outcome",
    [
        outcomes.unknown("cannot_be_told"),
        outcomes.permanent("not_found"),
        outcomes.of_error(CredentialsError(reason="intercom_token_refused")),
    ],
    ids=["unknown", "permanent", "credentials"],
)
def test_a_message_whose_link_was_opened_is_there_whatever_could_not_be_learnt(
    world: World, outcome: Outcome
) -> None:
    interview = world.interview()
    world.set_interview(state="sending", opened_at=interview.created_at, koji_link=KOJI_LINK)
    if outcome["kind"] == "credentials":
        world.let_time_pass(minutes=20)
    send.settle(world.services, interview.id, 1, outcome)
    done = world.interview()
    assert (done.state, done.reason) == ("opened", None)
    assert done.sent_at is not None
    assert "Nothing has reached the customer." not in texts(world.initialize())


def tap_the_link(world: World) -> None:
    person = {"User-Agent": "Mozilla/5.0"}
    assert world.get(f"/i/{world.interview().link_token}", headers=person).status_code == 302


def claim(world: World, **age: float) -> None:
    """The message was claimed so long ago, and what became of it is not known."""
    with store.writing(world.engine) as connection:
        at = store.now(connection) - timedelta(**age)
        connection.execute(
            sa.insert(outside_writes).values(
                interview_id=world.interview().id, kind="message", claim="c", claimed_at=at, tries=1
            )
        )


def test_a_message_that_was_opened_is_there_also_where_a_person_had_it_sent_once_more_in_vain(
    world: World,
) -> None:
    id_ = world.interview().id
    send.start(world.services, id_)
    claim(world, minutes=5)
    send.settle(world.services, id_, 1, outcomes.unknown("cannot_be_told"))
    person, what = Person(WORKSPACE, CONTACT), seen(world.interview())
    effect = repair.send_after_all(
        world.engine, world.services.jobs, world.settings, person, what, conversation_id=CONVERSATION
    )
    assert effect == "queued"
    tap_the_link(world)
    send.start(world.services, id_)
    world.set_interview(send_before=world.interview().send_before - timedelta(hours=1))
    send.settle(world.services, id_, world.interview().send_attempt, outcomes.later("server_error"))
    after = world.interview()
    assert (after.state, after.reason) == ("opened", None)
    assert "Nothing has reached the customer." not in texts(world.initialize())
    tap_the_link(world)


@pytest.mark.parametrize("hours", [0, 3])
def test_a_message_that_was_opened_is_not_looked_for(world: World, hours: int) -> None:
    id_ = world.interview().id
    send.start(world.services, id_)
    claim(world)
    tap_the_link(world)
    world.let_time_pass(hours=hours)
    send.settle(world.services, id_, 1, outcomes.later("server_error"))
    after = world.interview()
    assert (after.state, after.reason) == ("opened", None)
    assert after.check_at is not None
    assert world.pending() == [("send", 0.0)], "the tap's own job alone"


@pytest.mark.parametrize(
    "outcome",
    [
        outcomes.later("server_error"),
        outcomes.permanent("other_workspace"),
        outcomes.unknown("cannot_be_told"),
        outcomes.of_error(CredentialsError(reason="intercom_token_refused")),
    ],
    ids=lambda outcome: str(outcome["kind"]),
)
def test_a_message_that_intercom_has_confirmed_is_sent_whatever_is_in_the_way_afterwards(
    world: World, outcome: Outcome
) -> None:
    id_ = world.interview().id
    send.start(world.services, id_)
    # The worker dies before it has written down that the step is done, and its successor is refused.
    assert send.post(world.services, id_) == outcomes.done()
    send.settle(world.services, id_, 1, outcome)
    after = world.interview()
    assert (after.state, after.reason) == ("sent", None)
    with store.reading(world.engine) as connection:
        assert after.sent_at == once.done_at(connection, id_, "message")
    assert messages(world) == 1


@pytest.mark.postgres
@pytest.mark.parametrize("outcome", [outcomes.done(), outcomes.unknown("cannot_be_told")])
def test_a_link_that_is_opened_while_the_end_is_written_down_counts(
    migrated_postgres_copy: str, outcome: Outcome
) -> None:
    engine = store.make_engine(full_settings(migrated_postgres_copy).database_url, pool_size=3)
    services = make_services(full_settings(migrated_postgres_copy), engine)
    row = write(engine, state="sending")
    settling = threading.Thread(target=send.settle, args=(services, row.id, 1, outcome))
    with store.writing(engine) as connection:
        ledger.change(connection, row.id, only_from=("sending",), opened_at=store.now(connection))
        settling.start()
        waiting = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        with store.reading(engine) as another:
            until = time.monotonic() + 10
            while not another.execute(waiting).scalar_one() and time.monotonic() < until:
                time.sleep(0.01)
    settling.join(30)
    assert read(engine, row.id).state == "opened"
    engine.dispose()


@pytest.mark.parametrize(
    ("minutes", "claimed", "state"),
    [
        (10, False, "sending"),
        (20, False, "failed"),
        (20, True, "sending"),
        (90, True, "unknown"),
    ],
)
def test_a_message_of_unknown_fate_is_looked_for_for_an_hour_also_while_the_token_is_dead(
    world: World, minutes: int, claimed: bool, state: str
) -> None:
    interview = world.interview()
    world.set_interview(state="sending", koji_link=KOJI_LINK)
    if claimed:
        claim(world)
    world.let_time_pass(minutes=minutes)
    refused = outcomes.of_error(CredentialsError(reason="intercom_token_refused", status=401))
    send.settle(world.services, interview.id, 1, refused)
    assert (world.interview().state, world.interview().reason) == (state, "intercom_token_refused")
    # The job of the tap itself, and another where there is to be one.
    assert len(world.pending()) == (2 if state == "sending" else 1)
