"""What Intercom answers, cut down to what is needed. Read liberally: its answers break its own schema.

https://developers.intercom.com/docs/references/rest-api/api.intercom.io
"""

from __future__ import annotations

import html
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

# https://developers.intercom.com/docs/references/rest-api/api.intercom.io/conversations/retrieveconversation
MOST_PARTS: Final = 500


# Who closed a conversation: a teammate by hand, a bot or a workflow, or a program through the API.
Closer = Literal["person", "bot", "api"]


class Model(BaseModel):
    """A value that does not change. Personal fields are left out of its repr, which may reach a log."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Me(Model):
    """Whose token this is: the admin, and the workspace it belongs to."""

    admin_id: str
    workspace_id: str
    workspace_name: str = ""
    region: str = ""
    timezone: str = ""


class Conversation(Model):
    """A conversation's state and the HTML of all that was said in it, the first message included.

    ``complete`` is False when there may be parts that Intercom did not hand over.
    """

    state: str
    parts_html: tuple[str, ...] = Field(repr=False)
    total_parts: int
    complete: bool
    # The newest part that is not a note among teammates; empty where nothing was said.
    last_said_html: str = Field(default="", repr=False)
    id: str = ""
    contact_ids: tuple[str, ...] = ()
    tag_names: tuple[str, ...] = ()
    # From 1 to 5, and when it was given, in unix seconds.
    rating: int | None = None
    rated_at: int | None = None
    # Who closed it last, and when.
    closed_by: Closer | None = None
    closed_at: int | None = None
    # How much the customers have written, the first message included, and how often teammates have.
    customer_parts: int = 0
    customer_characters: int = 0
    teammate_parts: int = 0
    # The names of the tags on each tagged part, and when the part was last changed.
    tagged_parts: tuple[tuple[int, tuple[str, ...]], ...] = ()

    def was_said_last(self, text: str) -> bool:
        """Whether the newest message, of whomever, holds this text."""
        return text in self.last_said_html or text in html.unescape(self.last_said_html)

    def contains(self, text: str) -> bool:
        """Whether a part holds this text, as it reads once HTML's escapes are undone."""
        if not text:
            raise ValueError("there is no text to look for")
        return self.count_of(text) > 0

    def count_of(self, text: str) -> int:
        """How many parts hold this text."""
        return sum(text in body or text in html.unescape(body) for body in self.parts_html)


class Contact(Model):
    """A person in Intercom. ``role`` is ``user`` or ``lead``.

    ``blocked``: they have marked an e-mail as spam, or were blocked. ``tag_count`` is None where Intercom
    does not tell.
    """

    id: str
    name: str | None = Field(default=None, repr=False)
    email: str | None = Field(default=None, repr=False)
    role: str | None = None
    language: str | None = None
    unsubscribed: bool = False
    blocked: bool = False
    tag_count: int | None = None
    custom_attributes: dict[str, str | int | float | bool | None] = Field(default_factory=dict, repr=False)


class ContactAttribute(Model):
    """A custom attribute of contacts. An archived one keeps its name taken."""

    data_type: str
    archived: bool = False


class Tag(Model):
    """A tag of the workspace."""

    id: str
    name: str


class FoundConversation(Model):
    """A conversation as a search gives it: its id, when it was begun (unix seconds), and its first message,
    which may come as plain text."""

    id: str
    created_at: float
    first_message: str = Field(default="", repr=False)


class FoundConversations(Model):
    """What a search has found. ``complete`` is False when there are more than it has handed over."""

    conversations: tuple[FoundConversation, ...]
    complete: bool


class ConversationPage(Model):
    """A page of what a search has found: ids alone, because a search does not list the parts.

    ``next`` is the cursor of the next page, None on the last.
    """

    ids: tuple[str, ...]
    total: int
    next: str | None = None
