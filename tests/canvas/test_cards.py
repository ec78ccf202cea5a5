from __future__ import annotations

import json
import re
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from canvas_app.canvas import cards, ids
from canvas_app.canvas.card_states import (
    AskedRecently,
    CardState,
    ConfirmSend,
    ConfirmWithdraw,
    Console,
    Failed,
    NoContact,
    NoConversation,
    NotSetUp,
    OutcomeUnknown,
    Problem,
    Ready,
    Result,
)
from canvas_app.canvas.cards import draw
from canvas_app.canvas.kit import (
    Button,
    Canvas,
    DataTable,
    Dropdown,
    Image,
    Input,
    Text,
    UrlAction,
)
from tests.canvas.examples import EXAMPLES, HOSTILE, LONG, NOON, PREVIEW
from tests.canvas.heights import estimated_height

BERLIN = ZoneInfo("Europe/Berlin")
ELSEWHERE = "Question about the invoice of October 2026"
# As long as a pause's words get.
NOTICE = (
    "The study's Koji key lacks a permission, or the plan has no API. Please tell the person who set the app"
)
MAX_HEIGHT = 400
# No first card, and the whole message is to be seen on it.
MAX_CONFIRM_HEIGHT = 500
# Cards that only a tap leads to, or that are drawn where nothing of a pause is known.
NOT_FIRST = (
    AskedRecently,
    ConfirmSend,
    ConfirmWithdraw,
    Console,
    NotSetUp,
    NoContact,
    NoConversation,
    Problem,
)
ALL = {**EXAMPLES, **{f"hostile {name}": state for name, state in HOSTILE.items()}}

every_state = pytest.mark.parametrize("state", ALL.values(), ids=ALL.keys())


def drawn(name: str, *, elsewhere: str | None = None, notice: str | None = None) -> Canvas:
    return draw(ALL[name], zone=BERLIN, elsewhere=elsewhere, notice=notice)


def shown(canvas: Canvas) -> list[str]:
    """Return everything that is drawn as text, in order."""
    found: list[str] = []
    for component in canvas.components:
        if isinstance(component, Text):
            found.append(component.text)
        elif isinstance(component, DataTable):
            found.extend(f"{item.field}: {item.value}" for item in component.items)
    return found


def buttons(canvas: Canvas) -> dict[str, Button]:
    return {component.id: component for component in canvas.components if isinstance(component, Button)}


