"""The operator's console in a real browser: every page and every action, on a desk and on a phone.

The web and a worker run beside the stand-ins, once for all of it. On the phone no script runs.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, Response, ViewportSize, expect
from werkzeug.exceptions import HTTPException

from canvas_app import create_app, store
from canvas_app.console import access
from canvas_app.console.views.interview_acts import ACTS
from canvas_app.interviews import operators
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.states import State
from canvas_app.interviews.tables import deliveries, interviews, options, replays, workspaces
from canvas_app.settings import Settings
from sandbox import seed
from tests.processes.stage import Stage, Talk, until
from tests.support import busy_workspace
from tests.support.busy_workspace import HOSTILE, Busy

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PHONE: ViewportSize = {"width": 375, "height": 800}
DESK: ViewportSize = {"width": 1280, "height": 900}
# What reaches out of the window, so that the whole page could be moved sideways.
WIDER = "() => document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
# Rows for what each of the two does; far from those that busy_workspace has made.
OWN_ROWS = {"desk": 10_000, "phone": 20_000}


@dataclass
class Place:
    """What runs, whose it is, and what is in it."""

    stage: Stage
    settings: Settings
    workspace_id: str
    busy: Busy
    asked_for: set[tuple[str, str]]

    def url(self, path: str = "") -> str:
        return f"{self.stage.app.url}/console/{path}"

    def link(self) -> str:
        ada = Teammate(self.workspace_id, seed.ADA, "Ada Byrne")
        return access.make_link(self.settings, self.stage.app.url, ada)

    def write(self, statement: Any, rows: Any = None) -> None:
        with store.writing(self.stage.engine) as connection:
            connection.execute(statement, rows)

    def row(self, number: int, state: State) -> str:
        """Another interview in this state; its id."""
        with store.reading(self.stage.engine) as connection:
            at = store.now(connection) - timedelta(hours=8)
        values = busy_workspace.interview(self.workspace_id, number, state, at)
        self.write(sa.insert(interviews).values(**values))
        return str(values["id"])

    def interview(self, id_: str) -> Any:
        return next(row for row in self.stage.interviews() if row.id == id_)

    def interview_of(self, talk: Talk) -> Any:
        """The newest interview of a customer."""
        theirs = [row for row in self.stage.interviews() if row.contact_id == talk.contact.id]
        return max(theirs, key=lambda row: row.created_at)


@pytest.fixture(scope="module")
def place(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("console")
    shutil.copy(migrated_sqlite, folder / "koji.db")
    with Stage(f"sqlite:///{folder / 'koji.db'}", folder / "logs") as stage:
        stage.start_worker()
        stage.wait_until_healthy()
        until("a worker knows the workspace", lambda: _knows_workspace(stage))
        settings, workspace_id = (
            busy_workspace.settings_of(stage.app.environment),
            stage.intercom.workspace_id,
        )
        busy = busy_workspace.fill(stage.engine, settings, workspace_id, hostile=True)
        with store.writing(stage.engine) as connection:
            operators.add(connection, workspace_id, seed.ADA, "Ada Byrne")
            operators.add(connection, workspace_id, "996", HOSTILE[:120])
        yield Place(stage, settings, workspace_id, busy, set())


def _knows_workspace(stage: Stage) -> bool:
    with store.reading(stage.engine) as connection:
        return connection.execute(sa.select(workspaces.c.workspace_id)).first() is not None


@contextmanager
def at_the_console(place: Place, browser: Browser, size: ViewportSize, *, scripts: bool) -> Iterator[Page]:
    """Ada at the console, where nothing may go wrong: no word of the browser's, and all of it loads."""
    context = browser.new_context(java_script_enabled=scripts, viewport=size)
    context.set_default_timeout(15_000)
    page, complaints = context.new_page(), []

    def said(message: ConsoleMessage) -> None:
        # The browser tells of each answer that is no success. Which those are, `answered` sees better.
        if message.type in ("error", "warning") and "the server responded with a status" not in message.text:
            complaints.append(f"console: {message.text} {message.location}")

    def thrown(error: Error) -> None:
        complaints.append(f"exception: {error}")

    def asked(request: Request) -> None:
        path = request.url.removeprefix(place.stage.app.url)
        if path == request.url and not request.url.startswith("data:"):
            complaints.append(f"from elsewhere: {request.url}")
        place.asked_for.add((request.method, path.partition("?")[0]))

    def failed(request: Request) -> None:
        # A download is no page, and leaving one ends what it was just loading.
        if request.failure != "net::ERR_ABORTED":
            complaints.append(f"not loaded: {request.url} {request.failure}")

    def answered(response: Response) -> None:
        # A form with a mistake in it is shown again with 422.
        if response.status >= 400 and response.status != 422:
            complaints.append(f"{response.status}: {response.request.method} {response.url}")

    context.on("console", said)
    context.on("request", asked)
    context.on("requestfailed", failed)
    context.on("response", answered)
    page.on("pageerror", thrown)
    sign_in(place, page)
    yield page
    context.close()
    assert complaints == []


