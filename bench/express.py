"""The card on Express, made ready in a folder that is gone after the run.

It has the shape of the card of Intercom's tutorial, with lines of our own; its packages come from npm, in the
versions and with the digests of its lock file.
https://developers.intercom.com/docs/build-an-integration/getting-started/build-an-app-for-your-inbox
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

CARD = Path(__file__).with_name("express_card")
_LONGEST_INSTALL = 120.0


@contextlib.contextmanager
def installed() -> Iterator[Path | None]:
    """The folder with the card and its packages; None where node, npm or the registry is not there."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="koji-express-") as name:
        folder = Path(name) / "card"
        shutil.copytree(CARD, folder, ignore=shutil.ignore_patterns("node_modules"))
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"]
        try:
            done = subprocess.run(  # noqa: S603 -- our own words
                command, cwd=folder, capture_output=True, check=False, timeout=_LONGEST_INSTALL
            )
        except subprocess.TimeoutExpired:
            yield None
            return
        yield folder if done.returncode == 0 else None
