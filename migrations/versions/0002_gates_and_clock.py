"""Gates and pauses of the wires, and what the clock needs to find its work.

Columns are added and dropped without copying the table: with foreign keys on, SQLite would empty the tables
that refer to the copied one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_UNFINISHED = "state IN ('queued', 'sending', 'sent', 'opened', 'unknown', 'completed', 'analysed')"


def _partial_index(name: str, table: str, column: str, where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, [column], sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    op.create_table(
        "gates",
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("blocked_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_gates")),
    )
    op.create_table(
        "pauses",
        sa.Column("gate", sa.String(length=80), nullable=False),
        sa.Column("operation", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("probe_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("gate", "operation", name=op.f("pk_pauses")),
    )
    op.add_column("interviews", sa.Column("check_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("interviews", sa.Column("checks", sa.Integer(), server_default="0", nullable=False))
    op.add_column("interviews", sa.Column("was_closed", sa.Boolean(), nullable=True))
    op.add_column("interviews", sa.Column("closed_again_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("interviews", sa.Column("conversation_tags", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("interviews", sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True))
    _partial_index("ix_interviews_unfinished", "interviews", "state_since", _UNFINISHED)
    _partial_index("ix_interviews_check_at", "interviews", "check_at", "check_at IS NOT NULL")
    _partial_index("ix_interviews_unpurged", "interviews", "created_at", "purged_at IS NULL")
    op.create_index("ix_interviews_contact_alone", "interviews", ["contact_id", "created_at"])
    op.create_index(op.f("ix_deliveries_interview_id"), "deliveries", ["interview_id"])
    _partial_index("ix_deliveries_unfinished", "deliveries", "received_at", "state = 'stored'")
    _partial_index(
        "ix_deliveries_not_emptied", "deliveries", "received_at", "dedupe_key <> id AND state <> 'stored'"
    )
    # What was sent before this version is looked after too. Where it has its answer, nothing is asked.
    op.execute("UPDATE interviews SET check_at = state_since WHERE state IN ('sent', 'opened', 'unknown')")


def downgrade() -> None:
    op.drop_index("ix_deliveries_not_emptied", "deliveries")
    op.drop_index("ix_deliveries_unfinished", "deliveries")
    op.drop_index(op.f("ix_deliveries_interview_id"), "deliveries")
    for name in (
        "ix_interviews_contact_alone",
        "ix_interviews_unpurged",
        "ix_interviews_check_at",
        "ix_interviews_unfinished",
    ):
        op.drop_index(name, "interviews")
    for name in ("purged_at", "conversation_tags", "closed_again_at", "was_closed", "checks", "check_at"):
        op.drop_column("interviews", name)
    op.drop_table("pauses")
    op.drop_table("gates")
