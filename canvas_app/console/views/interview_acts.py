"""What an operator does about one interview. Each act has a page of its own, which says what will happen.

All of them are functions of the domain that act on the interview as it was shown, and on nothing newer; a
second click finds it changed and does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import Response, abort, flash, redirect, request, url_for
from sqlalchemy.engine import Connection
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response as BaseResponse

from canvas_app import store, web
from canvas_app.console import access, asked, outward
from canvas_app.console.door import blueprint, show
from canvas_app.interviews import (
    again,
    departures,
    frequency,
    ledger,
    losses,
    operators,
    reminders,
    repair,
    replay,
    wording,
    words,
)
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.seen import Note, Person, Seen
from canvas_app.interviews.states import REPLACEABLE_STATES
from canvas_app.settings import Settings

_CHANGED: Final = "Nothing was done: it is no longer as it was shown. Look at it once more."
_EFFECTS: Final[dict[str, str]] = {
    "withdrawn": "The link is withdrawn: it says that it is over.",
    "cancelled": "It is cancelled, and will not be sent.",
    "sent": "It is written down as sent.",
    "queued": "A worker is at it in a moment.",
}
_NOT_DONE: Final[dict[str, str]] = {
    "changed": _CHANGED,
    "too_early": "Nothing was done: the call may still be under way. Try again in a minute.",
    "just_over": "Nothing was sent: its time has only just run out. Try again in five minutes.",
    "exists": "Nothing was sent: it was sent again before, or the customer has an open interview.",
    "asked_recently": "Nothing was sent: the customer was asked meanwhile. Look at it once more.",
    "study_off": "Nothing was sent: its study is off, or there is no key for it.",
    "under_way": "It is being worked on already.",
    "done_before": "It was taken up before, since it last failed.",
    "nothing_failed": "Nothing was done: there is nothing to write.",
}
_REPLAYED: Final[dict[str, str]] = {
    "written_again": "The result is written to Intercom once more. The note is not made twice.",
    "asked_again": "Koji is asked for the analysis within five minutes.",
}


@dataclass(frozen=True, slots=True)
class Act:
    """``name`` stands in the address. ``title`` is the page's, ``label`` the button's, and ``text`` says what
    happens. ``kind`` is the button's colour."""

    name: str
    title: str
    label: str
    text: str
    kind: str = "primary"


SEND_AGAIN: Final = Act(
    "send-again",
    "Send again",
    "Send it",
    "Another interview is sent in the place of this one. A worker first looks whether the customer still "
    "wants to hear from you.",
)
REMIND: Final = Act(
    "remind",
    "Remind now",
    "Remind the customer",
    "One reminder is written into the conversation, with the same link. There is no second one.",
)
WITHDRAW: Final = Act(
    "withdraw",
    "Withdraw the link",
    "Withdraw it",
    "The customer's link says from now on that it is over. The message stays in the conversation. If the "
    "customer has answered already, the result is still taken.",
    "danger",
)
CANCEL: Final = Act(
    "cancel", "Do not send it", "Cancel it", "It is planned for later, and will not be sent.", "danger"
)
WRITE_AGAIN: Final = Act(
    "write-again",
    "Write the result again",
    "Write it again",
    "What is known of the result is written to Intercom once more: attributes and tags. A note that is there "
    "is not made a second time.",
)
SETTLE: Final = Act(
    "settle",
    "What became of the message?",
    "It is not there, send it",
    "Intercom has not said whether the message arrived. Open the conversation and look for it before you "
    "choose: where it is there and you send it, the customer gets it twice.",
    "danger",
)
ERASE: Final = Act(
    "erase",
    "Erase the contact",
    "Erase for good",
    "This cannot be undone. What stands in Intercom and at Koji stays there.",
    "danger",
)
ACTS: Final = {act.name: act for act in (SEND_AGAIN, REMIND, WITHDRAW, CANCEL, WRITE_AGAIN, SETTLE, ERASE)}


def offered(interview: Interview, now: datetime, settings: Settings) -> list[Act]:
    """What can be done about it as it stands."""
    possible = {
        SEND_AGAIN: again.repeatable(interview),
        REMIND: reminders.can_be_reminded(interview, now, open_days=settings.open_days),
        WITHDRAW: interview.state in REPLACEABLE_STATES,
        CANCEL: interview.state == "planned",
        WRITE_AGAIN: replay.can_be_written_again(interview),
        SETTLE: interview.state == "unknown",
        ERASE: interview.purged_at is None,
    }
    return [act for act, can_be in possible.items() if can_be]


@blueprint.get("/interviews/<interview_id>/<act_name>")
def confirm_act(interview_id: str, act_name: str) -> Response:
    """Say what will happen, and ask whether it is to."""
    act = ACTS.get(act_name) or abort(404)
    if not access.current().may_change:
        raise Forbidden
    here = web.current()
    with store.reading(here.engine) as connection:
        interview, now = _existing(connection, interview_id), store.now(connection)
        stands = ledger.as_of(interview, now, open_days=here.settings.open_days)
        about = _about(connection, act, stands, now)
    return show(
        "interview_act.html",
        act=act,
        about=interview,
        possible=act in offered(stands, now, here.settings),
        seen=asked.seen_text(interview),
        conversation=outward.conversation(here.settings, interview),
        more=about,
    )


