"""The inbox page in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from sandbox import acts, seed
from tests.sandbox.fake_app import EVERYTHING, canvas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from sandbox.server import Sandbox
    from tests.sandbox.fake_app import FakeApp

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Nothing of these tests may ask for an address outside of this machine, not even a picture.
LOCAL_ONLY = [item for item in EVERYTHING if item["type"] not in {"image", "list"}]


@pytest.fixture
def page(browser: Browser, sandbox: Sandbox, fake_app: FakeApp) -> Iterator[Page]:
    fake_app.answers["initialize"] = canvas(LOCAL_ONLY, nonce="n1")
    opened = browser.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("dialog", lambda dialog: problems.append(dialog.message))
    opened.goto(f"{sandbox.intercom_url}/inbox/1001")
    yield opened
    opened.close()
    assert problems == []


def test_a_tap_replaces_the_card_without_a_new_page(page: Page, fake_app: FakeApp) -> None:
    fake_app.answers["submit"] = canvas([{"type": "text", "text": "Sent **today**"}])
    page.evaluate("window.sameDocument = true")
    page.get_by_label("One line").fill("A personal line")
    page.get_by_role("button", name="Primary").click()
    expect(page.locator("#card")).to_contain_text("Sent today")
    assert page.evaluate("window.sameDocument") is True
    assert b"A personal line" in fake_app.requests[-1][1]


def test_enter_in_a_field_presses_no_button(page: Page, fake_app: FakeApp) -> None:
    page.get_by_label("One line").press("Enter")
    expect(page.get_by_role("button", name="Primary")).to_be_visible()
    assert [kind for kind, _, _ in fake_app.requests] == ["initialize"]


def test_what_changes_appears_by_itself_and_is_marked(page: Page, sandbox: Sandbox) -> None:
    # The first refresh has run when the list was drawn from it.
    state = sandbox.state.intercom
    with state.lock:
        conversation = state.conversation("1001")
        state.add_part(
            conversation,
            part_type="note",
            body="<p>A result</p>",
            author_type="admin",
            author_id=seed.OWN_ADMIN,
            by_api=True,
        )
        state.tag_conversation(conversation, state.ensure_tag("koji_positive_sentiment"), seed.ADA)
    expect(page.locator(".note.fresh .message")).to_have_text("A result")
    expect(page.locator(".thread-head .tag.fresh")).to_have_text("koji_positive_sentiment")
    expect(page.locator(".part.ours.fresh")).to_have_count(0)


def test_a_hostile_name_runs_nothing(page: Page, sandbox: Sandbox) -> None:
    page.goto(f"{sandbox.intercom_url}/inbox/1002")
    expect(page.locator(".thread-head h1")).to_have_text('<script>alert(1)</script> & "Bob"')
    expect(page.locator("script")).to_have_count(1)


def test_without_scripts_the_card_works_too(browser: Browser, sandbox: Sandbox, fake_app: FakeApp) -> None:
    fake_app.answers["initialize"] = canvas(LOCAL_ONLY)
    fake_app.answers["submit"] = canvas([{"type": "text", "text": "Sent"}])
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{sandbox.intercom_url}/inbox/1001")
    page.get_by_role("button", name="Secondary").click()
    expect(page.locator("#card")).to_have_text("Sent")
    context.close()


def test_a_person_plays_the_conversation_without_a_new_page(page: Page, sandbox: Sandbox) -> None:
    state = sandbox.state.intercom
    page.evaluate("window.sameDocument = true")
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.locator(".thread-head .pill").first).to_have_text("Closed")
    page.get_by_title("2 of 5").click()
    page.get_by_label("Remark").fill("It took the whole morning")
    page.get_by_role("button", name="Rate").click()
    expect(page.locator(".pill.rated")).to_contain_text("Rated 2 of 5: “It took the whole morning”")
    page.get_by_label("Tag for the contact").fill("churn risk")
    page.get_by_label("Tag for the contact").press("Enter")
    expect(page.locator("#details .tag")).to_contain_text("churn risk")
    page.get_by_label("Take off churn risk").click()
    expect(page.locator("#details .tag")).to_have_count(0)
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.get_by_role("status").first).to_have_text("This conversation is closed already.")
    assert page.evaluate("window.sameDocument") is True
    assert state.tags_on_contact(seed.MARTA) == set()


def test_nobody_loses_what_they_are_typing(page: Page, sandbox: Sandbox) -> None:
    message = page.locator(".part").first
    message.hover()
    message.get_by_text("Tag", exact=True).first.click()
    page.get_by_label("Tag for this message").first.fill("bu")
    state = sandbox.state.intercom
    acts.say(state, state.conversation("1001"), state.contact(seed.MARTA), "Something new")
    # The list of conversations has been drawn anew, and the messages have not.
    expect(page.locator("#list")).to_contain_text("Something new")
    expect(page.locator("#thread")).not_to_contain_text("Something new")
    page.get_by_label("Tag for this message").first.press_sequentially("g")
    page.get_by_label("Tag for this message").first.press("Enter")
    expect(page.locator("#thread")).to_contain_text("Something new")
    expect(page.locator(".part .tag")).to_have_text("bug")


def test_a_series_step_is_answered_in_its_place(page: Page, fake_app: FakeApp) -> None:
    page.evaluate("window.sameDocument = true")
    page.get_by_text("Run a Series step").click()
    page.locator("#calls").get_by_role("button", name="Run").first.click()
    expect(page.locator("#calls .answer")).to_contain_text('"status": "queued"')
    assert page.evaluate("window.sameDocument") is True
    assert fake_app.calls[0][1]["deliver"] == "attribute"


def test_without_scripts_the_controls_work_too(browser: Browser, sandbox: Sandbox) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{sandbox.intercom_url}/inbox/1004")
    page.get_by_role("button", name="Close as the bot").click()
    expect(page.locator("#thread")).to_contain_text("Fin (bot) closed the conversation")
    page.get_by_text("Merge, archive or delete").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.locator(".thread-head h1")).to_have_text("Deleted contact")
    page.get_by_text("Run a data connector").click()
    page.get_by_label("Begin with a token that has run out").check()
    page.locator("#calls").get_by_role("button", name="Run").last.click()
    expect(page.locator("#calls .answer .pill")).to_have_text(["401", "201"])
    context.close()


def test_a_person_can_answer_the_interview(browser: Browser, sandbox: Sandbox) -> None:
    koji = sandbox.state.koji
    interview = koji.start(next(iter(koji.studies.values())), {"respondent": {"display_name": "Marta"}})
    page = browser.new_page()
    page.goto(koji.link(interview))
    for index in range(3):
        page.locator(f"#answer-{index}").fill("The support was helpful and fast.")
    page.locator(".scale label").nth(4).click()
    page.get_by_role("button", name="Send my answers").click()
    expect(page.get_by_role("heading")).to_have_text("Thank you!")
    page.close()
    assert (interview.rating, interview.status) == (5, "completed")
