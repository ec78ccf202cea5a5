"""What the card needs to know, in one query: Intercom asks for it whenever a conversation is opened."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import gates, store
from canvas_app.interviews import ledger_rows, options, studies
from canvas_app.interviews.ledger_rows import Shown
from canvas_app.interviews.options import Options
from canvas_app.interviews.states import ENDED_WITHOUT_ANSWER
from canvas_app.interviews.tables import interviews, studies as studies_table, workers, workspaces
from canvas_app.prepared import Prepared
from canvas_app.settings import DEFAULT_STUDY, Settings, Study


@dataclass(frozen=True, slots=True)
class CardFacts:
    """``studies`` are all there are, the environment's first; ``used_at`` says when each was asked with.
    ``chosen`` is what operators have chosen by now."""

    interview: Shown | None
    # The contact's newest interview, whichever is shown.
    newest_id: str | None
    timezone: str | None
    # The workspace that the access token belongs to, as far as that is known.
    token_workspace_id: str | None
    worker_seen_at: datetime | None
    now: datetime
    chosen: Options
    # Why a wire is on hold, as a reason code.
    paused: str | None = None
    studies: tuple[Study, ...] = ()
    used_at: Mapping[str, datetime] = field(default_factory=dict)


def read(
    engine: Engine,
    settings: Settings,
    workspace_id: str,
    contact_id: str,
    conversation_id: str | None,
    *,
    token_fingerprint: str,
    gate_keys: Collection[str] = (),
) -> CardFacts:
    """What the card about a contact shows: this conversation's newest interview, else the contact's newest.

    One of this conversation that ended without an answer does not hide what has happened elsewhere since, and
    one of which nothing was ever sent hides nothing: it is there only where there is no other.
    ``token_fingerprint`` is that of the access token in use. ``gate_keys``: the gates whose pause is told,
    beside those of the studies in the database.
    """
    values: dict[str, object] = {
        "workspace_id": workspace_id,
        "contact_id": contact_id,
        "conversation_id": conversation_id,
        "token_fingerprint": token_fingerprint,
        **{_gate(number): key for number, key in enumerate(gate_keys)},
    }
    if engine.dialect.name == "sqlite":
        # There, this machine's clock is the database's.
        values["now"] = datetime.now(UTC)
    # One row for each study of the database, and one where there is none.
    rows = _query(engine.dialect.name, len(gate_keys)).rows(engine, values)
    interview, context = (
        rows[0][:_OF_CONTEXT],
        dict(zip(_CONTEXT, rows[0][_OF_CONTEXT:_OF_STUDY], strict=True)),
    )
    own = [dict(zip(_STUDY, row[_OF_STUDY:], strict=True)) for row in rows if row[_OF_STUDY] is not None]
    used_at = {study["slug"]: study["used_at"] for study in own}
    used_at[DEFAULT_STUDY] = context.pop("default_used_at")
    return CardFacts(
        interview=None if interview[0] is None else Shown(**dict(zip(_SHOWN, interview, strict=True))),
        chosen=options.of(context.pop("chosen"), settings),
        studies=tuple(studies.of_rows(own, settings)),
        used_at={slug: at for slug, at in used_at.items() if at is not None},
        **context,
    )


# What a row holds: what is shown of the interview, what is the same in all rows, and of a study the table's
# columns and when it was last asked with.
_CONTEXT: Final = (
    "newest_id",
    "timezone",
    "token_workspace_id",
    "worker_seen_at",
    "now",
    "chosen",
    "paused",
    "default_used_at",
)
_STUDY: Final = (*(column.name for column in studies_table.c), "used_at")
_SHOWN: Final = tuple(one.name for one in fields(Shown))
_OF_CONTEXT: Final = len(_SHOWN)
_OF_STUDY: Final = _OF_CONTEXT + len(_CONTEXT)


def _gate(number: int) -> str:
    return f"gate_{number}"


@functools.cache
def _query(kind: str, gates_told: int) -> Prepared:
    """The one query. Its columns stand in the order of ``_OF_CONTEXT`` and ``_OF_STUDY``."""
    theirs = sa.and_(
        interviews.c.workspace_id == sa.bindparam("workspace_id"),
        interviews.c.contact_id == sa.bindparam("contact_id"),
    )
    in_this = interviews.c.conversation_id.is_not_distinct_from(sa.bindparam("conversation_id"))
    skipped = interviews.c.state == sa.literal_column("'skipped'")
    newest_in_this = (
        sa.select(sa.func.max(interviews.c.created_at)).where(theirs, in_this, ~skipped).correlate(None)
    )
    here = sa.and_(
        in_this,
        interviews.c.state.not_in([sa.literal_column(f"'{state}'") for state in ENDED_WITHOUT_ANSWER]),
        interviews.c.created_at == newest_in_this.scalar_subquery(),
    )
    shown = (
        ledger_rows.shown.where(theirs)
        .order_by(sa.case((here, 0), (skipped, 2), else_=1), interviews.c.created_at.desc())
        .limit(1)
        .subquery("shown")
    )
    newest_id = sa.select(interviews.c.id).where(theirs).order_by(interviews.c.created_at.desc()).limit(1)
    # What was learnt by another token tells at most what time it probably is there.
    by_this_token = workspaces.c.token_fingerprint == sa.bindparam("token_fingerprint")
    own_first = sa.case((by_this_token, 0), else_=1), workspaces.c.read_at.desc()
    timezone = sa.select(workspaces.c.timezone).order_by(*own_first).limit(1)
    newest_read = workspaces.c.read_at.desc()
    token_workspace = sa.select(workspaces.c.workspace_id).where(by_this_token).order_by(newest_read).limit(1)
    seen = sa.select(sa.func.max(workers.c.renewed_at)).scalar_subquery()
    in_use = sa.and_(studies_table.c.enabled, studies_table.c.gate_key.is_not(None))
    own_gates = sa.select(studies_table.c.gate_key).where(in_use).correlate(None)
    keys: list[sa.BindParameter[str]] = [sa.bindparam(_gate(number)) for number in range(gates_told)]
    one = sa.select(sa.literal_column("1").label("one")).subquery("one")
    query = sa.select(
        *shown.c,
        newest_id.scalar_subquery().label("newest_id"),
        timezone.scalar_subquery().label("timezone"),
        token_workspace.scalar_subquery().label("token_workspace_id"),
        sa.type_coerce(seen, workers.c.renewed_at.type).label("worker_seen_at"),
        store.clock(kind).label("now"),
        options.selected(options.WRITE_BACK).scalar_subquery().label("chosen"),
        gates.reason_query(keys, own_gates).scalar_subquery().label("paused"),
        _used_at(sa.literal(DEFAULT_STUDY)).label("default_used_at"),
        *(column.label(f"study_{column.name}") for column in studies_table.c),
        _used_at(studies_table.c.slug).label("study_used_at"),
    ).select_from(one.outerjoin(shown, sa.true()).outerjoin(studies_table, sa.true()))
    return Prepared(query, kind)


def _used_at(slug: sa.ColumnElement[str]) -> sa.ColumnElement[datetime]:
    newest = sa.select(sa.func.max(interviews.c.created_at)).where(interviews.c.study == slug)
    return sa.type_coerce(newest.scalar_subquery(), interviews.c.created_at.type)
