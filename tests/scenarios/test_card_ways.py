"""Each way on from the card, end to end: what it does, once, and only on the card that it was offered on."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from itsdangerous import TimestampSigner

from canvas_app import store
from canvas_app.canvas.texts import moment
from canvas_app.errors import UnknownOutcomeError
from canvas_app.interviews import once
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.tables import interviews, outside_writes
from canvas_app.settings import Settings
from tests.api.caller import connected
from tests.interviews.asks import read
from tests.support.world import CONTACT, KOJI_ID, World, component, full_settings, texts

OTHER_CONTACT = {"type": "contact", "id": "contact2", "name": "Noah Park", "email": "noah@example.com"}
ELSEWHERE = {"conversation": {"type": "conversation", "id": "502"}}
DAYS = 30
OVER = once.CLAIM_SECONDS + 1


@pytest.fixture
def settings(database_url: str) -> Settings:
    """As the product comes: a contact is asked again after thirty days."""
    return full_settings(database_url, ask_again_days=DAYS)


@contextmanager
def drawn_ago(monkeypatch: pytest.MonkeyPatch, **ago: float) -> Iterator[None]:
    """Within it the clock by which a card is signed is behind."""
    seconds = timedelta(**ago).total_seconds()
    with monkeypatch.context() as patched:
        patched.setattr(TimestampSigner, "get_timestamp", lambda _self: int(time.time() - seconds))
        yield


def messages(world: World) -> int:
    return sum(reply["message_type"] == "comment" for reply in world.calls("POST", "/reply$"))


def answered(world: World) -> Interview:
    """An interview of this conversation, sent and answered."""
    interview = world.send()
    world.set_interview(state="written_back", result={"identity": "named", "sentiment": "positive"})
    return interview


def put_into(world: World, interview_id: str, **values: Any) -> None:
    with store.writing(world.engine) as connection:
        connection.execute(sa.update(interviews).where(interviews.c.id == interview_id).values(**values))


def takes_502(world: World) -> None:
    world.outside.post(
        "https://api.intercom.io/conversations/502/reply", json={"type": "conversation", "id": "502"}
    )


def sent_elsewhere(world: World) -> Interview:
    """An open interview in conversation 501; the card beside 502 is the last one drawn."""
    interview = world.send()
    takes_502(world)
    world.initialize(**ELSEWHERE)
    return interview


def of_unknown_fate(world: World) -> Interview:
    """Intercom did not answer, and the conversation cannot be read far enough to tell."""
    world.intercom_knows_us()
    world.koji_starts()
    world.outside.post(
        "https://api.intercom.io/conversations/501/reply", body=UnknownOutcomeError(reason="no_answer")
    )
    world.initialize()
    world.submit("send")
    world.run_jobs()
    world.let_time_pass(seconds=OVER)
    world.intercom_shows("<p>Hello</p>", total=900)
    world.run_jobs(delayed=True)
    assert world.interview().state == "unknown"
    world.outside.reset()
    world.vendors_are_well()
    world.let_time_pass(seconds=OVER)
    world.initialize()
    return world.interview()


def snapshot(world: World) -> list[Any]:
    with store.reading(world.engine) as connection:
        tables = (interviews, outside_writes)
        return [tuple(row) for table in tables for row in connection.execute(sa.select(table))]


def tap_together(world: World, body: bytes, *, count: int = 2) -> None:
    """The same tap from several threads at once."""
    start, statuses = threading.Barrier(count), []

    def tap() -> None:
        start.wait(10)
        statuses.append(world.post_canvas("/canvas/submit", body).status_code)

    threads = [threading.Thread(target=tap) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert statuses == [200] * count


def tap_body(world: World, component_id: str, **changes: Any) -> bytes:
    body = world.canvas_body(
        component_id=component_id, input_values={}, current_canvas=world.last_canvas, **changes
    )
    return json.dumps(body).encode()


class TestAskedRecently:
    def test_says_so_and_sends_on_a_second_word(self, world: World) -> None:
        answered(world)
        world.initialize()
        card = world.submit("send_again")
        assert "Mia Chen was asked by Ada Byrne on" in texts(card)
        assert component(card, "send") is None
        confirm = world.submit("send_anyway")
        assert "Send another one now?" in texts(confirm)
        assert (world.count(interviews), world.pending()) == (1, [])
        world.submit("confirm_send", {"personal_line": "Once more, please."})
        assert world.run_jobs() == ["send"]
        assert (world.count(interviews), messages(world)) == (2, 2)
        assert (world.interview().state, world.interview().personal_line) == ("sent", "Once more, please.")

    def test_cancel_changes_nothing(self, world: World) -> None:
        answered(world)
        world.submit("send_again")
        world.submit("send_anyway")
        before = snapshot(world)
        card = world.submit("back")
        assert "Answered on" in texts(card)
        assert snapshot(world) == before

    def test_a_stale_offer_is_not_sent_and_its_line_is_kept(self, world: World) -> None:
        offer = world.initialize()
        answered(world)
        card = world.submit("send", {"personal_line": "Great talk."}, current_canvas=offer)
        assert "Asked recently" in texts(card)
        assert (world.count(interviews), messages(world)) == (1, 1)
        confirm = world.submit("send_anyway")
        field = component(confirm, "personal_line")
        assert field is not None
        assert field["value"] == "Great talk."

    def test_a_stale_offer_shows_what_the_customer_has_answered_meanwhile(self, world: World) -> None:
        world.deploy(ask_again_days=0)
        offer = world.initialize()
        answered(world)
        card = world.submit("send", current_canvas=offer)
        assert "Answered on" in texts(card)
        assert (world.count(interviews), messages(world)) == (1, 1)

    def test_an_offer_of_a_day_ago_gives_way_to_what_is_in_the_way(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with drawn_ago(monkeypatch, hours=25):
            offer = world.initialize()
        answered(world)
        assert "Asked recently" in texts(world.submit("send", current_canvas=offer))
        assert world.count(interviews) == 1

    def test_without_stored_data_the_cap_holds_too(self, world: World) -> None:
        answered(world)
        assert "Asked recently" in texts(world.submit("send", current_canvas=None))
        assert world.count(interviews) == 1

    def test_is_over_after_the_days_that_are_set(self, world: World) -> None:
        answered(world)
        world.let_time_pass(days=DAYS, seconds=-60)
        assert component(world.submit("send_again"), "send") is None
        world.let_time_pass(seconds=61)
        assert component(world.submit("send_again"), "send") is not None
        world.submit("send")
        assert world.count(interviews) == 2

    def test_in_another_conversation_counts_and_is_named(self, world: World) -> None:
        answered(world)
        assert "In another conversation" in texts(world.initialize(**ELSEWHERE))
        card = world.submit("send_again", **ELSEWHERE)
        assert ", in another conversation." in texts(card)

    def test_is_counted_for_this_contact_alone(self, world: World) -> None:
        answered(world)
        world.initialize(contact=OTHER_CONTACT)
        world.submit("send", contact=OTHER_CONTACT)
        assert world.count(interviews) == 2

    def test_a_word_that_was_given_holds_when_the_sending_failed(self, world: World) -> None:
        answered(world)
        world.submit("send_again")
        world.submit("send_anyway")
        world.submit("confirm_send", {"personal_line": "Once more, please."})
        while world._take_job(delayed=True):
            pass
        put_into(world, world.interview().id, state="failed", reason="too_late")
        world.initialize()
        world.submit("try_again")
        assert world.run_jobs() == ["send"]
        assert (world.count(interviews), messages(world)) == (3, 2)
        assert world.interview().personal_line == "Once more, please."

    def test_double_taps_and_replays_confirm_once(self, world: World) -> None:
        answered(world)
        world.submit("send_again")
        world.submit("send_anyway")
        body = tap_body(world, "confirm_send")
        tap_together(world, body, count=3)
        world.run_jobs()
        newest = world.interview().id
        for state in ("sent", "completed", "failed"):
            put_into(world, newest, state=state)
            world.post_canvas("/canvas/submit", body)
            assert world.run_jobs() == []
        assert (world.count(interviews), messages(world)) == (2, 2)

    def test_two_tabs_confirm_once(self, world: World) -> None:
        answered(world)
        tabs = []
        for _ in range(2):
            world.submit("send_again")
            tabs.append(world.submit("send_anyway"))
        assert tabs[0]["stored_data"] != tabs[1]["stored_data"]
        for tab in tabs:
            world.submit("confirm_send", current_canvas=tab)
        assert world.count(interviews) == 2
        # Also when the first one is over already.
        world.run_jobs()
        with store.writing(world.engine) as connection:
            connection.execute(
                sa.update(interviews).where(interviews.c.state == "sent").values(state="cancelled")
            )
        world.submit("confirm_send", current_canvas=tabs[1])
        assert (world.count(interviews), messages(world)) == (2, 2)


class TestOpenElsewhere:
    def test_is_named_with_its_date_and_can_be_replaced(self, world: World) -> None:
        old = sent_elsewhere(world)
        card = world.last_canvas
        assert "In another conversation" in texts(card)
        assert "Sent by Ada Byrne on" in texts(card)
        confirm = world.submit("send_anyway", **ELSEWHERE)
        assert "Its link stops working when you send this one." in texts(confirm)
        world.submit("confirm_send", **ELSEWHERE)
        assert world.run_jobs() == ["send"]
        new = world.interview()
        replaced = read(world.engine, old.id)
        assert (replaced.state, replaced.reason) == ("cancelled", "replaced")
        assert replaced.state_since == new.created_at, "in one transaction"
        assert (new.state, new.conversation_id, messages(world)) == ("sent", "502", 2)
        over = world.get(f"/i/{old.link_token}")
        assert over.status_code == 410
        assert "This interview is over" in over.text
        assert world.get(f"/i/{new.link_token}").status_code == 302
        # The first conversation's card speaks of the contact's newest.
        assert "In another conversation." in texts(world.initialize())

    def test_a_result_for_the_replaced_one_is_taken(self, world: World) -> None:
        old = sent_elsewhere(world)
        world.submit("send_anyway", **ELSEWHERE)
        result = world.result()
        world.koji_starts(interview_id=KOJI_ID.replace("0001", "0002"))
        world.submit("confirm_send", **ELSEWHERE)
        world.run_jobs()
        world.intercom_takes("attributes", "tags")
        assert world.koji_event(result).get_json() == {"status": "stored"}
        assert world.run_jobs() == ["forward"]
        assert read(world.engine, old.id).state == "written_back"
        assert world.interview().state == "sent", "the new one is as it was"

    def test_that_was_answered_meanwhile_is_not_closed_and_its_result_is_shown(self, world: World) -> None:
        old = sent_elsewhere(world)
        world.submit("send_anyway", **ELSEWHERE)
        world.intercom_takes("attributes", "tags")
        world.koji_event(world.result())
        world.run_jobs()
        card = world.submit("confirm_send", **ELSEWHERE)
        assert "Answered on" in texts(card)
        assert (read(world.engine, old.id).state, world.count(interviews)) == ("written_back", 1)

    @pytest.mark.parametrize("state", ["queued", "sending", "unknown"])
    def test_that_may_be_going_out_cannot_be_replaced(self, world: World, state: str) -> None:
        sent_elsewhere(world)
        confirm = world.submit("send_anyway", **ELSEWHERE)
        world.set_interview(state=state)
        for canvas in (confirm, world.initialize(**ELSEWHERE)):
            world.submit("confirm_send", current_canvas=canvas, **ELSEWHERE)
        card = world.submit("send_anyway", **ELSEWHERE)
        assert component(card, "confirm_send") is None
        assert component(card, "refresh") is not None
        assert (world.count(interviews), world.interview().state) == (1, state)

    def test_two_at_once_replace_it_once(self, world: World) -> None:
        sent_elsewhere(world)
        world.submit("send_anyway", **ELSEWHERE)
        tap_together(world, tap_body(world, "confirm_send", **ELSEWHERE))
        world.run_jobs()
        assert (world.count(interviews), messages(world)) == (2, 2)

    def test_an_opened_one_is_seen_anew_before_it_is_replaced(self, world: World) -> None:
        old = sent_elsewhere(world)
        confirm = world.submit("send_anyway", **ELSEWHERE)
        world.get(f"/i/{old.link_token}")
        card = world.submit("confirm_send", current_canvas=confirm, **ELSEWHERE)
        assert "The customer opened it on" in texts(card)
        assert (world.count(interviews), world.interview().state) == (1, "opened")

    def test_beside_its_own_conversation_it_is_withdrawn_and_not_replaced(self, world: World) -> None:
        world.send()
        world.initialize()
        card = world.submit("send_anyway")
        assert component(card, "confirm_send") is None
        assert component(card, "withdraw") is not None

    def test_a_kept_tap_of_an_earlier_interview_does_not_bring_its_result_back(self, world: World) -> None:
        world.vendors_are_well()
        world.initialize()
        kept = tap_body(world, "send")
        world.post_canvas("/canvas/submit", kept)
        world.run_jobs()
        world.set_interview(state="written_back", result={"identity": "named", "sentiment": "positive"})
        world.let_time_pass(days=DAYS + 1)
        world.submit("send_again")
        world.submit("send")
        put_into(world, world.interview().id, state="failed", reason="too_late")
        answer = world.post_canvas("/canvas/submit", kept)
        assert "Sending the interview failed on" in answer.text


class TestWithdraw:
    @pytest.mark.parametrize("opened", [False, True])
    def test_ends_the_link_after_a_second_word(self, world: World, opened: bool) -> None:
        interview = world.send()
        if opened:
            world.get(f"/i/{interview.link_token}")
        world.initialize()
        confirm = world.submit("withdraw")
        assert ("They may be answering it now." in texts(confirm)) is opened
        assert world.interview().state == ("opened" if opened else "sent")
        card = world.submit("confirm_withdraw")
        assert "was withdrawn on" in texts(card)
        assert component(card, "send_again") is not None
        assert (world.interview().state, world.interview().reason) == ("cancelled", "withdrawn")
        assert world.get(f"/i/{interview.link_token}").status_code == 410

    def test_can_be_cancelled(self, world: World) -> None:
        world.send()
        world.initialize()
        world.submit("withdraw")
        assert "Interview sent" in texts(world.submit("back"))
        assert world.interview().state == "sent"

    def test_works_from_another_conversation(self, world: World) -> None:
        old = sent_elsewhere(world)
        world.submit("withdraw", **ELSEWHERE)
        world.submit("confirm_withdraw", **ELSEWHERE)
        assert read(world.engine, old.id).state == "cancelled"

    def test_a_result_that_comes_all_the_same_is_taken(self, world: World) -> None:
        world.send()
        world.initialize()
        world.submit("withdraw")
        world.submit("confirm_withdraw")
        world.intercom_takes("attributes", "tags")
        world.koji_event(world.result())
        assert world.run_jobs() == ["forward"]
        assert world.interview().state == "written_back"

    def test_the_withdrawn_one_counts_as_asked(self, world: World) -> None:
        world.send()
        world.initialize()
        world.submit("withdraw")
        world.submit("confirm_withdraw")
        assert "Asked recently" in texts(world.submit("send_again"))

    def test_what_has_expired_is_not_withdrawn(self, world: World) -> None:
        world.send()
        world.initialize()
        world.submit("withdraw")
        world.set_interview(sent_at=world.interview().created_at - timedelta(days=100))
        card = world.submit("confirm_withdraw")
        assert "was not answered" in texts(card)
        assert world.interview().state == "sent", "a card only reads"


class TestUnknown:
    def test_says_when_it_was_tried(self, world: World) -> None:
        unknown = of_unknown_fate(world)
        assert unknown.tried_at is not None
        world.set_interview(state_since=unknown.tried_at + timedelta(minutes=76))
        zone = ZoneInfo("Europe/Berlin")
        assert f"Tried on {moment(unknown.tried_at, zone)}" in texts(world.initialize())

    def test_it_is_there(self, world: World) -> None:
        unknown = of_unknown_fate(world)
        card = world.submit("it_is_there")
        assert "Interview sent" in texts(card)
        sent = world.interview()
        # Since it was tried, which is when the claim on it was made, and not since nobody knew any more.
        assert (sent.state, sent.sent_at, sent.reason) == ("sent", unknown.tried_at, None)
        assert unknown.tried_at is not None
        assert unknown.tried_at < unknown.state_since
        assert (world.pending(), messages(world)) == ([], 0)

    def test_it_is_not_there_and_is_sent_once_more(self, world: World) -> None:
        unknown = of_unknown_fate(world)
        card = world.submit("send_after_all")
        assert "Sending" in texts(card)
        queued = world.interview()
        assert (queued.id, queued.state) == (unknown.id, "queued")
        assert queued.send_before > unknown.send_before
        assert world.pending() == [("send", 0.0)]
        assert world.run_jobs() == ["send"]
        assert (world.interview().state, messages(world)) == ("sent", 1)
        # Started at Koji the first time, and not again.
        assert world.calls("POST", "/interviews/start") == []

    def test_taps_at_once_send_one_message(self, world: World) -> None:
        of_unknown_fate(world)
        body = tap_body(world, "send_after_all")
        tap_together(world, body, count=4)
        world.run_jobs()
        assert (world.interview().state, messages(world)) == ("sent", 1)
        # And a tap that somebody kept does nothing, whatever has become of it.
        for state in ("sent", "unknown", "failed"):
            world.set_interview(state=state)
            world.post_canvas("/canvas/submit", body)
            assert world.run_jobs(delayed=True) == []
        assert messages(world) == 1

    def test_both_ways_at_once_have_one_effect(self, world: World) -> None:
        of_unknown_fate(world)
        there, after_all = tap_body(world, "it_is_there"), tap_body(world, "send_after_all")
        world.post_canvas("/canvas/submit", there)
        world.post_canvas("/canvas/submit", after_all)
        assert (world.run_jobs(), world.interview().state, messages(world)) == ([], "sent", 0)

    def test_not_while_the_call_may_still_be_under_way(self, world: World) -> None:
        of_unknown_fate(world)
        with store.writing(world.engine) as connection:
            connection.execute(sa.update(outside_writes).values(claimed_at=store.now(connection)))
        unknown = world.interview()
        card = world.submit("send_after_all")
        assert "Nothing was changed. Please refresh in a minute." in texts(card)
        assert (world.interview(), world.pending()) == (unknown, [])
        world.let_time_pass(seconds=OVER)
        world.initialize()
        world.submit("send_after_all")
        assert world.interview().state == "queued"

    @pytest.mark.parametrize("way", ["it_is_there", "send_after_all"])
    def test_only_in_its_own_conversation(self, world: World, way: str) -> None:
        unknown = of_unknown_fate(world)
        here = world.last_canvas
        card = world.initialize(**ELSEWHERE)
        assert component(card, way) is None
        assert "look in that conversation" in texts(card)
        for canvas in (here, card):
            world.submit(way, current_canvas=canvas, **ELSEWHERE)
        assert (world.interview(), world.pending()) == (unknown, [])

    @pytest.mark.parametrize("way", ["it_is_there", "send_after_all"])
    def test_not_once_the_customer_has_opened_it(self, world: World, way: str) -> None:
        unknown = of_unknown_fate(world)
        card = world.last_canvas
        world.get(f"/i/{unknown.link_token}")
        assert "The customer opened it on" in texts(world.submit(way, current_canvas=card))
        assert (world.interview().state, world.run_jobs(), messages(world)) == ("opened", [], 0)

    def test_opened_before_the_message_goes_out_again_sends_none(self, world: World) -> None:
        unknown = of_unknown_fate(world)
        world.submit("send_after_all")
        world.get(f"/i/{unknown.link_token}")
        world.run_jobs()
        assert (world.interview().state, messages(world)) == ("opened", 0)

    @pytest.mark.parametrize("way", ["it_is_there", "send_after_all"])
    def test_not_once_it_has_expired(self, world: World, way: str) -> None:
        of_unknown_fate(world)
        body = tap_body(world, way)
        before = world.interview()
        old = before.state_since - timedelta(days=world.settings.open_days + 1)
        world.set_interview(state_since=old)
        assert "was not answered" in texts(world.initialize())
        world.post_canvas("/canvas/submit", body)
        assert (world.interview().state, world.pending()) == ("unknown", [])

    def test_a_send_that_fails_again_is_of_unknown_fate_again(self, world: World) -> None:
        of_unknown_fate(world)
        first = tap_body(world, "send_after_all")
        world.post_canvas("/canvas/submit", first)
        world.outside.upsert(
            "POST",
            "https://api.intercom.io/conversations/501/reply",
            body=UnknownOutcomeError(reason="no_answer"),
        )
        world.intercom_shows("<p>Hello</p>", total=900)
        world.run_jobs()
        world.let_time_pass(seconds=OVER)
        world.run_jobs(delayed=True)
        assert world.interview().state == "unknown"
        world.post_canvas("/canvas/submit", first)
        assert (world.interview().state, world.pending()) == ("unknown", [])
        world.let_time_pass(seconds=OVER)
        world.initialize()
        world.submit("send_after_all")
        assert world.interview().state == "queued"

    def test_what_intercom_has_confirmed_is_sent_whatever_somebody_says(self, world: World) -> None:
        of_unknown_fate(world)
        with store.writing(world.engine) as connection:
            connection.execute(sa.update(outside_writes).values(done_at=store.now(connection), claim=None))
        assert "Interview sent" in texts(world.submit("send_after_all"))
        assert (world.interview().state, world.run_jobs(), messages(world)) == ("sent", [], 0)


# Cards that somebody kept, that are another's, or that lost what they were given


def confirm_sending(world: World) -> None:
    answered(world)
    world.submit("send_again")
    world.submit("send_anyway")


def confirm_withdrawing(world: World) -> None:
    world.send()
    world.initialize()
    world.submit("withdraw")


DESTRUCTIVE: dict[str, Callable[[World], object]] = {
    "confirm_send": confirm_sending,
    "confirm_withdraw": confirm_withdrawing,
    "it_is_there": of_unknown_fate,
    "send_after_all": of_unknown_fate,
}
every_way = pytest.mark.parametrize("way", DESTRUCTIVE)


@every_way
def test_a_tap_of_a_day_ago_only_draws_the_card(
    world: World, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    with drawn_ago(monkeypatch, hours=24.1):
        DESTRUCTIVE[way](world)
    before = snapshot(world)
    card = world.submit(way)
    assert (snapshot(world), world.pending()) == (before, [])
    assert card["content"]["components"]


@every_way
@pytest.mark.parametrize(
    "stored",
    [None, {}, {"token": None}, {"token": ""}, {"token": 7}, {"token": ["x"]}, {"token": "let.me.in"}],
)
def test_a_tap_without_what_the_card_was_given_only_draws_the_card(
    sqlite_world: World, way: str, stored: dict[str, Any] | None
) -> None:
    world = sqlite_world
    DESTRUCTIVE[way](world)
    before = snapshot(world)
    world.submit(way, current_canvas={"stored_data": stored} if stored is not None else None)
    assert (snapshot(world), world.pending()) == (before, [])


@every_way
def test_what_another_contacts_card_was_given_does_nothing_here(world: World, way: str) -> None:
    DESTRUCTIVE[way](world)
    before = snapshot(world)
    world.submit(way, contact=OTHER_CONTACT)
    assert (snapshot(world), world.pending()) == (before, [])
    assert CONTACT not in texts(world.last_canvas)


@every_way
def test_a_nonce_is_not_taken_for_what_binds_a_tap(sqlite_world: World, way: str) -> None:
    world = sqlite_world
    nonce = world.initialize(contact=OTHER_CONTACT)["stored_data"]["nonce"]
    DESTRUCTIVE[way](world)
    before = snapshot(world)
    world.submit(way, current_canvas={"stored_data": {"token": nonce}})
    assert (snapshot(world), world.pending()) == (before, [])


def test_try_again_on_a_card_of_an_earlier_failure_does_nothing(sqlite_world: World) -> None:
    world = sqlite_world
    world.initialize()
    world.submit("send")
    world.set_interview(state="failed", reason="too_late")
    first = world.initialize()
    world.submit("try_again")
    world.set_interview(state="failed", reason="too_late")
    world.submit("try_again", current_canvas=first)
    assert world.count(interviews) == 2
    world.initialize()
    world.submit("try_again")
    assert world.count(interviews) == 3


def test_every_tap_is_logged_with_its_effect_and_nothing_of_a_person(
    sqlite_world: World, log_lines: Any
) -> None:
    world = sqlite_world
    world.vendors_are_well()
    world.initialize()
    world.submit("send")
    world.run_jobs()
    interview = world.interview()
    world.submit("withdraw")
    confirm = world.last_canvas
    world.submit("confirm_withdraw")
    world.submit("confirm_withdraw", current_canvas=confirm)
    world.submit("confirm_withdraw", current_canvas=None)
    world.submit("Mia Chen <mia@example.com>")
    taps = [line for line in log_lines() if line["event"] == "tap"]
    assert [(tap["action"], tap["interview"], tap["effect"]) for tap in taps] == [
        ("send", interview.id, "created"),
        ("withdraw", None, "shown"),
        ("confirm_withdraw", interview.id, "withdrawn"),
        ("confirm_withdraw", interview.id, "changed"),
        ("confirm_withdraw", None, "not_bound"),
        ("other", None, "shown"),
    ]
    assert "Mia" not in json.dumps(taps)


class TestWhatALimitSaidNoTo:
    """Another program or a rule has asked for it; nothing was sent, and the rep can send one all the same."""

    def test_leaves_the_card_that_sends_with_a_line_that_says_why(self, world: World) -> None:
        connected(world).ask(contact_id=CONTACT, study="nobodys")
        card = world.initialize()
        assert "Not sent before: There is no study of this name." in texts(card)
        world.vendors_are_well()
        world.submit("send")
        world.run_jobs()
        assert world.interview().state == "sent"
        assert messages(world) == 1

    def test_leaves_the_open_one_to_be_seen_and_withdrawn(self, world: World) -> None:
        sent = world.send()
        told = connected(world).ask(contact_id=CONTACT, conversation_id="501").get_json()
        assert (told["status"], told["reason"]) == ("skipped", "open_interview")
        assert component(world.initialize(), "withdraw") is not None
        world.submit("withdraw")
        world.submit("confirm_withdraw")
        assert read(world.engine, sent.id).state == "cancelled"

    def test_one_that_was_planned_and_is_cancelled_leaves_the_card_that_sends(self, world: World) -> None:
        connected(world).ask(contact_id=CONTACT, delay=3600)
        world.initialize()
        card = world.submit("cancel_planned")
        assert "Not sent before: A teammate has cancelled it." in texts(card)
        assert component(card, "send") is not None
