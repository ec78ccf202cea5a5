"""``python -m sandbox.tour``: the whole round trip against real processes, without a person.

Every line that it prints with a ✓ was checked. It ends with 1 at the first thing that is not as it should be.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import sys
import threading
import time
from html import unescape
from typing import TYPE_CHECKING, Any

import httpx

from sandbox import seed
from sandbox.checking import (
    PATIENCE,
    NotAsExpectedError,
    buttons_of,
    check,
    check_that,
    step,
    until,
    words_of,
)
from sandbox.koji_state import dump
from sandbox.processes import NotStartedError
from sandbox.running import everything
from sandbox.tour_ways import RATING_ANSWERS, SERIES_ANSWERS, Ways

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.inbox import Shown
    from sandbox.running import Running

PERSONAL_LINE = "It was good to sort out the export with you."
ANSWERS = (
    "I had to download the monthly export for our board meeting and it got stuck at eighty percent.",
    "The support team was helpful and friendly, but the export was broken for hours and nobody told us why.",
    "Tell me in the product that the export is stuck, and what I can do, before I have to write to you.",
)
RATING = 4


class Tour:
    """One walk through a running demo, about the first conversation and its contact, and then the others."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.sandbox = running.sandbox
        self.app = running.app
        self.state = running.sandbox.state
        self.conversation = self.state.intercom.conversation(seed.MARTAS_CONVERSATION)
        self.contact = self.state.intercom.contact(seed.MARTA)
        self.http = httpx.Client(timeout=10, trust_env=False)
        self.interview_id = ""

    def walk(self) -> None:
        """Do everything once; NotAsExpectedError at the first thing that is wrong."""
        with self.http:
            self.send()
            self.open_link()
            self.answer()
            self.result()
            self.repeat_webhook()
            self.refuse_strangers()
            Ways(self.running, self.http).walk()
            self.audit()

    def send(self) -> None:
        """The rep taps, twice by mistake, and the customer gets one message."""
        step("A rep opens the conversation and taps")
        card = self.sandbox.inbox.initialize(self.conversation, self.contact)
        check_that("the card offers to send an interview", "send" in buttons_of(card), buttons_of(card))
        extra = {"component_id": "send", "input_values": {"personal_line": PERSONAL_LINE}}
        extra["current_canvas"] = card.canvas or {}
        raw = self.sandbox.inbox.request_body("submit", self.conversation, self.contact, extra)
        taps = [threading.Thread(target=self.sandbox.inbox.ask, args=("submit", raw)) for _ in range(2)]
        for tap in taps:
            tap.start()
        for tap in taps:
            tap.join()
        until(
            "a comment is in the conversation", lambda: self.state.intercom.comments(self.conversation.id)[3:]
        )
        card = self._card_until("the card says sent", _says_sent)
        check_that("the card has a way on", "refresh" in buttons_of(card), buttons_of(card))
        new = self._new_comments()
        check("the double tap sent one message", 1, len(new))
        check("it is written by the rep who tapped", seed.ADA, new[0].author_id)
        check_that("it has the personal line", PERSONAL_LINE in unescape(new[0].body or ""), new[0].body)
        check("Koji has one interview", 1, len(self.state.koji.interviews))
        interview = next(iter(self.state.koji.interviews.values()))
        self.interview_id = interview.id
        check("its respondent is the contact", self.contact.id, interview.external_id)
        known = {
            "intercom_workspace_id": self.state.intercom.workspace_id,
            "intercom_conversation_id": self.conversation.id,
            "intercom_contact_id": self.contact.id,
            "respondent_email": self.contact.email,
        }
        got = {name: interview.metadata.get(name) for name in known}
        check("its metadata names workspace, conversation, contact and address", known, got)
        check_that(
            "its metadata has our reference", interview.metadata.get("interview_ref"), interview.metadata
        )

    def open_link(self) -> None:
        """The customer opens the personal link."""
        step("The customer opens the link")
        body = unescape(self._new_comments()[0].body or "")
        found = re.search(re.escape(self.app.url) + r"/i/[\w.~-]+", body)
        if found is None:
            raise NotAsExpectedError(f"expected a personal link in the message, got {body!r}")
        check("a link previewer's HEAD is answered", True, self.http.head(found[0]).status_code in {200, 302})
        card = self.sandbox.inbox.initialize(self.conversation, self.contact)
        check("which does not count as opened", False, _says_opened(card))
        browser = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
        answer = self.http.get(found[0], headers=browser)
        check("the link answers 302", 302, answer.status_code)
        page = self.state.koji.link(self.state.koji.interview(self.interview_id))
        check("it leads to the interview", page, answer.headers.get("Location"))
        self._card_until("the card says opened", _says_opened)

    def answer(self) -> None:
        """The customer answers, and Koji's webhooks arrive."""
        step("The customer answers")
        page = self.state.koji.link(self.state.koji.interview(self.interview_id))
        check_that("Koji shows the questions", "answer-0" in self.http.get(page).text, "another page")
        form = {f"answer-{index}": answer for index, answer in enumerate(ANSWERS)} | {"rating": str(RATING)}
        check("Koji takes the answers", 200, self.http.post(page, data=form).status_code)
        check("Koji's webhooks are answered in time", True, self.sandbox.deliverer.wait_idle())
        statuses = {item.event: item.statuses for item in self.sandbox.deliverer.deliveries}
        expected = {"interview.completed": [200], "interview.analysis_ready": [200]}
        check("each was answered 200 at the first try", expected, statuses)

    def result(self) -> None:
        """The result is where the rep works."""
        step("The result comes back to Intercom")
        state, koji = self.state.intercom, self.state.koji
        found = koji.results(koji.interview(self.interview_id))
        expected = {
            "last_interview_sentiment": found["sentiment"],
            "last_interview_top_theme": found["themes"][0],
            "last_interview_quality": found["quality_score"],
            "last_interview_url": found["transcript_url"],
        }
        until("the contact has attributes", lambda: self.contact.custom_attributes)
        got = {name: self.contact.custom_attributes.get(name) for name in expected}
        check("sentiment, top theme, quality and link are right", expected, got)
        at = self.contact.custom_attributes.get("last_interview_at")
        check_that("the time is now", isinstance(at, int) and abs(at - time.time()) < 120, at)
        notes = until("the conversation has a note", lambda: state.notes(self.conversation.id))
        body = unescape(notes[0].body or "")
        check_that("the note has the top theme", found["themes"][0] in body, body)
        check_that("the note has the link to the transcript", found["transcript_url"] in body, body)
        tag = f"koji_{found['sentiment']}_sentiment"
        until(
            f"the conversation is tagged {tag}",
            lambda: tag in state.tags_on_conversation(self.conversation.id),
        )
        until(f"the contact is tagged {tag}", lambda: tag in state.tags_on_contact(self.contact.id))
        card = self._card_until(
            "the card shows the result", lambda shown: found["themes"][0].casefold() in words_of(shown)
        )
        check_that("the card opens the transcript", found["transcript_url"] in words_of(card), words_of(card))
        check("there is one note", 1, len(state.notes(self.conversation.id)))

    def repeat_webhook(self) -> None:
        """The same webhook again changes nothing."""
        step("Koji sends the same webhook again")
        before = self._effects()
        last = self.sandbox.deliverer.deliveries[-1]
        check("it is answered 200", [200], self.sandbox.deliverer.send_again(last).statuses)
        # That nothing happens can only be waited for; a result takes well under a second here.
        time.sleep(3)
        check("no attribute, note, comment or tag has changed", before, self._effects())

    def refuse_strangers(self) -> None:
        """Whoever cannot sign is turned away."""
        step("Somebody else calls")
        raw = self.sandbox.inbox.request_body("initialize", self.conversation, self.contact, {})
        wrong = hmac.new(b"not the secret", raw, hashlib.sha256).hexdigest()
        for headers, how in (({"X-Body-Signature": wrong}, "a wrong"), ({}, "no")):
            answer = self.http.post(f"{self.app.url}/canvas/initialize", content=raw, headers=headers)
            check(f"the card with {how} signature is 401", 401, answer.status_code)
        delivery = self.sandbox.deliverer.deliveries[-1]
        wrong = hmac.new(b"not the secret", delivery.raw, hashlib.sha256).hexdigest()
        for headers, how in (({"X-Koji-Signature": wrong}, "a wrong"), ({}, "no")):
            answer = self.http.post(f"{self.app.url}/webhooks/koji", content=delivery.raw, headers=headers)
            check(f"the webhook with {how} signature is 401", 401, answer.status_code)

    def audit(self) -> None:
        """Look over everything that was sent."""
        step("Looking over everything that was sent")
        problems = [item.reason for item in self.state.intercom.canvas_problems]
        check("every card was one that Intercom draws", [], problems)
        refused = [
            (item.method, item.path, item.status)
            for item in self.state.intercom.calls
            if item.status is None or (item.status >= 400 and item.status != 404)
        ]
        check(
            "Intercom refused no call", [], [item for item in refused if not _is_first_attribute_write(item)]
        )
        told = [(item.event, item.statuses) for item in self.sandbox.notifier.deliverer.deliveries]
        check(
            "each of Intercom's notifications was answered 200 at the first try",
            [],
            [item for item in told if item[1] != [200]],
        )
        sent = json.dumps([item.json for item in self.state.intercom.calls], ensure_ascii=False)
        leaked = [answer for answer in ANSWERS + RATING_ANSWERS + SERIES_ANSWERS if answer in sent]
        check("nothing of the transcript went to Intercom", [], leaked)
        answers = dump(self.state.koji)["interviews"][self.interview_id]["answers"]
        check("the transcript is with Koji", list(ANSWERS), answers)

    # Helpers ----------------------------------------------------------------------------------------

    def _new_comments(self) -> list[Any]:
        # Three comments were there before anybody tapped.
        return self.state.intercom.comments(self.conversation.id)[3:]

    def _effects(self) -> dict[str, Any]:
        state = self.state.intercom
        return {
            "attributes": dict(self.contact.custom_attributes),
            "notes": len(state.notes(self.conversation.id)),
            "comments": len(state.comments(self.conversation.id)),
            "conversation tags": state.tags_on_conversation(self.conversation.id),
            "contact tags": state.tags_on_contact(self.contact.id),
            "interviews": len(self.state.koji.interviews),
        }

    def _card_until(self, what: str, holds: Callable[[Shown], bool]) -> Shown:
        """Open the conversation anew until the card is as wanted, as a rep would."""
        deadline = time.monotonic() + PATIENCE
        while True:
            card = self.sandbox.inbox.initialize(self.conversation, self.contact)
            if holds(card):
                print(f"  ✓ {what}", flush=True)
                return card
            if time.monotonic() > deadline:
                raise NotAsExpectedError(f"expected that {what} within {PATIENCE:g} s, got {words_of(card)}")
            time.sleep(0.1)


