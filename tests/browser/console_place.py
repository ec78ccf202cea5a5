"""A console that runs, and somebody in front of it: what the browser tests of the console have in common."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, Response, ViewportSize, expect

from canvas_app import store
from canvas_app.console import access
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.states import State
from canvas_app.interviews.tables import interviews
from canvas_app.settings import Settings
from sandbox import seed
from sandbox.processes import ROOT
from tests.processes.stage import Stage, Talk
from tests.support import busy_rows
from tests.support.busy_workspace import Busy

PHONE: ViewportSize = {"width": 375, "height": 800}
DESK: ViewportSize = {"width": 1280, "height": 900}
SIZES: dict[str, ViewportSize] = {"desk": DESK, "phone": PHONE}
# What reaches out of the window, so that the whole page could be moved sideways.
_WIDER = "() => document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
# Tables that have to be moved sideways in their box, by their names.
_CUT = """
() => [...document.querySelectorAll('.table-responsive')]
  .filter((box) => box.scrollWidth > box.clientWidth)
  .map((box) => box.getAttribute('aria-label'))
"""


@dataclass
class Place:
    """What runs, whose it is, what is in it, and what browsers have asked of it."""

    stage: Stage
    settings: Settings
    workspace_id: str
    busy: Busy
    asked_for: set[tuple[str, str]] = field(default_factory=set)

    def url(self, path: str = "") -> str:
        return f"{self.stage.app.url}/console/{path}"

    def link(self, id_: str = seed.ADA, name: str = "Ada Byrne") -> str:
        """As the card has it for a teammate."""
        return access.make_link(self.settings, self.stage.app.url, Teammate(self.workspace_id, id_, name))

    def link_of_the_command_line(self) -> str:
        command = [sys.executable, "-m", "canvas_app", "console-link"]
        done = subprocess.run(  # noqa: S603 -- our own command.
            command,
            cwd=ROOT,
            env=self.stage.app.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def link_of_the_card(self, browser: Browser, size: ViewportSize) -> str:
        """Behind the button "Settings" of the card, in the stand-in's inbox."""
        page = browser.new_page(viewport=size)
        page.goto(self.stage.sandbox.inbox_url)
        page.get_by_role("button", name="Settings").click()
        link = page.get_by_role("link", name="Open the console").get_attribute("href")
        page.close()
        assert link is not None
        return link

    def write(self, statement: Any, rows: Any = None) -> None:
        with store.writing(self.stage.engine) as connection:
            connection.execute(statement, rows)

    def row(self, number: int, state: State) -> str:
        """Another interview in this state; its id."""
        with store.reading(self.stage.engine) as connection:
            at = store.now(connection) - timedelta(hours=8)
        values = busy_rows.interview(self.workspace_id, number, state, at)
        self.write(sa.insert(interviews).values(**values))
        return str(values["id"])

    def interview(self, id_: str) -> Any:
        return next(row for row in self.stage.interviews() if row.id == id_)

    def interview_of(self, talk: Talk) -> Any:
        """The newest interview of a customer."""
        theirs = [row for row in self.stage.interviews() if row.contact_id == talk.contact.id]
        return max(theirs, key=lambda row: row.created_at)


@contextmanager
def a_page(place: Place, browser: Browser, size: ViewportSize, *, scripts: bool) -> Iterator[Page]:
    """A page on which nothing may go wrong: no word of the browser's, and all of it loads."""
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
    yield page
    context.close()
    assert not complaints, "\n".join(complaints)


@contextmanager
def at_the_console(place: Place, browser: Browser, size: ViewportSize, *, scripts: bool) -> Iterator[Page]:
    """Ada at the console, as an operator."""
    with a_page(place, browser, size, scripts=scripts) as page:
        sign_in(page, place.link(), "Ada Byrne")
        yield page


def sign_in(page: Page, link: str, name: str) -> None:
    page.goto(link)
    fits(page)
    button(page, "Sign in")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(page.get_by_role("banner")).to_contain_text(name)


def too_wide(page: Page) -> int:
    """By how many pixels a page that has loaded, style sheets and all, is wider than the window."""
    page.wait_for_load_state()
    wider: int = page.evaluate(_WIDER)
    return max(0, wider)


def cut_off(page: Page) -> list[str]:
    """Tables of which not all is seen."""
    found: list[str] = page.evaluate(_CUT)
    return found


def fits(page: Page) -> None:
    assert too_wide(page) == 0, f"{page.url} is wider than the window"


def inaccessible(page: Page) -> list[str]:
    """What keeps people out, in axe's words."""
    page.evaluate(AXE_SCRIPT)
    # Making a selector for each element takes half of the time.
    found = page.evaluate("() => axe.run({resultTypes: ['violations'], selectors: false})")["violations"]
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
    """Press it. Each leads to a page, and that has loaded when this returns."""
    with page.expect_navigation():
        page.get_by_role("button", name=name, exact=True).first.click()
    fits(page)


def link(page: Page, name: str) -> None:
    with page.expect_navigation():
        page.get_by_role("link", name=name, exact=True).first.click()
    fits(page)
