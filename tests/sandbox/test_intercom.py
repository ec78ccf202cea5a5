from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox import acts, seed

if TYPE_CHECKING:
    import httpx

    from sandbox.server import Sandbox

NOTE = {"message_type": "note", "type": "admin", "admin_id": seed.ADA, "body": "<p>Hello</p>"}
COMMENT = {**NOTE, "message_type": "comment"}


def refusal(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["type"] == "error.list"
    assert body["request_id"]
    return answer.status_code, body["errors"][0]["code"]


def test_me_names_the_tokens_admin_and_the_workspace(api: httpx.Client) -> None:
    me = api.get("/me").json()
    assert me["id"] == seed.OWN_ADMIN
    assert me["app"]["id_code"] == "sandbox1"
    assert me["app"]["timezone"] == "Europe/Berlin"


def test_wrong_token_is_401(api: httpx.Client) -> None:
    assert refusal(api.get("/me", headers={b"Authorization": "Bearer nö".encode()})) == (401, "unauthorized")
    assert refusal(api.get("/me", headers={"Authorization": ""})) == (401, "unauthorized")


@pytest.mark.parametrize("version", ["", "2.17", "latest"])
def test_unknown_version_is_400(api: httpx.Client, version: str) -> None:
    answer = api.get("/me", headers={"Intercom-Version": version})
    assert refusal(answer) == (400, "intercom_version_invalid")


def test_missing_version_is_400(api: httpx.Client) -> None:
    del api.headers["Intercom-Version"]
    assert refusal(api.get("/me")) == (400, "intercom_version_invalid")


def test_body_must_be_json(api: httpx.Client) -> None:
    assert refusal(api.post("/tags", content=b"name=x")) == (415, "media_type_not_acceptable")
    assert refusal(api.post("/tags", json=["x"])) == (400, "parameter_invalid")


def test_admins(api: httpx.Client) -> None:
    assert [item["id"] for item in api.get("/admins").json()["admins"]] == [seed.OWN_ADMIN, seed.ADA]
    assert api.get(f"/admins/{seed.ADA}").json()["name"] == "Ada Byrne"
    assert refusal(api.get("/admins/1")) == (404, "admin_not_found")


def test_every_answer_has_the_rate_headers(api: httpx.Client) -> None:
    first, second = api.get("/me"), api.get("/contacts/nobody")
    assert first.headers["X-RateLimit-Limit"] == "1666"
    assert int(second.headers["X-RateLimit-Remaining"]) <= 1665
    assert int(second.headers["X-RateLimit-Reset"]) % 10 == 0


def test_a_full_window_is_429(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.state.intercom.calls_per_window = 0
    answer = api.get("/me")
    assert refusal(answer) == (429, "rate_limit_exceeded")
    assert answer.headers["X-RateLimit-Remaining"] == "0"


class TestContacts:
    def test_known_unknown_and_merged(self, api: httpx.Client) -> None:
        assert api.get(f"/contacts/{seed.MARTA}").json()["email"] == "marta@northwind.example"
        assert refusal(api.get("/contacts/nobody")) == (404, "not_found")
        merged = api.get(f"/contacts/{seed.MERGED}")
        assert refusal(merged) == (410, "contact_merged")
        assert merged.headers["Link"] == f'</contacts/{seed.MARTA}>; rel="canonical"'

    def test_unknown_attribute_refuses_the_whole_update(self, api: httpx.Client, sandbox: Sandbox) -> None:
        api.post("/data_attributes", json={"name": "mood", "model": "contact", "data_type": "string"})
        given = {"custom_attributes": {"mood": "fine", "nope": 1}}
        answer = api.put(f"/contacts/{seed.MARTA}", json=given)
        assert refusal(answer) == (400, "parameter_invalid")
        assert answer.json()["errors"][0]["message"] == "Custom attribute 'nope' does not exist"
        assert sandbox.state.intercom.contact(seed.MARTA).custom_attributes == {}

    def test_attributes_are_merged_and_cleared_key_by_key(self, api: httpx.Client, sandbox: Sandbox) -> None:
        for name in ("mood", "plan"):
            api.post("/data_attributes", json={"name": name, "model": "contact", "data_type": "string"})
        api.put(f"/contacts/{seed.MARTA}", json={"custom_attributes": {"mood": "fine", "plan": "pro"}})
        api.put(f"/contacts/{seed.MARTA}", json={"custom_attributes": {"mood": None}})
        assert sandbox.state.intercom.contact(seed.MARTA).custom_attributes == {"plan": "pro"}

    @pytest.mark.parametrize("nothing", [None, ""])
    @pytest.mark.parametrize(("data_type", "value"), [("string", "x"), ("datetime", 1), ("float", 4.5)])
    def test_null_and_the_empty_text_clear_any_attribute(
        self, api: httpx.Client, sandbox: Sandbox, nothing: Any, data_type: str, value: Any
    ) -> None:
        api.post("/data_attributes", json={"name": "a", "model": "contact", "data_type": data_type})
        path = f"/contacts/{seed.LEAD}"
        assert api.put(path, json={"custom_attributes": {"a": value}}).json()["custom_attributes"]
        answer = api.put(path, json={"custom_attributes": {"a": nothing}})
        assert answer.json()["custom_attributes"] == {}
        assert sandbox.state.intercom.contact(seed.LEAD).custom_attributes == {}

    @pytest.mark.parametrize(
        "wrong", [{"name": 1}, {"email": None}, {"role": "admin"}, {"unsubscribed_from_emails": "yes"}]
    )
    def test_fields_of_the_wrong_type_change_nothing(self, api: httpx.Client, wrong: dict[str, Any]) -> None:
        before = api.get(f"/contacts/{seed.MARTA}").json()
        assert refusal(api.put(f"/contacts/{seed.MARTA}", json=wrong)) == (400, "parameter_invalid")
        assert api.get(f"/contacts/{seed.MARTA}").json() == before

    def test_what_a_contact_has_chosen_is_told(self, api: httpx.Client, sandbox: Sandbox) -> None:
        state = sandbox.state.intercom
        state.contact(seed.MARTA).language_override = "de"
        answer = api.put(f"/contacts/{seed.MARTA}", json={"unsubscribed_from_emails": True}).json()
        assert (answer["unsubscribed_from_emails"], answer["language_override"]) == (True, "de")
        assert (answer["role"], answer["marked_email_as_spam"]) == ("user", False)

    def test_only_ten_tags_are_listed_and_the_rest_elsewhere(self, api: httpx.Client) -> None:
        for number in range(11):
            tag_id = api.post("/tags", json={"name": f"tag {number}"}).json()["id"]
            api.post(f"/contacts/{seed.MARTA}/tags", json={"id": tag_id})
        tags = api.get(f"/contacts/{seed.MARTA}").json()["tags"]
        assert (len(tags["data"]), tags["total_count"], tags["has_more"]) == (10, 11, True)
        assert len(api.get(f"/contacts/{seed.MARTA}/tags").json()["data"]) == 11
        assert len(api.get("/tags").json()["data"]) == 11

    def test_companies(self, api: httpx.Client) -> None:
        listed = api.get(f"/contacts/{seed.PRIYA}").json()["companies"]
        assert listed["data"][0]["url"] == f"/companies/{seed.LUMEN}"
        answer = api.get(f"/contacts/{seed.PRIYA}/companies").json()
        assert [item["name"] for item in answer["companies"]] == ["Lumen, Ltd."]
        assert answer["companies"][0]["plan"]["name"] == "Team"
        assert api.get(f"/contacts/{seed.LEAD}/companies").json()["total_count"] == 0

    @pytest.mark.parametrize(
        ("data_type", "good", "bad"),
        [
            ("string", "x" * 255, "x" * 256),
            ("string", "x", 1),
            ("integer", 3, 3.5),
            ("integer", 3, True),
            ("float", 3.5, "3.5"),
            ("float", 3, True),
            ("boolean", True, 1),
            ("datetime", 1_795_000_000, "2026-11-22T12:00:00Z"),
            ("datetime", 1_795_000_000, 1_795_000_000_000),
            ("date", 1_795_000_000, 1.5),
        ],
    )
    def test_types(self, api: httpx.Client, data_type: str, good: Any, bad: Any) -> None:
        api.post("/data_attributes", json={"name": "a", "model": "contact", "data_type": data_type})
        ok = api.put(f"/contacts/{seed.MARTA}", json={"custom_attributes": {"a": good}})
        assert ok.json()["custom_attributes"] == {"a": good}
        answer = api.put(f"/contacts/{seed.MARTA}", json={"custom_attributes": {"a": bad}})
        assert refusal(answer) == (400, "parameter_invalid")

    def test_search_by_address_leaves_merged_ones_out(self, api: httpx.Client) -> None:
        query = {"field": "email", "operator": "=", "value": "Marta@Northwind.example"}
        found = api.post("/contacts/search", json={"query": query}).json()
        assert [item["id"] for item in found["data"]] == [seed.MARTA]
        assert found["total_count"] == 1

    @pytest.mark.parametrize(
        "query",
        [
            None,
            {"field": "shoe_size", "operator": "=", "value": 1},
            {"field": "email", "operator": "like", "value": "x"},
            {"operator": "AND", "value": []},
            {"operator": "OR", "value": [{"field": "role", "operator": "=", "value": "user"}] * 16},
            {"field": "created_at", "operator": ">=", "value": 1},
            {"field": "created_at", "operator": ">", "value": "yesterday"},
            {"field": "tag_id", "operator": "IN", "value": ["1"]},
            {"field": "role", "operator": "IN", "value": "user"},
            {"field": "unsubscribed_from_emails", "operator": "=", "value": "no"},
            {"field": "custom_attributes.nope", "operator": "=", "value": "x"},
        ],
    )
    def test_bad_searches(self, api: httpx.Client, query: Any) -> None:
        assert refusal(api.post("/contacts/search", json={"query": query}))[0] == 400

    @pytest.mark.parametrize(
        "pagination", [{"per_page": 0}, {"per_page": 151}, {"per_page": "5"}, {"starting_after": "nonsense"}]
    )
    def test_bad_pages(self, api: httpx.Client, pagination: Any) -> None:
        body = {"query": {"field": "role", "operator": "=", "value": "user"}, "pagination": pagination}
        assert refusal(api.post("/contacts/search", json=body)) == (400, "parameter_invalid")


class TestDataAttributes:
    def test_listed_with_the_types_that_answers_know(self, api: httpx.Client) -> None:
        made = api.post("/data_attributes", json={"name": "at", "model": "contact", "data_type": "datetime"})
        assert made.json()["data_type"] == "date"
        assert [item["name"] for item in api.get("/data_attributes?model=contact").json()["data"]] == ["at"]

    def test_archived_ones_are_shown_on_request(self, api: httpx.Client, sandbox: Sandbox) -> None:
        api.post("/data_attributes", json={"name": "a", "model": "contact", "data_type": "string"})
        sandbox.state.intercom.attributes["a"].archived = True
        assert api.get("/data_attributes").json()["data"] == []
        assert len(api.get("/data_attributes?include_archived=true").json()["data"]) == 1

    @pytest.mark.parametrize(
        "change",
        [
            {"name": "taken"},
            {"name": "with.dot"},
            {"name": None},
            {"model": "conversation"},
            {"data_type": "mithril"},
            {"data_type": "options", "options": [{"value": "one"}]},
        ],
    )
    def test_refused(self, api: httpx.Client, change: dict[str, Any]) -> None:
        good = {"name": "taken", "model": "contact", "data_type": "string"}
        assert api.post("/data_attributes", json=good).status_code == 200
        body = {**good, "name": "fresh", **change}
        assert refusal(api.post("/data_attributes", json=body)) == (400, "parameter_invalid")

    def test_conversations_have_their_own(self, api: httpx.Client) -> None:
        assert refusal(api.get("/data_attributes?model=conversation")) == (422, "parameter_invalid")


class TestConversations:
    def test_reading_gives_html_or_plain_text(self, api: httpx.Client) -> None:
        found = api.get("/conversations/1001").json()
        assert found["source"]["body"].startswith("<p>Hi!")
        assert found["conversation_parts"]["total_count"] == 3
        plain = api.get("/conversations/1001?display_as=plaintext").json()
        assert plain["source"]["body"].startswith("Hi!")

    @pytest.mark.parametrize("conversation_id", ["9999", "last", "1" * 16, "1001x"])
    def test_unknown_ids(self, api: httpx.Client, conversation_id: str) -> None:
        assert refusal(api.get(f"/conversations/{conversation_id}")) == (404, "not_found")
        assert refusal(api.post(f"/conversations/{conversation_id}/reply", json=NOTE)) == (404, "not_found")

    def test_only_the_newest_500_parts_are_listed(self, api: httpx.Client, sandbox: Sandbox) -> None:
        state = sandbox.state.intercom
        conversation = state.conversation("1001")
        for number in range(500):
            state.add_part(
                conversation,
                part_type="comment",
                body=f"<p>{number}</p>",
                author_type="admin",
                author_id=seed.ADA,
                by_api=False,
            )
        parts = api.get("/conversations/1001").json()["conversation_parts"]
        assert parts["total_count"] == 503
        assert len(parts["conversation_parts"]) == 500
        assert parts["conversation_parts"][-1]["body"] == "<p>499</p>"

    def test_notes_and_comments(self, api: httpx.Client, sandbox: Sandbox) -> None:
        answer = api.post("/conversations/1001/reply", json=NOTE).json()
        assert [part["part_type"] for part in answer["conversation_parts"]["conversation_parts"]] == ["note"]
        api.post("/conversations/1001/reply", json={**COMMENT, "body": "Plain words"})
        state = sandbox.state.intercom
        assert [part.body for part in state.notes("1001")] == ["<p>Hello</p>"]
        assert state.comments("1001")[-1].body == "<p>Plain words</p>"
        assert state.comments("1001")[-1].by_api is True

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"admin_id": "1"}, (404, "admin_not_found")),
            ({"admin_id": 991}, (400, "parameter_invalid")),
            ({"type": "user"}, (400, "parameter_invalid")),
            ({"message_type": "inapp"}, (400, "parameter_invalid")),
            ({"body": ""}, (400, "parameter_invalid")),
            ({"body": None}, (400, "parameter_invalid")),
        ],
    )
    def test_refused_replies(
        self, api: httpx.Client, sandbox: Sandbox, change: dict[str, Any], expected: tuple[int, str]
    ) -> None:
        assert refusal(api.post("/conversations/1001/reply", json={**NOTE, **change})) == expected
        assert sandbox.state.intercom.notes("1001") == []

    def test_a_comment_reopens_and_a_note_does_not(self, api: httpx.Client, sandbox: Sandbox) -> None:
        close = {"message_type": "close", "type": "admin", "admin_id": seed.ADA}
        assert api.post("/conversations/1001/parts", json=close).json()["state"] == "closed"
        assert api.post("/conversations/1001/reply", json=NOTE).json()["state"] == "closed"
        assert api.post("/conversations/1001/reply", json=COMMENT).json()["state"] == "open"
        assert sandbox.state.intercom.comments("1001")[-1].part_type == "open"
        assert refusal(api.post("/conversations/1001/parts", json={**close, "type": "x"}))[0] == 400
        assert refusal(api.post("/conversations/1001/parts", json={**close, "message_type": "x"}))[0] == 400

    def test_a_rating_and_what_was_worked_out(self, api: httpx.Client, sandbox: Sandbox) -> None:
        state = sandbox.state.intercom
        talk = state.conversation("1001")
        before = api.get("/conversations/1001").json()
        assert (before["conversation_rating"], before["tags"]["tags"]) == (None, [])
        assert before["statistics"]["count_conversation_parts"] == 4
        assert before["statistics"]["time_to_admin_reply"] == 7 * 60
        assert before["statistics"]["median_time_to_reply"] == int((7 + 2) / 2 * 60)
        assert "last_close_at" not in before["statistics"]
        acts.close(state, talk, by=seed.OWN_ADMIN)
        acts.rate(state, talk, state.contact(seed.MARTA), 2, "Too slow")
        acts.tag_part(state, talk, talk.parts[0].id, "bug", by=seed.ADA)
        after = api.get("/conversations/1001").json()
        rating = after["conversation_rating"]
        assert (rating["rating"], rating["remark"], rating["teammate"]["id"]) == (2, "Too slow", seed.ADA)
        assert after["statistics"]["last_closed_by_id"] == seed.OWN_ADMIN
        assert after["statistics"]["count_reopens"] == 0
        assert [item["id"] for item in after["teammates"]["teammates"]] == [seed.ADA, seed.OWN_ADMIN]
        assert after["tags"]["tags"][0]["name"] == "bug"
        assert after["conversation_parts"]["conversation_parts"][0]["tags"][0]["name"] == "bug"

    def test_search_by_contact(self, api: httpx.Client) -> None:
        query = {"field": "contact_ids", "operator": "=", "value": seed.TOM}
        found = api.post("/conversations/search", json={"query": query}).json()
        assert [item["id"] for item in found["conversations"]] == [seed.GROUP_CONVERSATION]
        assert "conversation_parts" not in found["conversations"][0]