def _says_sent(shown: Shown) -> bool:
    words = words_of(shown)
    return "sent" in words and "sending" not in words and "send" not in buttons_of(shown)


def _says_opened(shown: Shown) -> bool:
    words = words_of(shown)
    return "opened" in words and "not opened" not in words


def _is_first_attribute_write(call: tuple[str, str, int | None]) -> bool:
    # In a new workspace the attributes do not exist, which the application may learn by being refused once.
    method, path, status = call
    return method == "PUT" and path.startswith("/contacts/") and status == 400


def main() -> int:
    """Walk the tour; return the exit code."""
    began = time.monotonic()
    print("Starting the stand-ins, the web and the worker …", flush=True)
    try:
        with everything() as running:
            try:
                Tour(running).walk()
            except NotAsExpectedError as wrong:
                print(f"  ✗ {wrong}\n", flush=True)
                print(running.app.tail("web") + running.app.tail("worker"), file=sys.stderr)
                return 1
            step("Stopping")
            check("web and worker end by themselves", {"web": 0, "worker": 0}, running.app.stop())
    except NotAsExpectedError as wrong:
        print(f"  ✗ {wrong}", flush=True)
        return 1
    except NotStartedError as error:
        print(f"  ✗ the application did not start: {error}", flush=True)
        return 1
    print(f"\nThe tour is complete: everything was as expected, in {time.monotonic() - began:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
