"""Searches page by page, and what is read of people, by calls that Intercom's description knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
import responses

from canvas_app.errors import CredentialsError, LaterError, PermanentError
from canvas_app.http_outcomes import make_http_client
from canvas_app.intercom.directory import Company, IntercomDirectory, Respondent
from tests.support.httpx_responses import ResponsesTransport
from tests.support.intercom_contract import CheckedTransport

BASE = "https://api.intercom.io"
ME = {"id": "7", "app": {"id_code": "ws1", "region": "EU"}}


@pytest.fixture
def outside() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def directory() -> IntercomDirectory:
    transport = CheckedTransport(ResponsesTransport(), host="api.intercom.io")
    http = make_http_client(transport)
    return IntercomDirectory(base_url=BASE, token="token", version="2.16", http=http)


def sent(outside: responses.RequestsMock) -> list[dict[str, Any]]:
    return [json.loads(cast(bytes, call.request.body)) for call in outside.calls]


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Sun, 22 Nov 2026 12:00:00 GMT", 1_795_348_800.0),
        ("Sun, 22 Nov 2026 12:00:00 -0000", 1_795_348_800.0),
        ("yesterday", None),
        ("", None),
    ],
)
def test_intercoms_clock_is_read_where_it_tells(
    outside: responses.RequestsMock, directory: IntercomDirectory, date: str, seconds: float | None
) -> None:
    outside.get(f"{BASE}/me", json=ME, headers={"Date": date})
    me, told = directory.me_and_clock()
    assert (me.workspace_id, me.region, told) == ("ws1", "EU", seconds)


def test_an_answer_without_a_workspace_is_no_answer(
    outside: responses.RequestsMock, directory: IntercomDirectory
) -> None:
    outside.get(f"{BASE}/me", json={"id": "7"})
    with pytest.raises(LaterError):
        directory.me_and_clock()


def test_a_search_gives_its_next_cursor_and_never_the_same_twice(
    outside: responses.RequestsMock, directory: IntercomDirectory
) -> None:
    page = {
        "data": [{"id": "c1"}, {"no": "id"}],
        "total_count": 2,
        "pages": {"next": {"starting_after": "x"}},
    }
    outside.post(f"{BASE}/contacts/search", json=page)
    first = directory.tagged("71")
    assert ([person.id for person in first.respondents], first.total, first.following) == (["c1"], 2, "x")
    assert directory.tagged("71", first.following).following is None
    assert [body["pagination"].get("starting_after") for body in sent(outside)] == [None, "x"]


@pytest.mark.parametrize("answer", [{}, {"conversations": None, "pages": None, "total_count": "many"}])
def test_an_empty_search_finds_nobody(
    outside: responses.RequestsMock, directory: IntercomDirectory, answer: dict[str, Any]
) -> None:
    outside.post(f"{BASE}/conversations/search", json=answer)
    found = directory.closed_since(1_000_000.0)
    assert (found.contact_ids, found.total, found.following) == ((), 0, None)


def test_conversations_from_before_the_moment_are_left_out_and_ids_may_be_numbers(
    outside: responses.RequestsMock, directory: IntercomDirectory
) -> None:
    def closed(at: object, *ids: object) -> dict[str, Any]:
        people = [{"type": "contact", "id": id_} for id_ in ids]
        return {"id": "1", "contacts": {"contacts": people}, "statistics": {"last_close_at": at}}

    rows = [closed(999_999, "early"), closed(1_000_000, "c1", 2), closed(None, "c3")]
    outside.post(f"{BASE}/conversations/search", json={"conversations": rows, "total_count": 3})
    assert directory.closed_since(1_000_000.0).contact_ids == ("c1", "2", "c3")
    [body] = sent(outside)
    # A day more is asked for, in case that days are compared.
    assert body["query"]["value"][1]["value"] == 1_000_000 - 86_400


def test_a_contact_is_read_however_little_there_is(
    outside: responses.RequestsMock, directory: IntercomDirectory
) -> None:
    outside.get(f"{BASE}/contacts/c1", json={"id": "c1", "tags": None, "companies": None, "location": None})
    assert directory.respondent("c1") == Respondent(id="c1")


@pytest.mark.parametrize("id_", ["", "last/../x", "a b"])
def test_what_is_no_id_stands_in_no_path(directory: IntercomDirectory, id_: str) -> None:
    for ask in (directory.respondent, directory.company):
        with pytest.raises(PermanentError):
            ask(id_)


@pytest.mark.parametrize(
    ("data", "company"),
    [
        ([], Company()),
        ([{"id": "1", "name": "Blue Sun", "plan": {}}], Company(name="Blue Sun")),
        ([{"id": "1", "name": "A", "plan": {"name": "Pro"}}, {"name": "B"}], Company(name="A", plan="Pro")),
    ],
)
def test_the_first_company_is_the_contacts(
    outside: responses.RequestsMock, directory: IntercomDirectory, data: list[Any], company: Company
) -> None:
    outside.get(f"{BASE}/contacts/c1/companies", json={"type": "list", "data": data})
    assert directory.company("c1") == company


@pytest.mark.parametrize("what", ["contacts", "conversations"])
def test_a_permission_is_tried_by_looking_at_none(
    outside: responses.RequestsMock, directory: IntercomDirectory, what: Any
) -> None:
    outside.post(f"{BASE}/{what}/search", status=403, json={})
    with pytest.raises(CredentialsError, match="permission"):
        directory.peek(what)
    assert sent(outside)[0]["pagination"] == {"per_page": 1}
