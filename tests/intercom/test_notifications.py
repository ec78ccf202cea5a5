from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from canvas_app.errors import BodyRefused
from canvas_app.intercom.notifications import Event, parse
from tests.support.events import (
    BOT,
    BY_CONTACT,
    closed,
    contact_tagged,
    conversation,
    notification,
    part,
    part_tagged,
    rated,
    rating,
    tag_list,
)
from tests.support.world import CONTACT, CONVERSATION, REP, WORKSPACE

OWN_LINKS = "https://interviews.example.com/i/"


def read(body: dict[str, Any]) -> Event:
    event = parse(json.dumps(body).encode(), own_links=OWN_LINKS)
    assert "planted" not in event.model_dump_json()
    return event


def test_a_closing_names_the_conversation_the_contact_and_who_closed_it() -> None:
    event = read(closed() | {"created_at": 1_780_000_000})
    assert event.workspace_id == WORKSPACE
    assert event.kind == "closed"
    assert (event.conversation_id, event.contact_ids) == (CONVERSATION, (CONTACT,))
    assert (event.closed_by, event.closer_id) == ("person", REP["id"])
    assert event.happened_at == datetime.fromtimestamp(1_780_000_000, UTC)
    assert not event.own_link


@pytest.mark.parametrize(
    ("changes", "by"),
    [
        ({"by": BOT}, "bot"),
        ({"by": {"type": "user", "id": CONTACT}}, "bot"),
        ({"app_package_code": "some-app"}, "api"),
        ({"by": {}}, None),
    ],
)
def test_who_closed_it_is_told_apart(changes: dict[str, Any], by: str | None) -> None:
    assert read(closed(**changes)).closed_by == by


def test_the_part_that_closes_counts_and_not_a_later_note() -> None:
    parts = part("close", author=BOT), part("note", body="planted")
    assert read(notification("conversation.admin.closed", conversation(*parts))).closed_by == "bot"


def test_a_closing_without_any_part_was_made_by_nobody_that_is_known() -> None:
    event = read(notification("conversation.admin.closed", conversation()))
    assert (event.closed_by, event.conversation_id) == (None, CONVERSATION)


@pytest.mark.parametrize(
    "body", [f"Hello, {OWN_LINKS}abc", f'<p><a href="{OWN_LINKS}abc">x</a></p>', "https:&#47;/x"]
)
def test_a_part_that_holds_a_link_of_ours_is_known_as_such(body: str) -> None:
    assert read(closed(body=body)).own_link == (OWN_LINKS in body)


def test_a_rating_is_about_the_contact_who_gave_it() -> None:
    item = conversation(contacts=("someone", "other"), conversation_rating=rating(2, "other"))
    event = read(notification("conversation.rating.added", item))
    assert (event.kind, event.rating, event.contact_ids) == ("rated", 2, ("other",))


@pytest.mark.parametrize("value", [None, 0, 6, True, "2", 2.5])
def test_what_is_no_rating_is_none(value: Any) -> None:
    assert read(rated(value)).rating is None


@pytest.mark.parametrize("role", ["user", "lead"])
def test_a_tag_on_a_contact_of_either_role_is_one_event(role: str) -> None:
    event = read(contact_tagged("Onboarding done", role))
    assert (event.kind, event.contact_ids, event.tags_added) == (
        "contact_tagged",
        (CONTACT,),
        ("Onboarding done",),
    )
    assert event.conversation_id is None


def test_a_tag_on_a_part_is_read_from_the_part() -> None:
    event = read(part_tagged("churn risk"))
    assert (event.kind, event.conversation_id, event.contact_ids) == (
        "part_tagged",
        CONVERSATION,
        (CONTACT,),
    )
    assert event.tags_added == ("churn risk",)


def test_a_tag_on_a_part_is_read_from_the_conversation_that_holds_it() -> None:
    item = conversation(part(body="planted"), tags=tag_list("old"), tags_added=tag_list("new"))
    event = read(notification("conversation_part.tag.created", item))
    assert (event.conversation_id, event.contact_ids, event.tags_added) == (
        CONVERSATION,
        (CONTACT,),
        ("new",),
    )