class TestTags:
    def test_created_once_whatever_the_case(self, api: httpx.Client) -> None:
        first, second = (api.post("/tags", json={"name": name}).json() for name in ("Koji", "kOJI"))
        assert first["id"] == second["id"]
        assert second["name"] == "Koji"

    def test_on_and_off_a_conversation(self, api: httpx.Client, sandbox: Sandbox) -> None:
        tag_id = api.post("/tags", json={"name": "koji"}).json()["id"]
        for _ in range(2):
            on = api.post("/conversations/1001/tags", json={"id": tag_id, "admin_id": seed.ADA})
            assert on.json()["applied_by"]["id"] == seed.ADA
        assert sandbox.state.intercom.tags_on_conversation("1001") == {"koji"}
        path = f"/conversations/1001/tags/{tag_id}"
        assert refusal(api.request("DELETE", path)) == (400, "parameter_invalid")
        assert api.request("DELETE", path, json={"admin_id": seed.ADA}).status_code == 200
        assert refusal(api.request("DELETE", path, json={"admin_id": seed.ADA})) == (404, "tag_not_found")
        changes = [part.part_type for part in sandbox.state.intercom.conversation("1001").parts]
        assert changes.count("conversation_tags_updated") == 2

    def test_on_and_off_a_contact(self, api: httpx.Client, sandbox: Sandbox) -> None:
        tag_id = api.post("/tags", json={"name": "koji"}).json()["id"]
        path = f"/contacts/{seed.LEAD}/tags"
        assert api.post(path, json={"id": tag_id}).json()["name"] == "koji"
        assert [tag["id"] for tag in api.get(path).json()["data"]] == [tag_id]
        assert sandbox.state.intercom.tags_on_contact(seed.LEAD) == {"koji"}
        assert api.delete(f"{path}/{tag_id}").status_code == 200
        assert refusal(api.delete(f"{path}/{tag_id}")) == (404, "not_found")

    def test_unknown_tags(self, api: httpx.Client) -> None:
        answer = api.post("/conversations/1001/tags", json={"id": "1", "admin_id": seed.ADA})
        assert refusal(answer) == (404, "tag_not_found")
        assert refusal(api.post(f"/contacts/{seed.LEAD}/tags", json={"id": "1"})) == (404, "not_found")


