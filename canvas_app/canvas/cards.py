"""The card: from what is known about an interview to what the rep sees. No clock, no database, no request.

The rules of Intercom's reviewers that shape it: the first canvas is under 400 px tall and has no primary
button, empty and error states are left-aligned text without images, and every state has a way on.
https://developers.intercom.com/docs/canvas-kit/canvas-kit-inbox-best-practices
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, assert_never

from pydantic import JsonValue

from canvas_app.canvas import texts
from canvas_app.canvas.kit import (
    Button,
    Canvas,
    Component,
    DataTable,
    FieldValue,
    Input,
    SubmitAction,
    Text,
    UrlAction,
    is_linkable,
)
from canvas_app.canvas.plaintext import plain
from canvas_app.plaintext import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from zoneinfo import ZoneInfo

# The ids that come back with a tap.
SEND: Final = "send"
SEND_AGAIN: Final = "send_again"
TRY_AGAIN: Final = "try_again"
REFRESH: Final = "refresh"
PERSONAL_LINE: Final = "personal_line"

# How much of a text from outside is shown, in characters: together they keep every card under 400 px.
NAME_LIMIT = 32
LINE_LIMIT = 72
THEME_LIMIT = 60
VALUE_LIMIT = 120
REMARK_LIMIT = 120
SENTENCE_LIMIT = 160
PARAGRAPH_LIMIT = 230
PREVIEW_LIMIT = 190
PERSONAL_LINE_LIMIT = 300

CustomerReceived: TypeAlias = Literal["no", "unknown"]
NotWrittenKind: TypeAlias = Literal["anonymous", "low_quality", "quality_unknown"]
EndedKind: TypeAlias = Literal["expired", "cancelled"]


@dataclass(frozen=True)
class Ready:
    """An interview can be sent; ``preview`` is the message that would go out, paragraph by paragraph.

    ``nonce`` names this offer, so that a double tap is recognised. ``earlier`` is a line about an earlier
    interview. ``personal_line`` is what the rep has typed already, when the card is drawn again.
    """

    preview: tuple[str, ...]
    contact_name: str | None
    nonce: str
    study_name: str
    earlier: str | None
    personal_line: str = ""


@dataclass(frozen=True)
class Sending:
    """It was asked for and has not gone out yet; ``problem`` says in plain words what holds it up."""

    asked_by: str | None
    asked_at: datetime
    worker_alive: bool
    problem: str | None = None


@dataclass(frozen=True)
class Sent:
    """The message is in the conversation; ``author_note`` says who wrote it when it was not the rep."""

    asked_by: str | None
    sent_at: datetime
    opened_at: datetime | None
    expires_at: datetime | None
    author_note: str | None


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


@dataclass(frozen=True)
class OutcomeUnknown:
    """The message was handed to Intercom, and whether it arrived could not be learnt."""

    since: datetime


@dataclass(frozen=True)
class Ended:
    """The interview is over without an answer."""

    kind: EndedKind
    at: datetime


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
    | Sending
    | Sent
    | Completed
    | Result
    | NotWritten
    | Failed
    | OutcomeUnknown
    | Ended
    | NotSetUp
    | NoContact
    | NoConversation
    | Problem
)


def draw(state: CardState, *, zone: ZoneInfo, elsewhere: str | None = None) -> Canvas:
    """Return the canvas that shows ``state``, with times as they are called in ``zone``.

    ``elsewhere`` names the conversation that the state is about when it is not the one beside the card.
    """
    above = [] if elsewhere is None else [_context(texts.elsewhere(plain(elsewhere, NAME_LIMIT)))]
    stored_data: dict[str, JsonValue] = {"nonce": state.nonce} if isinstance(state, Ready) else {}
    return Canvas(components=(*above, *_components(state, zone)), stored_data=stored_data)


def _components(state: CardState, zone: ZoneInfo) -> Iterable[Component]:
    match state:
        case Ready():
            return _ready(state)
        case Sending():
            return _sending(state, zone)
        case Sent():
            return _sent(state, zone)
        case Completed(completed_at=at):
            said = texts.being_analysed(texts.moment(at, zone))
            return _header(texts.COMPLETED), _paragraph(said), _refresh()
        case Result():
            return _result(state, zone)
        case NotWritten():
            return _not_written(state, zone)
        case Failed():
            return _failed(state, zone)
        case OutcomeUnknown(since=at):
            return _outcome_unknown(texts.moment(at, zone))
        case Ended(kind=kind, at=at):
            said = {"expired": texts.expired, "cancelled": texts.cancelled}[kind](texts.moment(at, zone))
            return _paragraph(said), _submit(SEND_AGAIN, texts.SEND_AGAIN)
        case NotSetUp(missing=missing):
            return _not_set_up(missing)
        case NoContact():
            return _paragraph(texts.NO_CONTACT), _muted(texts.NO_CONTACT_NEXT), _refresh()
        case NoConversation():
            return _paragraph(texts.NO_CONVERSATION), _muted(texts.NO_CONVERSATION_NEXT), _refresh()
        case Problem():
            return _problem(state)
        case _:
            assert_never(state)


def _ready(state: Ready) -> Iterable[Component]:
    study = plain(state.study_name, NAME_LIMIT) or texts.THE_INTERVIEW
    name = plain(state.contact_name or "", NAME_LIMIT) or texts.THE_CUSTOMER
    earlier = plain(state.earlier or "", LINE_LIMIT)
    if earlier:
        yield _context(earlier)
    yield _paragraph(texts.offer(study, name))
    yield from _preview(state.preview)
    # An input renders no markdown, and what the rep typed has to come back as it was.
    typed = one_line(state.personal_line, PERSONAL_LINE_LIMIT)
    yield Input(id=PERSONAL_LINE, placeholder=texts.PERSONAL_LINE, value=typed or None)
    yield _submit(SEND, texts.SEND)


def _preview(paragraphs: tuple[str, ...]) -> Iterable[Text]:
    """The message, paragraph under paragraph, and together no longer than a card can take."""
    left, shown = PREVIEW_LIMIT, []
    for paragraph in paragraphs:
        text = plain(paragraph, left) if left > 0 else ""
        left -= len(text)
        if text:
            shown.append(text)
    for text in shown[:-1]:
        yield Text(text=text, style="muted", bottom_margin="none")
    yield from map(_muted, shown[-1:])


def _sending(state: Sending, zone: ZoneInfo) -> Iterable[Component]:
    yield _header(texts.SENDING)
    if not state.worker_alive:
        yield _paragraph(texts.WORKER_DOWN)
    yield from _muted_if(plain(state.problem or "", REMARK_LIMIT))
    yield _muted(texts.asked(plain(state.asked_by or "", NAME_LIMIT), texts.moment(state.asked_at, zone)))
    yield _refresh()


def _sent(state: Sent, zone: ZoneInfo) -> Iterable[Component]:
    yield _header(texts.SENT)
    yield _paragraph(texts.sent(plain(state.asked_by or "", NAME_LIMIT), texts.moment(state.sent_at, zone)))
    opened = texts.opened(texts.moment(state.opened_at, zone)) if state.opened_at else texts.NOT_OPENED
    yield _muted(opened)
    if state.expires_at is not None:
        yield _muted(texts.works_until(texts.moment(state.expires_at, zone)))
    yield from _muted_if(plain(state.author_note or "", REMARK_LIMIT))
    yield _refresh()


def _result(state: Result, zone: ZoneInfo) -> Iterable[Component]:
    yield _paragraph(texts.answered(texts.moment(state.answered_at, zone)))
    top_theme = plain(state.top_theme or "", THEME_LIMIT)
    if top_theme:
        # Not a row of the table: there the Inbox cuts what is longer than about three words.
        # https://developers.intercom.com/docs/references/canvas-kit/presentationcomponents/data-table
        yield _paragraph(texts.top_theme(top_theme))
    others = (plain(theme, NAME_LIMIT) for theme in state.themes if theme != state.top_theme)
    rows = (
        (texts.SENTIMENT, plain((state.sentiment or "").capitalize(), NAME_LIMIT)),
        (texts.OTHER_THEMES, plain(", ".join(filter(None, others)), VALUE_LIMIT)),
        (texts.QUALITY, _quality(state.quality)),
    )
    known = tuple(FieldValue(field=field, value=value) for field, value in rows if value)
    if known:
        yield DataTable(items=known)
    problem = plain(state.problem or "", REMARK_LIMIT)
    if state.writing:
        yield _muted(f"{texts.WRITING} {problem}".rstrip())
    elif problem:
        yield _muted(f"{texts.NOT_ALL_WRITTEN} {problem}")
    if state.transcript_url is not None and is_linkable(state.transcript_url):
        opens = UrlAction(url=state.transcript_url)
        yield Button(id="open_transcript", label=texts.OPEN_TRANSCRIPT, action=opens)
    # While Intercom does not take the result, it would not take another message either.
    yield _refresh() if state.writing else _submit(SEND_AGAIN, texts.SEND_ANOTHER, style="link")


def _not_written(state: NotWritten, zone: ZoneInfo) -> Iterable[Component]:
    at = texts.moment(state.answered_at, zone)
    match state.kind:
        case "anonymous":
            said = texts.anonymous(at)
        case "low_quality":
            said = texts.low_quality(at, _quality(state.quality), _quality(state.min_quality))
        case "quality_unknown":
            said = texts.quality_unknown(at)
        case _:
            assert_never(state.kind)
    yield _paragraph(said)
    yield _submit(SEND_AGAIN, texts.SEND_ANOTHER, style="link")


def _failed(state: Failed, zone: ZoneInfo) -> Iterable[Component]:
    yield _paragraph(texts.failed(texts.moment(state.failed_at, zone)))
    yield _muted(plain(state.reason_text, SENTENCE_LIMIT) or texts.NO_REASON)
    received_nothing = state.customer_received == "no"
    yield _muted(texts.NOTHING_RECEIVED if received_nothing else texts.RECEIVED_UNKNOWN)
    # While it is not known what the customer got, a second message could be their second message.
    if state.can_try_again and received_nothing:
        yield _submit(TRY_AGAIN, texts.TRY_AGAIN)
    else:
        yield _refresh()


def _outcome_unknown(since: str) -> Iterable[Component]:
    yield _paragraph(texts.OUTCOME_UNKNOWN)
    yield _muted(texts.OUTCOME_UNKNOWN_NEXT)
    yield _muted(texts.outcome_unknown_since(since))
    yield _refresh()


def _not_set_up(missing: tuple[str, ...]) -> Iterable[Component]:
    yield _paragraph(texts.NOT_SET_UP)
    named = plain(", ".join(missing), PARAGRAPH_LIMIT)
    if named:
        yield _muted(texts.missing(named))
    yield _muted(texts.NOT_SET_UP_NEXT)
    yield _refresh()


def _problem(state: Problem) -> Iterable[Component]:
    yield _paragraph(plain(state.text, SENTENCE_LIMIT) or texts.PROBLEM)
    if state.nothing_sent:
        yield _muted(texts.NOTHING_SENT_BY_TAP)
    yield _refresh()


def _context(text: str) -> Text:
    """A line that puts the next one into its place, and stands close to it."""
    return Text(text=text, style="muted", bottom_margin="none")


def _header(text: str) -> Text:
    return Text(text=text, style="header")


def _paragraph(text: str) -> Text:
    return Text(text=text)


def _muted(text: str) -> Text:
    return Text(text=text, style="muted")


def _muted_if(text: str) -> Iterable[Text]:
    return [_muted(text)] if text else []


def _submit(component_id: str, label: str, *, style: Literal["secondary", "link"] = "secondary") -> Button:
    return Button(id=component_id, label=label, style=style, action=SubmitAction())


def _refresh() -> Button:
    return _submit(REFRESH, texts.REFRESH, style="link")


def _quality(score: float | None) -> str:
    return texts.quality(score) if score is not None and math.isfinite(score) else ""
