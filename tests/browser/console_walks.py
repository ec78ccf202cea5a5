"""Ways through the console: each walk does all that can be done on a page, and looks that it was told."""

from __future__ import annotations

import re
from datetime import timedelta

import sqlalchemy as sa
from playwright.sync_api import Page, expect

from canvas_app import store
from canvas_app.interviews.states import State
from canvas_app.interviews.tables import deliveries, options, replays
from sandbox import seed
from tests.browser.console_place import Place, button, fits, link, sign_in, tells
from tests.processes.stage import PATIENCE, until
from tests.support import busy_rows
from tests.support.busy_workspace import HOSTILE


def on_the_overview(place: Place, page: Page) -> None:
    # As if nobody had asked yet.
    place.write(sa.delete(options).where(options.c.name.in_(("set_up_asked", "set_up_found"))))
    page.goto(place.url())
    expect(page.locator("#alerts")).to_contain_text("results could not be written")
    button(page, "Make them now")
    tells(page, "A worker makes what is missing")
    page.get_by_text("Tell us elsewhere, too").click()
    page.get_by_label("Address for alerts").fill("http://hooks.example.com/planted")
    button(page, "Post alerts there")
    expect(page.locator("#alerts")).to_contain_text("must begin with https://")
    # Nobody listens there, should the clock tell it of something just now.
    page.get_by_label("Address for alerts").fill("https://127.0.0.1:9/planted")
    button(page, "Post alerts there")
    tells(page, "Alerts are posted there")
    page.get_by_text("Tell us elsewhere, too").click()
    expect(page.locator("#alerts")).to_contain_text("posted to 127.0.0.1")
    button(page, "Post nowhere")
    tells(page, "Alerts are posted nowhere now")
    page.get_by_label("Study", exact=True).select_option("leaving")
    page.get_by_label("Period").select_option("90")
    button(page, "Show")
    expect(page.locator("#figures svg")).not_to_have_count(0)
    for numbers in page.locator("#figures summary").all():
        numbers.click()
    fits(page)

    def is_made() -> bool:
        page.goto(place.url())
        return page.get_by_text("Attributes and tags in Intercom are there").count() == 1

    until("a worker has made them", is_made)


def through_the_interviews(page: Page) -> None:
    link(page, "Interviews")
    page.get_by_label("Name, address or id").fill("mia.chen@")
    page.get_by_label("State").select_option("written_back")
    button(page, "Show")
    expect(page.get_by_role("cell", name="Mia Chen").first).to_be_visible()
    expect(page.locator("tbody")).not_to_contain_text("Tom Becker")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download these as CSV").click()
    file = waiting.value.path().read_text()
    assert "Mia Chen" in file
    assert "Tom Becker" not in file
    link(page, "Show all")
    link(page, "Older \u203a")
    link(page, "« Newest")
    with page.expect_navigation():
        page.locator("tbody a").first.click()
    expect(page.get_by_role("heading", name="The story")).to_be_visible()
    fits(page)


def about_one_interview(place: Place, page: Page) -> None:
    """With a customer of the stand-in's, so that it is seen what they get."""
    stage, talk = place.stage, place.stage.customer()
    stage.tap(talk)

    def look(number: int) -> None:
        until(f"message {number} is there", lambda: len(stage.links(talk)) == number)
        page.goto(place.url(f"interviews/{place.interview_of(talk).id}"))

    look(1)
    link(page, "Remind now")
    button(page, "Remind the customer")
    tells(page, "A worker is at it")
    look(2)
    link(page, "Withdraw the link")
    button(page, "Withdraw it")
    tells(page, "The link is withdrawn")
    link(page, "Send again")
    expect(page.get_by_role("note")).to_contain_text("The customer was asked not long ago")
    page.get_by_label("Personal line (optional)").fill(HOSTILE)
    button(page, "Send it")
    tells(page, "A worker is at it")
    look(3)
    assert HOSTILE[:20] not in str(stage.intercom.comments(talk.conversation.id)[-1].body), "it is no markup"
    link(page, "Erase the contact")
    expect(page.get_by_role("main")).to_contain_text("What will be lost of this contact here")
    button(page, "Erase for good")
    tells(page, "A worker erases the contact")
    erased = page.url.rpartition("/")[2]
    until("it is erased", lambda: place.interview(erased).purged_at)


