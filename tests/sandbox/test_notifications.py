from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sandbox import acts, seed
from sandbox.faults import DeliveryFault
from sandbox.server import Sandbox
from sandbox.state import BOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sandbox.fake_app import FakeApp

COMMENT = {
    "message_type": "comment",
    "type": "admin",
    "admin_id": seed.ADA,
    "body": "<p>Hi <b>you</b></p>",
}
CLOSE = {"message_type": "close", "type": "admin", "admin_id": seed.OWN_ADMIN}


def received(sandbox: Sandbox, fake_app: FakeApp) -> list[dict[str, Any]]:
    """What reached the application, oldest first."""
    assert sandbox.notifier.deliverer.wait_idle()
    return [json.loads(raw) for raw, _ in fake_app.notifications]


def item(sandbox: Sandbox, fake_app: FakeApp, topic: str) -> dict[str, Any]:
    """What the one notification that there is was about."""
    [document] = received(sandbox, fake_app)
    assert document["topic"] == topic
    found: dict[str, Any] = document["data"]["item"]
    return found


def test_the_envelope_is_signed_and_complete(sandbox: Sandbox, fake_app: FakeApp) -> None:
    acts.close(sandbox.state.intercom, sandbox.state.intercom.conversation("1001"), by=seed.ADA)
    [document] = received(sandbox, fake_app)
    [(raw, headers)] = fake_app.notifications
    expected = hmac.new(sandbox.client_secret.encode(), raw, hashlib.sha1).hexdigest()
    assert headers["X-Hub-Signature"] == f"sha1={expected}"
    assert re.fullmatch(r"notif_[0-9a-f-]{36}", document["id"])
    assert (document["type"], document["app_id"]) == ("notification_event", "sandbox1")
    assert document["data"]["type"] == "notification_event_data"
    assert (document["delivery_attempts"], document["self"], document["links"]) == (1, None, {})
    assert abs(document["created_at"] - time.time()) < 60