class TestEveryState:
    @pytest.mark.parametrize("examples", [EXAMPLES, HOSTILE], ids=["examples", "hostile"])
    def test_has_an_example(self, examples: dict[str, CardState]) -> None:
        assert {type(state) for state in examples.values()} == set(get_args(CardState))

    @every_state
    def test_is_what_intercom_accepts(self, state: CardState) -> None:
        canvas = draw(state, zone=BERLIN, elsewhere=ELSEWHERE)
        body: dict[str, Any] = json.loads(canvas.answer())["canvas"]
        again = Canvas(components=body["content"]["components"], stored_data=body["stored_data"])
        assert again == canvas
        assert len(set(again.ids())) == len(again.ids())

    @every_state
    def test_has_a_way_on(self, state: CardState) -> None:
        ways = [button for button in buttons(draw(state, zone=BERLIN)).values() if not button.disabled]
        assert ids.ACTIONS & {way.id for way in ways if way.action.type == "submit"}

    def test_every_action_is_on_some_card_and_every_button_is_an_action(self) -> None:
        on_cards = {
            button.id
            for state in ALL.values()
            for button in buttons(draw(state, zone=BERLIN, settings=True)).values()
            if button.action.type == "submit"
        }
        assert on_cards == ids.ACTIONS

    @every_state
    def test_keeps_the_reviewers_rules(self, state: CardState) -> None:
        canvas = draw(state, zone=BERLIN)
        assert all(button.style != "primary" for button in buttons(canvas).values())
        assert not [component for component in canvas.components if isinstance(component, Image)]
        assert all(text.align is None for text in canvas.components if isinstance(text, Text))

    @every_state
    @pytest.mark.parametrize("elsewhere", [None, ELSEWHERE])
    def test_is_not_too_tall(self, state: CardState, elsewhere: str | None) -> None:
        zone = ZoneInfo("America/Argentina/Buenos_Aires")  # Its "UTC-03" is longer than most abbreviations.
        height = MAX_CONFIRM_HEIGHT if isinstance(state, ConfirmSend) else MAX_HEIGHT
        assert estimated_height(draw(state, zone=zone, elsewhere=elsewhere, settings=True)) < height

    @every_state
    @pytest.mark.parametrize("notice", [NOTICE, LONG])
    def test_shows_a_notice_and_takes_no_way_on_away(self, state: CardState, notice: str) -> None:
        canvas = draw(state, zone=BERLIN, notice=notice)
        assert isinstance(canvas.components[0], Text)
        assert canvas.components[0].style == "error"
        assert (canvas.components[0].text == NOTICE) == (notice == NOTICE)
        assert list(buttons(canvas)) == list(buttons(draw(state, zone=BERLIN)))

    @every_state
    @pytest.mark.parametrize("elsewhere", [None, "Nov 22, 2026 at 12:05 PM UTC-03"])
    def test_has_room_for_a_notice_on_a_first_card(self, state: CardState, elsewhere: str | None) -> None:
        here_alone = isinstance(state, Ready) or (isinstance(state, OutcomeUnknown) and not state.elsewhere)
        if isinstance(state, NOT_FIRST) or (elsewhere and here_alone):
            return
        zone = ZoneInfo("America/Argentina/Buenos_Aires")
        canvas = draw(state, zone=zone, elsewhere=elsewhere, notice=NOTICE, settings=True)
        assert estimated_height(canvas) < MAX_HEIGHT

    @every_state
    def test_draws_no_markdown(self, state: CardState) -> None:
        nasty = "[Sam](https://evil.example) **b**\n__u__"
        canvas = draw(state, zone=BERLIN, elsewhere=nasty, notice=nasty)
        for text in shown(canvas):
            assert not re.search(r"[\[\]<>*`\\\n\0\u202e]|__", text)

    @every_state
    def test_tells_absolute_times(self, state: CardState) -> None:
        assert not re.search(r"\bago\b|yesterday|today|just now", " ".join(shown(draw(state, zone=BERLIN))))

    @every_state
    def test_names_the_other_conversation_first(self, state: CardState) -> None:
        here = draw(state, zone=BERLIN)
        there = draw(state, zone=BERLIN, elsewhere="Invoice")
        assert shown(there) == ["In another conversation, asked for on Invoice.", *shown(here)]

    def test_says_elsewhere_even_without_a_name(self) -> None:
        assert shown(drawn("completed", elsewhere="\u200b"))[0] == "In another conversation."


class TestReady:
    def test_shows_what_goes_out_and_to_whom(self) -> None:
        canvas = drawn("ready, little known")
        assert shown(canvas) == [
            "Customer interview for this customer. Sent in your name:",
            *PREVIEW[:2],
        ]
        assert canvas.stored_data == {"nonce": "n-1"}

    def test_offers_one_tap(self) -> None:
        canvas = drawn("ready, little known")
        send = buttons(canvas)["send"]
        assert (send.label, send.style, send.action.type) == ("Send Koji interview", "secondary", "submit")
        assert canvas.ids() == ["personal_line", "send"]

    def test_cuts_a_long_message(self) -> None:
        message = shown(drawn("ready"))[-1]
        assert message.endswith("…")
        assert len(message) <= 240

    def test_gives_back_what_was_typed_as_it_was(self) -> None:
        state = Ready(
            preview=("Hi",),
            contact_name="Ana",
            nonce="n",
            study_name="S",
            earlier=None,
            personal_line="See [1] & *this*",
        )
        (field,) = (part for part in draw(state, zone=BERLIN).components if isinstance(part, Input))
        assert field.value == "See [1] & *this*"

    @given(st.text(max_size=300), st.text(max_size=60), st.text(max_size=60), st.text(max_size=120))
    def test_draws_whatever_comes(self, message: str, name: str, study: str, earlier: str) -> None:
        state = Ready(preview=(message,), contact_name=name, nonce="n", study_name=study, earlier=earlier)
        assert estimated_height(draw(state, zone=BERLIN, elsewhere=name)) < MAX_HEIGHT


