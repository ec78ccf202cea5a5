"""One card of every state, for an operator to look at. Everybody on them is made up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from canvas_app.canvas import reasons, texts
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
from canvas_app.interviews import wording

_ASKED: Final = datetime(2026, 3, 3, 9, 12, tzinfo=UTC)
_OPENED: Final = _ASKED + timedelta(hours=2)
_ANSWERED: Final = _ASKED + timedelta(hours=5)
_OVER: Final = _ASKED + timedelta(days=14)
_REP, _CUSTOMER, _STUDY = "Robin", "Sascha", "Customer interview"
_SAYS: Final = wording.invitation_preview(contact_name=_CUSTOMER, personal_line=None)
_CHOICE: Final = StudyChoice(
    options=(("default", _STUDY), ("leaving", "Why customers leave")), chosen="leaving"
)
_THEMES: Final = ("Pricing friction", "Slow exports", "Good support")
_TRANSCRIPT: Final = "https://koji.so/"


@dataclass(frozen=True, slots=True)
class Example:
    """A card by its name; ``when`` says when it appears. The rest is as for ``cards.draw``."""

    name: str
    when: str
    state: CardState
    elsewhere: str | None = None
    notice: str | None = None


def _result(*, writing: bool = False, problem: str | None = None) -> Result:
    return Result(
        sentiment="negative",
        top_theme=_THEMES[0],
        themes=_THEMES,
        quality=4.0,
        answered_at=_ANSWERED,
        transcript_url=_TRANSCRIPT,
        writing=writing,
        problem=problem,
    )


def _sent(
    *, opened_at: datetime | None = None, author_note: str | None = None, elsewhere: bool = False
) -> Sent:
    return Sent(
        asked_by=_REP,
        sent_at=_ASKED,
        opened_at=opened_at,
        expires_at=_OVER,
        author_note=author_note,
        elsewhere=elsewhere,
    )


def _words(reason: str) -> str:
    return reasons.in_words(reason) or texts.NO_REASON


GROUPS: Final[tuple[tuple[str, tuple[Example, ...]], ...]] = (
    (
        "Before one is sent",
        (
            Example(
                "Ready",
                "The contact has had none yet, or another one was asked for and nothing is in its way.",
                Ready(preview=_SAYS, contact_name=_CUSTOMER, nonce="n", study_name=_STUDY, earlier=None),
            ),
            Example(
                "Ready, with a choice",
                "More than one study is on.",
                Ready(
                    preview=_SAYS,
                    contact_name=_CUSTOMER,
                    nonce="n",
                    study_name="Why customers leave",
                    earlier=None,
                    choice=_CHOICE,
                ),
            ),
            Example(
                "Planned",
                "A rule or a call of the API wants one sent later.",
                Planned(asked_by="Rule: After a conversation is closed", asked_at=_ASKED, not_before=_OPENED),
            ),
            Example(
                "Asked recently",
                "Another one is asked for, and the frequency cap is not over.",
                AskedRecently(
                    contact_name=_CUSTOMER,
                    asked_by=_REP,
                    asked_at=_ASKED,
                    again_from=_ASKED + timedelta(days=30),
                    elsewhere=False,
                ),
            ),
            Example(
                "Confirm sending",
                "“Send anyway” was tapped.",
                ConfirmSend(
                    preview=_SAYS,
                    contact_name=_CUSTOMER,
                    asked_by=_REP,
                    asked_at=_ASKED,
                    replaces=False,
                    token="t",  # noqa: S106 - nothing is bound to it
                ),
            ),
            Example(
                "Confirm replacing",
                "“Send anyway” was tapped while one is open in another conversation.",
                ConfirmSend(
                    preview=_SAYS,
                    contact_name=_CUSTOMER,
                    asked_by=_REP,
                    asked_at=_ASKED,
                    replaces=True,
                    token="t",  # noqa: S106 - nothing is bound to it
                ),
            ),
        ),
    ),
    (
        "On its way, and out",
        (
            Example(
                "Sending",
                "It was asked for, and goes out within seconds.",
                Sending(asked_by=_REP, asked_at=_ASKED, worker_alive=True),
            ),
            Example(
                "Sending, held up",
                "Koji or Intercom did not take it, and it is tried again.",
                Sending(asked_by=_REP, asked_at=_ASKED, worker_alive=True, problem=_words("unreachable")),
            ),
            Example(
                "Sending, no worker",
                "The worker process does not run.",
                Sending(asked_by=_REP, asked_at=_ASKED, worker_alive=False),
            ),
            Example("Sent", "The message is in the conversation.", _sent()),
            Example(
                "Sent in another name",
                "The teammate who asked has left the workspace.",
                _sent(author_note=reasons.WRITTEN_BY_ANOTHER),
            ),
            Example("Opened", "The customer has opened the link.", _sent(opened_at=_OPENED)),
            Example(
                "Open elsewhere",
                "One is open in another conversation with the contact.",
                _sent(elsewhere=True),
                elsewhere="",
            ),
            Example(
                "Confirm withdrawing",
                "“Withdraw the link” was tapped.",
                ConfirmWithdraw(asked_by=_REP, sent_at=_ASKED, opened_at=_OPENED, token="t"),  # noqa: S106 - as above
            ),
            Example("Withdrawn", "The link was withdrawn.", Ended(kind="cancelled", at=_OPENED)),
            Example("Expired", "Nobody has answered within OPEN_DAYS.", Ended(kind="expired", at=_OVER)),
        ),
    ),
    (
        "Answered",
        (
            Example("Answered", "Koji has not analysed it yet.", Completed(completed_at=_ANSWERED)),
            Example("Result", "It is analysed, and all of it is in Intercom.", _result()),
            Example(
                "Result, being written",
                "Attributes, note or tags are on their way.",
                _result(writing=True, problem=_words("unreachable")),
            ),
            Example(
                "Result, not all written",
                "Intercom refused a part, or it was given up.",
                _result(problem=_words("intercom_refused")),
            ),
            Example(
                "Result of another conversation",
                "This conversation has no interview of its own.",
                _result(),
                elsewhere="Mar 3, 2026 at 9:12 AM UTC",
            ),
            Example(
                "Answered anonymously",
                "The study or the answer is anonymous.",
                NotWritten(kind="anonymous", answered_at=_ANSWERED, quality=None, min_quality=3),
            ),
            Example(
                "Too short to use",
                "Its quality is below the quality gate, or Koji's own.",
                NotWritten(kind="low_quality", answered_at=_ANSWERED, quality=2, min_quality=3),
            ),
            Example(
                "Without a score",
                "Koji gave no quality, also when it was asked again.",
                NotWritten(kind="quality_unknown", answered_at=_ANSWERED, quality=None, min_quality=3),
            ),
        ),
    ),
    (
        "When something is in the way",
        (
            Example(
                "Failed",
                "It surely did not go out.",
                Failed(
                    reason_text=_words("koji_refused"),
                    customer_received="no",
                    can_try_again=True,
                    failed_at=_ASKED,
                ),
            ),
            Example(
                "Outcome unknown",
                "Intercom did not say whether it took the message.",
                OutcomeUnknown(since=_ASKED, token="t"),  # noqa: S106 - as above
            ),
            Example(
                "Outcome unknown, too early",
                "The same, and the call may still be under way.",
                OutcomeUnknown(since=_ASKED, token="t", too_early=True),  # noqa: S106 - as above
            ),
            Example(
                "Outcome unknown, elsewhere",
                "The same, of another conversation.",
                OutcomeUnknown(since=_ASKED, elsewhere=True),
                elsewhere="",
            ),
            Example(
                "On hold",
                "Koji or Intercom refuses the app's key: a line above whatever the card is.",
                Completed(completed_at=_ANSWERED),
                notice=_words("koji_token_refused"),
            ),
            Example("Not set up", "Settings are missing.", NotSetUp(missing=("KOJI_API_KEY", "PUBLIC_URL"))),
            Example("No contact", "The conversation has no customer.", NoContact()),
            Example("No conversation", "The card is shown outside a conversation.", NoConversation()),
            Example(
                "Database away",
                "The web process does not reach its database.",
                Problem(text=reasons.DATABASE_AWAY, nothing_sent=False),
            ),
        ),
    ),
    (
        "The way to this console",
        (
            Example(
                "Console",
                "“Settings” was tapped.",
                Console(url="https://app.example.com/console/sign-in"),
            ),
            Example(
                "No console",
                "The same, in a workspace that the app's access token does not belong to.",
                Console(url=None, text=texts.NO_CONSOLE_WORKSPACE),
            ),
        ),
    ),
)
EXAMPLES: Final = tuple(example for _, examples in GROUPS for example in examples)
