"""Holds what the stand-ins and the ledger have at the end of a run against what must be there.

The run has succeeded when all of this is true:

1.  Every tap that was answered said that the interview is being sent, was sent, or why not; and there is one
    interview for each customer in the ledger, however often the rep tapped.
2.  An interview that the ledger calls sent, or anything later, has exactly one message in its conversation; a
    failed one none, and then the plan had it refused; an unknown one at most one, and then the plan made it
    impossible to find out.
3.  Every answer in full whose webhook was accepted is written back: exactly one note, with its theme; the
    attributes of exactly this result; its sentiment's tag, and no other, on conversation and contact.
4.  Of an anonymous answer and of one of low quality nothing is in Intercom: no note, no attribute, no tag.
    Nor is there of an interview without an answer.
5.  Every answer's webhook was accepted in the end, unless the plan lost it. Where the clock ticks in the run,
    it may have been given up: then what it told was found all the same, and 3 holds for every answer in full.
6.  The card says the same as the ledger, and is one that Intercom draws.
7.  No job is left, and no job ended with a fault of ours.
8.  The stand-ins have refused nothing as wrong but what the plan let go wrong, and what workers wrote of
    attributes in the moment when those were created.
9.  The web never answered 500, and no log holds a name, an address, a rep's words or a secret.
10. Every planned kill took place, and so did everything that was to happen to the surroundings.
11. What a program has asked for with a delay went out no sooner than that.
12. Every process that was told to end by SIGTERM was gone within ten seconds, and in order.
"""

from __future__ import annotations

import math
import re
import signal
from collections import Counter
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from canvas_app import store
from canvas_app.interviews.tables import deliveries, interviews, outside_writes
from sandbox import seed
from sandbox.processes import ROOT
from sandbox.state import Call
from tests.faults.driver import LINE, Played, Run, left
from tests.processes.stage import LEASE_LOST, words

_MOMENT = 1.0
"""Seconds in which several workers may be creating the attributes at once."""

GONE_WITHIN = 10.0
"""Seconds that a process may take to end after SIGTERM."""

_ATTRIBUTES = "/data_attributes"

_SENT_OR_LATER = {"sent", "opened", "completed", "analysed", "written_back", "not_written"}
_STATE_OF_ANSWER = {"full": "written_back", "anonymous": "not_written", "low_quality": "not_written"}
_CARD = {
    "full": "Open transcript",
    "anonymous": "Answered anonymously",
    "low_quality": "nothing was written to Intercom",
}


def audit(run: Run) -> list[str]:
    """What is not as it must be, each with all that is known about it; empty when the run has succeeded."""
    found = [problem for played in run.played for problem in _audit_one(run, played)]
    return [*found, *_calls(run), *_logs(run), *_processes(run), *_surroundings(run)]


def summary(run: Run) -> str:
    """One line for the person who ran it."""
    states = [row["state"] for played in run.played for row in _rows(run, played)]
    counted = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    calls = [*run.stage.intercom.calls, *run.stage.koji.calls]
    return (
        f"seed {run.plan.seed}: {len(run.played)} interviews ({counted}); {_happened(run)};"
        f" {sum(call.fault is not None for call in calls)} of {len(calls)} calls spoiled; {run.seconds:.0f} s"
    )


def _happened(run: Run) -> str:
    """What happened around a run, in words."""
    platform = run.platform
    counts = {"kills": sum(platform.killed.values())}
    counts |= {name: number for trouble in run.troubles for name, number in trouble.counts.items()}
    counts |= {"SIGTERMs": len(platform.drained), "leases lost": platform.lost_leases}
    told = ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "nothing else"
    slowest = max((ended.seconds for ended in platform.drained), default=None)
    return told if slowest is None else f"{told}, the slowest gone after {slowest:.1f} s"


def _audit_one(run: Run, played: Played) -> list[str]:
    rows = _rows(run, played)
    problems = _taps(played)
    if len(rows) != 1:
        problems.append(f"{len(rows)} interviews in the ledger")
    else:
        problems += _message(run, played, rows[0]) + _result(run, played, rows[0])
        problems += _card(run, played, rows[0])
    if not problems:
        return []
    return [f"{'; '.join(problems)}\n{_all_about(run, played, rows)}"]


def _taps(played: Played) -> list[str]:
    answers = ("Sending", "Interview sent", "Interview answered", "Nothing has reached", "could not find out")
    return [
        f"a tap was answered with {said}"
        for said in played.tapped
        if not any(answer in said for answer in (*answers, *_CARD.values()))
    ]


