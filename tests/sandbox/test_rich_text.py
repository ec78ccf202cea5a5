from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, strategies as st

from sandbox.rich_text import ALLOWED, sanitise, text_of


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>a<br/>b</p>", "<p>a<br>b</p>"),
        ("<p onclick=x class=y>a</p>", "<p>a</p>"),
        ("<script>alert(1)</script>b", "b"),
        ("<style>p{}</style><p>b</p>", "<p>b</p>"),
        ("<img src=x onerror=alert(1)>b", "b"),
        ("<div><p>a</div>b", "<p>ab</p>"),
        ("</main></p>a", "a"),
        ("<p><b>a</p>", "<p><b>a</b></p>"),
        ("a < b & c", "a &lt; b &amp; c"),
        ("&lt;script&gt;", "&lt;script&gt;"),
        ("<a href='javascript:alert(1)'>x</a>", "<a>x</a>"),
        ("<a href='//e.com'>x</a>", "<a>x</a>"),
        ("<a href='https://[bad'>x</a>", "<a>x</a>"),
        ("<a>x</a>", "<a>x</a>"),
        (
            '<a href="https://e.com/?a=1&amp;b=&quot;2">x</a>',
            '<a href="https://e.com/?a=1&amp;b=&quot;2" target="_blank" rel="noopener noreferrer">x</a>',
        ),
    ],
)
def test_sanitise(html: str, expected: str) -> None:
    assert sanitise(html) == expected


def test_text_of_keeps_words_apart() -> None:
    assert text_of("<p>One</p><ul><li>two</li></ul><script>x</script> &amp; &lt;three&gt;") == (
        "One two & <three>"
    )


class Watcher(HTMLParser):
    """Notes every tag and attribute, and whether the tags are balanced."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.depth: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "br":
            self.depth.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.depth.pop() == tag


PIECES = st.sampled_from(
    ["<p>", "</p>", "<b>", "</b>", "<a href='http://x'>", "</a>", "<script>", "</script>", "<iframe src=x>",
     "<!--", "-->", "<p", ">", "&lt;", "\"'", "text", "<svg/onload=1>", "<br>", "</div>"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=60))
def test_whatever_comes_only_harmless_balanced_tags_remain(html: str) -> None:
    watcher = Watcher()
    watcher.feed(sanitise(html))
    watcher.close()
    assert set(watcher.tags) <= ALLOWED
    assert watcher.attributes <= {"href", "target", "rel"}
    assert watcher.depth == []
