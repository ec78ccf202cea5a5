"""What is to be sent later: when its time has come, the limits are looked at once more.

A planned interview stands in nobody's way. It becomes an open one by the database's clock, in a transaction
that finds nothing against it; what does is its reason to be skipped.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from canvas_app import store
from canvas_app.interviews import ask, frequency, ledger, outcomes
from canvas_app.interviews.ledger import Interview
from canvas_app.interviews.outcomes import Outcome
from canvas_app.interviews.seen import Person
from canvas_app.interviews.services import Services

NOT_YET = "not_yet"


def begin(services: Services, interview: Interview) -> Outcome:
    """Make a planned interview one that is being sent, if its time has come and nothing speaks against it.

    ``later`` with the seconds that are left, ``permanent`` with the reason to skip it, else ``done``.
    """
    with store.reading(services.engine) as connection:
        left = _left(interview, store.now(connection))
    if left > 0:
        return outcomes.later(NOT_YET, left)
    try:
        with store.writing(services.engine) as connection:
            return _begin(connection, services, interview.id)
    except IntegrityError:
        # Somebody else has asked this contact between our look and our write.
        return outcomes.permanent("open_interview")


def _left(interview: Interview, now: datetime) -> float:
    return 0.0 if interview.not_before is None else (interview.not_before - now).total_seconds()


def _begin(connection: Connection, services: Services, interview_id: str) -> Outcome:
    now = store.now(connection)
    interview = ledger.existing(connection, interview_id, lock=True)
    if interview.state != "planned":
        return outcomes.done()
    person = Person(interview.workspace_id, interview.contact_id)
    open_one = ledger.open_one(connection, person.workspace_id, person.contact_id)
    days = services.settings.open_days
    if open_one is not None and ledger.as_of(open_one, now, open_days=days).state == open_one.state:
        return outcomes.permanent("open_interview")
    if open_one is not None:
        # Nobody has looked since its time was over.
        over_at = ledger.as_of(open_one, now, open_days=days).state_since
        ledger.move(connection, open_one.id, "expired", only_from=(open_one.state,), now=over_at)
    last = frequency.last_asked(connection, person, other_than=interview.id)
    if frequency.too_early(last, now, ask_again_days=services.settings.ask_again_days):
        return outcomes.permanent("asked_recently")
    ledger.move(
        connection,
        interview.id,
        "queued",
        only_from=("planned",),
        now=now,
        send_before=ask.send_before(services.settings, interview.origin, now),
    )
    return outcomes.done()
