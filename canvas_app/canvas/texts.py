"""Every word that a rep reads on the card, and nothing but words.

The card speaks to somebody in the middle of a conversation with a customer: what happened, whether the
customer noticed, what to do next. Times are absolute, because a canvas is not redrawn by itself, and
"2 minutes ago" would soon be wrong:
https://developers.intercom.com/docs/canvas-kit/canvas-kit-inbox-best-practices

Arguments that come from outside have been through ``plaintext.plain``; moments are texts made by ``moment``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

# strftime would take the names from the locale of the process.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Buttons and inputs
SEND = "Send Koji interview"
SEND_AGAIN = "Send again"
SEND_ANOTHER = "Send another"
TRY_AGAIN = "Try again"
REFRESH = "Refresh"
OPEN_TRANSCRIPT = "Open transcript"
SEND_ANYWAY = "Send anyway"
WITHDRAW = "Withdraw the link"
CANCEL_PLANNED = "Cancel it"
SEND_NOW = "Send one now"
IT_IS_THERE = "It is there"
SEND_AFTER_ALL = "It is not there, send it"
CANCEL = "Cancel"
BACK = "Back"
MORE_STUDIES = "More studies"
SETTINGS = "Settings"
OPEN_CONSOLE = "Open the console"
PERSONAL_LINE = "Add a personal line (optional)"

# When a name is not known
THE_CUSTOMER = "this customer"
THE_INTERVIEW = "Koji interview"
NO_REASON = "The reason is not known."

# Headlines
PLANNED = "Interview planned"
SENDING = "Sending…"
SENT = "✓ Interview sent"
COMPLETED = "✓ Interview answered"
ASKED_RECENTLY = "Asked recently"
CONFIRM_WITHDRAW = "Withdraw the link?"
CONSOLE = "Koji console"

# What a state means
WORKER_DOWN = (
    "The part of this app that sends messages is not running, so this has to wait. "
    "Please tell the person who set the app up."
)
NOT_OPENED = "The customer has not opened it yet."
WRITING = "The result is still being written to Intercom."
NOT_ALL_WRITTEN = "Not all of it is in Intercom."
OUTCOME_UNKNOWN = "We could not find out whether the message reached the customer."
OUTCOME_UNKNOWN_NEXT = (
    "Please look in this conversation for the message with the link “Start the interview”. "
    "We send nothing a second time unless you say that it is not there."
)
OUTCOME_UNKNOWN_ELSEWHERE = "Please look in that conversation. The card there lets you say what you found."
OUTCOME_UNKNOWN_TOO_EARLY = (
    "It may still be on its way, so nobody can tell yet. Nothing was changed. Please refresh in a minute."
)
MESSAGE = "Sent in your name:"
WITHDRAWING = (
    "The message stays in the conversation, but its link leads to a page that says the interview is over. "
    "This cannot be undone."
)
NOTHING_RECEIVED = "Nothing has reached the customer."
RECEIVED_UNKNOWN = (
    "We do not know whether the customer got the message. "
    "Please look in the conversation before you send anything."
)
NOT_SET_UP = "Koji for Intercom is not set up yet."
NOT_SET_UP_NEXT = (
    "The person who deployed this app can fix it: python -m canvas_app doctor lists the commands to run."
)
NO_CONTACT = "There is no customer in this conversation."
NO_CONTACT_NEXT = "Add the customer to the conversation, or select one, then refresh."
NO_CONVERSATION = "There is no conversation here to send an interview to."
NO_CONVERSATION_NEXT = "Open a conversation with the customer, then refresh."
CONSOLE_LINK = "What was sent, what came back, and how it all works. You are signed in as yourself."
CONSOLE_LINK_ENDS = "The button works once, and for ten minutes. After that, tap Settings again."
NO_CONSOLE = "The console cannot be opened from here."
NO_CONSOLE_TEAMMATE = "Intercom did not say who you are."
NO_CONSOLE_WORKSPACE = "This app is not connected to this workspace, or does not know it yet."
PROBLEM = "Something went wrong on our side."
NOTHING_SENT_BY_TAP = "Nothing was sent by this tap."

NO_STUDY_ON = "a study that is switched on (python -m canvas_app studies list)"
STUDY_GONE = "The study that was chosen is not in use any more. Nothing was sent; please choose again."
OTHER_WORDS = (
    "With this study the message reads as below. Nothing was sent yet; please send it if it is right."
)

# Rows of the result
SENTIMENT = "Sentiment"
OTHER_THEMES = "Other themes"
QUALITY = "Quality"


def moment(at: datetime, zone: ZoneInfo) -> str:
    """Return an aware moment as it is called in ``zone``, e.g. "Nov 22, 2026 at 1:05 PM CET"."""
    if at.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be shown in another one")
    local = at.astimezone(zone)
    half = "AM" if local.hour < 12 else "PM"
    abbreviation = local.tzname() or "UTC"
    if not abbreviation[0].isalpha():  # Zones without an abbreviation of their own are named like "+04".
        abbreviation = f"UTC{abbreviation}"
    day = f"{_MONTHS[local.month - 1]} {local.day}, {local.year}"
    return f"{day} at {local.hour % 12 or 12}:{local.minute:02d} {half} {abbreviation}"


def elsewhere(at: str) -> str:
    return f"In another conversation, asked for on {at}." if at else "In another conversation."


def offer(study: str, name: str) -> str:
    return f"{study} for {name}. Sent in your name:"


def offer_to(name: str) -> str:
    """The same, under a choice of studies."""
    return f"For {name}. Sent in your name:"


def asked(by: str, at: str) -> str:
    """Say when it was asked for, and by whom, unless nobody did: a rule can ask as well."""
    return f"Asked for by {by} on {at}." if by else f"Asked for on {at}."


def planned(at: str) -> str:
    return f"It goes out on {at}, unless something speaks against it by then."


def sent(by: str, at: str) -> str:
    return f"Sent by {by} on {at}." if by else f"Sent on {at}."


def opened(at: str) -> str:
    return f"The customer opened it on {at}."


def opened_and_may_be_answering(at: str) -> str:
    return f"{opened(at)} They may be answering it now."


def works_until(at: str) -> str:
    return f"The link works until {at}."


def answered(at: str) -> str:
    return f"✓ Answered on {at}"


def top_theme(theme: str) -> str:
    return f"Top theme: {theme}"


def being_analysed(at: str) -> str:
    return f"Answered on {at}. Koji is analysing it; the result appears here when it is ready."


def quality(score: float) -> str:
    # Koji's scale is 1 to 5: https://www.koji.so/docs/how-the-quality-gate-works
    return f"{score:g} of 5"


def anonymous(at: str) -> str:
    return f"Answered anonymously on {at}. It is recorded, and nothing was written to Intercom."


def low_quality(at: str, score: str | None, least: str) -> str:
    scored = f"with a quality of {score}" if score else "with a low quality"
    return (
        f"Answered on {at} {scored}. It is recorded, and nothing was written to Intercom, "
        f"because that takes at least {least}."
    )


def quality_unknown(at: str) -> str:
    return f"Answered on {at}, without a quality score. It is recorded, and nothing was written to Intercom."


def failed(at: str) -> str:
    return f"Sending the interview failed on {at}."


def not_sent(why: str) -> str:
    """Over an offer: short enough that the reason can be read, which is cut to a line with it."""
    return f"Not sent before: {why}"


def outcome_unknown_since(at: str) -> str:
    return f"Tried on {at}, without a clear answer from Intercom."


def expired(at: str) -> str:
    return f"The interview was not answered. Its link ended on {at}."


def cancelled(at: str) -> str:
    return f"The interview was withdrawn on {at}. Its link no longer works."


def asked_recently(name: str, by: str, at: str, *, elsewhere: bool) -> str:
    where = ", in another conversation" if elsewhere else ""
    return f"{_was_asked(name, by, at)}{where}."


def again_from(at: str) -> str:
    return f"So that nobody is asked too often, the next one can go out from {at}."


def confirm_send(name: str, by: str, at: str) -> str:
    return f"{_was_asked(name, by, at)}. Send another one now?"


def confirm_replace(by: str, at: str) -> str:
    return f"{sent(by, at).rstrip('.')}, and still open. Its link stops working when you send this one."


def _was_asked(name: str, by: str, at: str) -> str:
    # A sentence begins with it.
    name = name[:1].upper() + name[1:] if name == THE_CUSTOMER else name
    return f"{name} was asked by {by} on {at}" if by else f"{name} was asked on {at}"


def key_lost(study: str) -> str:
    return f"the key of {study} (no SECRET_KEY that is set can read it)"


def missing(named: str) -> str:
    return f"Missing: {named}."
