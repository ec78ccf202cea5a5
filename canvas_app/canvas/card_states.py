"""The states of the card: what is known about an interview, as far as the rep is to see it.

Each is a plain value. :mod:`canvas_app.canvas.states` makes them of the ledger, and
:mod:`canvas_app.canvas.cards` draws them. ``token`` names what was on the card when it was drawn, so that a
tap on it acts on that and on nothing newer: see :mod:`canvas_app.canvas.offers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

CustomerReceived: TypeAlias = Literal["no", "unknown"]
NotWrittenKind: TypeAlias = Literal["anonymous", "low_quality", "quality_unknown"]
EndedKind: TypeAlias = Literal["expired", "cancelled"]


@dataclass(frozen=True)
class StudyChoice:
    """The studies of one page, as slug and name, of which ``chosen`` is the one that the card is about.

    ``page`` counts from 0.
    """

    options: tuple[tuple[str, str], ...]
    chosen: str
    page: int = 0
    pages: int = 1


@dataclass(frozen=True)
class Ready:
    """An interview can be sent; ``preview`` is the message that would go out, paragraph by paragraph.

    ``nonce`` names this offer, so that a double tap is recognised. ``earlier`` is a line about an earlier
    interview. ``personal_line`` is what the rep has typed already, when the card is drawn again. Without a
    ``choice`` there is one study.
    """

    preview: tuple[str, ...]
    contact_name: str | None
    nonce: str
    study_name: str
    earlier: str | None
    personal_line: str = ""
    choice: StudyChoice | None = None


@dataclass(frozen=True)
class Planned:
    """A rule or a caller of the API wants an interview sent later, if nothing speaks against it by then."""

    asked_by: str | None
    asked_at: datetime
    not_before: datetime
    token: str = ""


@dataclass(frozen=True)
class Sending:
    """It was asked for and has not gone out yet; ``problem`` says in plain words what holds it up."""

    asked_by: str | None
    asked_at: datetime
    worker_alive: bool
    problem: str | None = None


@dataclass(frozen=True)
class Sent:
    """The message is in the conversation; ``author_note`` says who wrote it when it was not the rep.

    ``elsewhere``: in another conversation than the one beside the card. From here another one can be sent
    then, in its place.
    """

    asked_by: str | None
    sent_at: datetime
    opened_at: datetime | None
    expires_at: datetime | None
    author_note: str | None
    elsewhere: bool = False


@dataclass(frozen=True)
class Completed:
    """The customer has answered; Koji has not analysed it yet."""

    completed_at: datetime


@dataclass(frozen=True)
class Result:
    """Koji's result, with ``quality`` on Koji's scale, 1 to 5.

    ``writing`` is true while attributes, note or tags are still on their way to Intercom; ``problem`` says in
    plain words why they are not all there.
    """

    sentiment: str | None
    top_theme: str | None
    themes: tuple[str, ...]
    quality: float | None
    answered_at: datetime
    transcript_url: str | None
    writing: bool
    problem: str | None = None


@dataclass(frozen=True)
class NotWritten:
    """There is a result, and it stays out of Intercom."""

    kind: NotWrittenKind
    answered_at: datetime
    quality: float | None
    min_quality: float


@dataclass(frozen=True)
class Failed:
    """It was not sent; ``reason_text`` says why in plain words."""

    reason_text: str
    customer_received: CustomerReceived
    can_try_again: bool
    failed_at: datetime
    token: str = ""


@dataclass(frozen=True)
class OutcomeUnknown:
    """The message was handed to Intercom, and whether it arrived could not be learnt.

    With a ``token`` the rep may say which of the two it is; they have to be in its conversation for that.
    ``too_early``: the call may still be under way, so that nobody can know yet.
    """

    since: datetime
    token: str = ""
    elsewhere: bool = False
    too_early: bool = False


@dataclass(frozen=True)
class Ended:
    """The interview is over without an answer."""

    kind: EndedKind
    at: datetime


@dataclass(frozen=True)
class AskedRecently:
    """The customer was asked not long ago, so that another one takes the rep's second word.

    ``personal_line`` is what the rep has typed already, and ``study`` the slug of the one they have chosen;
    both are kept for the card that confirms.
    """

    contact_name: str | None
    asked_by: str | None
    asked_at: datetime
    again_from: datetime
    elsewhere: bool
    personal_line: str = ""
    study: str = ""


@dataclass(frozen=True)
class ConfirmSend:
    """Asks once more before another one is sent; ``preview`` is the message, as on the first card.

    ``replaces``: the one of ``asked_at`` is still open, and its link stops working. ``nonce`` and ``choice``
    are as on the first card.
    """

    preview: tuple[str, ...]
    contact_name: str | None
    asked_by: str | None
    asked_at: datetime
    replaces: bool
    token: str
    personal_line: str = ""
    nonce: str = ""
    choice: StudyChoice | None = None


@dataclass(frozen=True)
class ConfirmWithdraw:
    """Asks once more before the customer's link stops working."""

    asked_by: str | None
    sent_at: datetime
    opened_at: datetime | None
    token: str


@dataclass(frozen=True)
class Console:
    """The way into the operator's console: ``url`` signs this teammate in, once and for ten minutes. Without
    one, ``text`` says in plain words why there is none."""

    url: str | None
    text: str = ""


@dataclass(frozen=True)
class NotSetUp:
    """Settings are missing; ``missing`` names them, or says what is wrong."""

    missing: tuple[str, ...]


@dataclass(frozen=True)
class NoContact:
    """The conversation has nobody to interview."""


@dataclass(frozen=True)
class NoConversation:
    """The card is not shown beside a conversation."""


@dataclass(frozen=True)
class Problem:
    """Something on our side is in the way; ``nothing_sent`` only when that is certain of this tap."""

    text: str
    nothing_sent: bool


CardState: TypeAlias = (
    Ready
    | Planned
    | Sending
    | Sent
    | Completed
    | Result
    | NotWritten
    | Failed
    | OutcomeUnknown
    | Ended
    | AskedRecently
    | ConfirmSend
    | ConfirmWithdraw
    | Console
    | NotSetUp
    | NoContact
    | NoConversation
    | Problem
)
