"""Looking through a workspace page by page: whom a search finds, and what is known of them.

The command line asks for this, and nothing that a customer or a rep waits for.
https://developers.intercom.com/docs/build-an-integration/learn-more/rest-apis/pagination
"""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from datetime import UTC
from typing import Final, Literal

from pydantic import Field

from canvas_app.http_outcomes import unreadable
from canvas_app.intercom import reading
from canvas_app.intercom.client import SERVICE, IntercomClient, _path_id
from canvas_app.intercom.models import Me, Model, Tag

# The most that Intercom gives at once.
_PAGE: Final = 150


class Respondent(Model):
    """A contact as they may be asked for an interview, with what is known of their work."""

    id: str
    name: str | None = Field(default=None, repr=False)
    email: str | None = Field(default=None, repr=False)
    role: str | None = None
    language: str | None = None
    country: str | None = None
    plan: str | None = None
    # They do not want mail, or have called it spam.
    unsubscribed: bool = False
    tag_ids: frozenset[str] = frozenset()
    # Intercom lists ten tags with a contact; whether there are more, it says.
    has_more_tags: bool = False
    has_company: bool = False


class Company(Model):
    """The company that a contact belongs to."""

    name: str | None = None
    plan: str | None = None


class Found(Model):
    """What a page of a search has, of how many in all, and the cursor of the next page."""

    contact_ids: tuple[str, ...] = ()
    respondents: tuple[Respondent, ...] = ()
    total: int = 0
    following: str | None = None


class IntercomDirectory(IntercomClient):
    """The client, with what only the command line asks."""

    def me_and_clock(self) -> tuple[Me, float | None]:
        """Whose token it is, and Intercom's own clock as unix seconds where it tells."""
        answer = self._call("GET", "/me")
        found = reading.me(answer.json_object())
        if found is None:
            raise unreadable(answer, service=SERVICE, request_id=None)
        try:
            told = email.utils.parsedate_to_datetime(answer.headers.get("Date", ""))
        except ValueError:
            return found, None
        # An HTTP date is in GMT, which is read as having no zone where it says "-0000".
        return found, (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()

    def all_tags(self) -> list[Tag]:
        """The tags of the workspace."""
        return self._read("GET", "/tags", reading.tags)

    def closed_since(self, since: float, cursor: str | None = None) -> Found:
        """The contacts of the conversations that were closed since this moment, in unix seconds."""
        # Searches for contacts compare days and not moments. It is not said that searches for conversations
        # do not, so the day before is asked for too, and the moment is looked at here.
        query = {
            "operator": "AND",
            "value": [
                {"field": "state", "operator": "=", "value": "closed"},
                {"field": "statistics.last_close_at", "operator": ">", "value": int(since) - 86_400},
            ],
        }
        data = self._page("/conversations/search", query, cursor)
        closed = [
            item for item in reading.mappings(data.get("conversations")) if _closed_at(item, since) >= since
        ]
        ids = [id_ for item in closed for id_ in _contact_ids(item)]
        return Found(contact_ids=tuple(ids), total=_total(data), following=_following(data, cursor))

    def tagged(self, tag_id: str, cursor: str | None = None) -> Found:
        """The contacts with this tag."""
        query = {"field": "tag_id", "operator": "=", "value": tag_id}
        data = self._page("/contacts/search", query, cursor)
        contacts = [_respondent(item) for item in reading.mappings(data.get("data"))]
        return Found(
            respondents=tuple(item for item in contacts if item),
            total=_total(data),
            following=_following(data, cursor),
        )

    def respondent(self, contact_id: str) -> Respondent:
        """A contact. Raises ContactMerged when they live on under another id."""
        return self._read("GET", f"/contacts/{_path_id(contact_id)}", _respondent)

    def company(self, contact_id: str) -> Company:
        """The contact's first company; an empty one where there is none."""
        return self._read("GET", f"/contacts/{_path_id(contact_id)}/companies", _company)

    def peek(self, what: Literal["contacts", "conversations"]) -> None:
        """Ask for one of these and look at none. Raises CredentialsError where they may not be read."""
        query = {"field": "created_at", "operator": ">", "value": 0}
        self._call("POST", f"/{what}/search", {"query": query, "pagination": {"per_page": 1}})

    def _page(self, path: str, query: Mapping[str, object], cursor: str | None) -> Mapping[str, object]:
        pagination: dict[str, object] = {"per_page": _PAGE}
        if cursor is not None:
            pagination["starting_after"] = cursor
        return self._read("POST", path, dict, {"query": query, "pagination": pagination})


def _following(data: Mapping[str, object], cursor: str | None) -> str | None:
    """The cursor of the next page. The same one again would go round for ever."""
    following = reading.mapping(reading.mapping(data.get("pages")).get("next")).get("starting_after")
    found = reading.identifier(following)
    return None if found == cursor else found


def _total(data: Mapping[str, object]) -> int:
    total = data.get("total_count")
    return total if isinstance(total, int) and not isinstance(total, bool) else 0


def _contact_ids(conversation: Mapping[str, object]) -> list[str]:
    people = reading.mappings(reading.mapping(conversation.get("contacts")).get("contacts"))
    return [id_ for person in people if (id_ := reading.identifier(person.get("id"))) is not None]


def _closed_at(conversation: Mapping[str, object], otherwise: float) -> float:
    """When it was closed. One that does not say so was found by it all the same."""
    moment = reading.mapping(conversation.get("statistics")).get("last_close_at")
    return moment if isinstance(moment, int | float) and not isinstance(moment, bool) else otherwise


def _respondent(data: Mapping[str, object]) -> Respondent | None:
    contact_id = reading.identifier(data.get("id"))
    if contact_id is None:
        return None
    tags = reading.mapping(data.get("tags"))
    companies = reading.mapping(data.get("companies"))
    ids = [reading.identifier(item.get("id")) for item in reading.mappings(tags.get("data"))]
    return Respondent(
        id=contact_id,
        name=reading.text(data.get("name")),
        email=reading.text(data.get("email")),
        role=reading.text(data.get("role")),
        language=reading.text(data.get("language_override")) or reading.text(data.get("browser_language")),
        country=reading.text(reading.mapping(data.get("location")).get("country")),
        plan=reading.text(reading.mapping(data.get("custom_attributes")).get("plan")),
        unsubscribed=data.get("unsubscribed_from_emails") is True or data.get("marked_email_as_spam") is True,
        tag_ids=frozenset(id_ for id_ in ids if id_ is not None),
        has_more_tags=tags.get("has_more") is True,
        has_company=bool(reading.mappings(companies.get("data"))),
    )


def _company(data: Mapping[str, object]) -> Company | None:
    # Intercom's description calls the list "companies", and its samples "data".
    companies = data.get("data", data.get("companies"))
    if not isinstance(companies, list):
        return None
    for item in reading.mappings(companies):
        plan = reading.text(reading.mapping(item.get("plan")).get("name"))
        return Company(name=reading.text(item.get("name")), plan=plan)
    return Company()
