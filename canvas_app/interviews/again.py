"""An interview that came to nothing is asked for once more, by an operator who has seen why it did.

It is another interview. Of two who do this at once, one comes second: the request's key is the same, and the
same as that of "Try again" on the card. See :mod:`canvas_app.interviews.ask`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy.engine import Connection, Engine

from canvas_app.engine import Jobs
from canvas_app.interviews import frequency, ledger, studies, wording
from canvas_app.interviews.ask import CONSOLE, Asked, Record, ask
from canvas_app.interviews.ledger import Ask
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.seen import Person, Seen, seen, unchanged
from canvas_app.interviews.states import OPEN_STATES, State
from canvas_app.plaintext import one_line
from canvas_app.settings import Settings, Study

# Nothing is said here about those that a limit has ended: the limit would have to be changed.
_AFTER: Final[tuple[State, ...]] = ("failed", "expired", "cancelled")
_HEARD_OF_US: Final = ("merged_away", "erased")

# What came of it: see ask.Hindrance; "study_off" where nobody can be asked with its study any more.
SentAgain = Literal["queued", "exists", "asked_recently", "changed", "study_off"]


@dataclass(frozen=True, slots=True)
class InTheWay:
    """What an operator is to know before: an open interview, which must end first; and by which interview the
    contact was asked last, where that is not long ago."""

    open: Interview | None
    last: Interview | None


class _Changed(Exception):
    """Takes the transaction back."""


def repeatable(interview: Interview) -> bool:
    """Whether it can be asked for once more: it has reached nobody, or was not answered."""
    return (
        interview.state in _AFTER
        and interview.result is None
        and interview.purged_at is None
        and interview.reason not in _HEARD_OF_US
        # Whoever asked brings the link to the customer, and has asked for this one alone.
        and interview.deliver != "none"
    )


def in_the_way(connection: Connection, settings: Settings, interview: Interview, now: datetime) -> InTheWay:
    person = Person(interview.workspace_id, interview.contact_id)
    open_one = ledger.open_one(connection, person.workspace_id, person.contact_id)
    if open_one is not None:
        open_one = ledger.as_of(open_one, now, open_days=settings.open_days)
        open_one = open_one if open_one.state in OPEN_STATES else None
    last = frequency.last_asked(connection, person)
    early = frequency.too_early(last, now, ask_again_days=settings.ask_again_days)
    return InTheWay(open_one, last if early else None)


def send_again(
    engine: Engine,
    jobs: Jobs,
    settings: Settings,
    teammate: Teammate,
    interview: Interview,
    study: Study | None,
    *,
    what: Seen,
    line: str,
    last: Seen | None,
    record: Record,
) -> SentAgain:
    """Ask for it once more in this teammate's name, with this personal line.

    ``what`` is the interview as it was shown, and ``last`` the one that :func:`in_the_way` has named.
    """
    person = Person(interview.workspace_id, interview.contact_id)
    if seen(interview) != what or not repeatable(interview):
        return "changed"
    if study is None or not study.askable:
        return "study_off"

    def guard(connection: Connection, _now: datetime) -> None:
        if unchanged(connection, what, person) is None:
            raise _Changed

    try:
        asked = ask(
            engine,
            jobs,
            settings,
            _request(interview, teammate, study, line, anyway=last is not None),
            confirmed_on=last,
            guard=guard,
            record=record,
        )
    except _Changed:
        return "changed"
    return _came_of(asked)


def study_of(connection: Connection, settings: Settings, interview: Interview) -> Study | None:
    return studies.find(connection, settings, interview.study)


def _request(interview: Interview, teammate: Teammate, study: Study, line: str, *, anyway: bool) -> Ask:
    # Whoever comes by the command line is no teammate, in whose name a message could go out.
    by = None if teammate.by_command else teammate
    return Ask(
        workspace_id=interview.workspace_id,
        contact_id=interview.contact_id,
        conversation_id=interview.conversation_id,
        study=study.slug,
        origin=CONSOLE,
        request_key=f"again:{interview.id}",
        asked_by_id=by.id if by else None,
        asked_by_name=one_line(by.name, 120) or None if by else None,
        contact_name=interview.contact_name,
        contact_email=interview.contact_email,
        personal_line=one_line(line, wording.PERSONAL_LINE_LENGTH) or None,
        deliver=interview.deliver,
        language=interview.language,
        contact_role=interview.contact_role,
        credits=study.cost,
        anyway=anyway,
    )


def _came_of(asked: Asked) -> SentAgain:
    if asked.created:
        return "queued"
    return asked.hindrance or "changed"
