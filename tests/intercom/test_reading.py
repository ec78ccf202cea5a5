from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from canvas_app.intercom import reading
from canvas_app.intercom.models import Conversation, Tag

SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "intercom"


def sample(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((SAMPLES / name).read_text("utf-8"))
    return data


def parts(*items: dict[str, Any], total: object = None) -> dict[str, Any]:
    return {
        "id": "1",
        "state": "open",
        "source": {"body": "<p>first</p>"},
        "conversation_parts": {"conversation_parts": list(items), "total_count": total},
    }


class TestMe:
    def test_intercoms_example(self) -> None:
        me = reading.me(sample("me.json"))
        assert me is not None
        assert me.admin_id == "991267459"
        assert me.workspace_id == "this_is_an_id1_that_should_be_at_least_40"
        assert (me.workspace_name, me.region, me.timezone) == ("MyApp 1", "US", "America/Los_Angeles")

    @pytest.mark.parametrize("data", [{}, {"id": "1"}, {"id": "1", "app": None}, {"app": {"id_code": "x"}}])
    def test_without_an_id_it_is_of_no_use(self, data: dict[str, Any]) -> None:
        assert reading.me(data) is None

    def test_what_describes_the_workspace_may_be_missing(self) -> None:
        me = reading.me({"id": 1, "app": {"id_code": "x"}})
        assert me is not None
        assert (me.workspace_name, me.region, me.timezone) == ("", "", "")


class TestConversation:
    def test_intercoms_example(self) -> None:
        conversation = reading.conversation(sample("conversation.json"))
        assert conversation is not None
        assert conversation.state == "closed"
        # The other three parts of the example are changes of the conversation, without a text.
        assert conversation.parts_html == ("<p>this is the message body</p>", "<p>Okay!</p>")
        assert conversation.complete
        assert conversation.total_parts == 4

    def test_fewer_parts_than_there_are(self) -> None:
        conversation = reading.conversation(parts({"id": "2", "body": "a"}, total=2))
        assert conversation is not None
        assert not conversation.complete
        assert conversation.total_parts == 2

    @pytest.mark.parametrize(("count", "complete"), [(499, True), (500, False)])
    def test_a_full_list_proves_nothing(self, count: int, complete: bool) -> None:
        conversation = reading.conversation(parts(*[{"id": "2", "body": "a"}] * count, total=count))
        assert conversation is not None
        assert conversation.complete is complete

    @pytest.mark.parametrize("total", [None, "1", True])
    def test_without_a_count_it_is_not_surely_complete(self, total: object) -> None:
        conversation = reading.conversation(parts({"id": "2", "body": "a"}, total=total))
        assert conversation is not None
        assert not conversation.complete

    def test_parts_without_a_body_are_no_text(self) -> None:
        conversation = reading.conversation(parts({"id": "2", "body": None}, {"id": "3"}, total=2))
        assert conversation is not None
        assert conversation.parts_html == ("<p>first</p>",)
        assert conversation.complete

    def test_a_body_of_another_form_is_no_text(self) -> None:
        conversation = reading.conversation(
            parts({"id": "2", "body": ""}, {"id": "3", "body": 5}, {"id": "4", "body": ["a"]}, total=3)
        )
        assert conversation is not None
        assert conversation.parts_html == ("<p>first</p>",)

    def test_an_id_is_all_it_needs(self) -> None:
        assert reading.conversation({"id": "1"}) == Conversation(
            id="1", state="", parts_html=(), total_parts=0, complete=False
        )

    def test_no_conversation(self) -> None:
        assert reading.conversation({"type": "error.list"}) is None

    def test_contains_undoes_escapes(self) -> None:
        conversation = Conversation(
            state="open",
            parts_html=('<a href="https://x.example/i/t?a=1&amp;b=2">go</a>',),
            total_parts=1,
            complete=True,
        )
        assert conversation.contains("https://x.example/i/t?a=1&b=2")
        assert conversation.contains("a=1&amp;b=2")
        assert not conversation.contains("https://x.example/i/other")
        with pytest.raises(ValueError, match="no text"):
            conversation.contains("")

    def test_its_repr_shows_no_text(self) -> None:
        assert "first" not in repr(reading.conversation(parts()))


class TestNewestPart:
    def part(
        self, part_id: object, created: object, admin: object = "7", body: str | None = "x"
    ) -> dict[str, Any]:
        return {"id": part_id, "created_at": created, "author": {"type": "admin", "id": admin}, "body": body}

    def test_intercoms_example(self) -> None:
        assert reading.newest_part_id(sample("reply_note.json"), "991267696") == "133"

    def test_the_newest_of_this_admin(self) -> None:
        data = parts(
            self.part("1", 10),
            self.part(2, 30),
            self.part("3", 30),
            self.part("4", 20),
            self.part("5", 40, "8"),
        )
        assert reading.newest_part_id(data, "7") == "3"

    def test_an_integer_author(self) -> None:
        assert reading.newest_part_id(parts(self.part("1", 10, 7)), "7") == "1"

    def test_none_rather_than_another_ones(self) -> None:
        assert reading.newest_part_id(parts(self.part("1", 10, "8")), "7") is None
        assert reading.newest_part_id(parts(self.part("1", 10, body=None)), "7") is None
        assert reading.newest_part_id({}, "7") is None

    def test_an_odd_time_is_the_oldest(self) -> None:
        assert reading.newest_part_id(parts(self.part("1", 1), self.part("2", "later")), "7") == "1"


class TestContact:
    def test_intercoms_example(self) -> None:
        contact = reading.contact(sample("contact.json"))
        assert contact is not None
        assert contact.id == "6762f0d01bb69f9f2193bb7d"
        assert (contact.name, contact.email, contact.role) == ("Joe Bloggs", "joe@bloggs.com", "user")
        assert "joe@bloggs.com" not in repr(contact)
        assert "Joe" not in repr(contact)

    def test_odd_values_are_left_out(self) -> None:
        contact = reading.contact(
            {
                "id": 5,
                "name": None,
                "email": 7,
                "custom_attributes": {"a": 1, "b": "x", "c": None, "d": {"e": 1}},
            }
        )
        assert contact is not None
        assert contact.id == "5"
        assert contact.email is None
        assert contact.custom_attributes == {"a": 1, "b": "x", "c": None}

    def test_no_contact(self) -> None:
        assert reading.contact({"id": None}) is None
        assert reading.contact({"id": True}) is None


class TestAttributes:
    def test_intercoms_example_has_none_of_contacts(self) -> None:
        assert reading.contact_attributes(sample("data_attributes.json")) == {}

    def test_custom_ones_by_name(self) -> None:
        def item(name: object, **more: object) -> dict[str, object]:
            return {"name": name, "data_type": "string", "model": "contact", "custom": True, **more}

        found = reading.contact_attributes(
            {
                "data": [
                    item("a"),
                    item("email", custom=False),
                    item("b", archived=True, data_type="float"),
                    item("c", archived=True),
                    item("c", archived=False),
                    item("d"),
                    item("d", archived=True),
                    item("company_only", model="company"),
                    {"name": "model_not_said", "data_type": "string"},
                    item(None),
                    item("e", data_type=None),
                    "nonsense",
                    item("after_the_odd_ones"),
                ]
            }
        )
        assert found is not None
        assert {name: (entry.data_type, entry.archived) for name, entry in found.items()} == {
            "a": ("string", False),
            "b": ("float", True),
            "c": ("string", False),
            "d": ("string", False),
            "model_not_said": ("string", False),
            "after_the_odd_ones": ("string", False),
        }

    def test_no_list(self) -> None:
        assert reading.contact_attributes({}) is None


def test_tags() -> None:
    found = reading.tags(sample("tags.json"))
    assert found is not None
    assert [(tag.id, tag.name) for tag in found] == [("80", "Manual tag")]
    assert reading.tags({"data": [{"name": "no id"}, 5]}) == []
    assert reading.tags({}) is None
    assert reading.tag({"id": 105, "name": "test"}) is not None
    assert reading.tag({"id": 105}) == Tag(id="105", name="")
    assert reading.tag({}) is None


KEYS = [
    "id", "app", "id_code", "name", "data", "data_type", "state", "source", "body", "conversation_parts",
    "total_count", "author", "created_at", "custom_attributes", "email",
]  # fmt: skip
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["id", "app", "data", "source", "conversation_parts"]), JSON_VALUES))
def test_no_answer_is_an_accident(data: dict[str, Any]) -> None:
    for read in (
        reading.me,
        reading.conversation,
        reading.contact,
        reading.contact_attributes,
        reading.tag,
        reading.tags,
    ):
        value = read(data)
        assert value is None or value is not data
    part_id = reading.newest_part_id(data, "1")
    assert part_id is None or isinstance(part_id, str)


