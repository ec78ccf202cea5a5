"""Who may use the console, what operators have chosen there, and who has changed what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "operators",
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("teammate_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=True),
        sa.Column("added_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "teammate_id", name=op.f("pk_operators")),
    )
    op.create_table(
        "sign_ins",
        sa.Column("nonce", sa.String(length=32), nullable=False),
        sa.Column("used_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("nonce", name=op.f("pk_sign_ins")),
    )
    op.create_table(
        "options",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_options")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("teammate_id", sa.String(length=64), nullable=False),
        sa.Column("teammate_name", sa.String(length=120), nullable=True),
        sa.Column("what", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=120), nullable=True),
        sa.Column("before", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("after", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    with op.batch_alter_table("interviews") as batch_op:
        batch_op.add_column(sa.Column("attribute_names", sa.JSON(none_as_null=True), nullable=True))
        batch_op.create_index(
            "ix_interviews_result_at",
            ["workspace_id", "result_at"],
            sqlite_where=sa.text("result_at IS NOT NULL"),
            postgresql_where=sa.text("result_at IS NOT NULL"),
        )


def downgrade() -> None:
    with op.batch_alter_table("interviews") as batch_op:
        batch_op.drop_index("ix_interviews_result_at")
        batch_op.drop_column("attribute_names")
    for table in ("audit", "options", "sign_ins", "operators"):
        op.drop_table(table)
