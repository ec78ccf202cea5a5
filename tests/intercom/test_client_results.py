"""What single calls send and what they make of the answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
import responses

from canvas_app.errors import ContactMerged, PermanentError, UnknownAttribute
from canvas_app.intercom.client import IntercomClient
from tests.intercom.calls import CALLS, CONTACT, fails
from tests.intercom.conftest import BASE, error_list, sample


def sent(intercom: responses.RequestsMock) -> Any:
    body = intercom.calls[0].request.body
    assert isinstance(body, bytes)
    return json.loads(body)


class TestResults:
    def test_me(self, client: IntercomClient, intercom: responses.RequestsMock) -> None:
        intercom.get(BASE + "/me", json=sample("me.json"))
        assert client.me().admin_id == "991267459"

    @pytest.mark.parametrize(("status", "exists"), [(200, True), (404, False)])
    def test_admin_exists(
        self, client: IntercomClient, intercom: responses.RequestsMock, status: int, exists: bool
    ) -> None:
        intercom.get(BASE + "/admins/7", status=status, json=sample("admin_not_found.json"))
        assert client.admin_exists("7") is exists

    def test_a_message_names_sender_and_addressee(
        self, client: IntercomClient, intercom: responses.RequestsMock
    ) -> None:
        intercom.post(BASE + "/messages", json={**sample("message.json"), "conversation_id": 614})
        told = client.create_message(CONTACT, role="lead", admin_id="991267696", body="<p>hi</p>")
        assert told == "614"
        assert sent(intercom) == {
            "message_type": "in_app",
            "from": {"type": "admin", "id": 991267696},
            "to": {"type": "lead", "id": CONTACT},
            "body": "<p>hi</p>",
            "create_conversation_without_contact_reply": True,
        }

    def test_a_message_whose_conversation_is_not_told(
        self, client: IntercomClient, intercom: responses.RequestsMock
    ) -> None:
        intercom.post(BASE + "/messages", json=sample("message.json"))
        assert client.create_message(CONTACT, role="user", admin_id="7", body="hi") is None

    def test_conversations_of_a_contact(
        self, client: IntercomClient, intercom: responses.RequestsMock
    ) -> None:
        intercom.post(BASE + "/conversations/search", json=sample("conversations_found.json"))
        found = client.search_conversations_of_contact(CONTACT, since=1_700_000_000.9)
        assert [one.id for one in found.conversations] == ["515"]
        assert sent(intercom) == {
            "query": {
                "operator": "AND",
                "value": [
                    {"field": "contact_ids", "operator": "=", "value": CONTACT},
                    {"field": "created_at", "operator": ">", "value": 1_700_000_000},
                ],
            },
            "pagination": {"per_page": 150},
        }

    def test_contacts_with_an_address(self, client: IntercomClient, intercom: responses.RequestsMock) -> None:
        intercom.post(BASE + "/contacts/search", json=sample("contacts_found.json"))
        [contact] = client.search_contacts_by_email("joe@bloggs.com")
        assert (contact.id, contact.role) == (CONTACT, "user")
        assert sent(intercom)["query"] == {"field": "email", "operator": "=", "value": "joe@bloggs.com"}

    @pytest.mark.parametrize(("speak", "message_type"), [("reply", "comment"), ("note", "note")])
    def test_speaking(
        self, client: IntercomClient, intercom: responses.RequestsMock, speak: str, message_type: str
    ) -> None:
        intercom.post(BASE + "/conversations/503/reply", json=sample("reply_note.json"))
        part_id = getattr(client, speak)("503", admin_id="991267696", body="<p>hi</p>")
        assert part_id == "133"
        body = sent(intercom)
        assert body == {
            "message_type": message_type,
            "type": "admin",
            "admin_id": "991267696",
            "body": "<p>hi</p>",
        }

    def test_a_reply_whose_part_is_not_in_the_answer(
        self, client: IntercomClient, intercom: responses.RequestsMock
    ) -> None:
        intercom.post(BASE + "/conversations/503/reply", json=sample("reply_note.json"))
        assert client.reply("503", admin_id="7", body="x") is None

    def test_get_conversation_asks_for_html(
        self, client: IntercomClient, intercom: responses.RequestsMock
    ) -> None:
        intercom.get(BASE + "/conversations/503", json=sample("conversation.json"))
        assert client.get_conversation("503").contains("Okay!")
        assert "display_as" not in str(intercom.calls[0].request.url)

    def test_contact_attributes_asks_for_archived_ones(
        self, client: IntercomClient, intercom: responses.RequestsMock
    ) -> None:
        query = {"model": "contact", "include_archived": "true"}
        intercom.get(
            BASE + "/data_attributes",
            json={"data": []},
            match=[responses.matchers.query_param_matcher(query)],
        )
        assert client.contact_attributes() == {}

    def test_tags(self, client: IntercomClient, intercom: responses.RequestsMock) -> None:
        intercom.post(BASE + "/tags", json=sample("tag.json"))
        intercom.get(BASE + f"/contacts/{CONTACT}/tags", json=sample("tags.json"))
        assert client.ensure_tag("test") == "105"
        assert [(tag.id, tag.name) for tag in client.contact_tags(CONTACT)] == [("80", "Manual tag")]

    def test_untagging_another_refusal_is_raised(
        self, client: IntercomClient, intercom: responses.RequestsMock
    ) -> None:
        assert type(fails(client, intercom, CALLS["untag_contact"], status=422)) is PermanentError


class TestMerged:
    @pytest.mark.parametrize(
        ("link", "canonical"),
        [
            ('</contacts/abc>; rel="canonical"', "abc"),
            ("</contacts/abc>; rel=canonical", "abc"),
            ('<https://api.intercom.io/contacts/abc>;rel="canonical"', "abc"),
            ('</x>; rel="next", </contacts/abc>; rel="canonical"', "abc"),
            (None, None),
            ("", None),
            ("</contacts/abc>", None),
            ('</contacts/abc>; rel="next"', None),
            ('</contacts/a/../b>; rel="canonical"', None),
            ('</contacts/a%2Fb>; rel="canonical"', None),
            ('</companies/abc>; rel="canonical"', None),
            (f'</contacts/{CONTACT}>; rel="canonical"', None),  # Itself: following it would go in circles.
        ],
    )
    def test_the_canonical_id(
        self,
        client: IntercomClient,
        intercom: responses.RequestsMock,
        link: str | None,
        canonical: str | None,
    ) -> None:
        headers = {} if link is None else {"Link": link}
        error = fails(client, intercom, CALLS["get_contact"], status=410, headers=headers)
        assert isinstance(error, ContactMerged)
        assert error.canonical_id == canonical


class TestUnknownAttribute:
    def test_it_is_named(self, client: IntercomClient, intercom: responses.RequestsMock) -> None:
        body = error_list("parameter_invalid", "Custom attribute 'last_interview_quality' does not exist")
        error = fails(client, intercom, CALLS["update_contact"], status=400, json=body)
        assert isinstance(error, UnknownAttribute)
        assert error.name == "last_interview_quality"

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            ("parameter_invalid", "Custom attribute 'never_sent' does not exist"),
            ("parameter_invalid", "Custom attribute '' does not exist"),
            ("parameter_invalid", "something else"),
            ("server_error", "Custom attribute 'last_interview_quality' does not exist"),
        ],
    )
    def test_anything_else_is_a_plain_refusal(
        self, client: IntercomClient, intercom: responses.RequestsMock, code: str, message: str
    ) -> None:
        error = fails(client, intercom, CALLS["update_contact"], status=400, json=error_list(code, message))
        assert type(error) is PermanentError


class TestCreatingAttributes:
    def listing(self, **more: object) -> dict[str, Any]:
        item = {"name": "score", "data_type": "float", "model": "contact", "custom": True, **more}
        return {"type": "list", "data": [item]}

    def test_the_body(self, client: IntercomClient, intercom: responses.RequestsMock) -> None:
        intercom.post(BASE + "/data_attributes", json={"name": "score"})
        client.create_contact_attribute("score", "float", "1 to 5")
        assert sent(intercom) == {
            "name": "score",
            "model": "contact",
            "data_type": "float",
            "description": "1 to 5",
        }

    def test_one_that_is_there_will_do(
        self, client: IntercomClient, intercom: responses.RequestsMock
    ) -> None:
        intercom.post(BASE + "/data_attributes", status=400, json=sample("attribute_exists.json"))
        intercom.get(BASE + "/data_attributes", json=self.listing())
        client.create_contact_attribute("score", "float", "1 to 5")
        assert len(intercom.calls) == 2

    def test_an_archived_one_will_not(self, client: IntercomClient, intercom: responses.RequestsMock) -> None:
        intercom.post(BASE + "/data_attributes", status=400, json=sample("attribute_exists.json"))
        intercom.get(BASE + "/data_attributes", json=self.listing(archived=True))
        with pytest.raises(PermanentError) as caught:
            client.create_contact_attribute("score", "float", "1 to 5")
        assert caught.value.reason == "attribute_archived"

    def test_a_name_that_only_companies_have(
        self, client: IntercomClient, intercom: responses.RequestsMock
    ) -> None:
        intercom.post(BASE + "/data_attributes", status=400, json=sample("attribute_exists.json"))
        intercom.get(BASE + "/data_attributes", json=self.listing(model="company"))
        with pytest.raises(PermanentError) as caught:
            client.create_contact_attribute("score", "float", "1 to 5")
        assert caught.value.reason == "intercom_refused"
