"""How the console calls things. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from canvas_app.canvas import reasons

STATES: Final = {
    "planned": "Planned",
    "queued": "Queued",
    "sending": "Sending",
    "sent": "Sent",
    "opened": "Opened",
    "completed": "Answered",
    "analysed": "Analysed",
    "written_back": "Written back",
    "not_written": "Not written",
    "skipped": "Skipped",
    "expired": "Expired",
    "cancelled": "Cancelled",
    "failed": "Failed",
    "unknown": "Unknown",
}


def state_name(state: str) -> str:
    return STATES.get(state, state)


# What a card never says, because nobody sees it there.
_WORDS: Final = {
    "unknown_event": "Nothing follows from an event of this kind.",
    "unknown_topic": "Nothing follows from an event of this kind.",
    "unknown_interview": "It is about no interview that is known here.",
    "koji_interview_not_found": "Koji does not know the interview.",
    "nothing_to_do": "There was nothing (more) to do.",
    "nothing_new": "It said nothing new.",
    "nobody_named": "It names nobody.",
    "no_rule": "No rule is about this.",
    "erased": "The contact was erased.",
    "awaiting_analysis": "The analysis is still to come.",
    "contact_missing": "Intercom no longer has this contact.",
    "result_incomplete": "Koji was asked for what is missing.",
    "anonymous": "It was answered anonymously, so that nothing is written to Intercom.",
    "low_quality": "Its quality is below the bar, so that nothing is written to Intercom.",
    "followed": "The contact was merged; what is known here follows.",
}
_REFUSALS: Final = {
    "signature_missing": "It was not signed.",
    "signature_malformed": "Its signature is none.",
    "signature_mismatch": "It was signed with another secret than ours.",
    "signature_stale": "It was signed too long ago.",
    "body_unreadable": "Its content could not be read.",
    "body_incomplete": "Its content lacks what is needed.",
    "body_cut_off": "Its content had not come to its end.",
    "body_missing": "It had no content.",
    "body_too_large": "Its content was too large.",
    "token_missing": "It had no token.",
    "token_wrong": "Its token is none of ours.",
    "fields_invalid": "A field of it could not be used.",
    "id_malformed": "An id in it is none.",
    "idempotency_key_invalid": "Its Idempotency-Key could not be used.",
    "idempotency_key_reused": "Its Idempotency-Key was used for something else before.",
    "interview_not_found": "It asked for an interview that there is not.",
    "workspace_unknown": "It is not known yet which workspace this is.",
    "not_configured": "A setting that it needs is missing.",
    "not_ready": "The app was not ready for it yet.",
    "secret_lost": "A study's secret cannot be read any more.",
    "too_many_refused": "Its address had been refused too often in the minute before.",
}


# What an entry of the audit log is about; who it was stands before it.
_DONE: Final = {
    "alert_address_entered": "Entered an address for alerts",
    "alert_address_removed": "Removed the address for alerts",
    "contact_erased": "Had the contact erased",
    "deliveries_replayed": "Ran failed deliveries again",
    "delivery_replayed": "Ran a delivery again",
    "interview_cancelled": "Cancelled it",
    "interview_reminded": "Asked for a reminder",
    "interview_sent_again": "Sent again",
    "interview_settled": "Said what became of the message",
    "interview_withdrawn": "Withdrew the link",
    "interview_written_again": "Had the result written again",
    "operator_added": "Let somebody change things",
    "operator_removed": "Let somebody only look",
    "rule_added": "Added a rule",
    "rule_changed": "Changed a rule",
    "rule_switched_off": "Switched a rule off",
    "rule_switched_on": "Switched a rule on",
    "rules_ordered": "Moved a rule",
    "sessions_ended": "Ended all sessions",
    "set_up_asked": "Asked for what is missing in Intercom",
    "study_added": "Added a study",
    "study_changed": "Changed a study",
    "study_switched_off": "Switched a study off",
    "study_switched_on": "Switched a study on",
    "study_worded": "Worded a study's message",
    "study_words_removed": "Took words of a study away",
    "write_back_changed": "Changed the write-back",
}


def in_words(reason: str | None) -> str:
    """A reason code for a person; the code itself where there are no words."""
    if reason is None:
        return ""
    words = _WORDS.get(reason) or reasons.in_words(reason) or reason
    # Whoever is here is that person.
    return words.removesuffix(reasons.ASK_OPERATOR).rstrip()


def refusal_words(reason: str) -> str:
    """Why a request was refused, for a person."""
    return _REFUSALS.get(reason, f"The reason code is {reason}.")


def what_was_done(what: str) -> str:
    """An entry of the audit log for a person; its code where there are no words."""
    return _DONE.get(what, what)


def as_lines(value: Any) -> list[str]:
    """A value of the audit log as lines of text: fields with their names, lists in one line."""
    if isinstance(value, dict):
        return [f"{name}: {_as_text(one)}" for name, one in value.items()]
    return [] if value is None else [_as_text(value)]


def _as_text(value: Any) -> str:
    match value:
        case None | "" | []:
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(_as_text, value))
        case dict():
            return "; ".join(f"{name}: {_as_text(one)}" for name, one in value.items())
    return f"{value}"


def moments_in(zone: ZoneInfo | None) -> Callable[[datetime | None], str]:
    """Writes moments as the workspace's clocks show them."""

    def moment(value: datetime | None) -> str:
        if value is None:
            return ""
        return f"{value.astimezone(zone or UTC):%Y-%m-%d %H:%M %Z}"

    return moment
