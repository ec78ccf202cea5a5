"""Who may use the console, what operators have chosen there, and who has changed what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)

_DECISIONS_BY = ((), ("rule",), ("verdict",), ("rule", "verdict"))


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
    for names in _DECISIONS_BY:
        op.create_index(
            "_".join(("ix_decisions_listed", *names)),
            "decisions",
            ["workspace_id", *names, "decided_at", "id"],
        )
    op.create_table(
        "rehearsals",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("asked_at", _MOMENT, nullable=False),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("moved_at", _MOMENT, nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("not_asked", sa.JSON(), nullable=False),
        sa.Column("left_out", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rehearsals")),
    )
    op.create_index(op.f("ix_rehearsals_asked_at"), "rehearsals", ["asked_at"])
    op.create_index("ix_rehearsals_rule", "rehearsals", ["workspace_id", "rule", "asked_at"])
    op.create_table(
        "rehearsal_lines",
        sa.Column("rehearsal_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("contact_id", sa.String(length=64), nullable=False),
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("happened_at", _MOMENT, nullable=False),
        sa.Column("sent_at", _MOMENT, nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(
            ["rehearsal_id"],
            ["rehearsals.id"],
            name=op.f("fk_rehearsal_lines_rehearsal_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("rehearsal_id", "number", name=op.f("pk_rehearsal_lines")),
    )
    op.create_index("ix_rehearsal_lines_contact", "rehearsal_lines", ["workspace_id", "contact_id"])


def downgrade() -> None:
    for names in _DECISIONS_BY:
        op.drop_index("_".join(("ix_decisions_listed", *names)), "decisions")
    for table in ("rehearsal_lines", "rehearsals", "audit", "options", "sign_ins", "operators"):
        op.drop_table(table)
