"""The machine's own Chromium, driven by Playwright."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.support import system


def chromium_path() -> Path:
    """Where Chromium is. Without it the running test is skipped, or fails with REQUIRE_ALL=1."""
    return system.requires(system.chromium(), "Chromium (Debian package chromium)")


@contextmanager
def open_browser(executable: Path) -> Iterator[Browser]:
    """A headless browser without a profile, closed at the end.

    Playwright brings no browser of its own here: ``playwright install`` fetches one from a place that many
    build machines do not reach, and the distribution's gets the distribution's security updates.
    """
    arguments = ["--disable-dev-shm-usage"]
    if os.geteuid() == 0:
        # As root, in a container, Chromium's sandbox does not start. The pages are all ours.
        arguments.append("--no-sandbox")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        try:
            yield browser
        finally:
            browser.close()