class TestConversations:
    def test_closed_by_the_teammate_who_looks(self, sandbox: Sandbox, fake_app: FakeApp) -> None:
        state = sandbox.state.intercom
        acts.close(state, state.conversation("1001"), by=seed.ADA)
        found = item(sandbox, fake_app, "conversation.admin.closed")
        assert (found["type"], found["id"], found["state"]) == ("conversation", "1001", "closed")
        [part] = found["conversation_parts"]["conversation_parts"]
        assert (part["part_type"], part["author"]["type"], part["author"]["id"]) == (
            "close",
            "admin",
            seed.ADA,
        )
        assert part["app_package_code"] is None
        assert found["source"]["body"].startswith("Hi!")
        assert found["contacts"]["contacts"][0]["id"] == seed.MARTA
        assert found["statistics"]["last_closed_by_id"] == int(seed.ADA)
        assert found["statistics"]["handling_time"] is None

    def test_closed_by_the_bot(self, sandbox: Sandbox, fake_app: FakeApp) -> None:
        state = sandbox.state.intercom
        acts.close(state, state.conversation("1001"), by="bot")
        found = item(sandbox, fake_app, "conversation.admin.closed")
        [part] = found["conversation_parts"]["conversation_parts"]
        assert (part["author"]["type"], part["author"]["id"]) == ("bot", BOT)

    def test_what_the_application_does_itself_says_so(
        self, api: httpx.Client, sandbox: Sandbox, fake_app: FakeApp
    ) -> None:
        api.post("/conversations/1001/reply", json=COMMENT)
        assert sandbox.notifier.deliverer.wait_idle()
        api.post("/conversations/1001/parts", json=CLOSE)
        documents = received(sandbox, fake_app)
        topics = [document["topic"] for document in documents]
        assert topics == ["conversation.admin.replied", "conversation.admin.closed"]
        for document in documents:
            [part] = document["data"]["item"]["conversation_parts"]["conversation_parts"]
            assert part["app_package_code"] == "sandbox-app"
        first = documents[0]["data"]["item"]["conversation_parts"]["conversation_parts"][0]
        assert first["body"] == "Hi you"

    def test_a_reply_that_reopens_is_a_reply(
        self, api: httpx.Client, sandbox: Sandbox, fake_app: FakeApp
    ) -> None:
        sandbox.state.intercom.conversation("1001").state = "closed"
        api.post("/conversations/1001/reply", json=COMMENT)
        found = item(sandbox, fake_app, "conversation.admin.replied")
        assert found["state"] == "open"
        assert found["conversation_parts"]["conversation_parts"][0]["part_type"] == "open"

    def test_rated(self, sandbox: Sandbox, fake_app: FakeApp) -> None:
        state = sandbox.state.intercom
        marta = state.contact(seed.MARTA)
        acts.rate(state, state.conversation("1001"), marta, 2, " Took <long> ")
        found = item(sandbox, fake_app, "conversation.rating.added")
        rating = found["conversation_rating"]
        assert (rating["rating"], rating["remark"]) == (2, "Took <long>")
        assert (rating["contact"]["id"], rating["teammate"]["id"]) == (seed.MARTA, seed.ADA)

    def test_rated_without_a_word(self, sandbox: Sandbox, fake_app: FakeApp) -> None:
        state = sandbox.state.intercom
        acts.rate(state, state.conversation("1001"), state.contact(seed.MARTA), 5, "")
        found = item(sandbox, fake_app, "conversation.rating.added")
        assert found["conversation_rating"]["remark"] is None

    def test_a_tagged_message_comes_in_its_conversation(self, sandbox: Sandbox, fake_app: FakeApp) -> None:
        state = sandbox.state.intercom
        said = state.conversation("1001").parts[1]
        tag_id = acts.tag_part(state, state.conversation("1001"), said.id, "bug", by=seed.ADA)
        found = item(sandbox, fake_app, "conversation_part.tag.created")
        assert (found["type"], found["id"]) == ("conversation", "1001")
        assert found["tags_added"]["tags"] == [{"type": "tag", "id": tag_id, "name": "bug"}]
        [part] = found["conversation_parts"]["conversation_parts"]
        assert (part["id"], part["tags"][0]["name"]) == (said.id, "bug")
        assert state.tags_on_conversation("1001") == {"bug"}

    def test_a_tagged_message_may_come_by_itself(self, sandbox: Sandbox, fake_app: FakeApp) -> None:
        state = sandbox.state.intercom
        sandbox.notifier.part_tag_form = "conversation_part"
        source = state.conversation("1001").source
        acts.tag_part(state, state.conversation("1001"), source.id, "bug", by=seed.ADA)
        found = item(sandbox, fake_app, "conversation_part.tag.created")
        assert (found["type"], found["id"]) == ("conversation_part", source.id)
        assert found["tags"][0]["name"] == "bug"

    def test_what_is_not_subscribed_to_is_not_told(
        self, api: httpx.Client, sandbox: Sandbox, fake_app: FakeApp
    ) -> None:
        api.post("/conversations/1001/reply", json={**COMMENT, "message_type": "note"})
        state = sandbox.state.intercom
        acts.say(state, state.conversation("1001"), state.contact(seed.MARTA), "One more <thing>")
        assert received(sandbox, fake_app) == []
        sandbox.notifier.topics.add("conversation.user.replied")
        acts.say(state, state.conversation("1001"), state.contact(seed.MARTA), "And one more")
        assert item(sandbox, fake_app, "conversation.user.replied")["id"] == "1001"
        assert state.comments("1001")[-2].body == "<p>One more &lt;thing&gt;</p>"


