"""The ledger, deliveries, workspaces and workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("door", sa.String(length=16), nullable=False),
        sa.Column("dedupe_key", sa.String(length=300), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("interview_id", sa.String(length=32), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("content", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("waits", sa.Integer(), nullable=False),
        sa.Column("fills", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("door", "dedupe_key", name=op.f("uq_deliveries_door_dedupe_key")),
    )
    op.create_table(
        "interviews",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("contact_id", sa.String(length=64), nullable=False),
        sa.Column("conversation_id", sa.String(length=15), nullable=True),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("request_key", sa.String(length=64), nullable=True),
        sa.Column("asked_by_id", sa.String(length=64), nullable=True),
        sa.Column("asked_by_name", sa.String(length=120), nullable=True),
        sa.Column("contact_name", sa.String(length=200), nullable=True),
        sa.Column("contact_email", sa.String(length=320), nullable=True),
        sa.Column("personal_line", sa.String(length=300), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("link_token", sa.String(length=200), nullable=False),
        sa.Column("koji_interview_id", sa.String(length=128), nullable=True),
        sa.Column("koji_link", sa.String(length=2048), nullable=True),
        sa.Column("written_as_id", sa.String(length=64), nullable=True),
        sa.Column("send_attempt", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("send_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("result_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attributes_written_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("contact_tags", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("written_back_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("public_url", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interviews")),
        sa.UniqueConstraint("link_token", name=op.f("uq_interviews_link_token")),
        sa.UniqueConstraint("request_key", name=op.f("uq_interviews_request_key")),
    )
    with op.batch_alter_table("interviews", schema=None) as batch_op:
        batch_op.create_index(
            "ix_interviews_contact", ["workspace_id", "contact_id", "created_at"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_interviews_koji_interview_id"), ["koji_interview_id"], unique=False
        )
        batch_op.create_index(
            "uq_interviews_open",
            ["workspace_id", "contact_id"],
            unique=True,
            sqlite_where=sa.text("state IN ('queued', 'sending', 'sent', 'opened', 'unknown')"),
            postgresql_where=sa.text("state IN ('queued', 'sending', 'sent', 'opened', 'unknown')"),
        )

    op.create_table(
        "theme_tags",
        sa.Column("slug", sa.String(length=60), nullable=False),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_theme_tags")),
    )
    op.create_table(
        "workers",
        sa.Column("executor_id", sa.String(length=32), nullable=False),
        sa.Column("renewed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("executor_id", name=op.f("pk_workers")),
    )
    op.create_table(
        "workspaces",
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("region", sa.String(length=16), nullable=True),
        sa.Column("timezone", sa.String(length=64), nullable=True),
        sa.Column("admin_id", sa.String(length=64), nullable=False),
        sa.Column("token_fingerprint", sa.String(length=16), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_workspaces")),
    )
    op.create_table(
        "outside_writes",
        sa.Column("interview_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("claim", sa.String(length=32), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["interview_id"],
            ["interviews.id"],
            name=op.f("fk_outside_writes_interview_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("interview_id", "kind", name=op.f("pk_outside_writes")),
    )


def downgrade() -> None:
    op.drop_table("outside_writes")
    op.drop_table("workspaces")
    op.drop_table("workers")
    op.drop_table("theme_tags")
    with op.batch_alter_table("interviews", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_interviews_open",
            sqlite_where=sa.text("state IN ('queued', 'sending', 'sent', 'opened', 'unknown')"),
            postgresql_where=sa.text("state IN ('queued', 'sending', 'sent', 'opened', 'unknown')"),
        )
        batch_op.drop_index(batch_op.f("ix_interviews_koji_interview_id"))
        batch_op.drop_index("ix_interviews_contact")

    op.drop_table("interviews")
    op.drop_table("deliveries")