class TestChoiceOfStudies:
    def test_is_a_dropdown_with_the_chosen_one_selected(self) -> None:
        canvas = drawn("ready, a choice of two studies")
        [dropdown] = [part for part in canvas.components if isinstance(part, Dropdown)]
        assert (dropdown.id, dropdown.value) == ("study", "after-support")
        assert [(option.id, option.text) for option in dropdown.options] == [
            ("default", "Customer interview"),
            ("after-support", "After-support interview, winter 2026"),
        ]
        assert canvas.ids() == ["study", "personal_line", "send"]
        assert canvas.stored_data == {"nonce": "n-2"}

    def test_says_to_whom_the_message_goes(self) -> None:
        assert shown(drawn("ready, a choice of many studies"))[:2] == [
            "For Mia Chen. Sent in your name:",
            "Hi Maximiliane,",
        ]

    def test_leads_to_more_of_them_where_there_are_more(self) -> None:
        canvas = drawn("ready, a choice of many studies")
        assert canvas.ids() == ["study", "personal_line", "send", "more_studies"]
        assert (buttons(canvas)["more_studies"].label, buttons(canvas)["more_studies"].style) == (
            "More studies",
            "link",
        )
        assert canvas.stored_data == {"nonce": "n-3", "page": 1}

    def test_is_there_on_the_card_that_confirms(self) -> None:
        canvas = drawn("confirm replacing, a choice of many studies")
        assert canvas.ids() == ["study", "personal_line", "confirm_send", "more_studies", "back"]
        assert canvas.stored_data == {"token": "t-5", "nonce": "n-5", "page": 1}

    def test_shows_a_name_of_any_kind(self) -> None:
        [dropdown] = [part for part in drawn("hostile ready, a choice").components if part.type == "dropdown"]
        texts = [option.text for option in dropdown.options]
        assert len(texts[0]) <= cards.LINE_LIMIT
        # Where nothing of a name can be seen, the slug has to do.
        assert texts[1] == "b"


class TestSending:
    def test_says_who_asked_and_when(self) -> None:
        canvas = drawn("sending")
        assert shown(canvas) == ["Sending…", "Asked for by Sam Okafor on Nov 22, 2026 at 1:05 PM CET."]
        assert list(buttons(canvas)) == ["refresh"]

    def test_says_that_nothing_goes_out_without_a_worker(self) -> None:
        assert any("is not running" in text for text in shown(drawn("sending, no worker")))

    def test_says_what_holds_it_up(self) -> None:
        assert "Koji could not be reached." in shown(drawn("sending, held up"))


class TestSent:
    def test_not_opened_yet(self) -> None:
        assert shown(drawn("sent")) == [
            "✓ Interview sent",
            "Sent by Sam Okafor on Nov 22, 2026 at 1:05 PM CET.",
            "The customer has not opened it yet.",
            "The link works until Dec 6, 2026 at 1:05 PM CET.",
        ]

    def test_opened_and_written_by_another(self) -> None:
        said = shown(drawn("sent and opened"))
        assert "The customer opened it on Nov 22, 2026 at 7:40 PM CET." in said
        assert said[-1].startswith("Written in the name of Operations")

    def test_can_be_withdrawn(self) -> None:
        assert list(buttons(drawn("sent"))) == ["refresh", "withdraw"]

    def test_elsewhere_another_one_can_be_sent_in_its_place(self) -> None:
        canvas = drawn("sent elsewhere")
        assert list(buttons(canvas)) == ["send_anyway", "refresh", "withdraw"]
        assert "Sent by Sam Okafor on Nov 22, 2026 at 1:05 PM CET." in shown(canvas)

    def test_nobody_is_named_who_did_not_ask(self) -> None:
        assert "Sent on Nov 22, 2026 at 1:05 PM CET." in shown(drawn("sent by a rule"))