class TestContacts:
    @pytest.mark.parametrize(("contact_id", "role"), [(seed.MARTA, "user"), (seed.LEAD, "lead")])
    def test_tagged(self, sandbox: Sandbox, fake_app: FakeApp, contact_id: str, role: str) -> None:
        state = sandbox.state.intercom
        acts.tag_contact(state, state.contact(contact_id), "churn risk", by=seed.ADA)
        found = item(sandbox, fake_app, f"contact.{role}.tag.created")
        assert (found["type"], found["tag"]["name"]) == ("contact_tag", "churn risk")
        assert (found["contact"]["id"], found["contact"]["role"]) == (contact_id, role)
        assert found["contact"]["tags"]["data"][0]["id"] == found["tag"]["id"]
        assert re.match(r"\d{4}-\d\d-\d\dT", found["contact"]["created_at"])

    def test_tagged_by_the_application_and_only_once(
        self, api: httpx.Client, sandbox: Sandbox, fake_app: FakeApp
    ) -> None:
        tag_id = api.post("/tags", json={"name": "koji"}).json()["id"]
        for _ in range(2):
            api.post(f"/contacts/{seed.MARTA}/tags", json={"id": tag_id})
        assert item(sandbox, fake_app, "contact.user.tag.created")["tag"]["id"] == tag_id

    def test_archived_ones_are_named_and_no_more(self, sandbox: Sandbox, fake_app: FakeApp) -> None:
        state = sandbox.state.intercom
        acts.archive(state, state.contact(seed.MARTA))
        assert item(sandbox, fake_app, "contact.archived") == {
            "type": "contact",
            "id": seed.MARTA,
            "external_id": "cust_2041",
            "archived": True,
        }

    def test_deleted_ones_are_named_and_forgotten(
        self, api: httpx.Client, sandbox: Sandbox, fake_app: FakeApp
    ) -> None:
        state = sandbox.state.intercom
        acts.delete(state, state.contact(seed.MARTA))
        found = item(sandbox, fake_app, "contact.deleted")
        assert found == {"type": "contact", "id": seed.MARTA, "external_id": "cust_2041", "deleted": True}
        assert state.contact(seed.MARTA).email is None
        assert api.get(f"/contacts/{seed.MARTA}").status_code == 404
        assert api.get("/conversations/1001").json()["contacts"]["contacts"][0]["id"] == seed.MARTA

    def test_merged_ones_are_told_with_the_one_that_lives_on(
        self, api: httpx.Client, sandbox: Sandbox, fake_app: FakeApp
    ) -> None:
        state = sandbox.state.intercom
        acts.merge(state, state.contact(seed.LEAD), state.contact(seed.PRIYA))
        found = item(sandbox, fake_app, "contact.merged")
        assert (found["type"], found["id"]) == ("contact", seed.PRIYA)
        assert found["merged_from"] == {"type": "contact", "id": seed.LEAD}
        assert api.get(f"/contacts/{seed.LEAD}").status_code == 410
        assert state.conversation(seed.LEADS_CONVERSATION).contact_ids == [seed.PRIYA]


def test_a_ping_has_no_id(sandbox: Sandbox, fake_app: FakeApp) -> None:
    sandbox.notifier.ping()
    [document] = received(sandbox, fake_app)
    assert (document["topic"], document["id"], document["data"]["item"]["type"]) == ("ping", None, "ping")


