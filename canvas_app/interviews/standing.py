"""How things stand: the connections to Intercom and Koji, the queue, and what has been set up so far.

It is told from the database alone; the web process calls nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import engine as durable, gates, store
from canvas_app.gates import Pause, Wire
from canvas_app.interviews import alert_address, alert_facts, provisions
from canvas_app.interviews.provisions import Provision
from canvas_app.interviews.tables import deliveries, operators, options, rules, workspaces
from canvas_app.settings import Settings, Study

# What comes in by itself: door of the deliveries, and who sends.
_DOORS: Final = ("koji", "intercom")
_OPTIONS: Final = (*alert_address.OPTIONS, *provisions.OPTIONS)


@dataclass(frozen=True, slots=True)
class Wired:
    """A connection. ``last_at``: when a call of ours was last answered as it should be, to the minute, or
    when something last came in. ``study``: whose key it is, where it is Koji's."""

    kind: Literal["calls", "webhooks"]
    wire: Wire
    study: str | None
    last_at: datetime | None
    pauses: Sequence[Pause] = ()


@dataclass(frozen=True, slots=True)
class Queue:
    """Jobs whose turn has come, those that are to wait, those that run, and how long the oldest waits."""

    due: int
    delayed: int
    running: int
    oldest: timedelta | None


@dataclass(frozen=True, slots=True)
class Standing:
    """All of it. ``workspace_id`` is None while nobody knows whose the access token is."""

    now: datetime
    workspace_id: str | None
    workspace_name: str | None
    operators: int
    rules_on: int
    connections: Sequence[Wired]
    queue: Queue
    provision: Provision
    alert_address: alert_address.Shown | None

    @property
    def pauses(self) -> list[Pause]:
        return [pause for one in self.connections for pause in one.pauses]

    def came_in(self, wire: Wire) -> datetime | None:
        """When the last webhook of this vendor's came."""
        return next(one.last_at for one in self.connections if (one.kind, one.wire) == ("webhooks", wire))


def read(
    connection: Connection, settings: Settings, every: Sequence[Study], workspace_id: str | None
) -> Standing:
    """How it stands, for whoever is of this workspace, or of the access token's. Three queries."""
    token = gates.token_fingerprint(settings)
    ours = workspaces.c.token_fingerprint == token
    if workspace_id is not None:
        ours = workspaces.c.workspace_id == workspace_id
    theirs = sa.select(workspaces.c.workspace_id).where(ours).limit(1).scalar_subquery()
    known = connection.execute(
        sa.select(
            store.now_expression(connection).label("now"),
            theirs.label("workspace_id"),
            sa.select(workspaces.c.name).where(ours).limit(1).scalar_subquery().label("name"),
            sa.select(sa.func.count())
            .select_from(operators)
            .where(operators.c.workspace_id == theirs)
            .scalar_subquery()
            .label("operators"),
            sa.select(sa.func.count())
            .select_from(rules)
            .where(rules.c.enabled)
            .scalar_subquery()
            .label("rules_on"),
            *(_newest(door).label(door) for door in _DOORS),
            *(
                sa.select(options.c.value).where(options.c.name == name).scalar_subquery().label(name)
                for name in _OPTIONS
            ),
        )
    ).one()
    values: dict[str, Any] = {name: getattr(known, name) for name in _OPTIONS}
    waiting = durable.waiting(connection)
    return Standing(
        now=known.now,
        workspace_id=workspace_id or known.workspace_id,
        workspace_name=known.name,
        operators=known.operators,
        rules_on=known.rules_on,
        connections=[
            *_calls(connection, settings, every),
            Wired("webhooks", "intercom", None, known.intercom),
            Wired("webhooks", "koji", None, known.koji),
        ],
        queue=Queue(waiting.due, waiting.delayed, waiting.running, alert_facts.oldest_wait(waiting)),
        provision=provisions.known(values, known.now, settings),
        alert_address=alert_address.shown(settings, values),
    )


def _newest(door: str) -> sa.ColumnElement[datetime]:
    # As an order and a limit, and not as a maximum, any database takes the index from its end.
    newest = (
        sa.select(deliveries.c.received_at)
        .where(deliveries.c.door == door)
        .order_by(deliveries.c.received_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    return sa.type_coerce(newest, deliveries.c.received_at.type)


def _calls(connection: Connection, settings: Settings, every: Sequence[Study]) -> list[Wired]:
    """The gates of the access token and of the key of each study that is on. Two may share a key."""
    keys: dict[str, Wire] = {}
    names: dict[str, str | None] = {}
    if settings.intercom_access_token is not None:
        key = gates.key_of("intercom", settings.intercom_access_token.get_secret_value())
        keys[key], names[key] = "intercom", None
    for study in every:
        if study.enabled and study.api_key is not None:
            key = gates.key_of("koji", study.api_key)
            keys[key] = "koji"
            names[key] = f"{names[key]}, {study.name}" if key in names else study.name
    found: Mapping[str, gates.Standing] = gates.standing(connection, keys)
    return [Wired("calls", keys[key], names[key], one.succeeded_at, one.pauses) for key, one in found.items()]
