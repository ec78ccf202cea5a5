"""The rows of the ledger: an interview as a whole, and what a card shows of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

import sqlalchemy as sa

from canvas_app.interviews.states import State
from canvas_app.interviews.tables import GENERATED, interviews, outside_writes
from canvas_app.koji.results import KojiResult

# How the link reaches the customer: as a reply in the conversation, as a new message, in the contact's
# attributes, or by the hands of whoever asked.
Deliver = Literal["conversation", "message", "attribute", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a card shows of an interview, and what a tap on it takes over. Field names are the table's; see
    :mod:`canvas_app.interviews.tables`.

    ``tried_at`` alone stands in ``outside_writes``: when the call that posts the message was begun last.
    """

    id: str
    conversation_id: str | None
    study: str
    asked_by_id: str | None
    asked_by_name: str | None
    personal_line: str | None
    state: State
    reason: str | None
    written_as_id: str | None
    send_attempt: int
    created_at: datetime
    state_since: datetime
    sent_at: datetime | None
    opened_at: datetime | None
    completed_at: datetime | None
    result: dict[str, Any] | None
    not_before: datetime | None
    tried_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interview(Shown):
    """One row of the ledger."""

    workspace_id: str
    contact_id: str
    origin: str
    request_key: str | None
    contact_name: str | None
    contact_email: str | None
    link_token: str
    koji_interview_id: str | None
    koji_link: str | None
    send_before: datetime
    result_at: datetime | None
    attributes_written_at: datetime | None
    attribute_names: dict[str, str] | None
    contact_tags: dict[str, str] | None
    conversation_tags: dict[str, str] | None
    written_back_at: datetime | None
    public_url: str | None
    check_at: datetime | None
    checks: int
    was_closed: bool | None
    closed_again_at: datetime | None
    purged_at: datetime | None
    rule: str | None
    deliver: Deliver
    language: str | None
    contact_role: str | None
    credits: int | None
    remind_at: datetime | None
    reminded_at: datetime | None
    link_attribute_at: datetime | None
    link_attribute_cleared_at: datetime | None
    remind_by_hand: bool | None
    reminder_reason: str | None


# The same kind of it that was given.
AnInterview = TypeVar("AnInterview", bound=Shown)

_tried_at = (
    sa.select(outside_writes.c.claimed_at)
    .where(outside_writes.c.interview_id == interviews.c.id, outside_writes.c.kind == "message")
    .scalar_subquery()
    .label("tried_at")
)
# Whoever reads interviews selects these columns, see :func:`of_row`.
selected: sa.Select[Any] = sa.select(
    *(column for column in interviews.c if column.name not in GENERATED), _tried_at
)
_SELECTED_NAMES: Final = tuple(selected.selected_columns.keys())
# What a card reads of one, in the order of the fields of :class:`Shown`.
shown: sa.Select[Any] = sa.select(
    *(_tried_at if name == "tried_at" else interviews.c[name] for name in (one.name for one in fields(Shown)))
)


def of_row(row: sa.Row[Any]) -> Interview:
    """The interview of a row of :data:`selected`."""
    return Interview(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name, underscored to spare columns


def of_values(values: Sequence[Any]) -> Interview:
    """The same, of the values of its columns in their order, for a query that selects others behind them."""
    return Interview(**dict(zip(_SELECTED_NAMES, values, strict=True)))


def result_of(interview: Shown) -> KojiResult:
    """What is known of its result; empty while nothing is."""
    return KojiResult.model_validate(interview.result or {})
