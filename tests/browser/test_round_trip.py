"""A rep and a customer in a real browser: from the tap in the inbox to the result beside the conversation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Request, expect

from sandbox import seed
from tests.processes.stage import ANSWERS, Stage

pytestmark = [pytest.mark.slow, pytest.mark.browser]

LINE = "It was good to sort out the export with you."
HOSTILE_NAME = '<script>alert(1)</script> & "Bob"'
# On the card, where "<" could begin a link, its look-alike stands.
HOSTILE_ON_CARD = "\u2039script\u203aalert(1)\u2039/script\u203a"

# What is wider than its box. A table's long values are cut by the Inbox itself, with a tooltip of them all:
# https://developers.intercom.com/docs/references/canvas-kit/presentationcomponents/data-table
CUT_OFF = """
() => [...document.querySelectorAll('#card, #card *')]
  .filter((item) => item.scrollWidth > item.clientWidth + 1 && getComputedStyle(item).display !== 'inline')
  .filter((item) => item.tagName !== 'DD' || item.title !== item.textContent)
  .map((item) => `${item.tagName} ${item.className}: ${item.textContent.trim().slice(0, 60)}`)
"""


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    stage = Stage(sqlite_url, tmp_path / "logs")
    try:
        with stage:
            stage.start_worker()
            stage.wait_until_healthy()
            yield stage
    finally:
        request.node.add_report_section("teardown", "processes", stage.all_logs())


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Pages in which nothing may go wrong: no word in the console, no exception, all of it loads."""
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(f"console: {message.text}")

    def thrown(error: Error) -> None:
        complaints.append(f"exception: {error}")

    def failed(request: Request) -> None:
        # Closing a page ends what it was just loading.
        if request.failure != "net::ERR_ABORTED":
            complaints.append(f"not loaded: {request.url} {request.failure}")

    def watch(page: Page) -> None:
        page.on("console", heard)
        page.on("pageerror", thrown)
        page.on("requestfailed", failed)
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))

    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(15_000)
    context.on("page", watch)
    yield context
    context.close()
    assert complaints == []


def test_from_the_tap_to_the_result(stage: Stage, context: BrowserContext) -> None:
    inbox = context.new_page()
    inbox.goto(stage.sandbox.inbox_url)
    card, thread, details = inbox.locator("#card"), inbox.locator("#thread"), inbox.locator("#details")
    expect(card).to_contain_text("Customer interview for Marta Lindqvist. Sent in your name:")
    nothing_is_cut_off(inbox)

    card.get_by_placeholder("Add a personal line (optional)").fill(LINE)
    card.get_by_role("button", name="Send Koji interview").click()
    expect(card).to_contain_text("✓ Interview sent")
    expect(card).to_contain_text("Sent by Ada Byrne")
    nothing_is_cut_off(inbox)
    message = thread.locator(".part.ours").last
    expect(message).to_contain_text("Hi Marta,")
    expect(message).to_contain_text(LINE)
    expect(message).to_contain_text("Ada Byrne ·")

    with context.expect_page() as opened:
        message.get_by_role("link", name="Start the interview").click()
    interview = opened.value
    expect(interview.get_by_role("heading", name="Hi Marta Lindqvist")).to_be_visible()
    card.get_by_role("button", name="Refresh").click()
    expect(card).to_contain_text("The customer opened it on")
    nothing_is_cut_off(inbox)

    for index, answer in enumerate(ANSWERS):
        interview.locator(f"#answer-{index}").fill(answer)
    interview.locator(".scale label").nth(3).click()
    interview.get_by_role("button", name="Send my answers").click()
    expect(interview.get_by_role("heading", name="Thank you!")).to_be_visible()
    interview.close()

    note = thread.locator(".part.note")
    expect(note).to_have_count(1)
    expect(note).to_contain_text("Private note")
    expect(note).to_contain_text("export reliability")
    expect(thread.locator(".thread-head .tag")).to_have_text("koji_mixed_sentiment")
    for name, value in {
        "last_interview_sentiment": "mixed",
        "last_interview_top_theme": "export reliability",
        "last_interview_quality": "5",
    }.items():
        expect(details.locator(f"[data-key='attribute:{name}']")).to_have_text(value)
    expect(details.locator("[data-key='attribute:last_interview_url'] a")).to_be_visible()
    expect(details.locator("[data-key^='contact-tag:']")).to_have_text("koji_mixed_sentiment")

    card.get_by_role("button", name="Refresh").click()
    expect(card).to_contain_text("✓ Answered on")
    expect(card).to_contain_text("Top theme: export reliability")
    nothing_is_cut_off(inbox)
    with context.expect_page() as opened:
        card.get_by_role("link", name="Open transcript").click()
    expect(opened.value.get_by_role("heading", name="Transcript")).to_be_visible()
    assert len(stage.intercom.comments(seed.MARTAS_CONVERSATION)) == 4
    assert stage.intercom.canvas_problems == []


def test_a_hostile_name_is_text_wherever_it_is_shown(stage: Stage, context: BrowserContext) -> None:
    inbox = context.new_page()
    inbox.goto(f"{stage.sandbox.intercom_url}/inbox/{seed.HOSTILE_CONVERSATION}")
    card = inbox.locator("#card")
    expect(card).to_contain_text(f"Customer interview for {HOSTILE_ON_CARD}")
    nothing_is_cut_off(inbox)
    card.get_by_placeholder("Add a personal line (optional)").fill('"><img src=x onerror=alert(3)>')
    card.get_by_role("button", name="Send Koji interview").click()
    expect(card).to_contain_text("✓ Interview sent")
    message = inbox.locator("#thread .part.ours").last
    expect(message).to_contain_text('"><img src=x onerror=alert(3)>')
    assert inbox.locator("#thread img, #thread script, #card img, #card script").count() == 0
    with context.expect_page() as opened:
        message.get_by_role("link", name="Start the interview").click()
    expect(opened.value.get_by_role("heading", level=1)).to_contain_text(HOSTILE_NAME)
    assert stage.intercom.canvas_problems == []


def nothing_is_cut_off(page: Page) -> None:
    """Everything on the card can be read."""
    assert page.evaluate(CUT_OFF) == []
