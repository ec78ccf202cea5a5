"""The card: from what is known about an interview to what the rep sees. No clock, no database, no request.

The rules of Intercom's reviewers that shape it: the first canvas is under 400 px tall and has no primary
button, empty and error states are left-aligned text without images, and every state has a way on.
https://developers.intercom.com/docs/canvas-kit/canvas-kit-inbox-best-practices
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, assert_never

from canvas_app.canvas import ids, pieces, texts
from canvas_app.canvas.card_states import (
    AskedRecently,
    CardState,
    Completed,
    ConfirmSend,
    ConfirmWithdraw,
    Console,
    Ended,
    Failed,
    NoContact,
    NoConversation,
    NotSetUp,
    NotWritten,
    OutcomeUnknown,
    Planned,
    Problem,
    Ready,
    Result,
    Sending,
    Sent,
    StudyChoice,
)
from canvas_app.canvas.kit import (
    Button,
    Canvas,
    Component,
    DataTable,
    FieldValue,
    Input,
    Text,
    UrlAction,
    is_linkable,
)
from canvas_app.canvas.plaintext import plain
from canvas_app.plaintext import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from pydantic import JsonValue

# How much of a text from outside is shown, in characters: together they keep every card under 400 px.
NAME_LIMIT = 32
LINE_LIMIT = 72
THEME_LIMIT = 60
VALUE_LIMIT = 120
REMARK_LIMIT = 120
SENTENCE_LIMIT = 160
PARAGRAPH_LIMIT = 230
PREVIEW_LIMIT = 190
MEDIUM_PREVIEW_LIMIT = 150
SHORT_PREVIEW_LIMIT = 80
PERSONAL_LINE_LIMIT = 300

# Cards that leave room for one more button even where there are lines above them.
_SHORT: Final = (Sending, Completed, NotWritten, Ended, NotSetUp)
# Cards that ask something, or are the way into the console themselves.
_WITHOUT_SETTINGS: Final = (AskedRecently, ConfirmSend, ConfirmWithdraw, Console)


def draw(
    state: CardState,
    *,
    zone: ZoneInfo,
    elsewhere: str | None = None,
    notice: str | None = None,
    settings: bool = False,
    way_in: str | None = None,
) -> Canvas:
    """Return the canvas that shows ``state``, with times as they are called in ``zone``.

    ``elsewhere``: the state is about another conversation than the one beside the card. It says when the
    interview was asked for there, and is empty where the state itself does.
    ``notice`` says in plain words what is on hold at the moment, whatever the state is. ``settings``: the way
    into the console is offered, where the card has room for it; ``way_in`` names it for the tap on it.
    """
    above: list[Component] = []
    if notice is not None:
        above.append(Text(text=plain(notice, REMARK_LIMIT) or texts.PROBLEM, style="error"))
    if elsewhere is not None:
        above.append(pieces.muted(texts.elsewhere(plain(elsewhere, NAME_LIMIT))))
    components = _components(state, zone, brief=notice is not None)
    below = [pieces.submit(ids.SETTINGS, texts.SETTINGS, style="link")]
    stored = _stored(state)
    if not settings or not _has_room_below(state, notice=notice is not None, elsewhere=elsewhere is not None):
        below = []
    elif way_in is not None:
        stored[ids.WAY_IN] = way_in
    return Canvas(components=(*above, *components, *below), stored_data=stored)


def _has_room_below(state: CardState, *, notice: bool, elsewhere: bool) -> bool:
    """Whether the card takes one more button."""
    if isinstance(state, _WITHOUT_SETTINGS):
        return False
    # An offer is brief where a notice stands above it.
    brief = isinstance(state, Ready) and not elsewhere
    return brief or isinstance(state, _SHORT) or not (notice or elsewhere)


def _stored(state: CardState) -> dict[str, JsonValue]:
    stored: dict[str, JsonValue] = {}
    match state:
        case Ready(nonce=nonce, choice=choice):
            return {ids.NONCE: nonce, **_page(choice)}
        case AskedRecently(personal_line=line, study=study):
            stored = {
                ids.PERSONAL_LINE: one_line(line, PERSONAL_LINE_LIMIT),
                ids.STUDY: one_line(study, LINE_LIMIT),
            }
        case ConfirmSend(token=token, nonce=nonce, choice=choice):
            stored = {ids.TOKEN: token, ids.NONCE: nonce, **_page(choice)}
        case (
            Failed(token=token)
            | Planned(token=token)
            | OutcomeUnknown(token=token)
            | ConfirmWithdraw(token=token)
        ):
            stored = {ids.TOKEN: token}
    return {name: value for name, value in stored.items() if value != ""}


def _page(choice: StudyChoice | None) -> dict[str, JsonValue]:
    return {} if choice is None or choice.pages == 1 else {ids.PAGE: choice.page}


def _components(state: CardState, zone: ZoneInfo, *, brief: bool) -> Iterable[Component]:
    """``brief``: there is a line above already, so that what matters less is left out."""
    match state:
        case Ready():
            return _ready(state, brief=brief)
        case Planned():
            return _planned(state, zone)
        case Sending():
            return _sending(state, zone, brief=brief)
        case Sent():
            return _sent(state, zone, brief=brief or state.elsewhere)
        case Completed(completed_at=at):
            said = texts.being_analysed(texts.moment(at, zone))
            return pieces.header(texts.COMPLETED), pieces.paragraph(said), _refresh()
        case Result():
            return _result(state, zone, brief=brief)
        case NotWritten():
            return _not_written(state, zone)
        case Failed():
            return _failed(state, zone)
        case OutcomeUnknown():
            return _outcome_unknown(state, zone)
        case Ended():
            return _ended(state, zone)
        case AskedRecently():
            return _asked_recently(state, zone)
        case ConfirmSend():
            return _confirm_send(state, zone)
        case ConfirmWithdraw():
            return _confirm_withdraw(state, zone)
        case Console():
            return pieces.console(state.url, plain(state.text, SENTENCE_LIMIT))
        case NotSetUp(missing=missing):
            return _not_set_up(missing)
        case NoContact():
            return pieces.paragraph(texts.NO_CONTACT), pieces.muted(texts.NO_CONTACT_NEXT), _refresh()
        case NoConversation():
            return (
                pieces.paragraph(texts.NO_CONVERSATION),
                pieces.muted(texts.NO_CONVERSATION_NEXT),
                _refresh(),
            )
        case Problem():
            return _problem(state)
        case _:
            assert_never(state)


def _ready(state: Ready, *, brief: bool) -> Iterable[Component]:
    study = plain(state.study_name, NAME_LIMIT) or texts.THE_INTERVIEW
    name = plain(state.contact_name or "", NAME_LIMIT) or texts.THE_CUSTOMER
    earlier = plain(state.earlier or "", LINE_LIMIT)
    # A choice takes the place of some of the rest.
    limit = PREVIEW_LIMIT if state.choice is None else MEDIUM_PREVIEW_LIMIT
    limit = SHORT_PREVIEW_LIMIT if brief or (earlier and state.choice) else limit
    if earlier and not (brief and state.choice):
        yield pieces.context(earlier)
    if state.choice is None:
        yield pieces.paragraph(texts.offer(study, name))
    else:
        yield pieces.dropdown(ids.STUDY, state.choice, LINE_LIMIT)
        yield pieces.paragraph(texts.offer_to(name))
    yield from pieces.preview(state.preview, limit)
    yield _line_input(state.personal_line)
    yield pieces.submit(ids.SEND, texts.SEND)
    yield from _more_studies(state.choice)


def _more_studies(choice: StudyChoice | None) -> Iterable[Component]:
    if choice is not None and choice.pages > 1:
        yield pieces.submit(ids.MORE_STUDIES, texts.MORE_STUDIES, style="link")


def _line_input(typed: str) -> Input:
    # An input renders no markdown, and what the rep typed has to come back as it was.
    value = one_line(typed, PERSONAL_LINE_LIMIT) or None
    return Input(id=ids.PERSONAL_LINE, placeholder=texts.PERSONAL_LINE, value=value)


def _planned(state: Planned, zone: ZoneInfo) -> Iterable[Component]:
    yield pieces.header(texts.PLANNED)
    yield pieces.paragraph(texts.planned(texts.moment(state.not_before, zone)))
    yield pieces.muted(
        texts.asked(plain(state.asked_by or "", NAME_LIMIT), texts.moment(state.asked_at, zone))
    )
    yield pieces.submit(ids.SEND_AGAIN, texts.SEND_NOW)
    yield pieces.submit(ids.CANCEL_PLANNED, texts.CANCEL_PLANNED, style="link")


def _sending(state: Sending, zone: ZoneInfo, *, brief: bool) -> Iterable[Component]:
    yield pieces.header(texts.SENDING)
    if not state.worker_alive:
        yield pieces.paragraph(texts.WORKER_DOWN)
    if not brief:
        yield from pieces.muted_if(plain(state.problem or "", REMARK_LIMIT))
    yield pieces.muted(
        texts.asked(plain(state.asked_by or "", NAME_LIMIT), texts.moment(state.asked_at, zone))
    )
    yield _refresh()


def _sent(state: Sent, zone: ZoneInfo, *, brief: bool) -> Iterable[Component]:
    yield pieces.header(texts.SENT)
    yield pieces.paragraph(
        texts.sent(plain(state.asked_by or "", NAME_LIMIT), texts.moment(state.sent_at, zone))
    )
    opened = texts.opened(texts.moment(state.opened_at, zone)) if state.opened_at else texts.NOT_OPENED
    yield pieces.muted(opened)
    if state.expires_at is not None:
        yield pieces.muted(texts.works_until(texts.moment(state.expires_at, zone)))
    if not brief:
        yield from pieces.muted_if(plain(state.author_note or "", REMARK_LIMIT))
    if state.elsewhere:
        yield pieces.submit(ids.SEND_ANYWAY, texts.SEND_ANYWAY)
    yield _refresh()
    yield pieces.submit(ids.WITHDRAW, texts.WITHDRAW, style="link")


def _result(state: Result, zone: ZoneInfo, *, brief: bool) -> Iterable[Component]:
    yield pieces.paragraph(texts.answered(texts.moment(state.answered_at, zone)))
    top_theme = plain(state.top_theme or "", THEME_LIMIT)
    if top_theme:
        # Not a row of the table: there the Inbox cuts what is longer than about three words.
        # https://developers.intercom.com/docs/references/canvas-kit/presentationcomponents/data-table
        yield pieces.paragraph(texts.top_theme(top_theme))
    others = (plain(theme, NAME_LIMIT) for theme in state.themes if theme != state.top_theme)
    rows = (
        (texts.SENTIMENT, plain((state.sentiment or "").capitalize(), NAME_LIMIT)),
        (texts.OTHER_THEMES, "" if brief else plain(", ".join(filter(None, others)), VALUE_LIMIT)),
        (texts.QUALITY, _quality(state.quality)),
    )
    known = tuple(FieldValue(field=field, value=value) for field, value in rows if value)
    if known:
        yield DataTable(items=known)
    problem = "" if brief else plain(state.problem or "", REMARK_LIMIT)
    if state.writing:
        yield pieces.muted(f"{texts.WRITING} {problem}".rstrip())
    elif state.problem:
        yield pieces.muted(f"{texts.NOT_ALL_WRITTEN} {problem}".rstrip())
    if state.transcript_url is not None and is_linkable(state.transcript_url):
        opens = UrlAction(url=state.transcript_url)
        yield Button(id="open_transcript", label=texts.OPEN_TRANSCRIPT, action=opens)
    # While Intercom does not take the result, it would not take another message either.
    yield _refresh() if state.writing else pieces.submit(ids.SEND_AGAIN, texts.SEND_ANOTHER, style="link")


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
    yield pieces.paragraph(said)
    yield pieces.submit(ids.SEND_AGAIN, texts.SEND_ANOTHER, style="link")


def _failed(state: Failed, zone: ZoneInfo) -> Iterable[Component]:
    yield pieces.paragraph(texts.failed(texts.moment(state.failed_at, zone)))
    yield pieces.muted(plain(state.reason_text, SENTENCE_LIMIT) or texts.NO_REASON)
    received_nothing = state.customer_received == "no"
    yield pieces.muted(texts.NOTHING_RECEIVED if received_nothing else texts.RECEIVED_UNKNOWN)
    # While it is not known what the customer got, a second message could be their second message.
    if state.can_try_again and received_nothing:
        yield pieces.submit(ids.TRY_AGAIN, texts.TRY_AGAIN)
    else:
        yield _refresh()


def _outcome_unknown(state: OutcomeUnknown, zone: ZoneInfo) -> Iterable[Component]:
    yield pieces.paragraph(texts.OUTCOME_UNKNOWN)
    yield pieces.muted(texts.outcome_unknown_since(texts.moment(state.since, zone)))
    if state.token and not state.too_early:
        yield pieces.muted(texts.OUTCOME_UNKNOWN_NEXT)
        yield pieces.submit(ids.IT_IS_THERE, texts.IT_IS_THERE)
        yield pieces.submit(ids.SEND_AFTER_ALL, texts.SEND_AFTER_ALL)
        return
    yield pieces.muted(
        texts.OUTCOME_UNKNOWN_ELSEWHERE if state.elsewhere else texts.OUTCOME_UNKNOWN_TOO_EARLY
    )
    yield _refresh()


def _ended(state: Ended, zone: ZoneInfo) -> Iterable[Component]:
    said = {"expired": texts.expired, "cancelled": texts.cancelled}
    yield pieces.paragraph(said[state.kind](texts.moment(state.at, zone)))
    yield pieces.submit(ids.SEND_AGAIN, texts.SEND_AGAIN)


def _asked_recently(state: AskedRecently, zone: ZoneInfo) -> Iterable[Component]:
    name = plain(state.contact_name or "", NAME_LIMIT) or texts.THE_CUSTOMER
    by, at = plain(state.asked_by or "", NAME_LIMIT), texts.moment(state.asked_at, zone)
    yield pieces.header(texts.ASKED_RECENTLY)
    yield pieces.paragraph(texts.asked_recently(name, by, at, elsewhere=state.elsewhere))
    yield pieces.muted(texts.again_from(texts.moment(state.again_from, zone)))
    yield pieces.submit(ids.SEND_ANYWAY, texts.SEND_ANYWAY)
    yield pieces.submit(ids.BACK, texts.BACK, style="link")


def _confirm_send(state: ConfirmSend, zone: ZoneInfo) -> Iterable[Component]:
    name = plain(state.contact_name or "", NAME_LIMIT) or texts.THE_CUSTOMER
    by, at = plain(state.asked_by or "", NAME_LIMIT), texts.moment(state.asked_at, zone)
    yield pieces.paragraph(
        texts.confirm_replace(by, at) if state.replaces else texts.confirm_send(name, by, at)
    )
    if state.choice is not None:
        yield pieces.dropdown(ids.STUDY, state.choice, LINE_LIMIT)
    yield pieces.paragraph(texts.MESSAGE)
    # No first card: there is room for more of the message.
    yield from pieces.preview(state.preview, PREVIEW_LIMIT if state.choice is None else MEDIUM_PREVIEW_LIMIT)
    yield _line_input(state.personal_line)
    yield pieces.submit(ids.CONFIRM_SEND, texts.SEND_ANYWAY)
    yield from _more_studies(state.choice)
    yield pieces.submit(ids.BACK, texts.CANCEL, style="link")


def _confirm_withdraw(state: ConfirmWithdraw, zone: ZoneInfo) -> Iterable[Component]:
    yield pieces.header(texts.CONFIRM_WITHDRAW)
    yield pieces.paragraph(
        texts.sent(plain(state.asked_by or "", NAME_LIMIT), texts.moment(state.sent_at, zone))
    )
    if state.opened_at is not None:
        yield pieces.paragraph(texts.opened_and_may_be_answering(texts.moment(state.opened_at, zone)))
    yield pieces.muted(texts.WITHDRAWING)
    yield pieces.submit(ids.CONFIRM_WITHDRAW, texts.WITHDRAW)
    yield pieces.submit(ids.BACK, texts.CANCEL, style="link")


def _not_set_up(missing: tuple[str, ...]) -> Iterable[Component]:
    yield pieces.paragraph(texts.NOT_SET_UP)
    named = plain(", ".join(missing), PARAGRAPH_LIMIT)
    if named:
        yield pieces.muted(texts.missing(named))
    yield pieces.muted(texts.NOT_SET_UP_NEXT)
    yield _refresh()


def _problem(state: Problem) -> Iterable[Component]:
    yield pieces.paragraph(plain(state.text, SENTENCE_LIMIT) or texts.PROBLEM)
    if state.nothing_sent:
        yield pieces.muted(texts.NOTHING_SENT_BY_TAP)
    yield _refresh()


def _refresh() -> Button:
    return pieces.submit(ids.REFRESH, texts.REFRESH, style="link")


def _quality(score: float | None) -> str:
    return texts.quality(score) if score is not None and math.isfinite(score) else ""