def sign_in(place: Place, page: Page) -> None:
    page.goto(place.link())
    fits(page)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(page.get_by_role("banner")).to_contain_text("Ada Byrne")


def fits(page: Page) -> None:
    assert page.evaluate(WIDER) <= 0, f"{page.url} is wider than the window"


def accessible(axe: Axe, page: Page) -> list[str]:
    """What keeps people out, in axe's words."""
    found = axe.run(page).response["violations"]
    return [
        f"{page.url} {page.viewport_size}: {one['id']} ({one['impact']}): "
        + "; ".join(node["html"][:200] for node in one["nodes"][:3])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def tells(page: Page, text: str) -> None:
    """What was done is told, and the page that tells it fits."""
    expect(page.get_by_role("status").first).to_contain_text(text)
    fits(page)


def button(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).first.click()
    fits(page)


def link(page: Page, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).first.click()
    fits(page)


def every_page(place: Place) -> dict[str, str]:
    """All of them, and those on which something outside has a name that would do harm."""
    more = {state: f"interviews/{id_}" for state, id_ in place.busy.interviews.items()}
    more |= {
        "sign-in": "sign-in",
        "failed ones": "deliveries?state=failed",
        "nothing found": "interviews?text=nobody",
        "a study's figures": "?days=365&study=leaving",
        "a dry run without a worker": f"rehearsals/{place.busy.running_rehearsal}",
        "a hostile rule": f"rules/hostile-{'x' * 40}",
        "a hostile rule's form": f"rules/hostile-{'x' * 40}/edit",
        "a hostile study": "studies/hostile/edit",
        "a hostile study's words": "studies/hostile/words",
    }
    return {**busy_workspace.pages(place.busy), **more}


def test_every_page_fits_and_keeps_nobody_out(place: Place, browser: Browser) -> None:
    axe, problems = Axe(), []
    with at_the_console(place, browser, DESK, scripts=True) as page:
        for path in every_page(place).values():
            page.goto(place.url(path))
            for size in (DESK, PHONE):
                page.set_viewport_size(size)
                if page.evaluate(WIDER) > 0:
                    problems.append(f"{page.url} is wider than {size['width']} px")
            # Once, since it takes a second: what it finds hardly ever hangs on the width.
            problems += accessible(axe, page)
            assert page.locator("script:not([src])").count() == 0
    assert not problems, "\n".join(problems)


def test_every_page_is_there_without_scripts_and_by_keyboard(place: Place, browser: Browser) -> None:
    with at_the_console(place, browser, PHONE, scripts=False) as page:
        for path in every_page(place).values():
            page.goto(place.url(path))
            expect(page.get_by_role("heading", level=1)).to_have_count(1)
            fits(page)
        page.goto(place.url("rules"))
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="New rule")).to_be_focused()