def what_was_left_half_done(place: Place, page: Page, number: int) -> None:
    def open_one(more: int, state: State) -> None:
        page.goto(place.url(f"interviews/{place.row(number + more, state)}"))

    open_one(1, "planned")
    link(page, "Do not send it")
    button(page, "Cancel it")
    tells(page, "It is cancelled")
    open_one(2, "analysed")
    link(page, "Write the result again")
    button(page, "Write it again")
    tells(page, "The result is written to Intercom once more")
    for more, choice, told in (
        (3, "It is there", "It is written down as sent"),
        (4, "It is not there, send it", "A worker is at it"),
    ):
        open_one(more, "unknown")
        link(page, "What became of the message?")
        button(page, choice)
        tells(page, told)


def what_came_in(place: Place, page: Page, number: int) -> None:
    with store.reading(place.stage.engine) as connection:
        now = store.now(connection)
    rows = [
        busy_rows.failed(number + more, now - timedelta(seconds=30), reason="too_slow") for more in range(3)
    ]
    place.write(sa.insert(deliveries), rows)
    link(page, "Deliveries")
    expect(page.get_by_role("heading", level=2).nth(0)).to_have_text("Failed")
    expect(page.get_by_role("heading", level=2).nth(1)).to_have_text("All")
    page.get_by_label("What became of it").select_option("failed")
    button(page, "Show")
    button(page, "Run again")
    tells(page, "It is taken up again")
    page.get_by_label("Run again all that have failed").select_option("too_slow")
    button(page, "Run them again")
    expect(page.get_by_role("heading", level=1)).to_have_text("Run again")

    def is_done() -> bool:
        page.goto(page.url)
        return page.get_by_text("Done on").count() == 1

    until("all are taken up", is_done)


def how_far_it_has_come(place: Place, page: Page, number: int) -> None:
    """Shown by a script; without one the page loads itself anew."""
    id_ = f"{number:032x}"
    with store.reading(place.stage.engine) as connection:
        now = store.now(connection)
    row = {"id": id_, "until": now, "started_at": now, "total": 40, "seen": 10, "not_taken": 0, "batch": 1}
    place.write(sa.insert(replays).values(**row))
    page.goto(place.url(f"deliveries/replays/{id_}"))
    expect(page.locator("#figures")).to_have_text("10 of 40")
    fits(page)
    this = sa.update(replays).where(replays.c.id == id_)
    place.write(this.values(seen=30))
    expect(page.locator("#figures")).to_have_text("30 of 40")
    place.write(this.values(seen=40, finished_at=now))
    expect(page.get_by_role("main")).to_contain_text("40 taken up again")
    fits(page)


def with_a_rule(place: Place, page: Page, slug: str, *, scripts: bool) -> None:
    title = f"Of {slug}"
    link(page, "Rules")
    link(page, "New rule")
    button(page, "Save")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed")
    page.get_by_label("Name for files and the command line").fill(slug)
    page.get_by_label("Title").fill(title)
    page.get_by_label("When this happens in Intercom").select_option("conversation.rating.added")
    page.get_by_label("Rating at most").fill("2")
    button(page, "Save")
    tells(page, "The rule is written, and off")
    link(page, "Edit")
    page.get_by_label("Rating at most").fill("3")
    button(page, "Save")
    tells(page, "The rule is changed")
    button(page, "Try it on the last 30 days")
    found = page.get_by_text(re.compile(r"\d+ would have been asked"))
    if scripts:
        expect(found).to_be_visible(timeout=PATIENCE * 1000)
    else:

        def is_tried() -> bool:
            if found.count():
                return True
            link(page, "Look again")
            return False

        until("the rule is tried", is_tried)
    fits(page)
    button(page, "Switch the rule on")
    tells(page, "The rule is on")
    link(page, "← Rules")
    listed = page.get_by_role("main").get_by_role("heading", level=2)
    expect(listed.last).to_have_text(title)
    button(page, f"↑ Up {title}")
    expect(listed.nth(-2)).to_have_text(title)
    button(page, f"↓ Down {title}")
    expect(listed.last).to_have_text(title)
    button(page, f"Switch off {title}")
    tells(page, "The rule is off")
    link(page, "Rules")
    link(page, "What was decided, and why")
    page.get_by_label("Rule", exact=True).select_option("low-rating")
    page.get_by_label("Verdict").select_option("asked")
    button(page, "Show")
    with page.expect_navigation():
        page.get_by_role("link", name=re.compile("Interview of")).first.click()
    expect(page.get_by_role("heading", name="The story")).to_be_visible()


