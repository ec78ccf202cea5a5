"""How the link reaches the customer: each step may be repeated, and no message goes out twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.interviews import delivering, ledger, once, outcomes, send
from canvas_app.interviews.tables import outside_writes
from tests.interviews.asks import read
from tests.interviews.test_words import GERMAN
from tests.support.world import (
    CONTACT,
    CONVERSATION,
    INTERCOM,
    KOJI_ID,
    KOJI_LINK,
    OWN_ADMIN,
    PUBLIC_URL,
    World,
)

MESSAGES = f"{INTERCOM}/messages"
SEARCH = f"{INTERCOM}/conversations/search"
PUT = f"{INTERCOM}/contacts/{CONTACT}"
HOME = "9001"


def put(world: World, deliver: str, **changes: Any) -> str:
    """An interview of the API that is started and about to be delivered; its id."""
    world.vendors_are_well()
    world.initialize()
    world.submit("send")
    world._take_job(delayed=False)
    interview = world.interview()
    world.set_interview(
        **{
            "state": "sending",
            "origin": "api",
            "deliver": deliver,
            "conversation_id": None,
            "contact_role": "user",
            "asked_by_id": None,
            "koji_interview_id": KOJI_ID,
            "koji_link": KOJI_LINK,
            "send_before": interview.created_at + timedelta(hours=24),
            **changes,
        }
    )
    return interview.id


def intercom_takes_message(world: World, **answer: Any) -> None:
    told = {"type": "admin_message", "id": "19", "message_type": "inapp", "conversation_id": HOME}
    world.outside.upsert("POST", MESSAGES, **(answer or {"json": told}))


def found(world: World, *conversations: dict[str, Any], total: int | None = None) -> None:
    """What Intercom's search knows of the contact's conversations."""
    listed = [{"type": "conversation", **one} for one in conversations]
    world.outside.upsert(
        "POST",
        SEARCH,
        json={
            "type": "conversation.list",
            "conversations": listed,
            "total_count": len(listed) if total is None else total,
        },
    )


def begun(world: World, id_: str, body: str, *, ago: float = 0.0) -> dict[str, Any]:
    at = world.interview().created_at.timestamp() - ago
    return {"id": id_, "created_at": int(at), "source": {"type": "conversation", "body": body}}


def messages(world: World) -> list[dict[str, Any]]:
    return world.calls("POST", "/messages$")


class TestMessage:
    def test_it_is_a_message_of_the_apps_admin_with_the_link_and_a_conversation(self, world: World) -> None:
        id_ = put(world, "message")
        intercom_takes_message(world)
        assert send.post(world.services, id_) == outcomes.done()
        [message] = messages(world)
        assert message["from"] == {"type": "admin", "id": int(OWN_ADMIN)}
        assert message["to"] == {"type": "user", "id": CONTACT}
        assert message["create_conversation_without_contact_reply"] is True
        assert f"{PUBLIC_URL}/i/{world.interview().link_token}" in message["body"]
        assert world.interview().conversation_id == HOME, "the note has a home"

    def test_it_is_in_the_words_of_its_study_and_the_contacts_language(self, sqlite_world: World) -> None:
        sqlite_world.add_study("exit", wording={"de": GERMAN})
        id_ = put(sqlite_world, "message", study="exit", language="de-AT")
        intercom_takes_message(sqlite_world)
        send.post(sqlite_world.services, id_)
        assert GERMAN["thanks"] in messages(sqlite_world)[0]["body"]

    def test_it_goes_to_a_lead_as_to_a_lead(self, sqlite_world: World) -> None:
        id_ = put(sqlite_world, "message", contact_role="lead")
        intercom_takes_message(sqlite_world)
        send.post(sqlite_world.services, id_)
        assert messages(sqlite_world)[0]["to"]["type"] == "lead"

    def test_a_repeated_step_posts_once(self, world: World) -> None:
        id_ = put(world, "message")
        intercom_takes_message(world)
        assert [send.post(world.services, id_)["reason"] for _ in range(3)] == [
            None,
            "done_before",
            "done_before",
        ]
        assert len(messages(world)) == 1

    def test_the_conversation_that_was_named_stays_the_home(self, sqlite_world: World) -> None:
        id_ = put(sqlite_world, "message", conversation_id=CONVERSATION)
        intercom_takes_message(sqlite_world)
        send.post(sqlite_world.services, id_)
        assert sqlite_world.interview().conversation_id == CONVERSATION

    def test_an_answer_that_names_no_conversation_is_a_success_too(self, sqlite_world: World) -> None:
        id_ = put(sqlite_world, "message")
        intercom_takes_message(sqlite_world, json={"type": "admin_message", "id": "19"})
        assert send.post(sqlite_world.services, id_) == outcomes.done()
        assert sqlite_world.interview().conversation_id is None

    @pytest.mark.parametrize("odd", ["last", "", {"a": 1}, None, "1" * 16, True])
    def test_what_is_no_id_of_a_conversation_is_not_taken_for_one(
        self, sqlite_world: World, odd: object
    ) -> None:
        id_ = put(sqlite_world, "message")
        intercom_takes_message(sqlite_world, json={"type": "admin_message", "conversation_id": odd})
        assert send.post(sqlite_world.services, id_) == outcomes.done()
        assert sqlite_world.interview().conversation_id is None

    @pytest.mark.parametrize(
        ("state", "changes"),
        [("cancelled", {}), ("sending", {"opened_at": "now"}), ("sending", {"send_before": "now"})],
    )
    def test_what_is_not_to_be_sent_any_more_is_not(
        self, sqlite_world: World, state: str, changes: dict[str, str]
    ) -> None:
        id_ = put(sqlite_world, "message")
        at = sqlite_world.interview().created_at - timedelta(seconds=1)
        sqlite_world.set_interview(state=state, **dict.fromkeys(changes, at))
        assert send.post(sqlite_world.services, id_)["kind"] in ("stop", "permanent")
        assert messages(sqlite_world) == []

    def test_a_contact_that_is_new_may_not_be_ready_for_messages(self, sqlite_world: World) -> None:
        id_ = put(sqlite_world, "message")
        intercom_takes_message(sqlite_world, status=404, json={"type": "error.list", "errors": []})
        outcome = send.post(sqlite_world.services, id_)
        assert (outcome["kind"], outcome["reason"]) == ("later", "contact_not_ready")
        sqlite_world.let_time_pass(hours=1, seconds=1)
        outcome = send.post(sqlite_world.services, id_)
        assert (outcome["kind"], outcome["reason"]) == ("permanent", "not_found")

    @pytest.mark.parametrize(
        ("status", "kind"), [(400, "permanent"), (429, "later"), (401, "credentials"), (403, "credentials")]
    )
    def test_a_refusal_has_posted_nothing(self, sqlite_world: World, status: int, kind: str) -> None:
        id_ = put(sqlite_world, "message")
        intercom_takes_message(sqlite_world, status=status, json={"type": "error.list", "errors": []})
        assert send.post(sqlite_world.services, id_)["kind"] == kind
        with store.reading(sqlite_world.engine) as connection:
            assert not once.is_claimed(connection, id_, "message")

    def test_it_is_not_sent_with_the_token_of_another_workspace(self, sqlite_world: World) -> None:
        id_ = put(sqlite_world, "message")
        sqlite_world.set_interview(workspace_id="ws2")
        assert send.post(sqlite_world.services, id_) == outcomes.permanent("other_workspace")


class TestMessageOfUnknownFate:
    """The answer was lost, or the worker died: the contact's conversations are searched for the link."""

    @pytest.fixture
    def lost(self, world: World) -> World:
        id_ = put(world, "message")
        intercom_takes_message(world, body=httpx.ReadTimeout("slow"))
        outcome = send.post(world.services, id_)
        assert (outcome["kind"], outcome["reason"]) == ("later", "no_answer")
        return world

    def post(self, world: World, *, after: float = once.CLAIM_SECONDS + 1) -> outcomes.Outcome:
        with store.writing(world.engine) as connection:
            claimed_at = connection.execute(sa.select(outside_writes.c.claimed_at)).scalar_one()
            connection.execute(
                sa.update(outside_writes).values(claimed_at=claimed_at - timedelta(seconds=after))
            )
        return send.post(world.services, world.interview().id)

    def test_it_is_found_by_its_link(self, lost: World) -> None:
        url = f"{PUBLIC_URL}/i/{lost.interview().link_token}"
        found(lost, begun(lost, "1", "<p>Hi</p>", ago=9e6), begun(lost, "77", f'<a href="{url}">go</a>'))
        assert self.post(lost) == outcomes.done("found_there")
        assert lost.interview().conversation_id == "77"
        assert len(messages(lost)) == 1
        [search] = lost.calls("POST", "/search$")
        assert search["query"]["value"][0] == {"field": "contact_ids", "operator": "=", "value": CONTACT}

    def test_it_is_found_where_the_search_gives_plain_text(self, lost: World) -> None:
        found(lost, begun(lost, "76", "Hello"), begun(lost, "77", "Hi Mia, start the interview"))
        for id_, body in (
            ("76", "<p>Hello</p>"),
            ("77", f'<a href="x/{lost.interview().link_token}">go</a>'),
        ):
            lost.outside.get(
                f"{INTERCOM}/conversations/{id_}",
                json={"type": "conversation", "id": id_, "source": {"body": body}},
            )
        assert self.post(lost) == outcomes.done("found_there")
        assert lost.interview().conversation_id == "77"

    def test_that_it_is_not_found_yet_does_not_mean_that_it_is_not_there(self, lost: World) -> None:
        found(lost)
        outcome = self.post(lost)
        assert (outcome["kind"], outcome["reason"]) == ("later", "being_verified")
        assert len(messages(lost)) == 1

    def test_when_it_would_surely_be_found_it_is_posted(self, lost: World) -> None:
        found(lost, begun(lost, "5", "<p>Old</p>", ago=86_400))
        intercom_takes_message(lost)
        assert self.post(lost, after=601) == outcomes.done()
        assert len(messages(lost)) == 2
        assert lost.interview().conversation_id == HOME

    def test_where_more_is_there_than_can_be_seen_nobody_knows(self, lost: World) -> None:
        found(lost, total=200)
        assert self.post(lost, after=601) == outcomes.unknown("cannot_be_told")
        assert len(messages(lost)) == 1

    def test_where_there_is_more_than_can_be_read_nobody_knows(self, sqlite_world: World) -> None:
        id_ = put(sqlite_world, "message")
        intercom_takes_message(sqlite_world, status=500)
        send.post(sqlite_world.services, id_)
        found(sqlite_world, *(begun(sqlite_world, str(number), "Hello") for number in range(1, 22)))
        for number in range(1, 21):
            sqlite_world.outside.get(
                f"{INTERCOM}/conversations/{number}",
                json={"type": "conversation", "id": str(number), "source": {"body": "Hello"}},
            )
        assert self.post(sqlite_world, after=601) == outcomes.unknown("cannot_be_told")

    @pytest.mark.parametrize(
        ("trouble", "kind"),
        [({"status": 503}, "later"), ({"status": 401}, "credentials"), ({"status": 400}, "unknown")],
    )
    def test_where_it_cannot_be_searched_nothing_is_posted(
        self, lost: World, trouble: dict[str, Any], kind: str
    ) -> None:
        lost.outside.post(SEARCH, **trouble)
        assert self.post(lost, after=601)["kind"] == kind
        assert len(messages(lost)) == 1

    def test_a_conversation_that_is_gone_is_none_of_ours(self, sqlite_world: World) -> None:
        id_ = put(sqlite_world, "message")
        intercom_takes_message(sqlite_world, status=500)
        send.post(sqlite_world.services, id_)
        found(sqlite_world, begun(sqlite_world, "76", "Hello"))
        sqlite_world.outside.get(f"{INTERCOM}/conversations/76", status=404)
        intercom_takes_message(sqlite_world)
        assert self.post(sqlite_world, after=601) == outcomes.done()


