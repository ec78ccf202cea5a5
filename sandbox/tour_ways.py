"""The part of the tour that begins without a tap: rules, a Series step, a CSV file."""

from __future__ import annotations

import csv
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sandbox import acts, seed
from sandbox.checking import NotAsExpectedError, check, check_that, step, until
from sandbox.outgoing import contact_payload
from sandbox.state import Contact, Part

if TYPE_CHECKING:
    import httpx

    from sandbox.koji_state import Interview
    from sandbox.running import Running

RULE, LATER = "low-rating", "a-week-later"
RATING_ANSWERS = (
    "My name was refused by the form, and I wanted to open an account for my team.",
    "It took three hours and two explanations until somebody believed me.",
    "Accept any name that a person has.",
)
SERIES_ANSWERS = (
    "I wanted to know what you ask from a small charity.",
    "The answer was quick and friendly.",
    "Put the price for non-profits on the page.",
)
QUIET = 3.0
"""Seconds in which something that must not happen would have happened: nothing here takes one."""
DAY = timedelta(days=1)
LINK_URL, LINK_AT = "koji_interview_url", "koji_interview_ready_at"


class Ways:
    """Walks through the ways in that need no tap, about customers of whom the tour has not spoken yet."""

    def __init__(self, running: Running, http: httpx.Client) -> None:
        self.running = running
        self.sandbox = running.sandbox
        self.app = running.app
        self.intercom = running.sandbox.state.intercom
        self.koji = running.sandbox.state.koji
        self.http = http

    def walk(self) -> None:
        """Do everything once; NotAsExpectedError at the first thing that is wrong."""
        self.ping()
        self.low_rating()
        self.series_step()
        self.csv_export()
        self.delay()

    def ping(self) -> None:
        """Intercom has looked whether the address for its webhooks is there."""
        step("Intercom has pinged the address for its webhooks")
        [ping] = [item for item in self.sandbox.notifier.deliverer.deliveries if item.event == "ping"]
        until("it was answered 200", lambda: ping.statuses == [200])

    def low_rating(self) -> None:
        """A rule turns a low rating into an interview, and its own doings start nothing."""
        step("A rule is switched on, and a customer rates a closed conversation 2 of 5")
        talk, contact = self.intercom.conversation("1002"), self.intercom.contact(seed.HOSTILE)
        about = ("--title", "Low rating", "--event", "conversation.rating.added", "--rating-at-most", "2")
        self.app.command("rules", "add", RULE, *about)
        check_that("the rule is listed", RULE in self._rules("list"), self._rules("list"))
        self.app.command("rules", "on", RULE)
        acts.close(self.intercom, talk, by=seed.ADA)
        acts.rate(self.intercom, talk, contact, 2, "Three hours for a name")
        sent = until("the customer gets a message", lambda: self._said(talk.id)[2:])
        interview = self._interview_of(contact.id)
        check_that("it has the personal link", f"{self.app.url}/i/" in (sent[0].body or ""), sent[0].body)
        check("it is written by the token's own teammate", seed.OWN_ADMIN, sent[0].author_id)
        until("the conversation is closed again", lambda: talk.state == "closed")
        self._answer(interview, RATING_ANSWERS, rating=2)
        until("the result is on the contact", lambda: "last_interview_at" in contact.custom_attributes)
        until("the note is in the conversation", lambda: self.intercom.notes(talk.id))
        until("the contact is tagged", lambda: self.intercom.tags_on_contact(contact.id))
        events = {item.event for item in self.sandbox.notifier.deliverer.deliveries if item.about == talk.id}
        expected = {"conversation.admin.closed", "conversation.rating.added", "conversation.admin.replied"}
        check("Intercom has told the app of all that it did itself", expected, events & expected)
        acts.rate(self.intercom, talk, contact, 1, "And now a survey")
        check("its notifications are answered", True, self.sandbox.notifier.deliverer.wait_idle())
        until(
            "each rating was decided on, and is told with the reason",
            lambda: self._rules("decisions", "--rule", RULE).count(contact.id) == 2,
        )
        # That nothing happens can only be waited for.
        time.sleep(QUIET)
        check("neither that nor another low rating sends a second message", 1, len(self._said(talk.id)[2:]))
        check("and Koji has one interview of this customer", 1, len(self._interviews_of(contact.id)))

    def series_step(self) -> None:
        """A Series asks for a link in the contact's attributes, waits for it, and never has an old one."""
        step("A Series step asks for a link that a later step sends")
        contact = self.intercom.contact(seed.LEAD)
        payload = contact_payload(contact, {"deliver": "attribute"})
        answer = self.sandbox.caller.series_step(payload)
        check("the step is answered 201", [201], answer.statuses)
        check("with flat JSON that Intercom can map", [], answer.problems)
        link = str(answer.body["interview_url"])
        check("which has a link of the app", urlsplit(self.app.url).netloc, urlsplit(link).netloc)
        check("the link works at once", True, self.http.get(link).status_code in {200, 302})
        found = until("the contact has both attributes", self._link_attributes)
        check("the link is the one that was answered", link, found[LINK_URL])
        check_that("and the time is now", abs(int(found[LINK_AT]) - time.time()) < 120, found[LINK_AT])
        again = self.sandbox.caller.series_step(payload)
        check("the same step again is the same interview", [200], again.statuses)
        check("with the same id", answer.body["interview_id"], again.body["interview_id"])
        check("nobody was sent a message", 1, len(self._said(seed.LEADS_CONVERSATION)))
        refreshed = self.sandbox.caller.connector(
            '{"contact_id": "{{contact.id}}", "deliver": "attribute"}',
            {"contact.id": contact.id},
            outdated=True,
        )
        check("a connector whose token has run out fetches a new one", [401, 200], refreshed.statuses)
        self._answer(self._interview_of(contact.id), SERIES_ANSWERS, rating=4)
        until("both attributes are cleared when the customer has answered", self._is_cleared)

    def csv_export(self) -> None:
        """Somebody tries the loop by hand: the contacts of what was closed lately, for Koji's CSV import."""
        step("The contacts of the last 48 hours' closed conversations are exported")
        path = self.running.folder / "contacts.csv"
        self.app.command("export-contacts", "--closed-since", "48h", "--out", str(path))
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        contact = self.intercom.contact(seed.HOSTILE)
        check("the file has the one contact", [contact.id], [row["external_id"] for row in rows])
        check("with their address", [contact.email], [row["email"] for row in rows])
        check("and their name as it is", [contact.name], [row["name"] for row in rows])

    def delay(self) -> None:
        """A rule waits for seven days, which pass at once here."""
        step("A rule waits seven days after a closing, and they pass")
        contact = Contact("66a1f0c0d1b2a3948576e0a1", "user", "Noa Weiss", "noa@northwind.example")
        with self.intercom.lock:
            self.intercom.contacts[contact.id] = contact
            now, body = int(time.time()), acts.as_html("How do I add a colleague?")
            said = Part(self.intercom.next_id(), "conversation", body, "user", contact.id, now, "open")
            talk = self.intercom.add_conversation([contact.id], said)
        about = ("--title", "A week later", "--event", "conversation.admin.closed", "--delay", "7 days")
        self.app.command("rules", "add", LATER, *about)
        self.app.command("rules", "on", LATER)
        acts.close(self.intercom, talk, by=seed.ADA)
        check("the app is told of the closing", True, self.sandbox.notifier.deliverer.wait_idle())
        self.sandbox.clock.let_pass(6 * DAY)
        check("six days later nobody has been written to", [], self._said(talk.id))
        self.sandbox.clock.let_pass(1 * DAY)
        check("seven days later the customer has a message", 1, len(self._said(talk.id)))
        until("and the conversation is closed again", lambda: talk.state == "closed")
        self.sandbox.clock.let_pass(7 * DAY)
        check("another seven days later there is no second one", 1, len(self._said(talk.id)))
        check("and Koji has one interview of this customer", 1, len(self._interviews_of(contact.id)))

    # Helpers ----------------------------------------------------------------------------------------

    def _rules(self, *arguments: str) -> str:
        return self.app.command("rules", *arguments).stdout

    def _said(self, conversation_id: str) -> list[Part]:
        return self.intercom.comments(conversation_id)

    def _interviews_of(self, contact_id: str) -> list[Interview]:
        with self.koji.lock:
            return [item for item in self.koji.interviews.values() if item.external_id == contact_id]

    def _interview_of(self, contact_id: str) -> Interview:
        found = self._interviews_of(contact_id)
        if len(found) != 1:
            raise NotAsExpectedError(f"expected one interview of {contact_id}, got {len(found)}")
        return found[0]

    def _link_attributes(self) -> dict[str, Any] | None:
        given = self.intercom.contact(seed.LEAD).custom_attributes
        return dict(given) if {LINK_URL, LINK_AT} <= given.keys() else None

    def _is_cleared(self) -> bool:
        given = self.intercom.contact(seed.LEAD).custom_attributes
        return not {LINK_URL, LINK_AT} & given.keys() and "last_interview_at" in given

    def _answer(self, interview: Interview, answers: tuple[str, ...], *, rating: int) -> None:
        form = {f"answer-{index}": answer for index, answer in enumerate(answers)} | {"rating": str(rating)}
        answer = self.http.post(self.koji.link(interview), data=form)
        check("the customer answers at Koji", 200, answer.status_code)
        check("Koji's webhooks are answered in time", True, self.sandbox.deliverer.wait_idle())