class TestDelivering:
    def test_a_failure_is_tried_once_more_under_the_same_id(
        self, sandbox: Sandbox, fake_app: FakeApp
    ) -> None:
        fake_app.webhook_statuses = [500, 503]
        sandbox.notifier.send("any.topic", {}, about="x")
        first, second = received(sandbox, fake_app)
        assert first["id"] == second["id"]
        assert [first["delivery_attempts"], second["delivery_attempts"]] == [1, 2]
        raw, headers = fake_app.notifications[1]
        expected = hmac.new(sandbox.client_secret.encode(), raw, hashlib.sha1).hexdigest()
        assert headers["X-Hub-Signature"] == f"sha1={expected}"
        [delivery] = sandbox.notifier.deliverer.deliveries
        assert (delivery.statuses, delivery.done, delivery.accepted) == ([500, 503], True, False)

    def test_the_pause_is_a_minute_in_truth(self) -> None:
        with Sandbox("http://127.0.0.1:1", retry_pause=60.0) as slow:
            slow.notifier.ping()
            assert slow.notifier.deliverer.endpoint.pauses == (60.0,)
            assert slow.notifier.deliverer.endpoint.timeout == 5.0

    def test_an_application_that_is_away_is_no_answer(self) -> None:
        with Sandbox("http://127.0.0.1:1", retry_pause=0.01) as alone:
            delivery = alone.notifier.ping()
            assert alone.notifier.deliverer.wait_idle()
            assert delivery.statuses == [None, None]

    def test_410_disables_the_subscription(self, sandbox: Sandbox, fake_app: FakeApp) -> None:
        fake_app.webhook_statuses = [410]
        sandbox.notifier.send("first.topic", {}, about="x")
        assert len(received(sandbox, fake_app)) == 1
        after = sandbox.notifier.send("second.topic", {}, about="x")
        assert len(received(sandbox, fake_app)) == 1
        assert (after.lost, after.statuses) == (True, [])

    def test_duplicates(self, sandbox: Sandbox, fake_app: FakeApp) -> None:
        sandbox.faults.set_delivery(DeliveryFault("duplicate", copies=3, vendor="intercom"))
        sandbox.notifier.send("a.topic", {}, about="x")
        documents = received(sandbox, fake_app)
        assert len(documents) == 3
        assert len({document["id"] for document in documents}) == 1

    def test_losses(self, sandbox: Sandbox, fake_app: FakeApp) -> None:
        sandbox.faults.set_delivery(DeliveryFault("lose", "a.topic", vendor="intercom"))
        sandbox.notifier.send("a.topic", {}, about="x")
        sandbox.notifier.send("b.topic", {}, about="x")
        assert [document["topic"] for document in received(sandbox, fake_app)] == ["b.topic"]

    def test_the_next_one_may_overtake(self, sandbox: Sandbox, fake_app: FakeApp) -> None:
        sandbox.faults.set_delivery(DeliveryFault("reorder", "a.topic", vendor="intercom"))
        sandbox.notifier.send("a.topic", {}, about="x")
        sandbox.notifier.send("b.topic", {}, about="y")
        topics = [document["topic"] for document in received(sandbox, fake_app)]
        assert topics == ["b.topic", "a.topic"]

    def test_faults_of_one_vendor_are_not_the_others(self, sandbox: Sandbox, fake_app: FakeApp) -> None:
        sandbox.faults.set_delivery(DeliveryFault("lose"))
        sandbox.notifier.ping()
        assert len(received(sandbox, fake_app)) == 1
        with pytest.raises(ValueError, match="vendor is 'zendesk'"):
            DeliveryFault("lose", vendor="zendesk")  # type: ignore[arg-type] # That is the test.


class TestRefusedActs:
    def test_each_says_why(self, sandbox: Sandbox, fake_app: FakeApp) -> None:
        state = sandbox.state.intercom
        marta, lead, talk = state.contact(seed.MARTA), state.contact(seed.LEAD), state.conversation("1001")
        merged = state.contact(seed.MERGED)
        talk.state = "closed"
        refused: list[Callable[[], object]] = [
            lambda: acts.close(state, talk, by=seed.ADA),
            lambda: acts.close(state, state.conversation("1002"), by="7"),
            lambda: acts.rate(state, talk, marta, 6, None),
            lambda: acts.say(state, talk, marta, "  "),
            lambda: acts.tag_contact(state, marta, " ", by=seed.ADA),
            lambda: acts.untag_contact(state, marta, "1"),
            lambda: acts.tag_part(state, talk, "1", "bug", by=seed.ADA),
            lambda: acts.merge(state, marta, marta),
            lambda: acts.merge(state, marta, lead),
            lambda: acts.merge(state, merged, marta),
            lambda: acts.archive(state, merged),
            lambda: acts.delete(state, merged),
            lambda: acts.change(marta, {"unsubscribed_from_emails": "yes"}),
            lambda: acts.change(marta, {"id": "other"}),
        ]
        for act in refused:
            with pytest.raises(acts.ActRefused, match=r"\.$"):
                act()
        assert received(sandbox, fake_app) == []