class TestResult:
    def test_shows_what_koji_found(self) -> None:
        canvas = drawn("result")
        assert shown(canvas) == [
            "✓ Answered on Nov 22, 2026 at 7:40 PM CET",
            "Top theme: Import errors without explanation",
            "Sentiment: Negative",
            "Other themes: Slow first answer, Pricing of extra seats",
            "Quality: 4 of 5",
        ]
        assert buttons(canvas)["open_transcript"].action == UrlAction(
            url="https://www.koji.so/interviews/9b2f7c/transcript"
        )
        assert buttons(canvas)["send_again"].style == "link"

    def test_says_that_it_is_still_being_written(self) -> None:
        canvas = drawn("result, being written")
        assert "The result is still being written to Intercom." in shown(canvas)
        assert list(buttons(canvas)) == ["open_transcript", "refresh"]

    def test_says_why_it_was_not_all_written(self) -> None:
        canvas = drawn("result, given up writing")
        said = shown(canvas)[-1]
        assert said.startswith("Not all of it is in Intercom. The app lacks a permission in Intercom.")
        assert list(buttons(canvas)) == ["open_transcript", "send_again"]

    def test_leaves_out_what_is_not_known(self) -> None:
        canvas = drawn("result, little known")
        assert shown(canvas) == ["✓ Answered on Nov 22, 2026 at 7:40 PM CET"]
        assert list(buttons(canvas)) == ["send_again"]

    @pytest.mark.parametrize(
        "url", ["javascript:alert(1)", "http://koji.so/t", "https://koji.so/" + "t" * 70_000, ""]
    )
    def test_has_no_button_for_a_link_that_leads_nowhere_good(self, url: str) -> None:
        state = Result(
            sentiment=None,
            top_theme=None,
            themes=(),
            quality=3,
            answered_at=NOON,
            transcript_url=url,
            writing=False,
        )
        assert list(buttons(draw(state, zone=BERLIN))) == ["send_again"]


class TestNotWritten:
    @pytest.mark.parametrize(
        ("name", "because"),
        [
            ("anonymous", "Answered anonymously on Nov 22, 2026 at 7:40 PM CET."),
            ("low quality", "with a quality of 2 of 5"),
            ("low quality, unknown score", "with a low quality"),
            ("quality unknown", "without a quality score"),
        ],
    )
    def test_says_plainly_what_happened(self, name: str, because: str) -> None:
        canvas = drawn(name)
        (said,) = shown(canvas)
        assert because in said
        assert "It is recorded, and nothing was written to Intercom" in said
        assert list(buttons(canvas)) == ["send_again"]


class TestFailed:
    def test_can_be_tried_again_when_nothing_arrived(self) -> None:
        canvas = drawn("failed")
        assert shown(canvas) == [
            "Sending the interview failed on Nov 22, 2026 at 1:05 PM CET.",
            "Koji does not accept the API key of this study.",
            "Nothing has reached the customer.",
        ]
        assert list(buttons(canvas)) == ["try_again"]

    def test_offers_no_try_that_cannot_work(self) -> None:
        assert list(buttons(drawn("failed for good"))) == ["refresh"]

    @pytest.mark.parametrize("can_try_again", [True, False])
    def test_never_offers_a_second_message(self, can_try_again: bool) -> None:
        state = Failed(
            reason_text="x", customer_received="unknown", can_try_again=can_try_again, failed_at=NOON
        )
        canvas = draw(state, zone=BERLIN)
        assert list(buttons(canvas)) == ["refresh"]
        assert "We do not know whether the customer got the message." in shown(canvas)[-1]

    def test_is_bound_to_what_failed(self) -> None:
        assert drawn("failed").stored_data == {"token": "t-1"}


class TestAskedRecently:
    def test_says_who_asked_when_and_from_when_again(self) -> None:
        canvas = drawn("asked recently")
        assert shown(canvas) == [
            "Asked recently",
            "Mia Chen was asked by Sam Okafor on Nov 22, 2026 at 1:05 PM CET.",
            "So that nobody is asked too often, the next one can go out from Dec 22, 2026 at 1:05 PM CET.",
        ]
        assert list(buttons(canvas)) == ["send_anyway", "back"]

    def test_says_that_it_was_in_another_conversation(self) -> None:
        assert shown(drawn("asked recently elsewhere"))[1] == (
            "This customer was asked on Nov 22, 2026 at 1:05 PM CET, in another conversation."
        )

    def test_keeps_what_was_typed(self) -> None:
        canvas = drawn("asked recently elsewhere")
        assert canvas.stored_data == {"personal_line": "Great [talk].", "study": "exit"}
        assert "talk" not in " ".join(shown(canvas))