@pytest.mark.parametrize("where", ["desk", "phone"])
def test_every_action_is_done_and_told(place: Place, browser: Browser, where: str) -> None:
    scripts, size = where == "desk", DESK if where == "desk" else PHONE
    place.asked_for.clear()
    with at_the_console(place, browser, size, scripts=scripts) as page:
        on_the_overview(place, page)
        through_the_interviews(place, page)
        about_one_interview(place, page)
        what_was_left_half_done(place, page, OWN_ROWS[where])
        what_came_in(place, page, OWN_ROWS[where])
        with_a_rule(place, page, f"rule-{where}")
        with_a_study(place, page, f"study-{where}")
        what_is_written_back(place, page)
        with_people(place, page)
        page.goto(place.url("card-preview"))
        expect(page.get_by_role("heading", level=1)).to_have_text("Card preview")
    for_scripts = set() if scripts else {("GET", "console.replay_figures")}
    left_out = {("GET", "console.nowhere"), *for_scripts}
    assert all_of_the_console(place.settings) - used(place) == left_out
    assert {f"/{act}" for act in ACTS} == {
        path[path.rindex("/") :]
        for method, path in place.asked_for
        if method == "POST" and re.fullmatch(r"/console/interviews/\w+/[\w-]+", path)
    }


def all_of_the_console(settings: Settings) -> set[tuple[str, str]]:
    rules = create_app(settings).url_map.iter_rules()
    return {
        (method, rule.endpoint)
        for rule in rules
        if rule.endpoint.startswith("console.")
        for method in (rule.methods or set()) & {"GET", "POST"}
    }


def used(place: Place) -> set[tuple[str, str]]:
    """What the browser has asked for, by the names of the routes."""
    adapter, found = create_app(place.settings).url_map.bind("localhost"), set()
    for method, path in place.asked_for:
        try:
            found.add((method, adapter.match(path, method)[0]))
        except HTTPException:
            # Bootstrap's files, say.
            continue
    return found


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

    def is_made() -> bool:
        page.goto(place.url())
        return page.get_by_text("Attributes and tags in Intercom are there").count() == 1

    until("a worker has made them", is_made)


def through_the_interviews(place: Place, page: Page) -> None:
    link(page, "Interviews")
    page.get_by_label("Name, address or id").fill("mia.chen@")
    page.get_by_label("State").select_option("written_back")
    button(page, "Show")
    expect(page.get_by_role("cell", name="Mia Chen").first).to_be_visible()
    expect(page.locator("tbody")).not_to_contain_text("Tom Becker")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download these as CSV").click()
    assert "Mia Chen" in waiting.value.path().read_text()
    link(page, "Show all")
    link(page, "Older \u203a")
    link(page, "« Newest")
    page.locator("tbody a").first.click()
    expect(page.get_by_role("heading", name="The story")).to_be_visible()
    fits(page)


def about_one_interview(place: Place, page: Page) -> None:
    """With a customer of the stand-in's, so that it is seen what they get."""
    stage, talk = place.stage, place.stage.customer()
    stage.tap(talk)
    stage.until_card(talk, "Interview sent")

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
        busy_workspace.failed(number + more, now - timedelta(seconds=30), reason="too_slow")
        for more in range(3)
    ]
    place.write(sa.insert(deliveries), rows)
    link(page, "Deliveries")
    page.get_by_label("What became of it").select_option("failed")
    button(page, "Show")
    button(page, "Run again")
    tells(page, "It is taken up again")
    page.get_by_label("Run again all that have failed").select_option("too_slow")
    button(page, "Run them again")
    expect(page.get_by_role("heading", level=1)).to_have_text("Run again")

    def is_done() -> bool:
        page.reload()
        return page.get_by_text("Done on").count() == 1

    until("all are taken up", is_done)
    how_far_it_has_come(place, page, number)


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


