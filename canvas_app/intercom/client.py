"""Intercom's REST API, as far as it is used. One attempt a call: whether to try again is the caller's say.

https://developers.intercom.com/docs/references/rest-api/api.intercom.io
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

from canvas_app import http_outcomes
from canvas_app.errors import CredentialsError, PermanentError
from canvas_app.intercom import reading, refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from canvas_app.http_outcomes import Answer, Gate
    from canvas_app.intercom.models import (
        Contact,
        ContactAttribute,
        Conversation,
        ConversationPage,
        FoundConversations,
        Me,
        Tag,
    )

T = TypeVar("T")

SERVICE: Final = "Intercom"
_CONVERSATION_ID = re.compile(r"[0-9]{1,15}")
_ADMIN_ID = re.compile(r"[0-9]{1,15}")
_OPAQUE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class IntercomClient:
    """Calls to one workspace. Every method raises a WireError when the call did not do what it should.

    ``clock`` gives the time as unix seconds. Every call passes ``gate``.
    """

    def __init__(
        self,
        *,
        base_url: str,
        token: str,
        version: str,
        http: httpx.Client,
        clock: Callable[[], float] = time.time,
        gate: Gate = http_outcomes.OPEN_GATE,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._version = version
        self._http = http
        self._clock = clock
        self._gate = gate

    def me(self) -> Me:
        """The admin and the workspace that the token belongs to."""
        return self._read("GET", "/me", reading.me)

    def admin_exists(self, admin_id: str) -> bool:
        """Whether this admin is still in the workspace."""
        try:
            self._call("GET", f"/admins/{_path_id(admin_id, _ADMIN_ID)}")
        except PermanentError as error:
            if error.status == 404:
                return False
            raise
        return True

    def reply(
        self, conversation_id: str, *, admin_id: str, body: str, begin_by: float | None = None
    ) -> str | None:
        """Post a message to the customer, in this admin's name. ``body`` is HTML.

        ``begin_by``: the moment of ``time.monotonic`` after which nothing of the call leaves any more
        (LaterError ``too_slow``). Not repeatable: UnknownOutcomeError when nobody knows whether it was
        posted. Once Intercom says 2xx it was, so an answer that cannot be read is a success too. Returns the
        new part's id if it is found.
        """
        return self._speak(conversation_id, "comment", admin_id, body, begin_by)

    def note(
        self, conversation_id: str, *, admin_id: str, body: str, begin_by: float | None = None
    ) -> str | None:
        """Leave a note that only teammates see. ``body`` is HTML. Otherwise as reply."""
        return self._speak(conversation_id, "note", admin_id, body, begin_by)

    def create_message(
        self, contact_id: str, *, role: str, admin_id: str, body: str, begin_by: float | None = None
    ) -> str | None:
        """Begin a conversation with the customer, in this admin's name. ``role`` is the contact's, ``user``
        or ``lead``. Otherwise as reply; returns the conversation's id where Intercom tells it.
        """
        # https://developers.intercom.com/docs/references/rest-api/api.intercom.io/messages/createmessage
        message = {
            "message_type": "in_app",
            "from": {"type": "admin", "id": int(_path_id(admin_id, _ADMIN_ID))},
            "to": {"type": role, "id": _path_id(contact_id)},
            "body": body,
            # Else there would be no conversation until the customer answers, and no home for a note.
            "create_conversation_without_contact_reply": True,
        }
        answer = self._call("POST", "/messages", message, repeatable=False, begin_by=begin_by)
        said = reading.identifier(answer.json_object().get("conversation_id"))
        return said if said and _CONVERSATION_ID.fullmatch(said) else None

    def search_conversations_of_contact(self, contact_id: str, *, since: float) -> FoundConversations:
        """The contact's conversations that were begun after ``since`` (unix seconds), as far as the search
        knows them: one that was begun just now may be missing."""
        # https://developers.intercom.com/docs/references/rest-api/api.intercom.io/conversations/searchconversations
        filters = [
            {"field": "contact_ids", "operator": "=", "value": contact_id},
            {"field": "created_at", "operator": ">", "value": int(since)},
        ]
        body = {"query": {"operator": "AND", "value": filters}, "pagination": {"per_page": 150}}
        return self._read("POST", "/conversations/search", reading.found_conversations, body)

    def get_conversation(self, conversation_id: str) -> Conversation:
        """A conversation with its parts as HTML, of which Intercom gives the 500 newest."""
        # Without display_as the parts are HTML, and only there is a link's whole address to be seen.
        path = f"/conversations/{_path_id(conversation_id, _CONVERSATION_ID)}"
        return self._read("GET", path, reading.conversation)

    def conversations_since(self, since: int, *, starting_after: str | None = None) -> ConversationPage:
        """A page of the conversations in which something has happened ``since`` (unix seconds)."""
        pagination = {"per_page": 150} | ({"starting_after": starting_after} if starting_after else {})
        query = {"field": "updated_at", "operator": ">", "value": since}
        return self._read(
            "POST",
            "/conversations/search",
            reading.conversation_page,
            {"query": query, "pagination": pagination},
        )

    def close_conversation(self, conversation_id: str, admin_id: str) -> None:
        """Close a conversation. Repeatable: closing a closed one changes nothing."""
        path = f"/conversations/{_path_id(conversation_id, _CONVERSATION_ID)}/parts"
        self._call("POST", path, {"message_type": "close", "type": "admin", "admin_id": admin_id})

    def get_contact(self, contact_id: str) -> Contact:
        """A contact. Raises ContactMerged when it lives on under another id."""
        return self._read("GET", f"/contacts/{_path_id(contact_id)}", reading.contact)

    def search_contacts_by_email(self, email: str) -> list[Contact]:
        """The contacts with this address, the newest first. One that was created in the last minutes may be
        missing, and one that was merged into another always is."""
        # https://developers.intercom.com/docs/references/rest-api/api.intercom.io/contacts/searchcontacts
        query = {"field": "email", "operator": "=", "value": email}
        body = {"query": query, "pagination": {"per_page": 150}}
        return self._read("POST", "/contacts/search", reading.contacts_newest_first, body)

    def merged_into(self, contact_id: str) -> list[str]:
        """The ids of the contacts that were merged into this one, the newest first; none for a lead."""
        path = f"/contacts/{_path_id(contact_id)}/merge_history"
        try:
            return self._read("GET", path, reading.merged_ids, params={"per_page": "150"})
        except PermanentError as error:
            if error.status == 404:
                return []
            raise

    def update_contact(
        self, contact_id: str, custom_attributes: Mapping[str, str | int | float | bool | None]
    ) -> None:
        """Set these attributes and leave all others. Dates are unix seconds.

        Raises UnknownAttribute for the first one that the workspace does not have; none is set then.
        """
        self._call(
            "PUT",
            f"/contacts/{_path_id(contact_id)}",
            {"custom_attributes": dict(custom_attributes)},
            special=lambda answer: refusals.unknown_attribute(answer, custom_attributes),
        )

    def contact_attributes(self) -> dict[str, ContactAttribute]:
        """The workspace's custom attributes of contacts by name, archived ones included."""
        params = {"model": "contact", "include_archived": "true"}
        return self._read("GET", "/data_attributes", reading.contact_attributes, params=params)

    def create_contact_attribute(self, name: str, data_type: str, description: str) -> None:
        """Create a custom attribute; one that is there already will do.

        Raises PermanentError ``attribute_archived`` when an archived one holds the name.
        """
        body = {"name": name, "model": "contact", "data_type": data_type, "description": description}
        try:
            self._call("POST", "/data_attributes", body)
        except PermanentError as error:
            if error.status != 400:
                raise
            # Intercom tells a taken name from a bad one only in English prose, so the list is asked instead.
            present = self.contact_attributes().get(name)
            if present is None:
                raise
            if present.archived:
                raise PermanentError(
                    "The attribute is archived in Intercom; unarchive it in the workspace's settings.",
                    reason="attribute_archived",
                    status=error.status,
                    request_id=error.request_id,
                ) from error

    def ensure_tag(self, name: str) -> str:
        """The id of the tag with this name, in any case; it is created if need be."""
        return self._read("POST", "/tags", reading.tag, {"name": name}).id

    def tag_conversation(self, conversation_id: str, tag_id: str, admin_id: str) -> None:
        """Put a tag on a conversation."""
        path = f"/conversations/{_path_id(conversation_id, _CONVERSATION_ID)}/tags"
        self._call("POST", path, {"id": tag_id, "admin_id": admin_id})

    def untag_conversation(self, conversation_id: str, tag_id: str, admin_id: str) -> None:
        """Take a tag off a conversation; one that is not on it will do."""
        path = f"/conversations/{_path_id(conversation_id, _CONVERSATION_ID)}/tags/{_path_id(tag_id)}"
        self._untag(path, {"admin_id": admin_id})

    def tag_contact(self, contact_id: str, tag_id: str) -> None:
        """Put a tag on a contact."""
        self._call("POST", f"/contacts/{_path_id(contact_id)}/tags", {"id": tag_id})

    def untag_contact(self, contact_id: str, tag_id: str) -> None:
        """Take a tag off a contact; one that is not on it will do."""
        self._untag(f"/contacts/{_path_id(contact_id)}/tags/{_path_id(tag_id)}")

    def contact_tags(self, contact_id: str) -> list[Tag]:
        """The tags on a contact."""
        return self._read("GET", f"/contacts/{_path_id(contact_id)}/tags", reading.tags)

    def _speak(
        self, conversation_id: str, message_type: str, admin_id: str, body: str, begin_by: float | None
    ) -> str | None:
        # https://developers.intercom.com/docs/references/rest-api/api.intercom.io/conversations/replyconversation
        answer = self._call(
            "POST",
            f"/conversations/{_path_id(conversation_id, _CONVERSATION_ID)}/reply",
            {"message_type": message_type, "type": "admin", "admin_id": admin_id, "body": body},
            repeatable=False,
            begin_by=begin_by,
        )
        return reading.newest_part_id(answer.json_object(), admin_id)

    def _untag(self, path: str, body: Mapping[str, object] | None = None) -> None:
        try:
            self._call("DELETE", path, body)
        except PermanentError as error:
            if error.status != 404:
                raise

    def _read(
        self,
        method: str,
        path: str,
        read: Callable[[Mapping[str, object]], T | None],
        body: Mapping[str, object] | None = None,
        *,
        params: Mapping[str, str] | None = None,
    ) -> T:
        """A repeatable call whose answer is needed."""
        answer = self._call(method, path, body, params=params)
        value = read(answer.json_object())
        if value is None:
            raise http_outcomes.unreadable(answer, service=SERVICE, request_id=refusals.request_id(answer))
        return value

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        params: Mapping[str, str] | None = None,
        repeatable: bool = True,
        special: Callable[[Answer], PermanentError | None] | None = None,
        begin_by: float | None = None,
    ) -> Answer:
        """One call through the gate; any status but 2xx is raised as the error it stands for."""
        with self._gate.passage(_operation(method, path)):
            return self._exchange(
                method,
                path,
                body,
                params=params,
                repeatable=repeatable,
                special=special,
                # Looked at after the gate, where the call may have waited, and right before it leaves.
                begin_by=begin_by,
            )

    def _exchange(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        *,
        params: Mapping[str, str] | None,
        repeatable: bool,
        special: Callable[[Answer], PermanentError | None] | None,
        begin_by: float | None,
    ) -> Answer:
        if not http_outcomes.token_is_sendable(self._token):
            raise CredentialsError(
                "The Intercom access token is empty or holds a character that no token has.",
                reason="intercom_token_malformed",
            )
        answer = http_outcomes.send(
            self._http,
            method,
            self._base_url + path,
            headers={"Authorization": f"Bearer {self._token}", "Intercom-Version": self._version},
            json_body=body,
            params=params,
            repeatable=repeatable,
            service=SERVICE,
            begin_by=begin_by,
        )
        request_id = refusals.request_id(answer)
        page = http_outcomes.page_instead(
            answer, service=SERVICE, repeatable=repeatable, request_id=request_id
        )
        if page is not None:
            raise page
        codes = refusals.codes_of(answer)
        error = refusals.special(answer, path, codes) or (special(answer) if special else None)
        failure = error or http_outcomes.failure(
            answer,
            wire="intercom",
            service=SERVICE,
            repeatable=repeatable,
            retry_after=self._retry_after(answer),
            request_id=request_id,
            codes=codes,
        )
        if failure is not None:
            raise failure
        return answer

    def _retry_after(self, answer: Answer) -> float | None:
        now = http_outcomes.answered_at(answer, self._clock())
        # Every answer tells when the window of the rate limit ends, which matters to a 429 alone.
        # https://developers.intercom.com/docs/references/rest-api/errors/rate-limiting
        reset = answer.headers.get("X-RateLimit-Reset") if answer.status == 429 else None
        seconds = http_outcomes.reset_seconds(reset, now)
        if seconds is not None:
            return seconds
        return http_outcomes.retry_after_seconds(answer.headers.get("Retry-After"), now)


def _operation(method: str, path: str) -> str:
    """A call's name without its ids: in Intercom's paths names and ids take turns, but for a search."""
    parts = path.strip("/").split("/")
    named = ("{id}" if number % 2 and part != "search" else part for number, part in enumerate(parts))
    return f"{method} /" + "/".join(named)


def _path_id(value: str, form: re.Pattern[str] = _OPAQUE_ID) -> str:
    """An id that can stand in a path. Intercom reads words such as ``last`` there, so the form is checked."""
    if not form.fullmatch(value):
        raise PermanentError("An id is not of Intercom's form; no call was made.", reason="id_malformed")
    return quote(value, safe="")
