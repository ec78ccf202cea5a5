"""A story of an interview as a list of moments, in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from canvas_app.console import shown
from canvas_app.interviews import wording
from canvas_app.interviews.inbound import Listed
from canvas_app.interviews.ledger_rows import Interview, result_of
from canvas_app.interviews.operators import Entry
from canvas_app.interviews.story import Decided, Story, Write

# "waits": it is still to happen, or to be found out.
Kind = Literal["plain", "good", "bad", "waits"]

ORIGINS: Final = {
    "card": "The card in the inbox",
    "rule": "A rule",
    "api": "The API",
    "console": "The console",
}
DELIVERS: Final = {
    "conversation": "as a reply in the conversation",
    "message": "as a new message",
    "attribute": "as an attribute of the contact",
    "none": "by whoever asked",
}
_VERDICTS: Final = {"asked": "said yes", "planned": "said yes, for later", "skipped": "said no"}
_DOORS: Final = {"koji": "Koji", "intercom": "Intercom", "reconcile": "Our clock"}
_DELIVERY_STATES: Final = {
    "stored": "Being worked on",
    "done": "Taken in",
    "ignored": "Nothing followed from it",
    "failed": "Failed",
}
_ENDS: Final = ("skipped", "expired", "cancelled", "failed", "unknown", "not_written")


@dataclass(frozen=True, slots=True)
class Moment:
    """``at`` is None for what is still to come without a time. ``lines`` say more."""

    at: datetime | None
    title: str
    lines: tuple[str, ...] = ()
    kind: Kind = "plain"


def moments(story: Story) -> list[Moment]:
    """What happened, the earliest first; what is still to come stands last."""
    interview = story.interview
    found = [
        _asked(story),
        *map(_decision, story.decided),
        *_sending(story),
        *_result(interview),
        *_written(story),
        *map(_delivery, story.deliveries),
        *map(_entry, story.entries),
        *_end(interview),
    ]
    past = [moment for moment in found if moment.at is not None and moment.at <= story.now]
    # In the order above where two have the same time.
    past.sort(key=lambda moment: moment.at or story.now)
    return past + [moment for moment in found if moment not in past]


def door_name(door: str) -> str:
    return _DOORS.get(door, door)


def delivery_state(state: str) -> str:
    return _DELIVERY_STATES.get(state, state)


def _asked(story: Story) -> Moment:
    interview = story.interview
    who = interview.asked_by_name
    match interview.origin:
        case "card":
            title = f"{who or 'A teammate'} asked for it on the card in the inbox"
        case "rule":
            title = f"The rule {_rule_name(story)} asked for it"
        case "api":
            title = "A program asked for it over the API"
        case "console":
            title = f"{who or 'An operator'} asked for it in the console"
        case other:
            title = f"It was asked for ({other})"
    study = story.study.name if story.study else interview.study
    way = DELIVERS.get(interview.deliver, interview.deliver)
    lines = [f"Study: {study}.", f"The link goes out {way}."]
    if interview.personal_line:
        lines.append(f"Personal line: “{interview.personal_line}”")
    return Moment(interview.created_at, title, tuple(lines))


def _rule_name(story: Story) -> str:
    titles = [decided.title for decided in story.decided if decided.rule == story.interview.rule]
    return f"“{titles[0]}”" if titles and titles[0] else story.interview.rule or ""


def _decision(decided: Decided) -> Moment:
    why = " ".join(filter(None, (shown.in_words(decided.reason), decided.detail and f"({decided.detail})")))
    lines = [f"In Intercom happened: {decided.topic}."] if decided.topic else []
    title = f"The rule “{decided.title or decided.rule}” {_VERDICTS[decided.verdict]}"
    return Moment(decided.at, title, (*lines, *([why] if why else [])))


def _sending(story: Story) -> list[Moment]:
    interview, message = story.interview, story.writes.get("message")
    found = []
    if interview.not_before is not None:
        found.append(
            Moment(
                interview.not_before,
                "Its time to be sent",
                ("The limits are looked at once more then.",),
                "waits" if interview.state == "planned" else "plain",
            )
        )
    if interview.state in ("planned", "queued", "sending"):
        reason = shown.in_words(interview.reason)
        title = "The next try to send it" if story.next_try else "A worker is to send it"
        found.append(Moment(story.next_try, title, (reason,) if reason else (), "waits"))
    if interview.sent_at is not None:
        lines = [_tries(message)] if message else []
        if interview.written_as_id is not None:
            lines.append("It went out in the name of the app's admin: whoever asked has left the workspace.")
        found.append(Moment(interview.sent_at, "The message was sent", tuple(lines), "good"))
    elif message is not None and message.open:
        found.append(
            Moment(
                message.begun_at,
                "The message was handed to Intercom",
                ("Whether it arrived could not be learnt. " + _tries(message),),
                "waits",
            )
        )
    if interview.opened_at is not None:
        found.append(Moment(interview.opened_at, "The customer opened the link", (), "good"))
    found += _reminder(story)
    if interview.closed_again_at is not None:
        found.append(Moment(interview.closed_again_at, "The conversation was closed again"))
    if interview.link_attribute_at is not None:
        found.append(Moment(interview.link_attribute_at, "The link was written to the contact's attributes"))
    if interview.link_attribute_cleared_at is not None:
        found.append(
            Moment(interview.link_attribute_cleared_at, "The link was taken out of the contact's attributes")
        )
    return found


def _reminder(story: Story) -> list[Moment]:
    interview, write = story.interview, story.writes.get("reminder")
    if interview.reminded_at is not None:
        return [Moment(interview.reminded_at, "The customer was reminded", (_tries(write),) if write else ())]
    if interview.remind_at is not None and interview.state == "sent":
        return [
            Moment(
                interview.remind_at,
                "The customer is to be reminded",
                ("Unless the link is opened before.",),
                "waits",
            )
        ]
    if interview.reminder_reason is not None:
        # When that was is not kept; it is after the message.
        at = write.begun_at if write else interview.sent_at
        return [
            Moment(at, "The customer was not reminded", (shown.in_words(interview.reminder_reason),), "bad")
        ]
    return []


def _result(interview: Interview) -> list[Moment]:
    if interview.completed_at is None:
        return []
    result = result_of(interview)
    if result.identity == "anonymous":
        lines = ["Anonymously: nothing of it is kept but the quality."]
    elif not result.analysed:
        lines = ["Koji has not analysed it yet."]
    else:
        lines = [f"Sentiment: {result.sentiment or 'unknown'}."]
        if result.themes or result.top_theme:
            themes = result.themes or (result.top_theme or "",)
            lines.append(f"Themes: {', '.join(themes)}.")
    if result.quality is not None:
        lines.append(f"Quality: {wording.number(result.quality)} of 5.")
    return [Moment(interview.completed_at, "The customer answered", tuple(lines), "good")]


def _written(story: Story) -> list[Moment]:
    interview, writes = story.interview, story.writes
    found = []
    if interview.attributes_written_at is not None:
        found.append(
            Moment(
                interview.attributes_written_at, "Written to Intercom: the contact's attributes", (), "good"
            )
        )
    elif attributes := writes.get("attributes"):
        found.append(
            Moment(
                attributes.begun_at,
                "The contact's attributes were begun to be written",
                ("Intercom has not confirmed it.",),
                "waits",
            )
        )
    if note := writes.get("note"):
        if note.done_at is not None:
            found.append(Moment(note.done_at, "Written to Intercom: the note", (_tries(note),), "good"))
        elif note.open:
            found.append(
                Moment(
                    note.begun_at,
                    "The note was handed to Intercom",
                    ("Whether it is there could not be learnt. " + _tries(note),),
                    "waits",
                )
            )
    if tags := writes.get("tags"):
        names = {**(interview.conversation_tags or {}), **(interview.contact_tags or {})}
        listed = ", ".join(sorted(set(names.values())))
        found.append(Moment(tags.begun_at, "Written to Intercom: tags", (listed,) if listed else (), "good"))
    if interview.written_back_at is not None:
        lines = (shown.in_words(interview.reason),) if interview.reason else ()
        found.append(Moment(interview.written_back_at, "All of the result is in Intercom", lines, "good"))
    elif interview.state == "analysed":
        reason = shown.in_words(interview.reason)
        found.append(
            Moment(None, "The result is to be written to Intercom", (reason,) if reason else (), "waits")
        )
    return found


def _delivery(delivery: Listed) -> Moment:
    lines = [f"{delivery_state(delivery.state)}. {shown.in_words(delivery.reason)}".strip()]
    if delivery.tries:
        lines.append(f"{delivery.tries} {_plural('try', delivery.tries)} so far.")
    kind: Kind = {"failed": "bad", "stored": "waits"}.get(delivery.state, "plain")  # type: ignore[assignment]
    title = f"{door_name(delivery.door)} told: {delivery.event}"
    return Moment(delivery.received_at, title, tuple(lines), kind)


def _entry(entry: Entry) -> Moment:
    who = entry.teammate_name or entry.teammate_id
    return Moment(entry.at, f"{who} in the console: {shown.what_was_done(entry.what)}")


def _end(interview: Interview) -> list[Moment]:
    found = []
    if interview.state in _ENDS:
        words = shown.in_words(interview.reason)
        found.append(
            Moment(
                interview.state_since,
                f"It came to this: {shown.state_name(interview.state).lower()}",
                (words,) if words else (),
                "waits" if interview.state == "unknown" else "bad",
            )
        )
    if interview.purged_at is not None:
        found.append(Moment(interview.purged_at, "What is personal about it was removed"))
    return found


def _tries(write: Write | None) -> str:
    if write is None:
        return ""
    return f"It took {write.tries} {_plural('try', write.tries)}." if write.tries > 1 else "At the first try."


def _plural(word: str, number: int) -> str:
    return word if number == 1 else f"{word[:-1]}ies"
