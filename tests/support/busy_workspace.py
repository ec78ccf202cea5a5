"""What a workspace holds after three busy months, written directly: every page of the console is full.

Everything is made up, and the same in every run but for the moments, which are counted back from now.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import store
from canvas_app.interviews import alarms, alert_facts, operators, rulebook, rulestore, studies
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.rulebook import Conditions, Limits, Rule
from canvas_app.interviews.states import STATES, State
from canvas_app.interviews.tables import (
    decisions,
    deliveries,
    interviews,
    outside_writes,
    refusals,
    rehearsal_lines,
    rehearsals,
    replays,
)
from canvas_app.settings import Settings, Study
from tests.support.busy_rows import contact_id, delivery, failed, interview

HOSTILE: Final = "<script>alert(1)</script>\"'{{7*7}}" + "Wolfeschlegelsteinhausenbergerdorff" * 2
"""A name that would be markup, and that has no place where a line could break."""

_DAYS: Final = 84
_ENDS: Final[tuple[State, ...]] = (
    *("written_back",) * 13,
    *("expired",) * 6,
    *("opened",) * 1,
    *("not_written",) * 2,
    *("cancelled",) * 1,
    *("skipped",) * 2,
    *("failed",) * 1,
)


@dataclass(frozen=True, slots=True)
class Busy:
    """Where to look: the newest interview in each state, and the rest by what it is about."""

    interviews: dict[State, str]
    rule: str
    study: str
    rehearsal: str
    running_rehearsal: str
    replay: str


def pages(busy: Busy) -> dict[str, str]:
    """Every page for who has signed in, by the name of its picture: the path below ``/console/``."""
    of = busy.interviews
    return {
        "overview": "",
        "interviews": "interviews",
        "interview": f"interviews/{of['written_back']}",
        "interview-failed": f"interviews/{of['analysed']}",
        "send-again": f"interviews/{of['expired']}/send-again",
        "remind": f"interviews/{of['sent']}/remind",
        "withdraw": f"interviews/{of['sent']}/withdraw",
        "cancel": f"interviews/{of['planned']}/cancel",
        "write-again": f"interviews/{of['analysed']}/write-again",
        "settle": f"interviews/{of['unknown']}/settle",
        "erase": f"interviews/{of['written_back']}/erase",
        "deliveries": "deliveries",
        "replay": f"deliveries/replays/{busy.replay}",
        "rules": "rules",
        "rule": f"rules/{busy.rule}",
        "rule-form": f"rules/{busy.rule}/edit",
        "rule-new": "new-rule",
        "dry-run": f"rehearsals/{busy.rehearsal}",
        "decisions": "decisions",
        "studies": "studies",
        "study-form": f"studies/{busy.study}/edit",
        "study-new": "new-study",
        "message": f"studies/{busy.study}/words?language=de",
        "write-back": "write-back",
        "card-preview": "card-preview",
        "people": "people",
    }


def settings_of(environment: dict[str, str]) -> Settings:
    """The settings of a process with this environment."""
    known = {name.lower(): value for name, value in environment.items()}
    return Settings.load({}, **{name: known[name] for name in Settings.model_fields if name in known})


def fill(engine: Engine, settings: Settings, workspace_id: str, *, hostile: bool = False) -> Busy:
    """Write all of it. ``hostile``: whatever somebody outside can name has a name that would do harm."""
    with store.writing(engine) as connection:
        now = store.now(connection)
        _studies(connection, settings, hostile=hostile)
        _rules(connection, hostile=hostile)
        newest = _interviews(connection, workspace_id, now, hostile=hostile)
        _deliveries(connection, newest, now)
        _decisions(connection, workspace_id, newest, now, hostile=hostile)
        done, running = _rehearsals(connection, workspace_id, now, hostile=hostile)
        replay = _replay(connection, now)
        _changes(connection, workspace_id, hostile=hostile)
        # As a worker finds them in all this, and will find them again.
        alarms._write(connection, alert_facts.look(connection, settings))
    return Busy(newest, "low-rating", "leaving", done, running, replay)


def _interviews(
    connection: Connection, workspace_id: str, now: datetime, *, hostile: bool
) -> dict[State, str]:
    chance = random.Random(7)  # noqa: S311 -- as above
    rows, number = [], 0
    for day in range(_DAYS, 3, -1):
        for _ in range(chance.choice((0, 1, 2, 3, 3) if day > _DAYS // 2 else (1, 2, 3, 4, 4))):
            number += 1
            state = chance.choice(_ENDS)
            # An open one of three weeks ago would have expired.
            state = "expired" if state == "opened" and day > 13 else state
            rows.append(
                interview(workspace_id, number, state, now - timedelta(days=day, hours=chance.uniform(0, 9)))
            )
    newest = {}
    for index, state in enumerate(STATES):
        number += 1
        at = now - timedelta(hours=70 - index)
        # A job that is long due would be taken for forgotten.
        young = {"queued": 40, "sending": 20}.get(state)
        at = at if young is None else now - timedelta(seconds=young)
        changes: dict[str, Any] = {"contact_name": HOSTILE} if hostile else {}
        if state == "written_back":
            changes |= {"origin": "rule", "rule": "low-rating", "asked_by_id": None, "asked_by_name": None}
            changes |= {"personal_line": None, "created_at": at - timedelta(hours=2)}
        rows.append(interview(workspace_id, number, state, at, **changes))
        newest[state] = str(rows[-1]["id"])
    for row in rows:
        if hostile and row["result"]:
            row["result"]["themes"] = [HOSTILE, *row["result"]["themes"]]
            row["result"]["top_theme"] = HOSTILE
    connection.execute(sa.insert(interviews), rows)
    connection.execute(
        sa.insert(outside_writes), [_write(row, kind) for row in rows for kind in _written(row)]
    )
    return newest


def _written(row: dict[str, Any]) -> list[str]:
    if row["state"] == "unknown":
        return ["message"]
    if row["sent_at"] is None:
        return []
    return ["message", *(("note",) if row["written_back_at"] else ())]


def _write(row: dict[str, Any], kind: str) -> dict[str, Any]:
    at = row["sent_at"] if kind == "message" else row["written_back_at"]
    return {
        "interview_id": row["id"],
        "kind": kind,
        # Nobody is at it any more: its process has died.
        "claim": None if at else "gone",
        "claimed_at": at or row["created_at"],
        "tries": 1 + int(row["id"], 16) % 2,
        "done_at": at,
    }


def _studies(connection: Connection, settings: Settings, *, hostile: bool) -> None:
    key = "k" * 32
    german = {
        "greeting": "Hallo {first_name},",
        "invitation": "Sie haben gekündigt, und wir möchten verstehen, warum. Es dauert vier Minuten.",
        "link_text": "Zum Gespräch",
        "thanks": "Danke!",
    }
    some = [
        Study(
            "leaving",
            "Why customers leave",
            key,
            None,
            webhook_secret=key,
            mode="voice",
            wording={"de": german},
            remind_after_days=3,
        ),
        Study("onboarding", "First week", key, None, mode="text", enabled=False),
    ]
    if hostile:
        some.append(Study("hostile", HOSTILE[:80], None, None, wording={"de": {"thanks": HOSTILE[:80]}}))
    for study in some:
        studies.save(connection, settings, study, new=True)


def _rules(connection: Connection, *, hostile: bool) -> None:
    some = [
        Rule(
            slug="low-rating",
            title="After a bad rating",
            description="A customer who was not content is asked what went wrong, two hours later.",
            event="conversation.rating.added",
            delay="2 hours",  # type: ignore[arg-type] # As in a rule file.
            enabled=True,
            conditions=Conditions(rating_at_most=2, business_hours="mon-fri 09:00-18:00", tag_not=("vip",)),
            limits=Limits(interviews_per_week=4),
        ),
        Rule(
            slug="churned",
            title="When somebody has left",
            event="contact.tag.created",
            study="leaving",
            enabled=True,
            conditions=Conditions(tag=("churned",)),
            limits=Limits(share=50, credits_per_week=60),
        ),
        Rule(
            slug="after-closing",
            title="After a long conversation",
            event="conversation.admin.closed",
            delay="1 day",  # type: ignore[arg-type] # As in a rule file.
            conditions=Conditions(closed_by_person=True, customer_parts_at_least=4),
        ),
    ]
    if hostile:
        some.append(
            Rule(
                slug="hostile-" + "x" * 40,
                title=HOSTILE[:120],
                description=HOSTILE,
                event="conversation.rating.added",
                study="gone",
                conditions=Conditions(tag=(HOSTILE[:120],)),
            )
        )
    for rule in some:
        rulestore.save(connection, rule, new=True)


def _deliveries(connection: Connection, newest: dict[State, str], now: datetime) -> None:
    rows = []
    for number in range(70):
        at = now - timedelta(minutes=35 + 97 * number)
        event: dict[str, Any] = {}
        if number % 3 == 0:
            event = {"door": "intercom", "event": "conversation.rating.added"}
            if number % 2:
                event |= {"state": "ignored", "reason": "no_rule", "event": "conversation.admin.closed"}
        rows.append(delivery(number, at, **event))
    for number, (reason, hours) in enumerate(
        (("server_error", 2), ("server_error", 3), ("intercom_refused", 5), ("attribute_archived", 90))
    ):
        gone = {"content": None} if reason == "attribute_archived" else {}
        rows.append(failed(100 + number, now - timedelta(hours=hours), reason=reason, **gone))
    rows.append(
        failed(
            110, now - timedelta(hours=1), interview_id=newest["analysed"], reason="intercom_scope_missing"
        )
    )
    columns, written = interviews.c, newest["written_back"]
    answered = connection.execute(sa.select(columns.completed_at).where(columns.id == written)).scalar_one()
    rows.append(delivery(111, answered + timedelta(seconds=2), interview_id=written))
    connection.execute(sa.insert(deliveries), rows)
    hour = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
    connection.execute(
        sa.insert(refusals),
        [
            {"hour": hour, "door": "/webhooks/koji", "reason": "signature_mismatch", "number": 4},
            {"hour": hour, "door": "/api/interviews", "reason": "token_wrong", "number": 2},
        ],
    )


def _decisions(
    connection: Connection, workspace_id: str, newest: dict[State, str], now: datetime, *, hostile: bool
) -> None:
    whys: tuple[tuple[str, str | None, str | None], ...] = (
        ("asked", None, None),
        ("skipped", "rating_too_good", "rated 5"),
        ("skipped", "asked_recently", None),
        ("planned", None, None),
        ("skipped", "tag_missing", None),
        ("skipped", "week_full", "3 in seven days"),
    )
    rows = []
    for number in range(60):
        verdict, reason, detail = whys[number % len(whys)]
        named = hostile and detail is not None
        rows.append(
            {
                "id": f"e{number:031x}",
                "delivery_id": f"d{number:031x}",
                "rule": ("low-rating", "low-rating", "churned")[number % 3],
                "workspace_id": workspace_id,
                "contact_id": contact_id(number),
                "conversation_id": str(215_460_000_000 + number),
                "verdict": verdict,
                "reason": reason,
                "detail": HOSTILE[:200] if named else detail,
                "interview_id": newest["opened"] if verdict == "asked" and number == 0 else None,
                "decided_at": now - timedelta(hours=3 + 5 * number),
            }
        )
    columns, written = interviews.c, newest["written_back"]
    asked = connection.execute(sa.select(columns.created_at).where(columns.id == written)).scalar_one()
    rows.append({**rows[0], "id": f"e{99:031x}", "delivery_id": "d99", "interview_id": written})
    rows[-1]["decided_at"] = asked - timedelta(seconds=1)
    connection.execute(sa.insert(decisions), rows)


def _rehearsals(
    connection: Connection, workspace_id: str, now: datetime, *, hostile: bool
) -> tuple[str, str]:
    """One that is done; and one that has failed, because no job is at it."""
    values = {
        "workspace_id": workspace_id,
        "since": now - timedelta(days=30),
        "moved_at": now,
        "left_out": [],
    }
    rows = []
    for number, (slug, state) in enumerate((("after-closing", "done"), ("churned", "running"))):
        rule = rulestore.find(connection, slug)
        assert rule is not None
        rows.append(
            {
                **values,
                "id": f"f{number:031x}",
                "rule": slug,
                "fingerprint": rulebook.fingerprint(rule),
                "state": state,
                "asked_at": now - timedelta(minutes=12),
                "total": 214,
                "seen": 214 if state == "done" else 90,
                "asked": 9,
                "not_asked": {"too_short": 141, "not_closed_by_person": 52, "asked_recently": 12},
            }
        )
    connection.execute(sa.insert(rehearsals), rows)
    reasons = (None, None, None, None, "too_short", "not_closed_by_person", "asked_recently", "too_short")
    connection.execute(
        sa.insert(rehearsal_lines),
        [
            {
                "rehearsal_id": rows[0]["id"],
                "number": number,
                "workspace_id": workspace_id,
                "contact_id": contact_id(number),
                "conversation_id": str(215_460_000_000 + number),
                "happened_at": now - timedelta(days=1 + 2 * number),
                "sent_at": now - timedelta(days=2 * number) if reason is None else None,
                "reason": reason,
                "detail": HOSTILE[:200] if hostile and reason else None,
            }
            for number, reason in enumerate(reasons)
        ],
    )
    return str(rows[0]["id"]), str(rows[1]["id"])


def _replay(connection: Connection, now: datetime) -> str:
    begun = now - timedelta(days=2)
    row = {
        "id": f"{1:032x}",
        "reason": "server_error",
        "until": begun,
        "started_at": begun,
        "total": 38,
        "seen": 38,
        "not_taken": 1,
        "batch": 2,
        "finished_at": begun + timedelta(minutes=1),
    }
    connection.execute(sa.insert(replays).values(**row))
    return str(row["id"])


def _changes(connection: Connection, workspace_id: str, *, hostile: bool) -> None:
    """What the audit log tells."""
    ada = Teammate(workspace_id, "991", HOSTILE[:120] if hostile else "Ada Byrne")
    note = operators.note
    note(connection, ada, "operator_added", subject="990", after="Sam Okafor")
    note(connection, ada, "rule_added", subject="after-closing")
    note(connection, ada, "write_back_changed", before={"min_quality": 3}, after={"min_quality": 2.5})
    note(connection, ada, "study_changed", subject="leaving", before={"credits": None}, after={"credits": 3})
    note(connection, ada, "deliveries_replayed", after={"reason": HOSTILE if hostile else "server_error"})