@blueprint.post("/interviews/<interview_id>/<act_name>")
def do_act(interview_id: str, act_name: str) -> BaseResponse:
    act = ACTS.get(act_name) or abort(404)
    here = web.current()
    with store.reading(here.engine) as connection:
        interview = _existing(connection, interview_id)
    what = asked.seen_on(request.form.get("seen"))
    came = (
        "changed" if what is None or what.interview_id != interview.id else _DOES[act.name](interview, what)
    )
    done = came in _EFFECTS or came in _REPLAYED
    text = {**_EFFECTS, **_REPLAYED, **_NOT_DONE}.get(came, _CHANGED)
    if act is ERASE and done:
        text = "A worker erases the contact in a moment. Load this page again to see that it is done."
    flash(text, "message" if done else "warning")
    return redirect(url_for("console.interview", interview_id=interview.id))


def _about(connection: Connection, act: Act, interview: Interview, now: datetime) -> dict[str, object]:
    """What else an act's page says."""
    settings = web.current().settings
    if act is ERASE:
        return {"losses": losses.of_contact(connection, interview.workspace_id, interview.contact_id)}
    if act is not SEND_AGAIN:
        return {}
    way = again.in_the_way(connection, settings, interview, now)
    study = again.study_of(connection, settings, interview)
    said = words.chosen(study.wording if study else {}, interview.language)
    return {
        "study": study,
        "open": way.open,
        "last": way.last,
        "last_at": way.last and frequency.asked_at(way.last),
        "last_seen": way.last and asked.seen_text(way.last),
        "line": interview.personal_line or "",
        "line_length": wording.PERSONAL_LINE_LENGTH,
        "preview": wording.invitation_preview(
            contact_name=interview.contact_name, personal_line=interview.personal_line, said=said
        ),
    }


def _send_again(interview: Interview, what: Seen) -> str:
    here = web.current()
    stated = request.form.get("last")
    last = asked.seen_on(stated)
    if stated and last is None:
        return "changed"
    with store.reading(here.engine) as connection:
        now = store.now(connection)
        study = again.study_of(connection, here.settings, interview)
    stands = ledger.as_of(interview, now, open_days=here.settings.open_days)
    if stands is not interview:
        # The clock has not written that down yet.
        return "just_over"
    teammate = access.current().teammate
    return again.send_again(
        here.engine,
        here.jobs,
        here.settings,
        teammate,
        interview,
        study,
        what=what,
        line=request.form.get("line", ""),
        last=last,
        record=lambda connection, new: operators.note(
            connection, teammate, "interview_sent_again", subject=interview.id, after={"interview": new.id}
        ),
    )


def _remind(interview: Interview, what: Seen) -> str:
    here = web.current()
    note = _note("interview_reminded", interview)
    return reminders.remind_now(here.engine, here.jobs, here.settings, _person(interview), what, note=note)


def _withdraw(interview: Interview, what: Seen) -> str:
    here = web.current()
    note = _note("interview_withdrawn", interview)
    return repair.withdraw(here.engine, here.jobs, here.settings, _person(interview), what, note=note)


def _cancel(interview: Interview, what: Seen) -> str:
    here = web.current()
    note = _note("interview_cancelled", interview)
    return repair.cancel_planned(here.engine, here.settings, _person(interview), what, note=note)


def _write_again(interview: Interview, what: Seen) -> str:
    here = web.current()
    if not replay.can_be_written_again(interview):
        return "nothing_failed"
    return replay.as_shown(here.engine, here.jobs, what, note=_note("interview_written_again", interview))


def _settle(interview: Interview, what: Seen) -> str:
    here, person = web.current(), _person(interview)
    there = request.form.get("there") == "yes"
    note = _note("interview_settled", interview, after="it_is_there" if there else "send_after_all")
    conversation_id = interview.conversation_id
    if there:
        return repair.it_is_there(
            here.engine, here.settings, person, what, conversation_id=conversation_id, note=note
        )
    return repair.send_after_all(
        here.engine, here.jobs, here.settings, person, what, conversation_id=conversation_id, note=note
    )


def _erase(interview: Interview, _what: Seen) -> str:
    # Whatever has become of it meanwhile: it is about the contact.
    here = web.current()
    if interview.purged_at is not None:
        return "changed"
    with store.writing(here.engine) as connection:
        departures.enqueue_erase(connection, here.jobs, interview)
        _note("contact_erased", interview)(connection)
    return "queued"


_DOES: Final[dict[str, Callable[[Interview, Seen], str]]] = {
    SEND_AGAIN.name: _send_again,
    REMIND.name: _remind,
    WITHDRAW.name: _withdraw,
    CANCEL.name: _cancel,
    WRITE_AGAIN.name: _write_again,
    SETTLE.name: _settle,
    ERASE.name: _erase,
}


def _note(what: str, interview: Interview, after: str | None = None) -> Note:
    teammate = access.current().teammate
    return lambda connection: operators.note(connection, teammate, what, subject=interview.id, after=after)


def _person(interview: Interview) -> Person:
    return Person(interview.workspace_id, interview.contact_id)


def _existing(connection: Connection, interview_id: str) -> Interview:
    workspace_id = asked.existing_workspace_id(connection)
    interview = ledger.get(connection, asked.existing_id(interview_id))
    if interview is None or interview.workspace_id != workspace_id:
        abort(404)
    return interview