class TestHome:
    """The conversation in which the note is left."""

    def test_it_is_searched_for_when_intercom_did_not_tell_it(self, sqlite_world: World) -> None:
        world = sqlite_world
        put(world, "message")
        found(world, begun(world, "77", world.interview().link_token))
        assert delivering.home(world.services, world.interview()) == "77"
        assert world.interview().conversation_id == "77"
        assert delivering.home(world.services, world.interview()) == "77"
        assert len(world.calls("POST", "/search$")) == 1

    def test_there_may_be_none(self, sqlite_world: World) -> None:
        put(sqlite_world, "message")
        found(sqlite_world)
        assert delivering.home(sqlite_world.services, sqlite_world.interview()) is None

    @pytest.mark.parametrize("deliver", ["attribute", "none", "conversation"])
    def test_it_is_not_searched_for_where_no_message_was_sent(
        self, sqlite_world: World, deliver: str
    ) -> None:
        put(sqlite_world, deliver)
        assert delivering.home(sqlite_world.services, sqlite_world.interview()) is None


class TestAttribute:
    def test_the_link_comes_first_and_then_since_when_it_is_there(self, world: World) -> None:
        id_ = put(world, "attribute")
        world.intercom_takes("attributes")
        assert send.post(world.services, id_) == outcomes.done()
        first, second = world.calls("PUT", f"/contacts/{CONTACT}$")
        interview = world.interview()
        assert first == {
            "custom_attributes": {"koji_interview_url": f"{PUBLIC_URL}/i/{interview.link_token}"}
        }
        assert list(second["custom_attributes"]) == ["koji_interview_ready_at"]
        ready_at = second["custom_attributes"]["koji_interview_ready_at"]
        assert abs(ready_at - interview.created_at.timestamp()) < 60
        assert interview.link_attribute_at is not None

    def test_a_repeated_step_writes_the_same_again(self, sqlite_world: World) -> None:
        id_ = put(sqlite_world, "attribute")
        sqlite_world.intercom_takes("attributes")
        send.post(sqlite_world.services, id_)
        first = sqlite_world.interview().link_attribute_at
        send.post(sqlite_world.services, id_)
        calls = sqlite_world.calls("PUT", f"/contacts/{CONTACT}$")
        assert calls[0] == calls[2]
        assert sqlite_world.interview().link_attribute_at == first

    def test_that_it_may_be_there_is_known_before_the_call(self, sqlite_world: World) -> None:
        id_ = put(sqlite_world, "attribute")
        sqlite_world.outside.put(PUT, body=httpx.ReadTimeout("slow"))
        assert send.post(sqlite_world.services, id_)["kind"] == "later"
        assert sqlite_world.interview().link_attribute_at is not None

    def test_since_when_is_not_written_before_the_link_is_there(self, sqlite_world: World) -> None:
        id_ = put(sqlite_world, "attribute")
        sqlite_world.outside.put(PUT, status=503)
        send.post(sqlite_world.services, id_)
        [call] = sqlite_world.calls("PUT", f"/contacts/{CONTACT}$")
        assert list(call["custom_attributes"]) == ["koji_interview_url"]

    def test_attributes_that_are_missing_are_created(self, sqlite_world: World) -> None:
        world = sqlite_world
        id_ = put(world, "attribute")
        world.outside.put(PUT, status=400, json=unknown("koji_interview_url"))
        world.outside.put(PUT, json={"type": "contact", "id": CONTACT})
        world.outside.get(f"{INTERCOM}/data_attributes", json={"type": "list", "data": []})
        world.outside.post(f"{INTERCOM}/data_attributes", json={"type": "data_attribute"})
        assert send.post(world.services, id_) == outcomes.done()
        created = {call["name"]: call["data_type"] for call in world.calls("POST", "/data_attributes")}
        assert created == {"koji_interview_url": "string", "koji_interview_ready_at": "datetime"}

    def test_a_link_that_is_too_long_is_never_cut(self, sqlite_world: World) -> None:
        id_ = put(sqlite_world, "attribute", public_url="https://" + "a" * 250 + ".example")
        assert send.post(sqlite_world.services, id_) == outcomes.permanent("link_too_long_for_attribute")
        assert sqlite_world.calls("PUT", "/contacts/") == []
        assert sqlite_world.interview().link_attribute_at is None

    def test_a_contact_who_was_merged_is_followed(self, world: World) -> None:
        id_ = put(world, "attribute")
        merged(world)
        assert send.post(world.services, id_) == outcomes.done()
        assert len(world.calls("PUT", "/contacts/other$")) == 2
        assert read(world.engine, id_).contact_id == "other"

    def test_but_not_into_one_who_is_further_into_an_interview(self, world: World) -> None:
        id_ = put(world, "attribute")
        world.submit("send", contact={"id": "other"}, conversation={"id": "888"})
        others = world.interview()
        with store.writing(world.engine) as connection:
            ledger.change(connection, others.id, only_from=("queued",), state="opened")
        merged(world)
        assert send.post(world.services, id_) == outcomes.stop("not_to_be_sent")
        assert read(world.engine, id_).state == "cancelled"
        assert read(world.engine, others.id).state == "opened"
        assert world.calls("PUT", "/contacts/other$") == []

    def test_one_that_has_ended_meanwhile_is_not_written(self, sqlite_world: World) -> None:
        id_ = put(sqlite_world, "attribute")
        stale = sqlite_world.interview()
        sqlite_world.set_interview(state="completed")
        assert delivering.attribute(sqlite_world.services, stale) == outcomes.stop("not_to_be_sent")
        assert read(sqlite_world.engine, id_).link_attribute_at is None


def test_where_the_caller_brings_the_link_nothing_is_called(sqlite_world: World) -> None:
    id_ = put(sqlite_world, "none")
    before = len(sqlite_world.outside.calls)
    assert send.post(sqlite_world.services, id_) == outcomes.done()
    assert len(sqlite_world.outside.calls) == before


def unknown(name: str) -> dict[str, Any]:
    message = f"Custom attribute '{name}' does not exist"
    return {"type": "error.list", "errors": [{"code": "parameter_invalid", "message": message}]}


def merged(world: World) -> None:
    world.outside.put(
        PUT,
        status=410,
        headers={"Link": f'<{INTERCOM}/contacts/other>; rel="canonical"'},
        json={"type": "error.list", "errors": [{"code": "contact_merged", "message": "x"}]},
    )
    person = {"type": "contact", "id": "other", "role": "user", "email": "mia@example.com"}
    world.outside.get(f"{INTERCOM}/contacts/other", json=person)
    world.outside.put(f"{INTERCOM}/contacts/other", json=person)
