"""The pictures in docs/screenshots: ``make screenshots``.

Nothing is drawn by hand. The application runs as real processes beside the sandbox, people and vendors do
what leads to each state, and a browser takes the picture. Only waits are shorter than in the product.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from playwright.sync_api import Browser, Page

from canvas_app import store
from canvas_app.interviews.tables import deliveries, interviews
from sandbox import seed
from sandbox.faults import DeliveryFault
from sandbox.processes import App, free_port
from sandbox.server import SECOND_STUDY
from scripts.pictures import take_all
from tests.processes.stage import ANSWERS, Stage, Talk, until, words

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
# A database that nobody listens for.
AWAY = "postgresql://nobody@127.0.0.1:9/nothing"


def main() -> int:
    return take_all(FOLDER, lambda stage, browser: Photographer(stage, browser).everything())


class Photographer:
    """Leads the real application into each state and takes its picture."""

    def __init__(self, stage: Stage, browser: Browser) -> None:
        self.stage = stage
        self.inbox: Page = browser.new_page(viewport={"width": 1280, "height": 800})
        # Cards are shown small, so that they are taken at twice their size.
        self.close = browser.new_page(viewport={"width": 1280, "height": 1000}, device_scale_factor=2)
        self.page: Page = browser.new_page(viewport={"width": 900, "height": 800})

    def everything(self) -> None:
        until("the web answers", lambda: self.stage.card(self.seeded(seed.MARTAS_CONVERSATION)).canvas)
        self.without_a_worker()
        self.stage.start_worker()
        self.stage.wait_until_healthy()
        self.round_trip()
        self.on_the_way_out()
        self.once_more()
        self.on_the_way_back()
        self.playing()
        self.planned()
        self.in_the_way()
        self.choosing()

    def without_a_worker(self) -> None:
        talk = self.seeded(seed.LEADS_CONVERSATION)
        self.stage.tap(talk)
        self.card(talk, "sending-without-worker", "is not running")

    def round_trip(self) -> None:
        stage, page = self.stage, self.inbox
        marta = self.seeded(seed.MARTAS_CONVERSATION)
        page.goto(stage.sandbox.inbox_url)
        self.shoot(page, "inbox-ready")
        self.card(marta, "ready", "Send Koji interview")
        page.get_by_placeholder("Add a personal line (optional)").fill("Good luck with the board meeting!")
        page.get_by_role("button", name="Send Koji interview").click()
        page.get_by_text("✓ Interview sent").wait_for()
        page.locator("#thread").get_by_role("link", name="Start the interview").wait_for()
        self.shoot(page, "inbox-sent")
        self.card(marta, "sent", "not opened it yet")
        [link] = stage.links(marta)
        self.page.goto(link)
        self.page.get_by_role("button", name="Send my answers").wait_for()
        self.shoot(self.page, "interview", full_page=True)
        self.card(marta, "opened", "opened it on")
        for index, answer in enumerate(ANSWERS):
            self.page.locator(f"#answer-{index}").fill(answer)
        self.page.locator(".scale label").nth(3).click()
        self.page.get_by_role("button", name="Send my answers").click()
        page.locator("#thread .part.note").wait_for()
        page.locator("#details [data-key^='contact-tag:']").wait_for()
        page.get_by_role("button", name="Refresh").click()
        page.get_by_role("link", name="Open transcript").wait_for()
        self.shoot(page, "inbox-result")
        self.card(marta, "result", "Open transcript")
        self.page.goto(link)
        self.shoot(self.page, "link-answered")
        self.page.goto(stage.app.url)
        self.shoot(self.page, "home", full_page=True)

    def on_the_way_out(self) -> None:
        stage = self.stage
        with self.faulty():
            stage.spoil("koji", "POST", ".*/start", "latency", delay=30)
            self.tapped("sending", "Sending")
        with self.faulty():
            stage.spoil("koji", "POST", ".*/start", "status", status=503, times=99)
            self.tapped("sending-in-trouble", "had a fault")
        with self.faulty():
            stage.spoil("koji", "POST", ".*/start", "status", status=400)
            self.tapped("failed", "failed on")
        with self.faulty():
            stage.spoil("intercom", "POST", ".*/reply", "drop_after")
            stage.spoil("intercom", "GET", "/conversations/.*", "status", status=404)
            talk = self.tapped("unknown", "could not find out")
        self.tap(talk, "send_after_all", "unknown-too-early", "nobody can tell yet")
        self.card(self.second_conversation(talk), "unknown-elsewhere", "look in that conversation")
        with self.faulty():
            # The teammate who taps has left in the meantime.
            stage.spoil("intercom", "POST", ".*/reply", "status", status=404)
            stage.spoil("intercom", "GET", f"/admins/{seed.ADA}", "status", status=404)
            self.tapped("sent-by-another", "in the name of")

    def once_more(self) -> None:
        """What leads on from an interview that is out there, and from one that is over."""
        stage, sent = self.stage, "Interview sent"
        talk = self.sent()
        other = self.second_conversation(talk)
        self.card(other, "sent-elsewhere", "In another conversation")
        self.tap(other, "send_anyway", "confirm-replace", "Its link stops working")
        self.tap(other, "confirm_send")
        stage.until_card(other, sent)
        self.tap(other, "withdraw", "confirm-withdraw", "Withdraw the link?")
        [link] = stage.links(other)
        self.tap(other, "confirm_withdraw", "cancelled", "was withdrawn on")
        self.page.goto(link)
        self.shoot(self.page, "link-over")
        self.tap(other, "settings", "console", "Open the console")
        self.tap(other, "send_again", "asked-recently", "Asked recently")
        self.tap(other, "send_anyway", "confirm-send", "Send another one now?")
        talk = self.sent()
        self.let_pass(talk, days=15)
        self.card(talk, "expired", "was not answered")

    def on_the_way_back(self) -> None:
        stage = self.stage
        with self.faulty():
            stage.sandbox.faults.set_delivery(DeliveryFault("lose", "interview.analysis_ready"))
            stage.spoil("koji", "GET", ".*/interviews/.*", "status", status=503, times=99)
            self.answered("completed", "Koji is analysing it")
        with self.faulty():
            stage.spoil("intercom", "PUT", "/contacts/.*", "status", status=503, times=99)
            self.answered("result-being-written", "had a fault")
        with self.faulty():
            stage.spoil("intercom", "PUT", "/contacts/.*", "status", status=422, times=99)
            self.answered("result-not-written", "Intercom refused it")
        self.answered("anonymous", "anonymously", anonymous=True)
        self.answered("low-quality", "with a quality of", quality=1.5)
        self.without_quality()

    def without_quality(self) -> None:
        """Koji is asked for the score a few times first; here, once is enough."""
        stage, talk = self.stage, self.sent()
        found = stage.koji.results
        stage.koji.results = lambda interview: {**found(interview), "quality_score": None}
        stage.answer(talk)
        with store.writing(stage.engine) as connection:
            connection.execute(sa.update(deliveries).values(fills=99))
        said = "without a quality score"
        until(f"the card says {said!r}", lambda: said in words(stage.card(talk)), within=60)
        self.card(talk, "quality-unknown", said)
        stage.koji.results = found

    def playing(self) -> None:
        """The sandbox's own controls, as a person uses them."""
        page, priya = self.inbox, self.seeded(seed.GROUP_CONVERSATION)
        page.goto(f"{self.stage.sandbox.intercom_url}/inbox/{priya.conversation.id}")
        page.get_by_role("button", name="Close", exact=True).click()
        page.locator(".thread-head .pill").get_by_text("Closed").wait_for()
        page.get_by_title("2 of 5").click()
        page.get_by_label("Remark").fill("It took you a week to see it")
        page.get_by_role("button", name="Rate").click()
        page.locator(".pill.rated").wait_for()
        page.get_by_label("Tag for the contact").fill("churn risk")
        page.get_by_label("Tag for the contact").press("Enter")
        page.locator("#details").get_by_text("churn risk").wait_for()
        message = page.locator(".part").first
        message.hover()
        message.get_by_text("Tag", exact=True).first.click()
        page.get_by_label("Tag for this message").first.fill("billing")
        page.get_by_label("Tag for this message").first.press("Enter")
        page.locator(".part .tag").get_by_text("billing").wait_for()
        page.get_by_text("Run a Series step").click()
        page.get_by_label("Deliver by").select_option("none")
        page.locator("#calls").get_by_role("button", name="Run").first.click()
        page.locator("#calls .answer").wait_for()
        page.locator("#calls .answer").scroll_into_view_if_needed()
        self.shoot(page, "inbox-playing")

    def planned(self) -> None:
        """Somebody asks over HTTP for an interview that goes out in a week."""
        stage, talk = self.stage, self.stage.customer()
        answer = stage.sandbox.caller.series_step(
            {"contact_id": talk.contact.id, "conversation_id": talk.conversation.id, "delay": 7 * 86_400}
        )
        until("it is planned", lambda: answer.body and answer.body["status"] == "planned", within=5)
        self.card(talk, "planned", "Interview planned")

    def in_the_way(self) -> None:
        stage = self.stage
        talk = stage.customer()
        self.asked_without("no-contact", talk, "contact", "no customer")
        self.asked_without("no-conversation", talk, "conversation", "no conversation")
        with self.other_app(KOJI_API_KEY="", PUBLIC_URL="", KOJI_WEBHOOK_SECRET="") as url:
            self.card(talk, "not-set-up", "not set up yet")
            self.page.goto(url)
            self.shoot(self.page, "home-not-set-up", full_page=True)
        with self.other_app(DATABASE_URL=AWAY):
            self.card(talk, "database-away", "cannot reach its database")

    def choosing(self) -> None:
        """With another study that is on, there is a choice."""
        stage = self.stage
        key = ("--key-from", "env:LEAVING_KEY", "--webhook-secret-from", "env:LEAVING_KEY")
        stage.app.command(*("studies", "add", "leaving", "--name", SECOND_STUDY, *key), LEAVING_KEY="k" * 32)
        self.card(stage.customer(), "choice", "Sent in your name")

    # Steps

    def seeded(self, conversation_id: str) -> Talk:
        """A conversation that is in the stand-in from the start."""
        conversation = self.stage.intercom.conversation(conversation_id)
        return Talk(conversation, self.stage.intercom.contact(conversation.contact_ids[0]))

    def sent(self) -> Talk:
        """A new customer who has got the message."""
        talk = self.stage.customer()
        self.stage.tap(talk)
        self.stage.until_card(talk, "Interview sent")
        return talk

    def second_conversation(self, talk: Talk) -> Talk:
        """Another conversation with the same customer."""
        source = talk.conversation.source
        return Talk(self.stage.intercom.add_conversation([talk.contact.id], source), talk.contact)

    def tap(self, talk: Talk, component_id: str, name: str = "", text: str = "") -> None:
        """Tap on what the card shows now, and take the card that comes back if it is named."""
        caller = self.stage.sandbox.inbox
        if (talk.conversation.id, talk.contact.id) not in caller.shown:
            self.stage.card(talk)
        caller.submit(talk.conversation, talk.contact, component_id, {})
        if name:
            self.card(talk, name, text, query="?kept=1")

    def let_pass(self, talk: Talk, *, days: int) -> None:
        """Make this customer's interviews older."""
        moments = ("created_at", "state_since", "send_before", "sent_at")
        with store.writing(self.stage.engine) as connection:
            theirs = sa.select(interviews).where(interviews.c.contact_id == talk.contact.id)
            for row in connection.execute(theirs).mappings().all():
                older = {moment: row[moment] - timedelta(days=days) for moment in moments if row[moment]}
                this = interviews.c.id == row["id"]
                connection.execute(sa.update(interviews).where(this).values(older))

    def tapped(self, name: str, text: str) -> Talk:
        """Tap for a new customer, and take the card."""
        talk = self.stage.customer()
        tap = self.stage.tap_aside(talk)
        self.stage.until_card(talk, text)
        self.card(talk, name, text)
        self.stage.sandbox.faults.clear()
        tap.join()
        return talk

    def answered(self, name: str, text: str, **answer: Any) -> None:
        """Send to a new customer, answer as told, and take the card."""
        stage, talk = self.stage, self.stage.customer()
        stage.tap(talk)
        stage.until_card(talk, "Interview sent")
        stage.answer(talk, **answer)
        stage.until_card(talk, text)
        self.card(talk, name, text)

    def asked_without(self, name: str, talk: Talk, left_out: str, text: str) -> None:
        """Ask for the card as a place does that knows no contact or no conversation."""
        caller = self.stage.sandbox.inbox
        body = json.loads(caller.request_body("initialize", talk.conversation, talk.contact, {}))
        del body[left_out]
        if left_out == "contact":
            body["conversation"]["contacts"] = {"type": "contact.list", "contacts": []}
        key = (talk.conversation.id, talk.contact.id)
        caller.shown[key] = caller.ask("initialize", json.dumps(body).encode())
        self.card(talk, name, text, query="?kept=1")

    @contextlib.contextmanager
    def faulty(self) -> Iterator[None]:
        """Faults that are set in the block end with it."""
        yield
        self.stage.sandbox.faults.clear()

    @contextlib.contextmanager
    def other_app(self, **settings: str) -> Iterator[str]:
        """A second web with other settings, which the inbox asks for its cards meanwhile."""
        stage, port = self.stage, free_port()
        app = App({**stage.app.environment, **settings}, port=port, logs=stage.logs / "other")
        app.logs.mkdir(exist_ok=True)
        app.start("web")
        before, stage.sandbox.inbox.app_url = stage.sandbox.inbox.app_url, app.url
        try:
            talk = stage.customer()
            until("the other web answers", lambda: stage.card(talk).canvas)
            yield app.url
        finally:
            stage.sandbox.inbox.app_url = before
            app.stop()

    # Pictures

    def card(self, talk: Talk, name: str, text: str, *, query: str = "") -> None:
        """Take the card of a conversation, which says ``text``."""
        contact = f"contact={talk.contact.id}"
        separator = "&" if query else "?"
        self.close.goto(
            f"{self.stage.sandbox.intercom_url}/inbox/{talk.conversation.id}{query}{separator}{contact}"
        )
        card = self.close.locator("#card")
        card.get_by_text(text).first.wait_for(timeout=15_000)
        self.shoot(card, f"card-{name}")

    def shoot(self, what: Any, name: str, **options: Any) -> None:
        take: Callable[..., bytes] = what.screenshot
        take(path=FOLDER / f"{name}.png", animations="disabled", **options)


if __name__ == "__main__":
    sys.exit(main())
