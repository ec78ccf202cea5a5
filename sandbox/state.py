"""What the stand-in Intercom remembers, and how a test looks at it.

Everything is in memory and changed under one lock, which the stand-in Koji shares. The methods here are the
*effects*; who may call them, and how they are answered, is the business of ``intercom`` and ``inbox``.
"""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Scalar = str | int | float | bool
AuthorType = Literal["admin", "bot", "user", "lead"]
BOT = "989"
"""The id of Fin, Intercom's own bot; it is no teammate, and ``GET /admins`` does not list it."""


@dataclass
class Call:
    """One request that reached a stand-in; ``status`` stays None while it is not answered."""

    wire: Literal["intercom", "koji"]
    method: str
    path: str
    json: Any
    at: float
    status: int | None = None
    fault: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the call as JSON for ``GET /_sandbox/state``."""
        return vars(self).copy()


@dataclass(frozen=True)
class Admin:
    """A teammate."""

    id: str
    name: str
    email: str


@dataclass
class AppliedTag:
    """A tag on a conversation or a contact."""

    id: str
    applied_at: int
    applied_by: str


@dataclass(frozen=True)
class Company:
    """A company that contacts belong to; ``company_id`` is the customer's own id of it."""

    id: str
    name: str
    company_id: str
    plan: str


@dataclass
class Contact:
    """A customer: a ``user``, or a ``lead`` who may have no address.

    One that was merged, archived or deleted is kept here as a name for what it said; see :attr:`lives`.
    """

    id: str
    role: Literal["user", "lead"]
    name: str | None
    email: str | None
    external_id: str | None = None
    custom_attributes: dict[str, Scalar] = field(default_factory=dict)
    tags: dict[str, AppliedTag] = field(default_factory=dict)
    merged_into: str | None = None
    gone: Literal["archived", "deleted"] | None = None
    language_override: str | None = None
    unsubscribed_from_emails: bool = False
    marked_email_as_spam: bool = False
    has_hard_bounced: bool = False
    company_ids: list[str] = field(default_factory=list)
    created_at: int = 0
    updated_at: int = 0

    @property
    def lives(self) -> bool:
        """Whether Intercom still answers for this id."""
        return self.merged_into is None and self.gone is None

    @property
    def shown_name(self) -> str:
        """What a page calls this contact."""
        return "Deleted contact" if self.gone == "deleted" else self.name or "No name"


@dataclass(frozen=True)
class Part:
    """One entry of a conversation; ``body`` is HTML, and None for events such as a change of tags.

    ``tags`` are the ids of the tags on this one message.
    """

    id: str
    part_type: str
    body: str | None
    author_type: AuthorType
    author_id: str
    created_at: int
    state: str
    by_api: bool = False
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Rating:
    """What a customer thought of a conversation: ``score`` is 1 to 5; ``admin_id`` is who is rated."""

    score: int
    remark: str | None
    contact_id: str
    admin_id: str | None
    created_at: int


@dataclass
class Conversation:
    """A conversation with one or more contacts."""

    id: str
    contact_ids: list[str]
    source: Part
    parts: list[Part] = field(default_factory=list)
    tags: dict[str, AppliedTag] = field(default_factory=dict)
    state: Literal["open", "closed", "snoozed"] = "open"
    rating: Rating | None = None
    created_at: int = 0
    updated_at: int = 0


@dataclass(frozen=True)
class Happening:
    """Something that Intercom tells its subscribers of, under ``topic``; the rest is what it is about."""

    topic: str
    conversation: Conversation | None = None
    part: Part | None = None
    contact: Contact | None = None
    tag_id: str | None = None
    absorbed_id: str | None = None
    """The contact that was merged into ``contact``."""


@dataclass
class DataAttribute:
    """A custom attribute that contacts may have."""

    id: int
    name: str
    data_type: str
    description: str
    archived: bool = False
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class CanvasProblem:
    """A canvas that Intercom would have shown as "Something went wrong", and why."""

    kind: Literal["initialize", "submit"]
    reason: str
    status: int | None
    at: float

    def document(self) -> dict[str, Any]:
        """Return the problem as JSON for ``GET /_sandbox/state``."""
        return vars(self).copy()