@pytest.mark.parametrize(
    "where",
    [
        {"conversation": {"id": 501}},
        {"links": {"conversation_web": f"https://app.intercom.com/a/apps/x/conversations/{CONVERSATION}"}},
    ],
)
def test_the_conversation_of_a_part_is_found_where_it_may_stand(where: dict[str, Any]) -> None:
    item = part(author=BY_CONTACT, tags=tag_list("a")["tags"]) | where
    assert read(notification("conversation_part.tag.created", item)).conversation_id == CONVERSATION


@pytest.mark.parametrize("topic", ["contact.deleted", "contact.archived"])
def test_of_a_contact_who_is_gone_the_id_is_all_there_is(topic: str) -> None:
    event = read(notification(topic, {"type": "contact", "id": CONTACT, "deleted": True}))
    assert (event.kind, event.contact_ids) == ("gone", (CONTACT,))


def test_a_merge_names_who_remains_and_where_it_tells_who_does_not() -> None:
    item: dict[str, Any] = {"type": "contact", "id": "living", "email": "planted@example.com"}
    event = read(notification("contact.merged", item))
    assert (event.kind, event.contact_ids, event.merged_ids) == ("merged", ("living",), ())
    history = [{"source_contact_id": "b"}, {"source_contact_id": "../c"}, {}]
    item |= {"merged_from": {"id": "a"}, "merge_history": history}
    assert read(notification("contact.merged", item)).merged_ids == ("a", "b")


@pytest.mark.parametrize("topic", ["conversation.user.replied", "contact.unarchive", "made.up"])
def test_other_topics_are_known_by_their_name_alone(topic: str) -> None:
    event = read(notification(topic, conversation()))
    assert (event.kind, event.topic, event.conversation_id) == ("other", topic, None)


@pytest.mark.parametrize(
    "item",
    [
        None,
        [],
        "text",
        {},
        {"id": "la st"},
        {"id": "5/../x", "contacts": {"contacts": [{"id": "a/b"}, {}, 5]}},
        {"contact": 7, "tag": 7, "conversation_parts": "x", "contacts": "y"},
        {"conversation_parts": {"conversation_parts": [None, 1]}},
    ],
)
@pytest.mark.parametrize(
    "topic",
    [
        "conversation.admin.closed",
        "conversation.rating.added",
        "contact.user.tag.created",
        "conversation_part.tag.created",
    ],
)
def test_what_is_not_of_the_form_names_nobody(topic: str, item: Any) -> None:
    event = read(notification(topic, item))
    assert (event.conversation_id, event.contact_ids, event.tags_added) == (None, (), ())


@pytest.mark.parametrize("moment", [None, "soon", True, 1e300, -1e300, float("nan")])
def test_a_moment_that_is_none_is_none(moment: Any) -> None:
    raw = json.dumps(closed() | {"created_at": moment}).encode()
    if raw.find(b"NaN") < 0:
        assert parse(raw).happened_at is None


def test_a_tag_s_name_is_cut_and_holds_what_is_printable_alone() -> None:
    assert read(contact_tagged("a\x00b\n" + "c" * 300)).tags_added == (("ab" + "c" * 300)[:120],)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff", b'{"id": 1}', b"null"])
def test_what_is_no_notification_is_refused(raw: bytes) -> None:
    with pytest.raises(BodyRefused):
        parse(raw)


_NAMES = re.findall(
    r"\w+",
    "type id contacts contact user conversation_parts part_type author tags body tags_added tag name links"
    " conversation_rating rating merged_from merge_history source_contact_id conversation_web created_at"
    " conversation_id conversation source",
)
_LEAVES = (
    st.none() | st.booleans() | st.integers() | st.sampled_from(["admin", "user", "close", "501", "", "c1"])
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=5),
    max_leaves=20,
)


@given(
    st.sampled_from(["conversation.admin.closed", "conversation.rating.added", "contact.user.tag.created"])
    | st.sampled_from(["conversation_part.tag.created", "contact.deleted", "contact.merged"]),
    st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=6),
)
@example("conversation_part.tag.created", {"author": {"type": []}})
def test_whatever_an_item_is_like_it_is_read_and_kept_as_it_was_read(topic: str, item: Any) -> None:
    event = read(notification(topic, item))
    assert Event.model_validate(event.model_dump(mode="json")) == event