@pytest.mark.parametrize(
    ("parts", "last"),
    [
        ([], ""),
        ([("comment", "one", 1), ("comment", "two", 2)], "two"),
        ([("comment", "one", 2), ("comment", "two", 1)], "one"),
        ([("comment", "one", 1), ("comment", "two", 1)], "two"),
        ([("comment", "one", 1), ("note", "two", 2)], "one"),
        ([("comment", "one", 1), ("open", "two", 2)], "two"),
        ([("comment", "one", 1), ("close", None, 2), ("assignment", "", 3)], "one"),
        ([("note", "one", 1)], ""),
    ],
)
def test_the_last_message_of_a_conversation_is_no_note(
    parts: list[tuple[str, str | None, int]], last: str
) -> None:
    listed = [{"part_type": kind, "body": body, "created_at": at} for kind, body, at in parts]
    read = reading.conversation({"id": "1", "conversation_parts": {"conversation_parts": listed}})
    assert read is not None
    assert read.last_said_html == last


def test_what_was_said_last_is_found_under_its_escapes() -> None:
    part = {"part_type": "comment", "body": '<a href="https://x/i/a&amp;b">x</a>'}
    read = reading.conversation({"id": "1", "conversation_parts": {"conversation_parts": [part]}})
    assert read is not None
    assert read.was_said_last("/i/a&b")
    assert not read.was_said_last("/i/c")


