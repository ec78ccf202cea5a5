"""Searches for contacts and conversations, over the stand-in's REST API."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import acts, seed
from sandbox.state import Contact

if TYPE_CHECKING:
    import httpx

    from sandbox.server import Sandbox

DAY = 86_400


def is_(field: str, value: Any, operator: str = "=") -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


def contacts(api: httpx.Client, query: dict[str, Any]) -> set[str]:
    found = api.post("/contacts/search", json={"query": query}).json()
    assert found["total_count"] == len(found["data"])
    return {item["id"] for item in found["data"]}


def conversations(api: httpx.Client, query: dict[str, Any]) -> set[str]:
    found = api.post("/conversations/search", json={"query": query}).json()
    return {item["id"] for item in found["conversations"]}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (is_("role", "lead"), {seed.LEAD}),
        (is_("role", "user", "!="), {seed.LEAD}),
        (is_("email", ["tom@lumen.example", "PRIYA@lumen.example"], "IN"), {seed.TOM, seed.PRIYA}),
        (is_("email_domain", "lumen.example"), {seed.TOM, seed.PRIYA}),
        (is_("name", "marta", "^"), {seed.MARTA}),
        (is_("name", "becker", "$"), {seed.TOM}),
        (is_("email", "lumen", "~"), {seed.TOM, seed.PRIYA}),
        (is_("email", "e", "!~"), {seed.LEAD}),
        (is_("email", None), {seed.LEAD}),
        (is_("unsubscribed_from_emails", True), set()),
        ({"operator": "AND", "value": [is_("role", "user"), is_("name", "Tom Becker")]}, {seed.TOM}),
        (
            {"operator": "OR", "value": [is_("role", "lead"), is_("name", "Tom Becker")]},
            {seed.LEAD, seed.TOM},
        ),
        (
            {
                "operator": "AND",
                "value": [
                    is_("email_domain", "lumen.example"),
                    {"operator": "OR", "value": [is_("id", seed.TOM), is_("id", seed.MARTA)]},
                ],
            },
            {seed.TOM},
        ),
    ],
)
def test_contacts(api: httpx.Client, query: dict[str, Any], expected: set[str]) -> None:
    assert contacts(api, query) == expected


def test_contacts_by_tag_and_by_attribute(api: httpx.Client, sandbox: Sandbox) -> None:
    state = sandbox.state.intercom
    tag_id = acts.tag_contact(state, state.contact(seed.TOM), "vip", by=seed.ADA)
    api.post("/data_attributes", json={"name": "plan", "model": "contact", "data_type": "string"})
    api.put(f"/contacts/{seed.MARTA}", json={"custom_attributes": {"plan": "Pro"}})
    assert contacts(api, is_("tag_id", tag_id)) == {seed.TOM}
    assert seed.TOM not in contacts(api, is_("tag_id", tag_id, "!="))
    assert contacts(api, is_("custom_attributes.plan", "pro")) == {seed.MARTA}


def test_moments_of_contacts_are_days_of_the_workspace(api: httpx.Client, sandbox: Sandbox) -> None:
    now = int(time.time())
    with sandbox.state.intercom.lock:
        for contact in sandbox.state.intercom.contacts.values():
            contact.updated_at = now - 10 * DAY
        sandbox.state.intercom.contact(seed.TOM).updated_at = now
    assert contacts(api, is_("updated_at", now)) == {seed.TOM}
    assert contacts(api, is_("updated_at", now - DAY, ">")) == {seed.TOM}
    assert contacts(api, is_("updated_at", str(now), ">")) == set(), "it begins with the next day"
    assert seed.TOM not in contacts(api, is_("updated_at", now, "<"))


def test_those_who_are_gone_are_not_found(api: httpx.Client, sandbox: Sandbox) -> None:
    state = sandbox.state.intercom
    acts.archive(state, state.contact(seed.TOM))
    acts.delete(state, state.contact(seed.PRIYA))
    assert contacts(api, is_("role", "user")) == {seed.MARTA, seed.HOSTILE}


def test_conversations(api: httpx.Client, sandbox: Sandbox) -> None:
    state, now = sandbox.state.intercom, int(time.time())
    talk = state.conversation("1001")
    acts.close(state, talk, by=seed.ADA)
    acts.rate(state, talk, state.contact(seed.MARTA), 2, None)
    tag_id = acts.tag_part(state, talk, talk.source.id, "bug", by=seed.ADA)
    closed = is_("state", "closed")
    assert conversations(api, closed) == {"1001"}
    assert conversations(api, is_("open", False)) == {"1001"}
    assert conversations(api, is_("tag_ids", tag_id)) == {"1001"}
    assert conversations(api, is_("conversation_rating.score", 3, "<")) == {"1001"}
    assert conversations(api, is_("statistics.last_close_at", now - 60, ">")) == {"1001"}
    assert conversations(api, is_("statistics.last_close_at", now - DAY, "<")) == set()
    assert conversations(api, is_("contact_ids", [seed.MARTA, seed.TOM], "IN")) == {"1001", "1003"}
    last_month = {"operator": "AND", "value": [closed, is_("updated_at", now - 30 * DAY, ">")]}
    assert conversations(api, last_month) == {"1001"}
    assert conversations(api, is_("updated_at", talk.updated_at, ">")) == {"1001"}, "or equal"


def test_pages_follow_one_another(api: httpx.Client, sandbox: Sandbox) -> None:
    body: dict[str, Any] = {"query": is_("role", "user"), "pagination": {"per_page": 3}}
    first = api.post("/contacts/search", json=body).json()
    assert (first["pages"]["page"], first["pages"]["total_pages"], first["total_count"]) == (1, 2, 4)
    # Somebody who comes in between moves nothing.
    state = sandbox.state.intercom
    state.contacts = {"c1": Contact("c1", "user", "New", "new@sandbox.example"), **state.contacts}
    body["pagination"]["starting_after"] = first["pages"]["next"]["starting_after"]
    second = api.post("/contacts/search", json=body).json()
    assert second["pages"]["page"] == 2
    assert "next" not in second["pages"]
    seen = [item["id"] for item in first["data"] + second["data"]]
    assert len(seen) == len(set(seen)) == 4


def test_conversations_come_twenty_a_page(api: httpx.Client, sandbox: Sandbox) -> None:
    state = sandbox.state.intercom
    for _ in range(40):
        state.add_conversation([seed.MARTA], state.conversation("1001").source)
    body: dict[str, Any] = {"query": is_("contact_ids", seed.MARTA)}
    ids: list[str] = []
    while True:
        found = api.post("/conversations/search", json=body).json()
        ids += [item["id"] for item in found["conversations"]]
        if "next" not in found["pages"]:
            break
        body["pagination"] = found["pages"]["next"]
    assert (len(ids), len(set(ids)), found["pages"]["page"]) == (41, 41, 3)