class TestMessages:
    BODY: dict[str, Any] = {  # noqa: RUF012 - it is only read.
        "message_type": "in_app",
        "body": "<p>Hello</p>",
        "from": {"type": "admin", "id": 991},
        "to": {"type": "user", "id": seed.MARTA},
    }

    def test_with_a_conversation_to_write_notes_on(self, api: httpx.Client, sandbox: Sandbox) -> None:
        body = {**self.BODY, "create_conversation_without_contact_reply": True}
        made = api.post("/messages", json=body).json()
        conversation = sandbox.state.intercom.conversation(made["conversation_id"])
        assert conversation.source.body == "<p>Hello</p>"
        assert conversation.contact_ids == [seed.MARTA]
        found = api.get(f"/conversations/{conversation.id}").json()
        assert found["source"]["delivered_as"] == "admin_initiated"

    def test_without_one(self, api: httpx.Client) -> None:
        assert "conversation_id" not in api.post("/messages", json=self.BODY).json()

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"message_type": "whatsapp"}, 400),
            ({"message_type": "inapp"}, 400),
            ({"from": {"type": "admin", "id": "991"}}, 400),
            ({"to": {"type": "lead", "id": seed.MARTA}}, 404),
            ({"message_type": "email"}, 422),
            ({"body": ""}, 400),
            ({"from": {"type": "admin", "id": 1}}, 404),
            ({"from": None}, 400),
            ({"to": {"type": "user", "id": "nobody"}}, 404),
            ({"to": [{"type": "user", "id": seed.MARTA}]}, 400),
        ],
    )
    def test_refused(self, api: httpx.Client, change: dict[str, Any], status: int) -> None:
        assert refusal(api.post("/messages", json={**self.BODY, **change}))[0] == status


def test_every_call_is_recorded(api: httpx.Client, sandbox: Sandbox) -> None:
    api.post("/conversations/1001/reply", json=NOTE)
    api.get("/contacts/nobody")
    calls = [(call.method, call.path, call.status) for call in sandbox.state.intercom.calls]
    assert calls == [("POST", "/conversations/1001/reply", 200), ("GET", "/contacts/nobody", 404)]
    assert sandbox.state.intercom.calls_to("POST", "/reply")[0].json == NOTE
