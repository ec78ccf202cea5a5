"""What all processes share: whose token it is, who works, what the vendors allow, what they have counted."""

from __future__ import annotations

import sqlalchemy as sa

from canvas_app.interviews.schema import metadata
from canvas_app.store import UtcDateTime

workspaces = sa.Table(
    "workspaces",
    metadata,
    # What Intercom's GET /me tells of the workspace that the access token belongs to.
    sa.Column("workspace_id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(200)),
    sa.Column("region", sa.String(16)),
    sa.Column("timezone", sa.String(64)),
    sa.Column("admin_id", sa.String(64), nullable=False),
    # A fingerprint of the token, so that a new token is asked who it is.
    sa.Column("token_fingerprint", sa.String(16), nullable=False),
    sa.Column("read_at", UtcDateTime, nullable=False),
)

workers = sa.Table(
    "workers",
    metadata,
    # One row for each living worker, see canvas_app.leases.
    sa.Column("executor_id", sa.String(32), primary_key=True),
    sa.Column("renewed_at", UtcDateTime, nullable=False),
)

gates = sa.Table(
    "gates",
    metadata,
    # One row for each wire and key, shared by all workers, see canvas_app.gates.
    sa.Column("key", sa.String(80), primary_key=True),
    # When the calls that were let through so far would all have been made at the steady rate.
    sa.Column("due_at", UtcDateTime, nullable=False),
    # The vendor has said: not before.
    sa.Column("blocked_until", UtcDateTime),
    # When the vendor last answered as it should, to the minute.
    sa.Column("succeeded_at", UtcDateTime),
)

pauses = sa.Table(
    "pauses",
    metadata,
    # What a vendor refuses for want of a valid token ("*", every call) or of a permission (one operation).
    sa.Column("gate", sa.String(80), primary_key=True),
    sa.Column("operation", sa.String(80), primary_key=True),
    sa.Column("reason", sa.String(64), nullable=False),
    sa.Column("since", UtcDateTime, nullable=False),
    # When one call may try whether it has been mended.
    sa.Column("probe_at", UtcDateTime, nullable=False),
)

counts = sa.Table(
    "counts",
    metadata,
    # What all processes have counted since the first of them, see canvas_app.interviews.measures: no row is
    # about anybody, none is ever taken away, and there are as many as names and labels: some hundreds.
    sa.Column("name", sa.String(64), primary_key=True),
    # A list of them, as JSON.
    sa.Column("labels", sa.String(400), primary_key=True),
    sa.Column("number", sa.Float, nullable=False),
)
