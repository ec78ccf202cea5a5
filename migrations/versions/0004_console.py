"""Who may use the console, what operators have chosen there, and who has changed what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)

_LISTS = (
    ("ix_interviews_listed", "interviews", ("workspace_id", "created_at", "id")),
    ("ix_interviews_by_state", "interviews", ("workspace_id", "state", "created_at", "id")),
    ("ix_interviews_by_study", "interviews", ("workspace_id", "study", "created_at", "id")),
    ("ix_interviews_by_origin", "interviews", ("workspace_id", "origin", "created_at", "id")),
    ("ix_interviews_by_asked_by_id", "interviews", ("workspace_id", "asked_by_id", "created_at", "id")),
    ("ix_interviews_conversation", "interviews", ("workspace_id", "conversation_id")),
    ("ix_deliveries_listed", "deliveries", ("received_at", "id")),
    ("ix_deliveries_by_state", "deliveries", ("state", "received_at", "id")),
    ("ix_deliveries_by_door", "deliveries", ("door", "received_at", "id")),
)
# What is looked up by how it begins, in whatever case: each database has its own way to index that.
_SEARCHED = ("contact_name", "contact_email")
_SEARCH_INDEX = {
    "postgresql": (
        "CREATE INDEX ix_interviews_search_{column} ON interviews "
        "(workspace_id, lower({column}) text_pattern_ops)"
    ),
    "sqlite": (
        "CREATE INDEX ix_interviews_search_{column} ON interviews (workspace_id, {column} COLLATE NOCASE)"
    ),
}

# What the database makes itself of an interview's other columns, in each database's own words for JSON.
_OF_RESULT = {
    "postgresql": {"sentiment": "(result ->> 'sentiment')", "quality": "((result ->> 'quality')::float8)"},
    "sqlite": {
        "sentiment": "json_extract(result, '$.sentiment')",
        "quality": "json_extract(result, '$.quality')",
    },
}
_STAGE = (
    "CASE WHEN written_back_at IS NOT NULL THEN 5"
    " WHEN state IN ('analysed', 'written_back') OR {sentiment} IS NOT NULL OR {quality} IS NOT NULL THEN 4"
    " WHEN completed_at IS NOT NULL THEN 3 WHEN opened_at IS NOT NULL THEN 2"
    " WHEN sent_at IS NOT NULL THEN 1 ELSE 0 END"
)

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
    op.create_index("ix_audit_subject", "audit", ["subject", "at"])
    op.create_table(
        "refusals",
        sa.Column("hour", _MOMENT, nullable=False),
        sa.Column("door", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "door", "reason", name=op.f("pk_refusals")),
    )
    op.create_table(
        "replays",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("door", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("since", _MOMENT, nullable=True),
        sa.Column("until", _MOMENT, nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("not_taken", sa.Integer(), nullable=False),
        sa.Column("reached_at", _MOMENT, nullable=True),
        sa.Column("reached_id", sa.String(length=32), nullable=True),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("finished_at", _MOMENT, nullable=True),
        sa.Column("problem", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
    )
    op.add_column("interviews", sa.Column("remind_by_hand", sa.Boolean(), nullable=True))
    op.add_column("interviews", sa.Column("reminder_reason", sa.String(length=64), nullable=True))
    for name, table, columns in _LISTS:
        op.create_index(name, table, list(columns))
    for column in _SEARCHED:
        op.execute(_SEARCH_INDEX[op.get_bind().dialect.name].format(column=column))
    _generated_columns()
    op.create_index("ix_interviews_funnel", "interviews", ["workspace_id", "created_at", "study", "stage"])
    answered = sa.text("completed_at IS NOT NULL")
    op.create_index(
        "ix_interviews_answers",
        "interviews",
        ["workspace_id", "completed_at", "study", "sentiment", "quality"],
        sqlite_where=answered,
        postgresql_where=answered,
    )
    op.add_column("gates", sa.Column("succeeded_at", _MOMENT, nullable=True))
    op.create_table(
        "alerts",
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("remedy", sa.String(length=600), nullable=False),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("over_at", _MOMENT, nullable=True),
        sa.Column("told_at", _MOMENT, nullable=True),
        sa.Column("told_over_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_alerts")),
    )
    op.add_column("interviews", sa.Column("attribute_names", sa.JSON(none_as_null=True), nullable=True))
    dated = sa.text("result_at IS NOT NULL")
    op.create_index(
        "ix_interviews_result_at",
        "interviews",
        ["workspace_id", "result_at"],
        sqlite_where=dated,
        postgresql_where=dated,
    )
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


def _generated_columns() -> None:
    """PostgreSQL keeps them in the row, SQLite in their indexes alone."""
    dialect = op.get_bind().dialect.name
    of_result, kept = _OF_RESULT[dialect], "STORED" if dialect == "postgresql" else "VIRTUAL"
    for name, kind, made_of in (
        ("stage", "SMALLINT", _STAGE.format(**of_result)),
        ("sentiment", "VARCHAR(16)", of_result["sentiment"]),
        ("quality", "FLOAT", of_result["quality"]),
    ):
        op.execute(f"ALTER TABLE interviews ADD COLUMN {name} {kind} GENERATED ALWAYS AS ({made_of}) {kept}")


def downgrade() -> None:
    for names in _DECISIONS_BY:
        op.drop_index("_".join(("ix_decisions_listed", *names)), "decisions")
    op.drop_index("ix_interviews_result_at", "interviews")
    op.drop_column("interviews", "attribute_names")
    op.drop_column("gates", "succeeded_at")
    op.drop_index("ix_interviews_answers", "interviews")
    op.drop_index("ix_interviews_funnel", "interviews")
    for column in ("quality", "sentiment", "stage"):
        op.drop_column("interviews", column)
    for column in _SEARCHED:
        op.execute(f"DROP INDEX ix_interviews_search_{column}")
    for name, table, _ in _LISTS:
        op.drop_index(name, table)
    op.drop_column("interviews", "reminder_reason")
    op.drop_column("interviews", "remind_by_hand")
    for table in (
        "rehearsal_lines",
        "rehearsals",
        "alerts",
        "replays",
        "refusals",
        "audit",
        "options",
        "sign_ins",
        "operators",
    ):
        op.drop_table(table)
