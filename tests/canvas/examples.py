"""One card of every state: as they come in practice, and as somebody would wish to break them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

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

NOON = datetime(2026, 11, 22, 12, 5, tzinfo=UTC)
EVENING = datetime(2026, 11, 22, 18, 40, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 6, 12, 5, tzinfo=UTC)

PREVIEW = (
    "Hi Maximiliane,",
    "thank you for working through the failed imports with us. We would love to hear how it went for you.",
    "It is a short conversation of about five minutes, whenever it suits you: (your personal link)",
    "Thank you, and have a lovely day!",
)

TWO_STUDIES = StudyChoice(
    options=(("default", "Customer interview"), ("after-support", "After-support interview, winter 2026")),
    chosen="after-support",
)
MANY_STUDIES = StudyChoice(
    options=tuple((f"study-{number}", f"Study number {number}") for number in range(11, 21)),
    chosen="study-12",
    page=1,
    pages=3,
)

EXAMPLES: dict[str, CardState] = {
    "ready": Ready(
        preview=PREVIEW,
        contact_name="Maximiliane von Hohenstein-Wittelsbach",
        nonce="7f9c2ba4e88f827d616045507605853e",
        study_name="After-support interview, winter 2026",
        earlier="Last interview answered on Sep 1, 2026 at 9:12 AM CEST (positive).",
        personal_line="It was great to talk to you on the phone!",
    ),
    "ready, little known": Ready(
        preview=PREVIEW[:2], contact_name=None, nonce="n-1", study_name="Customer interview", earlier=None
    ),
    "ready, a choice of two studies": Ready(
        preview=PREVIEW,
        contact_name="Maximiliane von Hohenstein-Wittelsbach",
        nonce="n-2",
        study_name="After-support interview, winter 2026",
        earlier="Last interview answered on Sep 1, 2026 at 9:12 AM CEST (positive).",
        choice=TWO_STUDIES,
    ),
    "ready, a choice of many studies": Ready(
        preview=PREVIEW,
        contact_name="Mia Chen",
        nonce="n-3",
        study_name="Study number 12",
        earlier=None,
        personal_line="It was great to talk to you on the phone!",
        choice=MANY_STUDIES,
    ),
    "planned": Planned(
        asked_by="Rule: After a major issue is resolved", asked_at=NOON, not_before=DECEMBER, token="t"
    ),
    "sending": Sending(asked_by="Sam Okafor", asked_at=NOON, worker_alive=True),
    "sending, no worker": Sending(asked_by=None, asked_at=NOON, worker_alive=False),
    "sending, held up": Sending(
        asked_by="Sam Okafor", asked_at=NOON, worker_alive=True, problem="Koji could not be reached."
    ),
    "sent": Sent(asked_by="Sam Okafor", sent_at=NOON, opened_at=None, expires_at=DECEMBER, author_note=None),
    "sent and opened": Sent(
        asked_by="Sam Okafor",
        sent_at=NOON,
        opened_at=EVENING,
        expires_at=DECEMBER,
        author_note="Written in the name of Operations, because Sam Okafor is no longer in this workspace.",
    ),
    "sent by a rule": Sent(asked_by=None, sent_at=NOON, opened_at=None, expires_at=None, author_note=None),
    "sent elsewhere": Sent(
        asked_by="Sam Okafor",
        sent_at=NOON,
        opened_at=None,
        expires_at=DECEMBER,
        author_note=None,
        elsewhere=True,
    ),
    "completed": Completed(completed_at=EVENING),
    "result": Result(
        sentiment="negative",
        top_theme="Import errors without explanation",
        themes=("Import errors without explanation", "Slow first answer", "Pricing of extra seats"),
        quality=4.0,
        answered_at=EVENING,
        transcript_url="https://www.koji.so/interviews/9b2f7c/transcript",
        writing=False,
    ),
    "result, being written": Result(
        sentiment="very positive",
        top_theme="Helpful support",
        themes=(),
        quality=4.5,
        answered_at=EVENING,
        transcript_url="https://www.koji.so/interviews/9b2f7c/transcript",
        writing=True,
    ),
    "result, given up writing": Result(
        sentiment="negative",
        top_theme="Import errors without explanation",
        themes=("Import errors without explanation", "Slow first answer"),
        quality=4.0,
        answered_at=EVENING,
        transcript_url="https://www.koji.so/interviews/9b2f7c/transcript",
        writing=False,
        problem="The app lacks a permission in Intercom. Please tell the person who set the app up.",
    ),
    "result, little known": Result(
        sentiment=None,
        top_theme=None,
        themes=(),
        quality=None,
        answered_at=EVENING,
        transcript_url=None,
        writing=False,
    ),
    "anonymous": NotWritten(kind="anonymous", answered_at=EVENING, quality=4.0, min_quality=3.0),
    "low quality": NotWritten(kind="low_quality", answered_at=EVENING, quality=2.0, min_quality=3.0),
    "low quality, unknown score": NotWritten(
        kind="low_quality", answered_at=EVENING, quality=None, min_quality=3.0
    ),
    "quality unknown": NotWritten(kind="quality_unknown", answered_at=EVENING, quality=None, min_quality=3.0),
    "failed": Failed(
        reason_text="Koji does not accept the API key of this study.",
        customer_received="no",
        can_try_again=True,
        failed_at=NOON,
        token="t-1",
    ),
    "failed for good": Failed(
        reason_text="This contact was deleted in Intercom.",
        customer_received="no",
        can_try_again=False,
        failed_at=NOON,
    ),
    "failed, unknown what arrived": Failed(
        reason_text="Intercom did not answer in time.",
        customer_received="unknown",
        can_try_again=True,
        failed_at=NOON,
    ),
    "outcome unknown": OutcomeUnknown(since=NOON, token="t-2"),
    "outcome unknown, too early": OutcomeUnknown(since=NOON, token="t-2", too_early=True),
    "outcome unknown elsewhere": OutcomeUnknown(since=NOON, elsewhere=True),
    "expired": Ended(kind="expired", at=DECEMBER),
    "cancelled": Ended(kind="cancelled", at=EVENING),
    "asked recently": AskedRecently(
        contact_name="Mia Chen",
        asked_by="Sam Okafor",
        asked_at=NOON,
        again_from=NOON + timedelta(days=30),
        elsewhere=False,
    ),
    "asked recently elsewhere": AskedRecently(
        contact_name=None,
        asked_by=None,
        asked_at=NOON,
        again_from=NOON + timedelta(days=30),
        elsewhere=True,
        personal_line="Great [talk].",
        study="exit",
    ),
    "confirm sending": ConfirmSend(
        preview=PREVIEW,
        contact_name="Mia Chen",
        asked_by="Sam Okafor",
        asked_at=NOON,
        replaces=False,
        token="t-3",
    ),
    "confirm replacing": ConfirmSend(
        preview=PREVIEW,
        contact_name="Mia Chen",
        asked_by="Sam Okafor",
        asked_at=NOON,
        replaces=True,
        token="t-3",
        personal_line="Great talk.",
    ),
    "confirm replacing, a choice of many studies": ConfirmSend(
        preview=PREVIEW,
        contact_name="Mia Chen",
        asked_by="Sam Okafor",
        asked_at=NOON,
        replaces=True,
        token="t-5",
        nonce="n-5",
        choice=MANY_STUDIES,
    ),
    "confirm withdrawing": ConfirmWithdraw(
        asked_by="Sam Okafor", sent_at=NOON, opened_at=EVENING, token="t-4"
    ),
    "console": Console(url="https://app.example.com/console/sign-in?token=WzEsMl0.aR"),
    "no console": Console(
        url=None, text="This app is not connected to this workspace, or does not know it yet."
    ),
    "not set up": NotSetUp(
        missing=(
            "SECRET_KEY",
            "INTERCOM_CLIENT_SECRET",
            "INTERCOM_ACCESS_TOKEN",
            "KOJI_API_KEY",
            "KOJI_WEBHOOK_SECRET",
            "PUBLIC_URL",
            "DATABASE_URL is an SQLite file, which this platform's disk does not keep",
        )
    ),
    "no contact": NoContact(),
    "no conversation": NoConversation(),
    "problem": Problem(text="Our database does not answer at the moment.", nothing_sent=True),
    "problem, not sure what was sent": Problem(
        text="Our database does not answer at the moment.", nothing_sent=False
    ),
}

# A link that lies about where it leads, bold, code, escapes, markup, a reversed direction, a second line, NUL
# and half of a surrogate pair; and all of that at length.
NASTY = "[Sam](https://evil.example) **b** __u__ `c` \\ <a href=x> \u202egpj.exe\nline two\0\ud800\u200b"
LONG = NASTY * 500
NOTHING = " \u200b\n\u200d "
HOSTILE_STUDIES = StudyChoice(options=(("a", LONG), ("b", NOTHING), ("c", NASTY)), chosen="b", pages=9)

HOSTILE: dict[str, CardState] = {
    "planned": Planned(asked_by=LONG, asked_at=NOON, not_before=NOON),
    "ready": Ready(
        preview=(NASTY, LONG, "", NOTHING),
        contact_name=LONG,
        nonce="n-2",
        study_name=LONG,
        earlier=LONG,
        personal_line=LONG,
    ),
    "ready, nothing": Ready(preview=(), contact_name=NOTHING, nonce="", study_name=NOTHING, earlier=NOTHING),
    "ready, a choice": Ready(
        preview=(NASTY, LONG, "", NOTHING),
        contact_name=LONG,
        nonce="n-2",
        study_name=LONG,
        earlier=LONG,
        personal_line=LONG,
        choice=HOSTILE_STUDIES,
    ),
    "sending": Sending(asked_by=LONG, asked_at=NOON, worker_alive=False, problem=LONG),
    "sent": Sent(asked_by=LONG, sent_at=NOON, opened_at=NOON, expires_at=NOON, author_note=LONG),
    "completed": Completed(completed_at=datetime(1, 1, 2, tzinfo=UTC)),
    "result": Result(
        sentiment=LONG,
        top_theme=LONG,
        themes=(LONG,) * 300,
        quality=float("inf"),
        answered_at=NOON,
        transcript_url="https://www.koji.so/" + "t" * 2000,
        writing=True,
        problem=LONG,
    ),
    "result, script for a link": Result(
        sentiment=NOTHING,
        top_theme=NASTY,
        themes=(NOTHING, NASTY),
        quality=float("nan"),
        answered_at=NOON,
        transcript_url="javascript:alert(1)",
        writing=False,
    ),
    "not written": NotWritten(
        kind="low_quality", answered_at=NOON, quality=float("-inf"), min_quality=float("nan")
    ),
    "failed": Failed(reason_text=LONG, customer_received="unknown", can_try_again=True, failed_at=NOON),
    "failed, no reason": Failed(
        reason_text=NOTHING, customer_received="no", can_try_again=True, failed_at=NOON
    ),
    "outcome unknown": OutcomeUnknown(since=NOON),
    "ended": Ended(kind="expired", at=NOON),
    "asked recently": AskedRecently(
        contact_name=LONG,
        asked_by=LONG,
        asked_at=NOON,
        again_from=NOON,
        elsewhere=True,
        personal_line=LONG,
        study=LONG,
    ),
    "confirm sending": ConfirmSend(
        preview=(NASTY, LONG, "", NOTHING),
        contact_name=LONG,
        asked_by=LONG,
        asked_at=NOON,
        replaces=False,
        token="t",
        personal_line=LONG,
        nonce="n",
        choice=HOSTILE_STUDIES,
    ),
    "confirm replacing, nothing known": ConfirmSend(
        preview=(), contact_name=NOTHING, asked_by=NOTHING, asked_at=NOON, replaces=True, token=""
    ),
    "confirm withdrawing": ConfirmWithdraw(asked_by=LONG, sent_at=NOON, opened_at=NOON, token="t"),
    "console": Console(url="https://sam@app.example.com/console/sign-in?token=x", text=LONG),
    "no console": Console(url=None, text=NOTHING),
    "not set up": NotSetUp(missing=(LONG,) * 300),
    "not set up, nothing named": NotSetUp(missing=(NOTHING,)),
    "no contact": NoContact(),
    "no conversation": NoConversation(),
    "problem": Problem(text=LONG, nothing_sent=True),
    "problem, no text": Problem(text=NOTHING, nothing_sent=True),
}
