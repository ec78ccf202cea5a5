"""The tables of the console: who may change what, what operators have chosen, and what they have let run."""

from __future__ import annotations

import sqlalchemy as sa

from canvas_app.interviews.schema import metadata
from canvas_app.store import UtcDateTime

operators = sa.Table(
    "operators",
    metadata,
    # The teammates who may change things in the console; the others of the workspace may look.
    sa.Column("workspace_id", sa.String(64), primary_key=True),
    sa.Column("teammate_id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(120)),
    sa.Column("added_at", UtcDateTime, nullable=False),
)

sign_ins = sa.Table(
    "sign_ins",
    metadata,
    # The sign-in links that were used, so that each works once. Those that are too old are deleted.
    sa.Column("nonce", sa.String(32), primary_key=True),
    sa.Column("used_at", UtcDateTime, nullable=False),
)

options = sa.Table(
    "options",
    metadata,
    # What operators have chosen in the console, see canvas_app.interviews.options.
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.JSON(none_as_null=True)),
    sa.Column("updated_at", UtcDateTime, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    # Who has changed what in the console. Nothing of a customer, and no secret.
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False, index=True),
    sa.Column("teammate_id", sa.String(64), nullable=False),
    sa.Column("teammate_name", sa.String(120)),
    sa.Column("what", sa.String(64), nullable=False),
    # What it was about, such as a rule's slug or an interview's id.
    sa.Column("subject", sa.String(120)),
    sa.Column("before", sa.JSON(none_as_null=True)),
    sa.Column("after", sa.JSON(none_as_null=True)),
)
sa.Index("ix_audit_subject", audit.c.subject, audit.c.at)

refusals = sa.Table(
    "refusals",
    metadata,
    # Requests that were refused at a door, counted by the hour: nothing else of them is kept.
    sa.Column("hour", UtcDateTime, primary_key=True),
    sa.Column("door", sa.String(64), primary_key=True),
    sa.Column("reason", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
)

replays = sa.Table(
    "replays",
    metadata,
    # What an operator wants taken up again at once: the deliveries that had failed by then, of these.
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("door", sa.String(16)),
    sa.Column("reason", sa.String(64)),
    sa.Column("since", UtcDateTime),
    sa.Column("until", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    # How many have had their turn; and how many of them could not be taken up.
    sa.Column("seen", sa.Integer, nullable=False),
    sa.Column("not_taken", sa.Integer, nullable=False),
    # The last one that had its turn, and the number of the newest batch that was enqueued.
    sa.Column("reached_at", UtcDateTime),
    sa.Column("reached_id", sa.String(32)),
    sa.Column("batch", sa.Integer, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    sa.Column("problem", sa.String(64)),
)

alerts = sa.Table(
    "alerts",
    metadata,
    # What needs a person, as the clock has found it last, see canvas_app.interviews.alarms.
    sa.Column("key", sa.String(160), primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("title", sa.String(200), nullable=False),
    sa.Column("remedy", sa.String(600), nullable=False),
    sa.Column("since", UtcDateTime, nullable=False),
    # Empty while it lasts.
    sa.Column("over_at", UtcDateTime),
    # When the address that an operator has entered was told of it, and that it was over.
    sa.Column("told_at", UtcDateTime),
    sa.Column("told_over_at", UtcDateTime),
)

rehearsals = sa.Table(
    "rehearsals",
    metadata,
    # What a rule would have done, found out by a worker: see canvas_app.interviews.rehearsed. Kept for a day.
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("rule", sa.String(64), nullable=False),
    # Tells whether the rule is still as it was tried.
    sa.Column("fingerprint", sa.String(16), nullable=False),
    # waiting, running, done or failed; and why it has failed, as a reason code.
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(64)),
    sa.Column("asked_at", UtcDateTime, nullable=False, index=True),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("moved_at", UtcDateTime, nullable=False),
    # Conversations: how many there are, and how many have been read.
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("seen", sa.Integer, nullable=False),
    # How many it would have asked, and how many not: {reason: number}.
    sa.Column("asked", sa.Integer, nullable=False),
    sa.Column("not_asked", sa.JSON, nullable=False),
    # Digests of contacts who were erased while it ran: nothing is written about them.
    sa.Column("left_out", sa.JSON, nullable=False),
)
sa.Index("ix_rehearsals_rule", rehearsals.c.workspace_id, rehearsals.c.rule, rehearsals.c.asked_at)

rehearsal_lines = sa.Table(
    "rehearsal_lines",
    metadata,
    # The newest of its decisions, as ids and reasons alone; they go with it.
    sa.Column("rehearsal_id", sa.ForeignKey("rehearsals.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("contact_id", sa.String(64), nullable=False),
    sa.Column("conversation_id", sa.String(64), nullable=False),
    sa.Column("happened_at", UtcDateTime, nullable=False),
    # When the message would have gone out; of one that would not, nothing.
    sa.Column("sent_at", UtcDateTime),
    sa.Column("reason", sa.String(64)),
    sa.Column("detail", sa.String(200)),
)
sa.Index("ix_rehearsal_lines_contact", rehearsal_lines.c.workspace_id, rehearsal_lines.c.contact_id)
