"""Whose access token it is: the workspace, its time zone, and the admin who writes in our name."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from canvas_app import gates, store
from canvas_app.errors import PermanentError
from canvas_app.interviews.services import Services
from canvas_app.interviews.tables import workspaces
from canvas_app.settings import Settings

# A workspace's time zone or name may change; once a day is soon enough to see it.
_FRESH = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Workspace:
    workspace_id: str
    admin_id: str
    timezone: str | None


def of_token(connection: Connection, settings: Settings) -> str | None:
    """The id of the workspace that the access token belongs to, as far as a worker has found it out."""
    token = settings.intercom_access_token
    if token is None:
        return None
    fingerprint = gates.fingerprint("intercom token", token.get_secret_value())
    id_: str | None = connection.execute(
        sa.select(workspaces.c.workspace_id).where(workspaces.c.token_fingerprint == fingerprint)
    ).scalar()
    return id_


def timezone(connection: Connection, workspace_id: str) -> str | None:
    """The workspace's time zone, as far as it is known."""
    name: str | None = connection.execute(
        sa.select(workspaces.c.timezone).where(workspaces.c.workspace_id == workspace_id)
    ).scalar()
    return name


def known(services: Services) -> Workspace:
    """The token's workspace, from the database where it is fresh, else from Intercom's GET /me.

    Raises the wires' errors when Intercom has to be asked and does not tell.
    """
    with store.reading(services.engine) as connection:
        ours = fresh(connection, services)
    return ours or read(services)


def fresh(connection: Connection, services: Services) -> Workspace | None:
    """The token's workspace as the database has it; None where Intercom is to be asked (again)."""
    row = _row(connection, services)
    if row is None or row.now - row.read_at >= _FRESH:
        return None
    return Workspace(row.workspace_id, services.settings.intercom_admin_id or row.admin_id, row.timezone)


def is_known(connection: Connection, services: Services) -> bool:
    """Whether the token in use has told its workspace before."""
    return _row(connection, services) is not None


def read(services: Services) -> Workspace:
    """Ask Intercom whose token it is, and write it down for the card, which never asks anybody."""
    me = services.intercom.me()
    with store.writing(services.engine) as connection:
        _write(
            connection,
            workspace_id=me.workspace_id,
            name=me.workspace_name[:200] or None,
            region=me.region[:16] or None,
            timezone=me.timezone[:64] or None,
            admin_id=me.admin_id,
            token_fingerprint=services.token_fingerprint,
            read_at=store.now(connection),
        )
    return Workspace(me.workspace_id, services.settings.intercom_admin_id or me.admin_id, me.timezone or None)


def must_match(workspace: Workspace, workspace_id: str) -> None:
    """Refuse to act in one workspace on behalf of another: ids mean nothing outside their own."""
    if workspace.workspace_id != workspace_id:
        raise PermanentError(reason="other_workspace")


@functools.cache
def _by_token(dialect: str) -> sa.Select[Any]:
    """The token's workspace, and the time. Put together once: every write of a result asks for it."""
    this = workspaces.c.token_fingerprint == sa.bindparam("token")
    return sa.select(workspaces, store.clock(dialect).label("now")).where(this)


def _row(connection: Connection, services: Services) -> sa.Row[Any] | None:
    values: dict[str, object] = {"token": services.token_fingerprint}
    if connection.dialect.name == "sqlite":
        values["now"] = store.now(connection)
    return connection.execute(_by_token(connection.dialect.name), values).first()


def _write(connection: Connection, *, read_at: datetime, **values: Any) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    values["read_at"] = read_at
    statement = dialect.insert(workspaces).values(**values)
    connection.execute(
        statement.on_conflict_do_update(index_elements=[workspaces.c.workspace_id], set_=values)
    )
