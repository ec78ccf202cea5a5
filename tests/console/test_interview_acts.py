"""What an operator does about one interview: on what was shown, once, and written into the audit log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from canvas_app import store
from canvas_app.console import asked
from canvas_app.console.views import interview_acts
from canvas_app.interviews.tables import audit, interviews, outside_writes
from tests.console.conftest import Person, words
from tests.interviews.results import PUT, attributes, notes, receive, sent_and_ready
from tests.scenarios.test_reminder import shows
from tests.support.events import intercom_has_contact, messages
from tests.support.world import World


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


def act(operator: Person, name: str, *, shown: str | None = None, **fields: Any) -> str:
    """Confirm an act on the newest interview; what the console says then."""
    answer = press(operator, name, shown=shown, **fields)
    assert answer.status_code == 302, answer.text
    return words(operator.client.get(answer.location, base_url="https://interviews.example.com").text)


def press(operator: Person, name: str, *, shown: str | None = None, **fields: Any) -> TestResponse:
    interview = operator.world.interview()
    seen = shown if shown is not None else asked.seen_text(interview)
    return operator.post(f"interviews/{interview.id}/{name}", seen=seen, **fields)


def noted(world: World) -> list[tuple[str, str | None]]:
    with store.reading(world.engine) as connection:
        rows = connection.execute(sa.select(audit.c.what, audit.c.subject).order_by(audit.c.at))
        return [(row[0], row[1]) for row in rows]


def failed(world: World) -> str:
    """A rep's send that has failed; its id."""
    world.vendors_are_well()
    world.initialize()
    world.submit("send", {"personal_line": "Thanks for yesterday."})
    while world._take_job(delayed=True):
        pass
    world.set_interview(state="failed", reason="intercom_refused")
    return world.interview().id


class TestSendingAgain:
    def test_sends_another_one_once(self, world: World, operator: Person) -> None:
        id_ = failed(world)
        intercom_has_contact(world)
        world.intercom_shows()
        page = operator.text(f"interviews/{id_}/send-again")
        assert "Thanks for yesterday." in page
        assert "Would you tell us more" in page
        shown = asked.seen_text(world.interview())
        first = operator.post(f"interviews/{id_}/send-again", seen=shown, line="Sorry for the noise.")
        second = operator.post(f"interviews/{id_}/send-again", seen=shown, line="Sorry for the noise.")
        assert (first.status_code, second.status_code) == (302, 302)
        assert "it was sent again before" in operator.text(f"interviews/{id_}")
        world.run_jobs()
        assert world.count(interviews) == 2
        [message] = messages(world)
        assert "Sorry for the noise." in message["body"]
        assert noted(world) == [("interview_sent_again", id_)]
        assert "Ada in the console: Sent again" in operator.text(f"interviews/{id_}")

    def test_says_when_the_customer_was_asked_last(self, world: World, operator: Person) -> None:
        world.deploy(ask_again_days=30)
        failed(world)
        id_ = world.interview().id
        world.set_interview(state="expired", sent_at=world.interview().created_at)
        html = operator.get(f"interviews/{id_}/send-again").text
        assert "The customer was asked not long ago" in html
        assert "asked meanwhile" in act(operator, "send-again"), "who has not seen that does not send"
        assert world.count(interviews) == 1
        assert "A worker is at it" in act(operator, "send-again", last=asked.seen_text(world.interview()))

    def test_one_whose_time_has_only_just_run_out_waits_for_the_clock(
        self, world: World, operator: Person
    ) -> None:
        world.send()
        world.let_time_pass(days=15)
        assert "try again in five minutes" in act(operator, "send-again").lower()
        world.outside.get(
            "https://koji.so/api/v1/interviews/" + str(world.interview().koji_interview_id), json={}
        )
        world.tick("reconcile")
        assert world.interview().state == "expired"
        assert "A worker is at it" in act(operator, "send-again")

    def test_is_not_offered_while_another_one_is_open(self, world: World, operator: Person) -> None:
        id_ = failed(world)
        world.submit("send")
        assert "has an open interview" in operator.text(f"interviews/{id_}/send-again")


class TestReminding:
    def test_writes_one_reminder(self, world: World, operator: Person) -> None:
        intercom_has_contact(world)
        world.send()
        shows(world)
        world.outside.get("https://api.intercom.io/admins/991", json={"type": "admin", "id": "991"})
        shown = asked.seen_text(world.interview())
        assert "A worker is at it" in act(operator, "remind", shown=shown)
        assert "no longer as it was shown" in act(operator, "remind", shown=shown)
        world.run_jobs()
        assert len(messages(world)) == 2
        assert "The customer was reminded" in operator.text(f"interviews/{world.interview().id}")
        assert [what for what, _ in noted(world)] == ["interview_reminded"]


class TestWithdrawing:
    def test_ends_the_link_once(self, world: World, operator: Person) -> None:
        id_ = world.send().id
        shown = asked.seen_text(world.interview())
        assert "The link is withdrawn" in act(operator, "withdraw", shown=shown)
        assert "no longer as it was shown" in act(operator, "withdraw", shown=shown)
        assert (world.interview().state, world.interview().reason) == ("cancelled", "withdrawn")
        assert noted(world) == [("interview_withdrawn", id_)]

    def test_cancels_what_is_planned(self, world: World, operator: Person) -> None:
        world.send()
        world.set_interview(state="planned", sent_at=None)
        assert "It is cancelled" in act(operator, "cancel")
        assert world.interview().state == "skipped"