def _message(run: Run, played: Played, row: dict[str, Any]) -> list[str]:
    comments, links = run.stage.intercom.comments(played.talk.conversation.id), run.stage.links(played.talk)
    state, planned = row["state"], played.planned
    problems = []
    if state in _SENT_OR_LATER:
        allowed = {1}
    elif state == "failed":
        allowed = {0}
        problems += [] if planned.may_be_refused else [f"given up for {row['reason']}"]
    elif state == "unknown":
        allowed = {0, 1}
        problems += [] if planned.may_be_unknown else [f"unknown for {row['reason']}"]
    else:
        allowed = set()
        problems.append(f"is still {state}")
    if len(comments) not in allowed:
        problems.append(f"{len(comments)} messages")
    if len(links) != len(comments):
        problems.append(f"{len(links)} links")
    author = seed.ADA if planned.delay is None else seed.OWN_ADMIN
    problems += [f"written by {part.author_id}" for part in comments if part.author_id != author]
    if planned.delay is not None and row["sent_at"] is not None:
        waited = (row["sent_at"] - row["created_at"]).total_seconds()
        problems += [f"sent after {waited:.1f} s"] if waited < planned.delay else []
    return problems


def _result(run: Run, played: Played, row: dict[str, Any]) -> list[str]:
    intercom, talk, planned = run.stage.intercom, played.talk, played.planned
    notes = [unescape(part.body or "") for part in intercom.notes(talk.conversation.id)]
    attributes = dict(talk.contact.custom_attributes)
    tags = [intercom.tags_on_conversation(talk.conversation.id), intercom.tags_on_contact(talk.contact.id)]
    problems = []
    if played.koji_id is None:
        if planned.answer != "silent" and run.stage.links(talk):
            problems.append("the customer could not answer")
        accepted = False
    else:
        sent = [item for item in run.stage.sandbox.deliverer.deliveries if item.about == played.koji_id]
        accepted = run.reconciles or any(item.accepted for item in sent)
        if not run.reconciles:
            problems += [f"{item.event} not accepted" for item in sent if not (item.accepted or item.lost)]
        expected = _STATE_OF_ANSWER[planned.answer]
        if accepted and row["state"] != expected:
            problems.append(f"is {row['state']} ({row['reason']}), not {expected}")
    if accepted and planned.answer == "full" and played.koji_id is not None:
        koji = run.stage.koji.interview(played.koji_id)
        answered_at = int(datetime.fromisoformat(str(koji.completed_at)).timestamp())
        wanted: dict[str, Any] = {
            "last_interview_at": answered_at,
            "last_interview_sentiment": planned.sentiment,
            "last_interview_top_theme": planned.theme,
            "last_interview_quality": planned.quality,
            "last_interview_url": run.stage.koji.results(koji)["transcript_url"],
        }
        if attributes != wanted:
            problems.append(f"attributes are {attributes}, not {wanted}")
        if len(notes) != 1 or planned.theme not in notes[0]:
            problems.append(f"notes are {notes}")
        if tags != [{f"koji_{planned.sentiment}_sentiment"}] * 2:
            problems.append(f"tags are {tags}")
    elif notes or attributes or any(tags):
        problems.append(f"not to be written: {notes}, {attributes}, {tags}")
    return problems


def _card(run: Run, played: Played, row: dict[str, Any]) -> list[str]:
    said = words(run.stage.card(played.talk))
    texts = {"sent": "Interview sent", "opened": "Interview sent", "failed": "Nothing has reached"}
    texts |= {"unknown": "could not find out"}
    wanted = texts.get(row["state"], _CARD.get(played.planned.answer, "?"))
    problems = [] if wanted in said else [f"the card does not say {wanted!r} but {said}"]
    return problems + [
        f"the card still says {words!r}" for words in ("being written", "Not all") if words in said
    ]


