"""The operator's console in a real browser: every page and every action, on a desk and on a phone.

The web and a worker run beside the stand-ins, once for all of it. On the phone no script runs while things
are done, so that all of it is seen to work without JavaScript.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect
from werkzeug.exceptions import HTTPException

from canvas_app import create_app
from canvas_app.console.views.interview_acts import ACTS
from canvas_app.settings import Settings
from tests.browser import console_walks as walks
from tests.browser.console_place import (
    PHONE,
    SIZES,
    Place,
    a_page,
    at_the_console,
    cut_off,
    fits,
    inaccessible,
    sign_in,
    too_wide,
)
from tests.support import busy_workspace

# Half a minute each where nothing else runs; a busy machine takes several times as long.
pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(300)]

# Rows for what each of them does; far from those that busy_workspace has made.
OWN_ROWS = {"desk": 10_000, "phone": 20_000, "script": 30_000}
# What the audit log has to tell of a walk.
DONE = (
    "Asked for what is missing in Intercom",
    "Entered an address for alerts",
    "Removed the address for alerts",
    "Asked for a reminder",
    "Withdrew the link",
    "Sent again",
    "Had the contact erased",
    "Cancelled it",
    "Had the result written again",
    "Said what became of the message",
    "Ran a delivery again",
    "Ran failed deliveries again",
    "Added a rule",
    "Changed a rule",
    "Switched a rule on",
    "Moved a rule",
    "Switched a rule off",
    "Added a study",
    "Changed a study",
    "Switched a study off",
    "Switched a study on",
    "Worded a study's message",
    "Took words of a study away",
    "Changed the write-back",
    "Let somebody change things",
    "Let somebody only look",
)


def every_page(place: Place) -> dict[str, str]:
    """All of them, and those on which something outside has a name that would do harm."""
    more: dict[str, str] = {state: f"interviews/{id_}" for state, id_ in place.busy.interviews.items()}
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


@pytest.mark.parametrize("where", SIZES)
def test_every_page_fits_and_keeps_nobody_out(place: Place, browser: Browser, where: str) -> None:
    problems = []
    with at_the_console(place, browser, SIZES[where], scripts=True) as page:
        for path in every_page(place).values():
            page.goto(place.url(path))
            if wider := too_wide(page):
                problems.append(f"{page.url} is wider than the window, by {wider} px")
            problems += [f"{page.url}: the table {table!r} is cut off" for table in cut_off(page)]
            problems += inaccessible(page)
            assert page.locator("script:not([src])").count() == 0
    assert not problems, "\n".join(problems)


def test_every_page_is_there_without_scripts_and_by_keyboard(place: Place, browser: Browser) -> None:
    with at_the_console(place, browser, PHONE, scripts=False) as page:
        for path in every_page(place).values():
            page.goto(place.url(path))
            expect(page.get_by_role("heading", level=1)).to_have_count(1)
            for size in SIZES.values():
                page.set_viewport_size(size)
                fits(page)
        page.goto(place.url("rules"))
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="New rule")).to_be_focused()


@pytest.mark.parametrize("where", SIZES)
def test_a_link_of_the_card_or_of_the_command_line_signs_in_once(
    place: Place, browser: Browser, where: str
) -> None:
    size = SIZES[where]
    of_the_card = place.link_of_the_card(browser, size)
    with a_page(place, browser, size, scripts=False) as page:
        sign_in(page, of_the_card, "Ada Byrne")
    with a_page(place, browser, size, scripts=True) as page:
        sign_in(page, place.link_of_the_command_line(), "Command line")
    page = browser.new_page(viewport=size)
    page.goto(of_the_card)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This link does not work any more")
    fits(page)
    page.close()


@pytest.mark.parametrize("where", SIZES)
def test_who_may_only_look_is_shown_nothing_to_press(place: Place, browser: Browser, where: str) -> None:
    busy = place.busy
    paths = {name: path for name, path in busy_workspace.pages(busy).items() if name not in ACTS}
    with a_page(place, browser, SIZES[where], scripts=False) as page:
        sign_in(page, place.link("995", "Noor Haddad"), "may look")
        for path in paths.values():
            page.goto(place.url(path))
            fits(page)
            usable = page.locator("main").get_by_role("button", disabled=False).all_inner_texts()
            assert set(usable) <= {"Show"}, page.url
            assert page.locator("main form[method=post] :enabled:not([type=hidden])").count() == 0, page.url


@pytest.mark.parametrize("where", SIZES)
def test_every_action_is_done_and_told(place: Place, browser: Browser, where: str) -> None:
    scripts, own_rows = where == "desk", OWN_ROWS[where]
    place.asked_for.clear()
    with at_the_console(place, browser, SIZES[where], scripts=scripts) as page:
        walks.on_the_overview(place, page)
        walks.through_the_interviews(page)
        walks.about_one_interview(place, page)
        walks.what_was_left_half_done(place, page, own_rows)
        walks.what_came_in(place, page, own_rows)
        walks.how_far_it_has_come(place, page, own_rows)
        walks.with_a_rule(place, page, f"rule-{where}", scripts=scripts)
        walks.with_a_study(page, f"study-{where}")
        walks.what_is_written_back(page, "45" if scripts else "60")
        walks.past_the_cards(page)
        walks.with_people(page)
        walks.what_the_audit_log_says(page, *DONE)
        walks.out_of_it(place, page)
    for_scripts = set() if scripts else {("GET", "console.replay_figures")}
    left_out = {("GET", "console.nowhere"), *for_scripts}
    assert all_of_the_console(place.settings) - used(place) == left_out
    assert {f"/{act}" for act in ACTS} == {
        path[path.rindex("/") :]
        for method, path in place.asked_for
        if method == "POST" and re.fullmatch(r"/console/interviews/\w+/[\w-]+", path)
    }


def test_on_a_phone_with_scripts_it_is_shown_how_far_it_has_come(place: Place, browser: Browser) -> None:
    with at_the_console(place, browser, PHONE, scripts=True) as page:
        walks.how_far_it_has_come(place, page, OWN_ROWS["script"])


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