class TestWritingAgain:
    def test_writes_what_intercom_has_refused_and_no_second_note(
        self, world: World, operator: Person
    ) -> None:
        world.send()
        world.intercom_takes("tags")
        world.outside.put(PUT, status=422, json={"type": "error.list", "errors": []})
        receive(world)
        world.outside.upsert("PUT", PUT, json={"type": "contact", "id": "contact1"})
        shown = asked.seen_text(world.interview())
        assert "is written to Intercom once more" in act(operator, "write-again", shown=shown)
        act(operator, "write-again", shown=shown)
        world.run_jobs()
        assert world.interview().state == "written_back"
        assert (len(notes(world)), len(attributes(world))) == (1, 2)
        assert [what for what, _ in noted(world)] == ["interview_written_again"]


class TestSettling:
    def unknown(self, world: World, *, age: float = 300) -> None:
        world.send()
        world.set_interview(state="unknown", sent_at=None)
        with store.writing(world.engine) as connection:
            moment = store.now(connection) - timedelta(seconds=age)
            connection.execute(sa.update(outside_writes).values(claim="x", done_at=None, claimed_at=moment))

    def test_it_is_there(self, world: World, operator: Person) -> None:
        self.unknown(world)
        assert "written down as sent" in act(operator, "settle", there="yes")
        assert world.interview().state == "sent"
        assert world.run_jobs() == []

    def test_it_is_not_there_and_goes_out_once_more(self, world: World, operator: Person) -> None:
        self.unknown(world)
        shown = asked.seen_text(world.interview())
        assert "A worker is at it" in act(operator, "settle", shown=shown)
        act(operator, "settle", shown=shown)
        world.run_jobs()
        assert world.interview().state == "sent"
        assert len(messages(world)) == 2
        assert [what for what, _ in noted(world)] == ["interview_settled"]

    def test_not_while_the_call_may_be_under_way(self, world: World, operator: Person) -> None:
        self.unknown(world, age=1)
        assert "may still be under way" in act(operator, "settle")


class TestErasing:
    def test_names_what_will_be_lost_and_a_worker_does_it(self, world: World, operator: Person) -> None:
        sent_and_ready(world)
        receive(world)
        id_ = world.interview().id
        page = operator.text(f"interviews/{id_}/erase")
        assert "cannot be undone" in page
        assert "asked in 1 interview" in page
        assert world.interview().purged_at is None, "a look erases nothing"
        assert "A worker erases the contact" in act(operator, "erase")
        assert world.run_jobs() == ["erase"]
        interview = world.interview()
        assert (interview.contact_name, interview.contact_id) == (None, "purged")
        assert noted(world) == [("contact_erased", id_)]
        assert "What is personal about it was removed" in operator.text(f"interviews/{id_}")
        assert "no longer as it was shown" in act(operator, "erase")

    def test_twice_at_once_is_once(self, world: World, operator: Person) -> None:
        world.send()
        act(operator, "erase")
        act(operator, "erase")
        assert world.run_jobs() == ["erase", "erase"]
        assert world.interview().purged_at is not None

    def test_takes_the_link_out_of_the_attributes_as_far_as_intercom_lets_it(
        self, world: World, operator: Person
    ) -> None:
        world.send()
        world.set_interview(link_attribute_at=world.interview().created_at)
        world.outside.put(PUT, status=401, json={"type": "error.list", "errors": []})
        act(operator, "erase")
        world.run_jobs()
        assert world.interview().purged_at is not None


class TestWhoMay:
    @pytest.mark.parametrize("name", interview_acts.ACTS)
    def test_a_viewer_neither_sees_a_button_nor_changes_anything(
        self, world: World, viewer: Person, name: str
    ) -> None:
        interview = world.send()
        assert f"/{name}" not in viewer.get(f"interviews/{interview.id}").text
        assert viewer.get(f"interviews/{interview.id}/{name}").status_code == 403
        assert press(viewer, name).status_code == 403
        assert world.interview() == interview
        assert world.count(audit) == 0

    @pytest.mark.parametrize("name", interview_acts.ACTS)
    def test_what_is_not_possible_is_not_done(self, world: World, operator: Person, name: str) -> None:
        world.send()
        world.set_interview(state="written_back", purged_at=world.interview().created_at)
        assert "cannot be done any more" in operator.text(f"interviews/{world.interview().id}/{name}")
        before = world.interview()
        press(operator, name)
        assert (world.interview(), world.count(audit)) == (before, 0)
        assert world.pending() == []

    @pytest.mark.parametrize("shown", ["", "nonsense", "a~b~c", "~~", "x~1~2026-01-01T00:00:00+00:00"])
    @pytest.mark.parametrize("name", ["withdraw", "remind", "erase"])
    def test_a_form_that_does_not_say_what_was_shown_does_nothing(
        self, world: World, operator: Person, name: str, shown: str
    ) -> None:
        before = world.send()
        assert "no longer as it was shown" in act(operator, name, shown=shown)
        assert world.interview() == before

    def test_there_is_no_other_act(self, world: World, operator: Person) -> None:
        assert press_unknown(world, operator).status_code == 404


def press_unknown(world: World, operator: Person) -> TestResponse:
    interview = world.send()
    return operator.post(f"interviews/{interview.id}/explode", seen=asked.seen_text(interview))
