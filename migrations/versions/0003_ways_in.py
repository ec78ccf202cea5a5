"""Studies, rules and their decisions, imported links, and what the API has been asked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_ADDED = (
    sa.Column("rule", sa.String(length=64), nullable=True),
    sa.Column("deliver", sa.String(length=16), server_default="conversation", nullable=False),
    sa.Column("not_before", _MOMENT, nullable=True),
    sa.Column("language", sa.String(length=35), nullable=True),
    sa.Column("contact_role", sa.String(length=16), nullable=True),
    sa.Column("credits", sa.Integer(), nullable=True),
    sa.Column("remind_at", _MOMENT, nullable=True),
    sa.Column("reminded_at", _MOMENT, nullable=True),
    sa.Column("link_attribute_at", _MOMENT, nullable=True),
    sa.Column("link_attribute_cleared_at", _MOMENT, nullable=True),
)


_UNFINISHED = "state IN ('queued', 'sending', 'sent', 'opened', 'unknown', 'completed', 'analysed')"


def _partial_index(name: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(
        name, "interviews", columns, unique=unique, sqlite_where=condition, postgresql_where=condition
    )


def upgrade() -> None:
    for column in _ADDED:
        op.add_column(
            "interviews",
            sa.Column(
                column.name, column.type, nullable=column.nullable, server_default=column.server_default
            ),
        )
    _partial_index("uq_interviews_planned", ["workspace_id", "contact_id"], "state = 'planned'", unique=True)
    # A planned interview is not finished either.
    op.drop_index("ix_interviews_unfinished", "interviews")
    _partial_index("ix_interviews_unfinished", ["state_since"], _UNFINISHED.replace("(", "('planned', "))
    _partial_index("ix_interviews_remind_at", ["remind_at"], "remind_at IS NOT NULL")
    _partial_index(
        "ix_interviews_link_attribute",
        ["workspace_id", "contact_id"],
        "link_attribute_at IS NOT NULL AND link_attribute_cleared_at IS NULL",
    )
    _partial_index("ix_interviews_rule", ["rule", "created_at"], "rule IS NOT NULL")
    op.create_index("ix_interviews_study", "interviews", ["study", "created_at"])
    op.create_table(
        "studies",
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=True),
        sa.Column("api_key", sa.Text(), nullable=True),
        sa.Column("webhook_secret", sa.Text(), nullable=True),
        sa.Column("gate_key", sa.String(length=80), nullable=True),
        sa.Column("mode", sa.String(length=8), nullable=True),
        sa.Column("link_template", sa.String(length=2048), nullable=True),
        sa.Column("anonymous", sa.Boolean(), nullable=False),
        sa.Column("wording", sa.JSON(), nullable=True),
        sa.Column("credits", sa.Integer(), nullable=True),
        sa.Column("remind_after_days", sa.Integer(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_studies")),
    )
    op.create_table(
        "imported_links",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=True),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("link", sa.String(length=2048), nullable=False),
        sa.Column("imported_at", _MOMENT, nullable=False),
        sa.Column("interview_id", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imported_links")),
        sa.UniqueConstraint("study", "link", name=op.f("uq_imported_links_study_link")),
    )
    op.create_index("ix_imported_links_external_id", "imported_links", ["study", "external_id"])
    op.create_index("ix_imported_links_email", "imported_links", ["study", "email"])
    op.create_table(
        "rules",
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("description", sa.String(length=1000), server_default="", nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("delay_seconds", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_rules")),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("delivery_id", sa.String(length=32), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("contact_id", sa.String(length=64), nullable=False),
        sa.Column("conversation_id", sa.String(length=15), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.String(length=200), nullable=True),
        sa.Column("interview_id", sa.String(length=32), nullable=True),
        sa.Column("decided_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        sa.UniqueConstraint(
            "delivery_id", "rule", "contact_id", name=op.f("uq_decisions_delivery_id_rule_contact_id")
        ),
    )
    op.create_index(op.f("ix_decisions_interview_id"), "decisions", ["interview_id"])
    op.create_index(op.f("ix_decisions_decided_at"), "decisions", ["decided_at"])
    op.create_index("ix_decisions_contact", "decisions", ["workspace_id", "contact_id"])
    op.create_table(
        "api_requests",
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("interview_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_api_requests")),
    )
    op.create_index(op.f("ix_api_requests_interview_id"), "api_requests", ["interview_id"])


def downgrade() -> None:
    for table in ("api_requests", "decisions", "rules", "imported_links", "studies"):
        op.drop_table(table)
    for name in (
        "ix_interviews_study",
        "ix_interviews_rule",
        "ix_interviews_link_attribute",
        "ix_interviews_remind_at",
        "uq_interviews_planned",
    ):
        op.drop_index(name, "interviews")
    op.drop_index("ix_interviews_unfinished", "interviews")
    _partial_index("ix_interviews_unfinished", ["state_since"], _UNFINISHED)
    for column in reversed(_ADDED):
        op.drop_column("interviews", column.name)