def with_a_rule(place: Place, page: Page, slug: str) -> None:
    link(page, "Rules")
    link(page, "New rule")
    button(page, "Save")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed")
    page.get_by_label("Name for files and the command line").fill(slug)
    page.get_by_label("Title").fill(f"Of {slug}")
    page.get_by_label("When this happens in Intercom").select_option("conversation.rating.added")
    page.get_by_label("Rating at most").fill("2")
    button(page, "Save")
    tells(page, "The rule is written, and off")
    link(page, "Edit")
    page.get_by_label("Rating at most").fill("3")
    button(page, "Save")
    tells(page, "The rule is changed")
    button(page, "Try it on the last 30 days")

    def is_tried() -> bool:
        again = page.get_by_role("link", name="Look again")
        if again.count():
            again.click()
        return page.get_by_text("would have been asked").count() > 0

    until("the rule is tried", is_tried)
    fits(page)
    button(page, "Switch the rule on")
    tells(page, "The rule is on")
    link(page, "← Rules")
    button(page, f"↑ Up Of {slug}")
    button(page, f"↓ Down Of {slug}")
    button(page, f"Switch off Of {slug}")
    tells(page, "The rule is off")
    page.goto(place.url("rules"))
    link(page, "What was decided, and why")
    page.get_by_label("Rule", exact=True).select_option("low-rating")
    page.get_by_label("Verdict").select_option("asked")
    button(page, "Show")
    page.get_by_role("link", name=re.compile("Interview of")).first.click()
    expect(page.get_by_role("heading", name="The story")).to_be_visible()


def with_a_study(place: Place, page: Page, slug: str) -> None:
    link(page, "Studies")
    link(page, "Add a study")
    button(page, "Save")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed")
    page.get_by_label("Name for rules, the API and the command line").fill(slug)
    page.get_by_label("Name", exact=True).fill(f"Of {slug}")
    page.get_by_label("Koji's API key").fill("planted" * 5)
    page.get_by_label("Signing secret of its webhooks").fill("planted" * 5)
    button(page, "Save")
    tells(page, "The study is added")
    page.get_by_label("Credits of one interview").fill("2")
    button(page, "Save")
    tells(page, "The study is changed")
    assert "planted" not in page.content()
    button(page, f"Switch off Of {slug}")
    tells(page, "The study is off")
    button(page, f"Switch on Of {slug}")
    tells(page, "The study is on")
    link(page, f"Message of Of {slug}")
    page.get_by_label("Language").fill("de")
    page.get_by_label("Greeting").fill("Guten Tag {first_name},")
    button(page, "Preview")
    expect(page.get_by_role("main")).to_contain_text("Guten Tag Mia,")
    button(page, "Save")
    tells(page, "The words are saved")
    button(page, "Take the words in de away")
    tells(page, "The words of this language are taken away")


def what_is_written_back(_place: Place, page: Page) -> None:
    link(page, "Write-back")
    page.get_by_label("Quality gate").fill("9")
    button(page, "Save")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved")
    page.get_by_label("Quality gate").fill("2.5")
    page.get_by_label(re.compile("^Pricing friction")).check()
    button(page, "Preview")
    tells(page, "A preview: nothing was saved yet")
    button(page, "Save")
    tells(page, "Saved. It counts from the next result on.")


def with_people(place: Place, page: Page) -> None:
    link(page, "People")
    page.get_by_label("Teammate's id").fill("Sam")
    page.get_by_label("Name", exact=True).fill("Sam Okafor")
    button(page, "Let them change things")
    expect(page.get_by_role("main")).to_contain_text("The id that Intercom gives the teammate")
    page.get_by_label("Teammate's id").fill(seed.OWN_ADMIN)
    button(page, "Let them change things")
    tells(page, "They may change things from now on")
    page.get_by_role("row", name="Sam Okafor").get_by_role("button", name="May only look").click()
    tells(page, "They may only look from now on")
    button(page, "End all sessions")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.goto(place.url("people"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    sign_in(place, page)
    button(page, "Sign out")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    sign_in(place, page)