class TestFoundConversations:
    def test_intercoms_example(self) -> None:
        found = reading.found_conversations(sample("conversations_found.json"))
        assert found is not None
        [one] = found.conversations
        assert (one.id, one.created_at, one.first_message) == (
            "515",
            1734537546,
            "<p>this is the message body</p>",
        )
        assert found.complete

    @pytest.mark.parametrize(
        ("total", "complete"), [(1, True), (0, True), (2, False), (None, False), (True, False), ("1", False)]
    )
    def test_fewer_than_there_are_is_not_all(self, total: object, complete: bool) -> None:
        found = reading.found_conversations({"conversations": [{"id": 1}], "total_count": total})
        assert found is not None
        assert found.complete is complete

    def test_what_is_missing_of_one_is_empty(self) -> None:
        found = reading.found_conversations(
            {"conversations": [{"id": 7}, {"no": "id"}, "x"], "total_count": 1}
        )
        assert found is not None
        [one] = found.conversations
        assert (one.id, one.created_at, one.first_message) == ("7", 0, "")

    @pytest.mark.parametrize("data", [{}, {"conversations": None}, {"conversations": {}}])
    def test_no_list_is_no_answer(self, data: dict[str, Any]) -> None:
        assert reading.found_conversations(data) is None


class TestContactsNewestFirst:
    def test_the_newest_comes_first_and_one_without_an_id_is_left_out(self) -> None:
        data = [{"id": "a", "created_at": 1}, {"id": "b", "created_at": 3}, {"created_at": 9}, {"id": "c"}]
        found = reading.contacts_newest_first({"data": data})
        assert found is not None
        assert [contact.id for contact in found] == ["b", "a", "c"]

    @pytest.mark.parametrize("data", [{}, {"data": None}, {"data": {}}])
    def test_no_list_is_no_answer(self, data: dict[str, Any]) -> None:
        assert reading.contacts_newest_first(data) is None
