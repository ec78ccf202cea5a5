"""From the ledger to the state of the card. Pure: what it needs to know is handed to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from canvas_app.canvas import reasons, texts
from canvas_app.canvas.card_states import (
    CardState,
    Completed,
    ConfirmSend,
    ConfirmWithdraw,
    Ended,
    Failed,
    NotWritten,
    NotWrittenKind,
    OutcomeUnknown,
    Planned,
    Ready,
    Result,
    Sending,
    Sent,
    StudyChoice,
)
from canvas_app.interviews import frequency, wording
from canvas_app.interviews.ledger_rows import Interview, Shown, result_of
from canvas_app.interviews.states import OPEN_STATES
from canvas_app.interviews.words import Words
from canvas_app.koji import links as koji_links
from canvas_app.settings import Settings, Study

_NOT_WRITTEN: dict[str, NotWrittenKind] = {
    "anonymous": "anonymous",
    "low_quality": "low_quality",
    "quality_unknown": "quality_unknown",
}


def of_interview(
    interview: Shown,
    *,
    worker_alive: bool,
    settings: Settings,
    min_quality: float,
    here: bool = True,
    token: str = "",
    too_early: bool = False,
) -> CardState:
    """The state that shows this interview.

    ``min_quality``: below it a result is not written.
    ``here``: its conversation is the one beside the card. ``token`` names the interview as it is now, and
    ``too_early`` says that a tap was, because a call may still be under way.
    """
    since = interview.state_since
    match interview.state:
        case "planned":
            return Planned(
                asked_by=interview.asked_by_name,
                asked_at=interview.created_at,
                not_before=interview.not_before or since,
                token=token,
            )
        case "queued" | "sending":
            return Sending(
                asked_by=interview.asked_by_name,
                asked_at=interview.created_at,
                worker_alive=worker_alive,
                problem=reasons.in_words(interview.reason),
            )
        case "sent" | "opened":
            sent_at = interview.sent_at or since
            return Sent(
                asked_by=interview.asked_by_name,
                sent_at=sent_at,
                opened_at=interview.opened_at,
                expires_at=sent_at + timedelta(days=settings.open_days),
                author_note=reasons.WRITTEN_BY_ANOTHER if interview.written_as_id else None,
                elsewhere=not here,
            )
        case "completed":
            return Completed(completed_at=interview.completed_at or since)
        case "analysed" | "written_back":
            return _result(interview, settings, writing=interview.state == "analysed")
        case "not_written":
            return NotWritten(
                kind=_NOT_WRITTEN.get(interview.reason or "", "quality_unknown"),
                answered_at=interview.completed_at or since,
                quality=result_of(interview).quality,
                min_quality=min_quality,
            )
        case "expired" | "cancelled":
            return Ended(kind=interview.state, at=since)
        case "unknown":
            return OutcomeUnknown(
                since=interview.tried_at or since,
                token=token if here else "",
                elsewhere=not here,
                too_early=too_early,
            )
        case "failed" if interview.result is not None:
            return _result(interview, settings, writing=False)
        case "failed" | "skipped":
            return Failed(
                reason_text=reasons.in_words(interview.reason) or texts.NO_REASON,
                # An interview ends as failed only when its message surely did not go out.
                customer_received="no",
                can_try_again=interview.state == "failed",
                failed_at=since,
                token=token,
            )


@dataclass(frozen=True, slots=True)
class Offer:
    """What is offered: the study, the words of its message, and the choice that there is. ``nonce`` binds
    them, see :mod:`canvas_app.canvas.offers`."""

    study: Study
    said: Words
    choice: StudyChoice | None
    nonce: str


def ready(
    offer: Offer,
    *,
    contact_name: str | None,
    personal_line: str = "",
    not_sent: Shown | None = None,
) -> Ready:
    """``not_sent``: an interview that somebody has asked for, and that a limit said no to."""
    why = not_sent and (reasons.in_words(not_sent.reason) or texts.NO_REASON)
    return Ready(
        preview=_preview(offer, contact_name),
        contact_name=contact_name,
        nonce=offer.nonce,
        study_name=offer.study.name,
        earlier=texts.not_sent(why) if why else None,
        personal_line=personal_line,
        choice=offer.choice,
    )


def confirm_send(
    offer: Offer,
    earlier: Interview,
    *,
    contact_name: str | None,
    replaces: bool,
    token: str,
    personal_line: str,
) -> ConfirmSend:
    return ConfirmSend(
        preview=_preview(offer, contact_name),
        contact_name=contact_name,
        asked_by=earlier.asked_by_name,
        asked_at=frequency.asked_at(earlier),
        replaces=replaces,
        token=token,
        personal_line=personal_line,
        nonce=offer.nonce,
        choice=offer.choice,
    )


def _preview(offer: Offer, contact_name: str | None) -> tuple[str, ...]:
    return wording.invitation_preview(contact_name=contact_name, personal_line=None, said=offer.said)


def confirm_withdraw(interview: Interview, *, token: str) -> ConfirmWithdraw:
    return ConfirmWithdraw(
        asked_by=interview.asked_by_name,
        sent_at=frequency.asked_at(interview),
        opened_at=interview.opened_at,
        token=token,
    )


def elsewhere(interview: Shown, conversation_id: str | None, zone: ZoneInfo) -> str | None:
    """How an interview of another conversation is named on this one's card, see ``cards.draw``."""
    if interview.conversation_id is None or interview.conversation_id == conversation_id:
        return None
    if interview.state in OPEN_STATES:
        # Its card says when it was asked for.
        return ""
    return texts.moment(interview.created_at, zone)


def _result(interview: Shown, settings: Settings, *, writing: bool) -> Result:
    known = result_of(interview)
    url = known.transcript_url
    return Result(
        sentiment=known.sentiment,
        top_theme=known.top_theme,
        themes=known.themes,
        quality=known.quality,
        answered_at=interview.completed_at or interview.state_since,
        transcript_url=url if url and koji_links.allowed(url, settings.koji_link_hosts) else None,
        writing=writing,
        problem=reasons.in_words(interview.reason),
    )
