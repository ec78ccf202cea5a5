"""From the card into the console, and what is chosen there, in a real browser without its scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, ViewportSize, expect

from canvas_app import store
from canvas_app.interviews import operators
from canvas_app.interviews.tables import workspaces
from sandbox import seed
from tests.processes.stage import Stage, Talk, until

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PHONE: ViewportSize = {"width": 375, "height": 800}
DESK: ViewportSize = {"width": 1280, "height": 900}


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    with Stage(sqlite_url, tmp_path / "logs") as stage:
        stage.start_worker()
        stage.wait_until_healthy()
        until("a worker knows the workspace", lambda: _knows_workspace(stage))
        with store.writing(stage.engine) as connection:
            operators.add(connection, stage.intercom.workspace_id, seed.ADA, "Ada Byrne")
        yield stage


def _knows_workspace(stage: Stage) -> bool:
    with store.reading(stage.engine) as connection:
        return connection.execute(sa.select(workspaces.c.workspace_id)).first() is not None


@pytest.fixture
def console(stage: Stage, browser: Browser) -> Iterator[Page]:
    """Ada in the console, by way of the card."""
    context = browser.new_context(java_script_enabled=False, viewport=DESK)
    context.set_default_timeout(15_000)
    inbox = context.new_page()
    inbox.goto(stage.sandbox.inbox_url)
    inbox.get_by_role("button", name="Settings").click()
    with context.expect_page() as opened:
        inbox.get_by_role("link", name="Open the console").click()
    page = opened.value
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(page.get_by_role("banner")).to_contain_text("Ada Byrne")
    inbox.get_by_role("button", name="Back").click()
    expect(inbox.get_by_role("button", name="Send Koji interview")).to_be_visible()
    yield page
    context.close()


def fits(page: Page) -> None:
    """Nothing is wider than a phone or a desk."""
    for size in (PHONE, DESK):
        page.set_viewport_size(size)
        box = page.locator("main").bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= size["width"]


def answered(stage: Stage) -> Talk:
    talk = stage.customer()
    stage.tap(talk)
    stage.until_card(talk, "Interview sent")
    stage.answer(talk)
    return talk


def test_what_is_chosen_is_previewed_saved_and_written(stage: Stage, console: Page) -> None:
    console.get_by_role("link", name="Write-back").click()
    fits(console)
    console.get_by_label("Transcript's address").fill("a.b")
    console.get_by_role("button", name="Save").click()
    expect(console.get_by_role("alert")).to_contain_text("Nothing was saved")
    fits(console)
    console.get_by_label("Transcript's address").fill("Interview transcript")
    console.get_by_label("Up to three themes").uncheck()
    console.get_by_role("button", name="Preview").click()
    expect(console.get_by_role("status")).to_contain_text("nothing was saved yet")
    expect(console.locator("#shown")).to_contain_text("Interview transcript")
    expect(console.locator("#shown .note")).not_to_contain_text("Themes:")
    console.get_by_role("button", name="Save").click()
    expect(console.get_by_role("status")).to_contain_text("Saved")
    talk = answered(stage)
    stage.until_card(talk, "Open transcript")
    stage.until_nothing_is_left_to_do()
    assert "Interview transcript" in talk.contact.custom_attributes
    assert "last_interview_url" not in talk.contact.custom_attributes
    [note] = stage.intercom.notes(talk.conversation.id)
    assert "Themes:" not in (note.body or "")


def test_every_card_is_drawn(console: Page) -> None:
    console.get_by_role("link", name="Card preview").click()
    fits(console)
    expect(console.locator(".canvas").first).to_be_visible()
    assert console.locator(".canvas").count() > 30
    for size in (PHONE, DESK):
        console.set_viewport_size(size)
        for box in (card.bounding_box() for card in console.locator(".canvas").all()):
            assert box is not None
            assert box["x"] + box["width"] <= size["width"]
            assert box["height"] < 520