def with_a_study(page: Page, slug: str) -> None:
    name = f"Of {slug}"
    link(page, "Studies")
    link(page, "Add a study")
    button(page, "Save")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed")
    page.get_by_label("Name for rules, the API and the command line").fill(slug)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Koji's API key").fill("planted" * 5)
    page.get_by_label("Signing secret of its webhooks").fill("planted" * 5)
    button(page, "Save")
    tells(page, "The study is added")
    page.get_by_label("Credits of one interview").fill("2")
    button(page, "Save")
    tells(page, "The study is changed")
    assert "planted" not in page.content()
    button(page, f"Switch off {name}")
    tells(page, "The study is off")
    button(page, f"Switch on {name}")
    tells(page, "The study is on")
    link(page, f"Message of {name}")
    page.get_by_label("Language", exact=True).fill("de")
    page.get_by_label("Greeting").fill("Guten Tag {first_name},")
    button(page, "Preview")
    expect(page.get_by_role("alert")).to_contain_text("lacks invitation")
    page.get_by_label("Invitation").fill("Dürfen wir Sie etwas fragen?")
    page.get_by_label("Link", exact=True).fill("Zum Gespräch")
    page.get_by_label("Thanks").fill("Danke!")
    button(page, "Preview")
    expect(page.get_by_role("main")).to_contain_text("Guten Tag Mia,")
    button(page, "Save")
    tells(page, "The words are saved")
    button(page, "Take the words in de away")
    tells(page, "The words of this language are taken away")


def what_is_written_back(page: Page, days: str) -> None:
    link(page, "Write-back")
    page.get_by_label("Quality gate").fill("9")
    button(page, "Save")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved")
    page.get_by_label("Quality gate").fill("2.5")
    page.get_by_label("Days until").fill(days)
    page.get_by_label(re.compile("^Pricing friction")).check()
    button(page, "Preview")
    tells(page, "A preview: nothing was saved yet")
    button(page, "Save")
    tells(page, "Saved. It counts from the next result on.")
    expect(page.get_by_label("Days until")).to_have_value(days)


def past_the_cards(page: Page) -> None:
    link(page, "Card preview")
    link(page, "Answered")
    expect(page.locator(".canvas").first).to_be_visible()


def with_people(page: Page) -> None:
    link(page, "People")
    page.get_by_label("Teammate's id").fill("Sam")
    page.get_by_label("Name", exact=True).fill("Sam Okafor")
    button(page, "Let them change things")
    expect(page.get_by_role("main")).to_contain_text("The id that Intercom gives the teammate")
    page.get_by_label("Teammate's id").fill(seed.OWN_ADMIN)
    button(page, "Let them change things")
    tells(page, "They may change things from now on")
    with page.expect_navigation():
        page.get_by_role("row", name="Sam Okafor").get_by_role("button", name="May only look").click()
    tells(page, "They may only look from now on")


def what_the_audit_log_says(page: Page, *done: str) -> None:
    """The page of people tells who has done each of these, in words."""
    link(page, "People")
    log = page.get_by_role("region", name="What was changed")
    for what in done:
        expect(
            log.get_by_role("row").filter(has_text=what).filter(has_text="Ada Byrne").first
        ).to_be_visible()


def out_of_it(place: Place, page: Page) -> None:
    """Sign out; and end everybody's session, from which nobody goes on."""
    at_the_door = page.get_by_role("heading", level=1, name="Sign in")
    button(page, "Sign out")
    expect(at_the_door).to_be_visible()
    sign_in(page, place.link(), "Ada Byrne")
    link(page, "People")
    button(page, "End all sessions")
    expect(at_the_door).to_be_visible()
    page.goto(place.url("people"))
    expect(at_the_door).to_be_visible()
