"""What has failed is taken up again on a person's word: a delivery, or the result of an interview.

Never a message to the customer: whether one has left is settled on the card, by somebody who sees the
conversation. What is written to Intercom goes the usual way, on which a note is made once.
"""

from __future__ import annotations

from typing import Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.engine import Jobs
from canvas_app.interviews import deliveries, ledger, reconcile
from canvas_app.interviews.ledger_rows import Interview, result_of
from canvas_app.interviews.seen import Note, Seen, no_note, seen
from canvas_app.interviews.tables import deliveries as deliveries_table

# What came of it, or why nothing did.
Replayed = Literal[
    "taken_up",
    "written_again",
    "asked_again",
    "not_found",
    "under_way",
    "finished",
    "content_gone",
    "erased",
    "send_failed",
    "send_unknown",
    "nothing_failed",
    "done_before",
]
# After these something happens.
ACCEPTED: Final[frozenset[Replayed]] = frozenset({"taken_up", "written_again", "asked_again", "under_way"})


def replay(engine: Engine, jobs: Jobs, id_: str, *, note: Note = no_note) -> Replayed:
    """Take up again what failed of the interview or the delivery with this id of ours."""
    with store.reading(engine) as connection:
        interview = ledger.get(connection, id_)
    if interview is not None:
        return _interview(engine, jobs, interview, note)
    return delivery(engine, jobs, id_, note=note)


def can_be_written_again(interview: Interview) -> bool:
    """Whether there is something of a result that Intercom has not taken."""
    if interview.purged_at is not None or interview.state not in ("completed", "analysed", "failed"):
        return False
    if interview.state == "completed":
        return interview.koji_interview_id is not None
    return result_of(interview).analysed


def as_shown(
    engine: Engine, jobs: Jobs, what: Seen, *, note: Note = no_note
) -> Replayed | Literal["changed"]:
    """The same for an interview, if it is still what a person saw."""
    with store.reading(engine) as connection:
        interview = ledger.get(connection, what.interview_id)
    if interview is None or seen(interview) != what:
        return "changed"
    return _interview(engine, jobs, interview, note)


def delivery(engine: Engine, jobs: Jobs, delivery_id: str, *, note: Note = no_note) -> Replayed:
    """Take up again one delivery that has failed."""
    with store.writing(engine) as connection:
        columns = deliveries_table.c
        row = connection.execute(
            sa.select(columns.state, columns.content).where(columns.id == delivery_id)
        ).first()
        if row is None:
            return "not_found"
        if row.state == "stored":
            return "under_way"
        if row.state != "failed":
            return "finished"
        if row.content is None:
            return "content_gone"
        if not deliveries.take_up(connection, jobs, delivery_id):
            return "finished"
        note(connection)
        return "taken_up"


def _interview(engine: Engine, jobs: Jobs, interview: Interview, note: Note) -> Replayed:
    if interview.purged_at is not None:
        return "erased"
    if interview.state == "unknown":
        return "send_unknown"
    if interview.state == "completed":
        return _ask_koji(engine, interview, note)
    if interview.state not in ("analysed", "failed"):
        return "nothing_failed"
    if not result_of(interview).analysed:
        return "send_failed"
    with store.reading(engine) as connection:
        waiting = connection.execute(deliveries.waiting_for(interview.id)).first()
    if waiting is not None:
        return "under_way"
    again = reconcile.write_back_once_more(engine, jobs, interview, note=note)
    return "written_again" if again else "done_before"


def _ask_koji(engine: Engine, interview: Interview, note: Note) -> Replayed:
    """The answer is here and its analysis is not: the clock asks Koji with its next tick."""
    if interview.koji_interview_id is None:
        return "nothing_failed"
    with store.writing(engine) as connection:
        now = store.now(connection)
        check_at = ledger.existing(connection, interview.id, lock=True).check_at
        if check_at is not None and check_at <= now:
            return "under_way"
        asked = ledger.change(connection, interview.id, only_from=("completed",), check_at=now)
        if asked:
            note(connection)
    return "asked_again" if asked else "under_way"