class TestConfirm:
    def test_sending_shows_the_message_and_whom_it_goes_to_again(self) -> None:
        canvas = drawn("confirm sending")
        said = shown(canvas)
        assert said[0] == (
            "Mia Chen was asked by Sam Okafor on Nov 22, 2026 at 1:05 PM CET. Send another one now?"
        )
        assert said[1:3] == ["Sent in your name:", "Hi Maximiliane,"]
        assert canvas.ids() == ["personal_line", "confirm_send", "back"]
        assert (buttons(canvas)["confirm_send"].label, buttons(canvas)["back"].label) == (
            "Send anyway",
            "Cancel",
        )
        assert canvas.stored_data == {"token": "t-3"}

    def test_replacing_says_that_the_other_link_ends(self) -> None:
        said = shown(drawn("confirm replacing"))[0]
        assert said == (
            "Sent by Sam Okafor on Nov 22, 2026 at 1:05 PM CET, and still open. "
            "Its link stops working when you send this one."
        )

    def test_withdrawing_says_what_the_customer_will_find(self) -> None:
        canvas = drawn("confirm withdrawing")
        assert "leads to a page that says the interview is over" in shown(canvas)[-1]
        assert any("They may be answering it now." in text for text in shown(canvas))
        assert list(buttons(canvas)) == ["confirm_withdraw", "back"]
        assert canvas.stored_data == {"token": "t-4"}


class TestConsole:
    def test_is_a_small_last_button_of_every_first_card(self) -> None:
        for name, state in EXAMPLES.items():
            if isinstance(state, (AskedRecently, ConfirmSend, ConfirmWithdraw, Console)):
                continue
            last = draw(state, zone=BERLIN, settings=True).components[-1]
            assert isinstance(last, Button), name
            assert (last.id, last.label, last.style) == ("settings", "Settings", "link"), name
            assert "settings" not in buttons(draw(state, zone=BERLIN)), name

    def test_gives_way_where_a_line_above_takes_its_room(self) -> None:
        state = EXAMPLES["result, given up writing"]
        assert "settings" not in buttons(draw(state, zone=BERLIN, notice=NOTICE, settings=True))
        for short in (EXAMPLES["completed"], EXAMPLES["ready"]):
            assert "settings" in buttons(draw(short, zone=BERLIN, notice=NOTICE, settings=True))

    def test_is_never_on_a_card_that_asks_something(self) -> None:
        for name in ("asked recently", "confirm sending", "confirm withdrawing", "console"):
            assert "settings" not in buttons(draw(EXAMPLES[name], zone=BERLIN, settings=True))

    def test_the_link_is_a_button_that_opens_it_and_there_is_a_way_back(self) -> None:
        canvas = drawn("console")
        assert list(buttons(canvas)) == ["open_console", "back"]
        action = buttons(canvas)["open_console"].action
        assert isinstance(action, UrlAction)
        assert action.url == "https://app.example.com/console/sign-in?token=WzEsMl0.aR"
        assert "once, and for ten minutes" in " ".join(shown(canvas))
        assert canvas.stored_data == {}

    @pytest.mark.parametrize("name", ["no console", "hostile console", "hostile no console"])
    def test_says_so_where_there_is_none(self, name: str) -> None:
        canvas = drawn(name)
        assert list(buttons(canvas)) == ["back"]
        assert "cannot be opened from here" in " ".join(shown(canvas))


class TestOtherStates:
    def test_completed(self) -> None:
        assert "Koji is analysing it" in shown(drawn("completed"))[-1]

    def test_outcome_unknown_says_where_to_look(self) -> None:
        canvas = drawn("outcome unknown")
        assert "Please look in this conversation" in " ".join(shown(canvas))
        assert list(buttons(canvas)) == ["it_is_there", "send_after_all"]
        assert canvas.stored_data == {"token": "t-2"}

    @pytest.mark.parametrize("name", ["outcome unknown elsewhere", "outcome unknown, too early"])
    def test_outcome_unknown_offers_no_way_to_who_cannot_know(self, name: str) -> None:
        assert list(buttons(drawn(name))) == ["refresh"]

    @pytest.mark.parametrize(("name", "word"), [("expired", "not answered"), ("cancelled", "withdrawn")])
    def test_ended(self, name: str, word: str) -> None:
        canvas = drawn(name)
        assert word in shown(canvas)[0]
        assert list(buttons(canvas)) == ["send_again"]

    def test_not_set_up_names_settings_so_that_they_can_be_copied(self) -> None:
        said = " ".join(shown(drawn("not set up")))
        assert "INTERCOM_ACCESS_TOKEN" in said
        assert "python -m canvas_app doctor" in said

    def test_problem_promises_only_what_is_certain(self) -> None:
        promise = "Nothing was sent by this tap."
        assert promise in shown(drawn("problem"))
        assert promise not in shown(drawn("problem, not sure what was sent"))