def _calls(run: Run) -> list[str]:
    calls: list[Call] = [*run.stage.intercom.calls, *run.stage.koji.calls]
    refused = [
        call for call in calls if call.fault is None and call.status is not None and call.status >= 400
    ]
    # Until the attributes exist, Intercom refuses to write them; and of two who create one it refuses the
    # second, which may have been held up on its way.
    created = [call.at for call in calls if call.path == _ATTRIBUTES and call.status == 200]
    last = max((call.at for call in calls if call.path == _ATTRIBUTES), default=0.0)
    exist = max(created, default=math.inf) + _MOMENT
    refused = [
        call
        for call in refused
        if not (
            call.status == 400
            and (call.path == _ATTRIBUTES or (call.method == "PUT" and call.at < max(exist, last)))
        )
    ]
    problems = [f"refused with {call.status}: {call.method} {call.path}" for call in refused]
    # Without a status there was no answer at all, as while the web is dead.
    drawn = [item for item in run.stage.intercom.canvas_problems if item.status is not None]
    unanswered = len(run.stage.intercom.canvas_problems) - len(drawn)
    if unanswered and not run.platform.web_was_away:
        problems.append(f"{unanswered} times the web did not answer")
    return problems + [f"a card that Intercom does not draw: {item.reason}" for item in drawn]


def _logs(run: Run) -> list[str]:
    settings = run.stage.app.environment
    secrets = {
        name: settings[name]
        for name in (
            "SECRET_KEY",
            "INTERCOM_CLIENT_SECRET",
            "INTERCOM_ACCESS_TOKEN",
            "KOJI_API_KEY",
            "API_TOKEN",
        )
    }
    planted = {"a name": "Planted Person", "a rep's words": LINE, "an address": "@example.com", **secrets}
    planted |= {
        "a webhook secret": settings["KOJI_WEBHOOK_SECRET"],
        "a theme": "theme of number",
    }
    # Of a link the log names the rule, which begins its token with "<".
    wrong = re.compile(r'/i/[^<]|"event": "(request_failed|job_failed)"|"status": 500|Traceback')
    problems = []
    for log in sorted(run.stage.logs.glob("*.log")):
        text = log.read_text(errors="replace")
        problems += [f"{log.name} holds {what}" for what, value in planted.items() if value in text]
        problems += [f"{_told(run, log)}: {line[:600]}" for line in text.splitlines() if wrong.search(line)]
    return problems


def _told(run: Run, log: Path) -> str:
    """A log's name, and whether a process of another release wrote it."""
    started = run.stage.started.get(log.stem)
    return log.name + ("" if started is None else _of_another_release(started[1]))


def _of_another_release(root: Path) -> str:
    return "" if root == ROOT else " of another release"


def _processes(run: Run) -> list[str]:
    killed, wanted = run.platform.killed, Counter(kill.what for kill in run.plan.kills)
    problems = [] if killed == wanted else [f"killed {dict(killed)}, not {dict(wanted)}"]
    problems += [
        f"{ended.name}{_of_another_release(ended.root)}, told to end, was gone after {ended.seconds:.1f} s,"
        f" with {ended.status}"
        for ended in run.platform.drained
        # One that was told while it was still being loaded ends as any program does.
        if ended.seconds > GONE_WITHIN or ended.status not in (0, LEASE_LOST, -signal.SIGTERM)
    ]
    return problems + [f"a job is left: {job}" for job in left(run.stage)]


def _surroundings(run: Run) -> list[str]:
    problems = [problem for trouble in run.troubles for problem in trouble.problems]
    return problems + [
        f"{name} took place {trouble.counts[name]} times, not {number}"
        for trouble in run.troubles
        for name, number in trouble.wanted().items()
        if trouble.counts[name] != number
    ]


def _rows(run: Run, played: Played) -> list[dict[str, Any]]:
    query = sa.select(interviews).where(interviews.c.contact_id == played.talk.contact.id)
    return _select(run, query)


def _all_about(run: Run, played: Played, rows: list[dict[str, Any]]) -> str:
    """The plan of an interview, its calls at the stand-ins, and what stands in the database."""
    talk = played.talk
    ids = [row["id"] for row in rows]
    calls = sorted([*run.stage.intercom.calls, *run.stage.koji.calls], key=lambda call: call.at)
    mine = [
        f"  {call.at:.2f} {call.method} {call.path} {call.status} {call.fault or ''}"
        for call in calls
        if re.search(rf"/({talk.conversation.id}|{talk.contact.id}|{played.koji_id})(/|$)", call.path)
        or (isinstance(call.json, dict) and talk.contact.id in str(call.json))
    ]
    stored = [
        *rows,
        *_select(run, sa.select(outside_writes).where(outside_writes.c.interview_id.in_(ids))),
        *_select(run, sa.select(deliveries).where(deliveries.c.interview_id.in_(ids))),
    ]
    return "\n".join([f"seed {run.plan.seed}, {played.planned}", *mine, *(f"  {row}" for row in stored)])


def _select(run: Run, query: sa.Select[Any]) -> list[dict[str, Any]]:
    with store.reading(run.stage.engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
