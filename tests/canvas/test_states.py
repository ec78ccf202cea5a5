"""From the ledger to the card: each state of an interview gives the state that shows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from canvas_app.canvas import cards, reasons, states
from canvas_app.canvas.card_states import (
    CardState,
    Completed,
    Ended,
    Failed,
    NotWritten,
    OutcomeUnknown,
    Result,
    Sending,
    Sent,
    StudyChoice,
)
from canvas_app.interviews import words
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.states import STATES
from canvas_app.interviews.words import Words
from canvas_app.settings import Settings, Study
from tests.support.world import full_settings

ASKED = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SINCE = ASKED + timedelta(minutes=1)
SENT = ASKED + timedelta(minutes=2)
OPENED = ASKED + timedelta(minutes=3)
ANSWERED = ASKED + timedelta(minutes=4)
OPEN = timedelta(days=10)
SETTINGS = full_settings("sqlite:///x.db", open_days=10)
RESULT = {
    "identity": "named",
    "sentiment": "negative",
    "quality": 4.0,
    "themes": ["Pricing", "SSO"],
    "top_theme": "Pricing",
    "transcript_url": "https://koji.so/t/1",
}
SHOWN: dict[str, Any] = {
    "sentiment": "negative",
    "top_theme": "Pricing",
    "themes": ("Pricing", "SSO"),
    "quality": 4.0,
    "answered_at": ANSWERED,
    "transcript_url": "https://koji.so/t/1",
}


def interview(state: str, **changes: Any) -> Interview:
    values: dict[str, Any] = dict.fromkeys(Interview.__dataclass_fields__)
    values |= {
        "id": "i1",
        "conversation_id": "501",
        "state": state,
        "asked_by_name": "Ada Byrne",
        "created_at": ASKED,
        "state_since": SINCE,
        "send_before": ASKED,
        "completed_at": ANSWERED,
    }
    return Interview(**(values | changes))


def state_of(row: Interview, *, worker_alive: bool = True, settings: Settings = SETTINGS) -> CardState:
    return states.of_interview(row, worker_alive=worker_alive, settings=settings, min_quality=3.5)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (interview("queued"), Sending("Ada Byrne", ASKED, worker_alive=True)),
        (
            interview("sending", reason="rate_limited"),
            Sending("Ada Byrne", ASKED, worker_alive=True, problem=reasons.in_words("rate_limited")),
        ),
        (interview("sent", sent_at=SENT), Sent("Ada Byrne", SENT, None, SENT + OPEN, None)),
        (interview("sent"), Sent("Ada Byrne", SINCE, None, SINCE + OPEN, None)),
        (
            interview("opened", sent_at=SENT, opened_at=OPENED, written_as_id="7"),
            Sent("Ada Byrne", SENT, OPENED, SENT + OPEN, reasons.WRITTEN_BY_ANOTHER),
        ),
        (interview("completed"), Completed(ANSWERED)),
        (interview("completed", completed_at=None), Completed(SINCE)),
        (interview("analysed", result=RESULT), Result(**SHOWN, writing=True)),
        (
            interview("analysed", result=RESULT, reason="server_error"),
            Result(**SHOWN, writing=True, problem=reasons.in_words("server_error")),
        ),
        (interview("written_back", result=RESULT), Result(**SHOWN, writing=False)),
        (
            interview("written_back", result=RESULT, reason="conversation_gone"),
            Result(**SHOWN, writing=False, problem=reasons.in_words("conversation_gone")),
        ),
        (
            interview("failed", result=RESULT, reason="anonymous_after_writing"),
            Result(**SHOWN, writing=False, problem=reasons.in_words("anonymous_after_writing")),
        ),
        (
            interview("failed", result=RESULT, reason="attribute_archived"),
            Result(**SHOWN, writing=False, problem=reasons.in_words("attribute_archived")),
        ),
        (
            interview("not_written", reason="anonymous", result={"quality": 4.0}),
            NotWritten("anonymous", ANSWERED, 4.0, 3.5),
        ),
        (
            interview("not_written", reason="low_quality", result={"quality": 2.0}),
            NotWritten("low_quality", ANSWERED, 2.0, 3.5),
        ),
        (
            interview("not_written", reason="quality_unknown", completed_at=None),
            NotWritten("quality_unknown", SINCE, None, 3.5),
        ),
        (
            interview("not_written", reason="newly invented"),
            NotWritten("quality_unknown", ANSWERED, None, 3.5),
        ),
        (interview("expired"), Ended("expired", SINCE)),
        (interview("cancelled", reason="withdrawn"), Ended("cancelled", SINCE)),
        (interview("cancelled"), Ended("cancelled", SINCE)),
        (interview("unknown"), OutcomeUnknown(SINCE)),
        (
            interview("failed", reason="too_late"),
            Failed(cast(str, reasons.in_words("too_late")), "no", can_try_again=True, failed_at=SINCE),
        ),
        (
            interview("skipped"),
            Failed("The reason is not known.", "no", can_try_again=False, failed_at=SINCE),
        ),
    ],
    ids=lambda value: value.state if isinstance(value, Interview) else "",
)
def test_each_state_of_the_ledger_gives_the_state_that_shows_it(row: Interview, expected: CardState) -> None:
    assert state_of(row) == expected


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("result", [None, RESULT], ids=["no result", "result"])
def test_every_state_can_be_drawn(state: str, result: dict[str, Any] | None) -> None:
    canvas = cards.draw(state_of(interview(state, result=result, asked_by_name=None)), zone=ZoneInfo("UTC"))
    assert any(component.type == "button" for component in canvas.components), "a way on"


def test_what_can_be_done_about_it_depends_on_whose_conversation_it_is() -> None:
    def state(name: str, *, here: bool) -> CardState:
        row = interview(name, sent_at=SENT)
        return states.of_interview(
            row, worker_alive=True, settings=SETTINGS, min_quality=3.5, here=here, token="t"
        )

    assert state("unknown", here=True) == OutcomeUnknown(SINCE, token="t")
    assert state("unknown", here=False) == OutcomeUnknown(SINCE, elsewhere=True)
    assert state("sent", here=True) == Sent("Ada Byrne", SENT, None, SENT + OPEN, None)
    assert state("sent", here=False) == Sent("Ada Byrne", SENT, None, SENT + OPEN, None, elsewhere=True)


def test_without_a_worker_the_rep_is_told() -> None:
    state = state_of(interview("queued"), worker_alive=False)
    assert isinstance(state, Sending)
    assert not state.worker_alive


@pytest.mark.parametrize("url", ["https://evil.example/t", "javascript:alert(1)", "", None])
def test_a_transcript_elsewhere_is_not_linked(url: str | None) -> None:
    state = state_of(interview("written_back", result={**RESULT, "transcript_url": url}))
    assert isinstance(state, Result)
    assert state.transcript_url is None


@pytest.mark.parametrize(
    ("at", "here", "named"), [("501", "501", False), ("502", "501", True), (None, "501", False)]
)
def test_only_an_interview_of_another_conversation_is_named_as_such(
    at: str | None, here: str, named: bool
) -> None:
    zone = ZoneInfo("Europe/Berlin")
    line = states.elsewhere(interview("written_back", conversation_id=at), here, zone)
    assert line == ("Nov 22, 2026 at 1:00 PM CET" if named else None)
    # The card of an open one says when by itself.
    assert states.elsewhere(interview("sent", conversation_id=at), here, zone) == ("" if named else None)


GERMAN = Words("Hallo {first_name},", "erzählen Sie mehr?", "Zum Interview", "Danke!", "Noch einmal:")
CHOICE = StudyChoice(options=(("default", "Customer interview"), ("exit", "Exit")), chosen="exit")
EXIT = Study(slug="exit", name="Exit", api_key="k", link_template=None)


def test_the_offer_shows_the_message_that_would_go_out() -> None:
    offer = states.ready(
        states.Offer(SETTINGS.default_study, words.DEFAULT, None, "n"), contact_name="Mia Chen"
    )
    assert offer.preview[0] == "Hi Mia,"
    assert (offer.study_name, offer.nonce, offer.contact_name) == ("Customer interview", "n", "Mia Chen")
    assert (offer.personal_line, offer.choice) == ("", None)


def test_the_offer_is_in_the_words_of_the_study_that_is_chosen() -> None:
    offered = states.Offer(EXIT, GERMAN, CHOICE, "n")
    offer = states.ready(offered, contact_name="Mia", personal_line="Great talk.")
    assert offer.preview == ("Hallo Mia,", "erzählen Sie mehr?", "Zum Interview", "Danke!")
    assert (offer.study_name, offer.choice, offer.personal_line) == ("Exit", CHOICE, "Great talk.")


def test_so_is_the_card_that_confirms() -> None:
    offered = states.Offer(EXIT, GERMAN, CHOICE, "n")
    state = states.confirm_send(
        offered,
        interview("sent", sent_at=SENT),
        contact_name=None,
        replaces=True,
        token="t",
        personal_line="Great talk.",
    )
    assert state.preview[0] == "Hallo,"
    assert (state.choice, state.nonce, state.token) == (CHOICE, "n", "t")
