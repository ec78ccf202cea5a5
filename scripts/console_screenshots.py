"""The pictures of the console in docs/screenshots/console: ``make screenshots``, or this module alone.

The application runs as real processes beside the sandbox, over a ledger of three months that is the same in
every run but for the moments. Every page is taken as a desk shows it and as a phone does.
"""

from __future__ import annotations

import sys
from pathlib import Path

import sqlalchemy as sa
from playwright.sync_api import Browser, Page

from canvas_app import store
from canvas_app.console import access
from canvas_app.interviews import operators
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.tables import workspaces
from sandbox import seed
from scripts.pictures import take_all
from tests.processes.stage import Stage, until
from tests.support import busy_workspace

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "screenshots" / "console"
# Width of the window, and how much of a long page is shown.
SIZES = ((1280, 1500), (375, 1700))
ADA = "Ada Byrne"


def main() -> int:
    return take_all(FOLDER, take)


def take(stage: Stage, browser: Browser) -> None:
    """Fill the ledger and walk every page."""
    stage.start_worker()
    stage.wait_until_healthy()
    until("a worker knows the workspace", lambda: _knows_workspace(stage))
    settings, workspace_id = busy_workspace.settings_of(stage.app.environment), stage.intercom.workspace_id
    busy = busy_workspace.fill(stage.engine, settings, workspace_id)
    with store.writing(stage.engine) as connection:
        operators.add(connection, workspace_id, seed.ADA, ADA)
        operators.add(connection, workspace_id, seed.OWN_ADMIN, "Sam Okafor")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    console = f"{stage.app.url}/console/"
    page.goto(f"{console}sign-in")
    _shoot(page, "sign-in")
    page.goto(access.make_link(settings, stage.app.url, Teammate(workspace_id, seed.ADA, ADA)))
    _shoot(page, "use-link")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Make them now").click()

    def is_made() -> bool:
        page.goto(console)
        return page.get_by_text("Attributes and tags in Intercom are there").count() == 1

    until("a worker has made them", is_made)
    for name, path in busy_workspace.pages(busy).items():
        page.goto(console + path)
        _shoot(page, name)


def _knows_workspace(stage: Stage) -> bool:
    with store.reading(stage.engine) as connection:
        return connection.execute(sa.select(workspaces.c.workspace_id)).first() is not None


def _shoot(page: Page, name: str) -> None:
    for width, most in SIZES:
        page.set_viewport_size({"width": width, "height": 900 if width > 500 else 800})
        height = page.evaluate("() => document.scrollingElement.scrollHeight")
        page.screenshot(
            path=FOLDER / f"{name}-{width}.png",
            animations="disabled",
            full_page=True,
            clip={"x": 0, "y": 0, "width": width, "height": min(height, most)},
        )


if __name__ == "__main__":
    sys.exit(main())
