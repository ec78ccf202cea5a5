"""The tables. ``interviews`` is the ledger: the one truth about an interview.

Every id of Intercom's is unique inside a workspace only, so every key that holds one holds the workspace too
(https://developers.intercom.com/docs/build-an-integration/learn-more/rest-apis/unversioned-changes).
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from canvas_app.interviews.console_tables import (
    alerts as alerts,
    audit as audit,
    operators as operators,
    options as options,
    refusals as refusals,
    rehearsal_lines as rehearsal_lines,
    rehearsals as rehearsals,
    replays as replays,
    sign_ins as sign_ins,
)
from canvas_app.interviews.process_tables import (
    counts as counts,
    gates as gates,
    pauses as pauses,
    workers as workers,
    workspaces as workspaces,
)
from canvas_app.interviews.schema import metadata as metadata
from canvas_app.interviews.states import OPEN_STATES, UNFINISHED_STATES
from canvas_app.store import UtcDateTime

# The newest migration that this code is written for; a test holds it against migrations/versions.
SCHEMA_VERSION = "0005"


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
    # Which door asked for it: card, rule, api or console.
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
    # The names under which they may stand on the contact, as {name: what it holds}, so that they can be
    # emptied when others were chosen. Before 0004 they were written without it, under the names of then.
    sa.Column("attribute_names", sa.JSON(none_as_null=True)),
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
    # The rule that asked for it, if one did.
    sa.Column("rule", sa.String(64)),
    # How the link reaches the customer: conversation, message, attribute or none.
    sa.Column("deliver", sa.String(16), nullable=False, server_default="conversation"),
    # A planned one is not sent before this.
    sa.Column("not_before", UtcDateTime),
    # The contact's language and role as Intercom tells them, for the wording and for a new message.
    sa.Column("language", sa.String(35)),
    sa.Column("contact_role", sa.String(16)),
    # What it costs at Koji if it is answered well enough; counted against a rule's weekly limit.
    sa.Column("credits", sa.Integer),
    # When the customer is reminded if the link was not opened until then; and when they were.
    sa.Column("remind_at", UtcDateTime),
    sa.Column("reminded_at", UtcDateTime),
    # When the link was written to the contact's attributes, and when it was taken away again, or given up.
    sa.Column("link_attribute_at", UtcDateTime),
    sa.Column("link_attribute_cleared_at", UtcDateTime),
    # Whether an operator wants the reminder, whatever the study says; and why it came to nothing.
    sa.Column("remind_by_hand", sa.Boolean),
    sa.Column("reminder_reason", sa.String(64)),
    # Made by the database itself from the others, and never written: how far it has come, from 0 (asked for)
    # to 5 (written back), see canvas_app.interviews.figures; and what is counted of its result. Figures over
    # a year are then read from two narrow indexes, and not from the rows.
    sa.Column("stage", sa.SmallInteger, sa.FetchedValue()),
    sa.Column("sentiment", sa.String(16), sa.FetchedValue()),
    sa.Column("quality", sa.Float, sa.FetchedValue()),
)
GENERATED: Final = frozenset({"stage", "sentiment", "quality"})
# At most one open interview a contact, whatever the door, the tab or the process.
sa.Index(
    "uq_interviews_open",
    interviews.c.workspace_id,
    interviews.c.contact_id,
    unique=True,
    sqlite_where=_open,
    postgresql_where=_open,
)
# And at most one that is planned: two rules that wait for the same contact would ask twice.
_planned = sa.text("state = 'planned'")
sa.Index(
    "uq_interviews_planned",
    interviews.c.workspace_id,
    interviews.c.contact_id,
    unique=True,
    sqlite_where=_planned,
    postgresql_where=_planned,
)
_to_remind = sa.text("remind_at IS NOT NULL")
sa.Index(
    "ix_interviews_remind_at", interviews.c.remind_at, sqlite_where=_to_remind, postgresql_where=_to_remind
)
_link_written = sa.text("link_attribute_at IS NOT NULL AND link_attribute_cleared_at IS NULL")
sa.Index(
    "ix_interviews_link_attribute",
    interviews.c.workspace_id,
    interviews.c.contact_id,
    sqlite_where=_link_written,
    postgresql_where=_link_written,
)
# A rule's weekly limits are counted over what it asked for lately.
_by_rule = sa.text("rule IS NOT NULL")
sa.Index(
    "ix_interviews_rule",
    interviews.c.rule,
    interviews.c.created_at,
    sqlite_where=_by_rule,
    postgresql_where=_by_rule,
)
# What the newest results were about.
_with_result = sa.text("result_at IS NOT NULL")
sa.Index(
    "ix_interviews_result_at",
    interviews.c.workspace_id,
    interviews.c.result_at,
    sqlite_where=_with_result,
    postgresql_where=_with_result,
)
# Of many studies the card offers those that were asked with last.
sa.Index("ix_interviews_study", interviews.c.study, interviews.c.created_at)
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
# The console lists them newest first, whatever they are picked by. Names and addresses are looked up by how
# they begin: for that, the migration makes indexes in each database's own words, see search.py.
sa.Index("ix_interviews_listed", interviews.c.workspace_id, interviews.c.created_at, interviews.c.id)
for _column in ("state", "study", "origin", "asked_by_id"):
    sa.Index(
        f"ix_interviews_by_{_column}",
        interviews.c.workspace_id,
        interviews.c[_column],
        interviews.c.created_at,
        interviews.c.id,
    )
sa.Index("ix_interviews_conversation", interviews.c.workspace_id, interviews.c.conversation_id)
# What the console counts: all that it needs of a row stands in the index.
sa.Index(
    "ix_interviews_funnel",
    interviews.c.workspace_id,
    interviews.c.created_at,
    interviews.c.study,
    interviews.c.stage,
)
answered = sa.text("completed_at IS NOT NULL")
sa.Index(
    "ix_interviews_answers",
    interviews.c.workspace_id,
    interviews.c.completed_at,
    interviews.c.study,
    interviews.c.sentiment,
    interviews.c.quality,
    sqlite_where=answered,
    postgresql_where=answered,
)
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
# The console lists them newest first, too.
sa.Index("ix_deliveries_listed", deliveries.c.received_at, deliveries.c.id)
for _column in ("state", "door"):
    sa.Index(f"ix_deliveries_by_{_column}", deliveries.c[_column], deliveries.c.received_at, deliveries.c.id)

theme_tags = sa.Table(
    "theme_tags",
    metadata,
    # Themes that may become tags, as slugs. Themes are named by an AI; without this list they would flood the
    # workspace with tags that occur once.
    sa.Column("slug", sa.String(60), primary_key=True),
)

studies = sa.Table(
    "studies",
    metadata,
    # What an interview's "study" names. The row of "default", the environment's, holds what no setting does.
    sa.Column("slug", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(80)),
    # Sealed, see canvas_app.vault.
    sa.Column("api_key", sa.Text),
    sa.Column("webhook_secret", sa.Text),
    # The name of its key's gate, so that a pause is found without opening the key.
    sa.Column("gate_key", sa.String(80)),
    sa.Column("mode", sa.String(8)),
    sa.Column("link_template", sa.String(2048)),
    sa.Column("anonymous", sa.Boolean, nullable=False),
    # The message by language: {"de": {...}}, see canvas_app.interviews.words.
    sa.Column("wording", sa.JSON(none_as_null=True)),
    sa.Column("credits", sa.Integer),
    sa.Column("remind_after_days", sa.Integer),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
)

imported_links = sa.Table(
    "imported_links",
    metadata,
    # Personal links that Koji exported, each for one person: the third source of links.
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("study", sa.String(64), nullable=False),
    sa.Column("external_id", sa.String(255)),
    # In lower case.
    sa.Column("email", sa.String(320)),
    sa.Column("link", sa.String(2048), nullable=False),
    sa.Column("imported_at", UtcDateTime, nullable=False),
    # The interview that it was given to.
    sa.Column("interview_id", sa.String(32)),
    sa.UniqueConstraint("study", "link"),
)
sa.Index("ix_imported_links_external_id", imported_links.c.study, imported_links.c.external_id)
sa.Index("ix_imported_links_email", imported_links.c.study, imported_links.c.email)

rules = sa.Table(
    "rules",
    metadata,
    # "When this happens in Intercom and these conditions hold, ask": see canvas_app.interviews.rulebook.
    sa.Column("slug", sa.String(64), primary_key=True),
    sa.Column("title", sa.String(120), nullable=False),
    # For people: when to use it, and what in Intercom drives it.
    sa.Column("description", sa.String(1000), nullable=False, server_default=""),
    sa.Column("event", sa.String(64), nullable=False),
    sa.Column("conditions", sa.JSON, nullable=False),
    sa.Column("limits", sa.JSON, nullable=False),
    sa.Column("study", sa.String(64), nullable=False),
    sa.Column("delay_seconds", sa.Integer, nullable=False),
    # The first rule that says yes asks.
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
)

decisions = sa.Table(
    "decisions",
    metadata,
    # What a rule decided about an event, yes or no, with the reason: one row for each rule and person.
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("delivery_id", sa.String(32), nullable=False),
    sa.Column("rule", sa.String(64), nullable=False),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("contact_id", sa.String(64), nullable=False),
    sa.Column("conversation_id", sa.String(15)),
    # asked, planned or skipped.
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(64)),
    # What belongs to the reason in words, such as the rating that was too good. Nothing personal.
    sa.Column("detail", sa.String(200)),
    sa.Column("interview_id", sa.String(32), index=True),
    sa.Column("decided_at", UtcDateTime, nullable=False, index=True),
    sa.UniqueConstraint("delivery_id", "rule", "contact_id"),
)
sa.Index("ix_decisions_contact", decisions.c.workspace_id, decisions.c.contact_id)
# The console lists them newest first, all or by rule, by verdict, or by both.
for _picked in ((), ("rule",), ("verdict",), ("rule", "verdict")):
    sa.Index(
        "_".join(("ix_decisions_listed", *_picked)),
        *(decisions.c[name] for name in ("workspace_id", *_picked, "decided_at", "id")),
    )

api_requests = sa.Table(
    "api_requests",
    metadata,
    # What makes two calls of the API the same request: a hash of the caller's key, or of what was asked for.
    sa.Column("key", sa.String(80), primary_key=True),
    sa.Column("body_hash", sa.String(64), nullable=False),
    sa.Column("interview_id", sa.String(32), nullable=False, index=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
)