class IntercomState:
    """One workspace: its teammates, contacts, conversations, tags and attributes."""

    def __init__(self, lock: threading.RLock) -> None:
        self.lock = lock
        self.workspace_id = "sandbox1"
        self.workspace_name = "Sandbox Ltd"
        self.timezone = "Europe/Berlin"
        self.region = "US"
        self.own_admin_id = ""
        self.admins: dict[str, Admin] = {}
        self.companies: dict[str, Company] = {}
        self.contacts: dict[str, Contact] = {}
        self.conversations: dict[str, Conversation] = {}
        self.tag_names: dict[str, str] = {}
        self.attributes: dict[str, DataAttribute] = {}
        self.messages: list[dict[str, Any]] = []
        self.calls: list[Call] = []
        self.canvas_problems: list[CanvasProblem] = []
        self.tell: Callable[[Happening], None] = _tell_nobody
        """Who is told of what happens; called under the lock, so that it sees what has just happened."""
        self.calls_per_window = 1666
        self._window = (0, 0)
        self._ids = itertools.count(5001)

    def next_id(self) -> str:
        """Return a number, as text, that nothing in this workspace has yet."""
        return str(next(self._ids))

    # Looking, for tests and audits ------------------------------------------------------------------

    def conversation(self, conversation_id: str) -> Conversation:
        """Return a conversation by its id; KeyError if there is none."""
        with self.lock:
            return self.conversations[conversation_id]

    def contact(self, contact_id: str) -> Contact:
        """Return a contact by its id; KeyError if there is none."""
        with self.lock:
            return self.contacts[contact_id]

    def notes(self, conversation_id: str) -> list[Part]:
        """Return the private notes of a conversation, oldest first."""
        with self.lock:
            return [part for part in self.conversations[conversation_id].parts if part.part_type == "note"]

    def comments(self, conversation_id: str) -> list[Part]:
        """Return what was said aloud in a conversation after its first message, oldest first."""
        with self.lock:
            parts = self.conversations[conversation_id].parts
            # A comment that reopened a closed conversation is listed by Intercom as a part of type "open".
            return [part for part in parts if part.body and part.part_type in {"comment", "open"}]

    def tags_on_conversation(self, conversation_id: str) -> set[str]:
        """Return the names of the tags on a conversation."""
        with self.lock:
            return {self.tag_names[tag] for tag in self.conversations[conversation_id].tags}

    def tags_on_contact(self, contact_id: str) -> set[str]:
        """Return the names of the tags on a contact."""
        with self.lock:
            return {self.tag_names[tag] for tag in self.contacts[contact_id].tags}

    def calls_to(self, method: str, path_end: str = "") -> list[Call]:
        """Return the recorded calls with this method whose path ends so, oldest first."""
        with self.lock:
            return [call for call in self.calls if call.method == method and call.path.endswith(path_end)]

    # Effects ----------------------------------------------------------------------------------------

    def add_part(
        self,
        conversation: Conversation,
        *,
        part_type: str,
        body: str | None,
        author_type: AuthorType,
        author_id: str,
        by_api: bool,
    ) -> Part:
        """Append a part; a comment on a closed conversation reopens it."""
        with self.lock:
            now = int(time.time())
            if part_type == "comment" and conversation.state == "closed":
                conversation.state = "open"
                part_type = "open"
            elif part_type == "close":
                conversation.state = "closed"
            elif part_type == "open":
                conversation.state = "open"
            part = Part(
                id=self.next_id(),
                part_type=part_type,
                body=body,
                author_type=author_type,
                author_id=author_id,
                created_at=now,
                state=conversation.state,
                by_api=by_api,
            )
            conversation.parts.append(part)
            conversation.updated_at = now
            if topic := _topic_of(part):
                self.tell(Happening(topic, conversation, part))
            return part

    def add_conversation(self, contact_ids: list[str], source: Part) -> Conversation:
        """Open a conversation that starts with ``source``."""
        with self.lock:
            conversation = Conversation(
                id=str(1001 + len(self.conversations)),
                contact_ids=contact_ids,
                source=source,
                created_at=source.created_at,
                updated_at=source.created_at,
            )
            self.conversations[conversation.id] = conversation
            return conversation

    def ensure_tag(self, name: str) -> str:
        """Return the id of the tag with this name, whatever its case, creating it where there is none."""
        with self.lock:
            for tag_id, existing in self.tag_names.items():
                if existing.casefold() == name.casefold():
                    return tag_id
            tag_id = self.next_id()
            self.tag_names[tag_id] = name
            return tag_id

    def tag_conversation(self, conversation: Conversation, tag_id: str, admin_id: str) -> AppliedTag:
        """Put a tag on a conversation; doing so again changes nothing."""
        with self.lock:
            if tag_id not in conversation.tags:
                conversation.tags[tag_id] = AppliedTag(tag_id, int(time.time()), admin_id)
                self._note_tag_change(conversation, admin_id)
            return conversation.tags[tag_id]

    def tag_contact(self, contact: Contact, tag_id: str, admin_id: str | None = None) -> AppliedTag:
        """Put a tag on a contact, by default as the token's own admin; doing so again changes nothing."""
        with self.lock:
            if tag_id not in contact.tags:
                by = admin_id or self.own_admin_id
                contact.tags[tag_id] = AppliedTag(tag_id, int(time.time()), by)
                topic = f"contact.{contact.role}.tag.created"
                self.tell(Happening(topic, contact=contact, tag_id=tag_id))
            return contact.tags[tag_id]

    def untag_conversation(self, conversation: Conversation, tag_id: str, admin_id: str) -> AppliedTag | None:
        """Take a tag off a conversation; None if it was not on it."""
        with self.lock:
            removed = conversation.tags.pop(tag_id, None)
            if removed is not None:
                self._note_tag_change(conversation, admin_id)
            return removed

    def _note_tag_change(self, conversation: Conversation, admin_id: str) -> None:
        # developers.intercom.com/docs/references/2.15/changelog: such parts exist from 2.15 on.
        self.add_part(
            conversation,
            part_type="conversation_tags_updated",
            body=None,
            author_type="admin",
            author_id=admin_id,
            by_api=True,
        )

    def count_call(self, now: float) -> tuple[int, int, bool]:
        """Count one call against the window of 10 seconds: (remaining, reset in unix seconds, allowed).

        developers.intercom.com/docs/references/rest-api/errors/rate-limiting
        """
        with self.lock:
            window, used = self._window
            current = int(now // 10)
            used = used + 1 if window == current else 1
            self._window = (current, used)
            return max(0, self.calls_per_window - used), (current + 1) * 10, used <= self.calls_per_window


def _tell_nobody(_happening: Happening) -> None:
    pass


def _topic_of(part: Part) -> str | None:
    by_team = part.author_type in {"admin", "bot"}
    if part.part_type in {"comment", "open"} and part.body is not None:
        if part.author_type == "bot":
            return "conversation.operator.replied"
        return "conversation.admin.replied" if by_team else "conversation.user.replied"
    if not by_team:
        return None
    # A bot that closes is told of under the teammates' topic; its author says that it was one.
    topics = {"note": "noted", "close": "closed", "open": "opened"}
    return f"conversation.admin.{topics[part.part_type]}" if part.part_type in topics else None
