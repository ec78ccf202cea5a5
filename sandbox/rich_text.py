"""What of a message's HTML the inbox page shows: a short list of harmless tags, and the text of the rest."""

from __future__ import annotations

import re
from html import escape, unescape
from html.parser import HTMLParser
from urllib.parse import urlsplit

from markupsafe import Markup

ALLOWED = frozenset(["p", "br", "b", "strong", "i", "em", "a", "ul", "ol", "li", "h1", "h2", "h3"])
SILENT = frozenset(["script", "style"])
"""Elements whose content is no text."""


class _Sanitiser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self._open: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in SILENT:
            self._silent += 1
        if tag not in ALLOWED or self._silent:
            return
        if tag == "br":
            self.out.append("<br>")
            return
        self.out.append(_link(dict(attrs).get("href")) if tag == "a" else f"<{tag}>")
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self._silent = max(0, self._silent - 1)
        # Close what is still open inside, so that a message can never end an element of the page.
        if tag in self._open:
            while self._open:
                closed = self._open.pop()
                self.out.append(f"</{closed}>")
                if closed == tag:
                    return

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.out.append(escape(data))

    def finish(self) -> str:
        self.close()
        self.out.extend(f"</{tag}>" for tag in reversed(self._open))
        return "".join(self.out)


def _link(href: str | None) -> str:
    try:
        safe = href is not None and urlsplit(href.strip()).scheme in {"http", "https"}
    except ValueError:
        safe = False
    if href is None or not safe:
        return "<a>"
    return f'<a href="{escape(href.strip())}" target="_blank" rel="noopener noreferrer">'


def text_of(html: str) -> str:
    """Return the words of ``html`` in one line."""
    # A space before each tag, or the end of one paragraph would run into the next.
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", str(sanitise(html)))).split())


def sanitise(html: str) -> Markup:
    """Return ``html`` with only the allowed tags, no attributes but a link's address, and all tags closed."""
    sanitiser = _Sanitiser()
    sanitiser.feed(html)
    # Every piece was escaped or is one of our own tags.
    return Markup(sanitiser.finish())  # noqa: S704  # nosec B704
