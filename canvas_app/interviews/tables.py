"""The tables. ``interviews`` is the ledger: the one truth about an interview.

Every id of Intercom's is unique inside a workspace only, so every key that holds one holds the workspace too
(https://developers.intercom.com/docs/build-an-integration/learn-more/rest-apis/unversioned-changes).
"""

from __future__ import annotations

import sqlalchemy as sa

from canvas_app.interviews.states import OPEN_STATES, UNFINISHED_STATES
from canvas_app.store import UtcDateTime

# The newest migration that this code is written for; a test holds it against migrations/versions.
SCHEMA_VERSION = "0002"

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)


def _in(states: tuple[str, ...]) -> sa.TextClause:
    return sa.text("state IN (" + ", ".join(f"'{state}'" for state in states) + ")")


_open = _in(OPEN_STATES)
# SQLite takes a partial index only for a query that says its condition in the same words.
unfinished = _in(UNFINISHED_STATES)
stored = sa.text("state = 'stored'")
unpurged = sa.text("purged_at IS NULL")
# Of deliveries: over, and still with what they said or named the interview by.
not_emptied = sa.text("dedupe_key <> id AND state <> 'stored'")

interviews = sa.Table(
    "interviews",
    metadata,
    # Our own id, 32 hexadecimal characters; Koji echoes it as metadata.interview_ref.
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("contact_id", sa.String(64), nullable=False),
    sa.Column("conversation_id", sa.String(15)),
    sa.Column("study", sa.String(64), nullable=False),
    # Which door asked for it: card, later also rule and api.
    sa.Column("origin", sa.String(16), nullable=False),
    # What makes two requests the same request; kept as long as the row, so that none is done twice.
    sa.Column("request_key", sa.String(64), unique=True),
    sa.Column("asked_by_id", sa.String(64)),
    sa.Column("asked_by_name", sa.String(120)),
    sa.Column("contact_name", sa.String(200)),
    sa.Column("contact_email", sa.String(320)),
    sa.Column("personal_line", sa.String(300)),
    sa.Column("state", sa.String(16), nullable=False),
    # Why it is in this state, as a reason code.
    sa.Column("reason", sa.String(64)),
    # What the customer's link carries: signed once, stored, and valid for as long as this row says.
    sa.Column("link_token", sa.String(200), nullable=False, unique=True),
    sa.Column("koji_interview_id", sa.String(128), index=True),
    sa.Column("koji_link", sa.String(2048)),
    # The teammate in whose name the message went out, when it is not the one who asked.
    sa.Column("written_as_id", sa.String(64)),
    # Numbers of the newest attempt that was enqueued, so that an attempt is enqueued once.
    sa.Column("send_attempt", sa.Integer, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("state_since", UtcDateTime, nullable=False),
    sa.Column("send_before", UtcDateTime, nullable=False),
    sa.Column("sent_at", UtcDateTime),
    sa.Column("opened_at", UtcDateTime),
    sa.Column("completed_at", UtcDateTime),
    # The result, as far as it is known: canvas_app.koji.events.KojiResult without its address.
    sa.Column("result", sa.JSON(none_as_null=True)),
    # The interview's own time, by which an older result is told from a newer one.
    sa.Column("result_at", UtcDateTime),
    sa.Column("attributes_written_at", UtcDateTime),
    # Tags of ours that may be on the contact and on the conversation, as {tag id: name}, so that they can be
    # taken off when they are outdated.
    sa.Column("contact_tags", sa.JSON(none_as_null=True)),
    sa.Column("conversation_tags", sa.JSON(none_as_null=True)),
    sa.Column("written_back_at", UtcDateTime),
    # The base of the personal link, as the web process knew it when the interview was asked for.
    sa.Column("public_url", sa.String(255)),
    # When Koji is to be asked about it for want of a webhook, and how often that was done.
    sa.Column("check_at", UtcDateTime),
    sa.Column("checks", sa.Integer, nullable=False, server_default="0"),
    # Whether the conversation was closed before a message that no person sent; and when it was closed again.
    sa.Column("was_closed", sa.Boolean),
    sa.Column("closed_again_at", UtcDateTime),
    # When its personal data was removed.
    sa.Column("purged_at", UtcDateTime),
)
# At most one open interview a contact, whatever the door, the tab or the process.
sa.Index(
    "uq_interviews_open",
    interviews.c.workspace_id,
    interviews.c.contact_id,
    unique=True,
    sqlite_where=_open,
    postgresql_where=_open,
)
sa.Index("ix_interviews_contact", interviews.c.workspace_id, interviews.c.contact_id, interviews.c.created_at)
# What the clock has to look at: small, however large the ledger becomes.
sa.Index(
    "ix_interviews_unfinished",
    interviews.c.state_since,
    sqlite_where=unfinished,
    postgresql_where=unfinished,
)
_to_check = sa.text("check_at IS NOT NULL")
sa.Index("ix_interviews_check_at", interviews.c.check_at, sqlite_where=_to_check, postgresql_where=_to_check)
sa.Index("ix_interviews_unpurged", interviews.c.created_at, sqlite_where=unpurged, postgresql_where=unpurged)
# A result that names nothing but the contact does not say of which workspace.
sa.Index("ix_interviews_contact_alone", interviews.c.contact_id, interviews.c.created_at)

outside_writes = sa.Table(
    "outside_writes",
    metadata,
    # A write to Intercom that must not be repeated: the message to the customer, and the note.
    sa.Column("interview_id", sa.ForeignKey("interviews.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    # Who is writing it now, or was when the process died. Empty: nobody, and nothing has left.
    sa.Column("claim", sa.String(32)),
    sa.Column("claimed_at", UtcDateTime),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("done_at", UtcDateTime),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("door", sa.String(16), nullable=False),
    # What makes two deliveries the same delivery.
    sa.Column("dedupe_key", sa.String(300), nullable=False),
    sa.Column("event", sa.String(64), nullable=False),
    sa.Column("interview_id", sa.String(32), index=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(64)),
    # What we work with of the body, parsed. The body itself is never stored: it may hold a transcript.
    sa.Column("content", sa.JSON(none_as_null=True)),
    # The number of the newest attempt that was enqueued; and how many of them waited for an unknown
    # interview, asked Koji for what was missing, and tried to write to Intercom.
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("waits", sa.Integer, nullable=False),
    sa.Column("fills", sa.Integer, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    sa.UniqueConstraint("door", "dedupe_key"),
)
sa.Index("ix_deliveries_unfinished", deliveries.c.received_at, sqlite_where=stored, postgresql_where=stored)
sa.Index(
    "ix_deliveries_not_emptied",
    deliveries.c.received_at,
    sqlite_where=not_emptied,
    postgresql_where=not_emptied,
)

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

theme_tags = sa.Table(
    "theme_tags",
    metadata,
    # Themes that may become tags, as slugs. Themes are named by an AI; without this list they would flood the
    # workspace with tags that occur once.
    sa.Column("slug", sa.String(60), primary_key=True),
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
