"""One request, right in what proves its sender and wrong in anything else, for each door."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_from_bytes, urlencode

from hypothesis import strategies as st
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from canvas_app.canvas import ids
from canvas_app.cli.samples import SAMPLES, Sample, Subject
from canvas_app.settings import Settings
from tests.input import values

# Every header that somebody here or before us might look at.
_HEADERS = (
    "Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Content-Type", "Cookie", "Forwarded",
    "Idempotency-Key", "If-Modified-Since", "If-None-Match", "Origin", "Purpose", "Range", "Referer",
    "Sec-Purpose", "User-Agent", "X-Body-Signature", "X-Forwarded-For", "X-Forwarded-Host",
    "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-HTTP-Method-Override", "X-Hub-Signature",
    "X-Koji-Signature", "X-Original-URL", "X-Request-Id",
)  # fmt: skip
_HEADER_VALUES = (
    "", "*/*", "Bearer", "Bearer x", "Basic Og==", "https", "127.0.0.1", "a, b,, c", "::1", "bytes=0-",
    "bytes=9999999999999999999999-", "Thu, 99 Foo 99999 99:99:99 GMT", 'W/"', "multipart/form-data",
    "multipart/form-data; boundary=" + "x" * 300, "application/json; charset=utf-99", "text/html",
    "application/x-www-form-urlencoded; charset=idna", "koji_console=x; koji_console=y", "koji_console=",
    "sha1=", "t=1,v1=" + "0" * 64, "é" * 10, "\x7f", "\t", "x" * 4000, "https://evil.example/console/",
)  # fmt: skip
_METHODS = ("GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO")
# Those of all pages and doors together.
_PARAMETERS = (
    "challenge", "token", "study", "deliver", "delay", "contact_id", "state", "before", "after", "from", "to",
    "since", "until", "page", "q", "place", "rule", "verdict", "door", "reason", "period", "teammate",
    "origin",    "language", "text", "first", "last", "week",
)  # fmt: skip
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Shot:
    """``target`` is the path and the query as they stand in the request."""

    door: str
    method: str
    target: str
    headers: Headers = ()
    body: bytes = field(default=b"", repr=False)

    def __str__(self) -> str:
        named = [(name, value[:120]) for name, value in self.headers if name != "Cookie"]
        return f"{self.method} {self.target[:300]} {named} {self.body[:600]!r}"


@dataclass(frozen=True)
class Form:
    """A form of a page: where it goes, and what its fields have."""

    action: str
    fields: tuple[tuple[str, str], ...]


@dataclass(repr=False)
class Aim:
    """What somebody who belongs here knows of an app: its secrets, ids, cards, and the console's forms."""

    settings: Settings
    subject: Subject
    link_tokens: Sequence[str]
    ids: Sequence[str]
    # Contact and conversation of interviews in every state, and a tap on the card of each.
    people: Sequence[tuple[str, str | None]] = ()
    cards: Sequence[Mapping[str, Any]] = ()
    pages: Sequence[str] = ()
    forms: Sequence[Form] = ()
    cookie: str = ""
    csrf_token: str = ""

    def __repr__(self) -> str:
        return "Aim"


header_value = st.sampled_from(_HEADER_VALUES) | st.text(
    st.characters(max_codepoint=255, exclude_characters="\r\n\0", exclude_categories=["Cc"]), max_size=60
)
any_headers = st.lists(st.tuples(st.sampled_from(_HEADERS), header_value), max_size=4).map(tuple)
segment = st.one_of(
    values.text.map(lambda text: quote(text[:300].encode("utf-8", "surrogatepass"), safe="")),
    st.binary(max_size=30).map(quote_from_bytes),
    st.sampled_from(["..", ".", "%2e%2e", "%zz", "%", "a;b=c", "~", "%c0%af", "x" * 1500, "0" * 32]),
)
query = st.lists(
    st.tuples(
        st.sampled_from(_PARAMETERS) | values.text,
        values.text,
    ),
    max_size=4,
).map(lambda pairs: _urlencoded(pairs)[:1500])


_COMPONENTS = tuple(sorted(ids.ACTIONS))
# The samples of each door, and the doors as often as they are to be tried.
_BY_DOOR = tuple(
    sorted(name for name in SAMPLES if name.startswith(prefix))
    for prefix in ("canvas-initialize", "canvas-submit", "canvas-submit", "intercom", "koji", "api", "api")
)


def _urlencoded(pairs: Sequence[tuple[str, str]]) -> str:
    return urlencode(pairs, encoding="utf-8", errors="surrogatepass")


def _asked(path: str, query_string: str) -> str:
    return f"{path}?{query_string}" if query_string else path


@st.composite
def signed(draw: st.DrawFn, aim: Aim) -> Shot:
    """One of the doors for a vendor or a program, with a body near to one of theirs."""
    name = draw(st.sampled_from(draw(st.sampled_from(_BY_DOOR))))
    sample: Sample = SAMPLES[name]
    raw = draw(values.body(_sample_body(draw, name, sample, aim)))
    secret = secret_of(aim.settings, sample)
    # Each delivery is signed over its very bytes: what stands in them is what is tried.
    proof = sample.proof(raw, secret, aim.settings) if not draw(values.rarely) else {}
    headers: Headers = tuple(proof.items())
    if sample.path == "/api/interviews":
        return _asking(draw, raw, headers)
    more = draw(any_headers)
    return Shot(
        sample.path,
        draw(st.sampled_from(_METHODS)) if draw(values.rarely) else "POST",
        _asked(sample.path, draw(query) if draw(values.rarely) else ""),
        headers + tuple(pair for pair in more if pair[0] not in proof),
        raw,
    )


def secret_of(settings: Settings, sample: Sample) -> str:
    secret: str = getattr(settings, sample.setting.lower())[0]
    return secret


def _sample_body(draw: st.DrawFn, name: str, sample: Sample, aim: Aim) -> dict[str, Any]:
    contact_id, conversation_id = draw(st.sampled_from(aim.people))
    subject = dataclasses.replace(
        aim.subject, contact_id=contact_id, conversation_id=conversation_id or aim.subject.conversation_id
    )
    body: dict[str, Any] = dict(sample.body(subject))
    if name == "canvas-submit":
        # A tap on a card that this very app has drawn.
        body |= draw(st.sampled_from(aim.cards)) if aim.cards else {}
        body["component_id"] = draw(
            st.sampled_from(_COMPONENTS) if not draw(values.sometimes) else values.text
        )
        body["input_values"] = draw(
            st.dictionaries(
                st.sampled_from([ids.PERSONAL_LINE, ids.STUDY]) | values.text,
                values.scalar | st.lists(values.scalar, max_size=3),
                max_size=3,
            )
        )
    if name.startswith("koji") and draw(st.booleans()) and aim.ids and isinstance(body.get("data"), dict):
        body["data"]["metadata"] = {"interview_ref": draw(st.sampled_from(aim.ids))}
        body["data"] |= draw(
            st.dictionaries(
                st.sampled_from(["sentiment", "quality_score", "themes", "transcript_url", "completed_at"]),
                values.json_value,
                max_size=3,
            )
        )
    return body


def _asking(draw: st.DrawFn, raw: bytes, proof: Headers) -> Shot:
    if draw(values.sometimes):
        id_ = draw(segment | st.sampled_from(["0" * 32]))
        return Shot("/api/interviews/<id>", "GET", f"/api/interviews/{id_}", proof + draw(any_headers))
    kind = draw(
        st.sampled_from(
            ["application/json", "application/json", "application/x-www-form-urlencoded", "multipart"]
        )
        | header_value
    )
    if kind == "multipart":
        fields = draw(
            st.dictionaries(
                st.sampled_from(["contact_id", "email", "study", "delay"]), values.text, max_size=4
            )
        )
        boundary, raw = _multipart(fields, file=draw(st.booleans()))
        kind = f"multipart/form-data; boundary={boundary}"
    elif kind == "application/x-www-form-urlencoded":
        pairs = draw(
            st.lists(st.tuples(st.sampled_from(["contact_id", "email", "study"]) | values.text, values.text))
        )
        raw = _urlencoded(pairs).encode() if draw(st.booleans()) else draw(st.binary(max_size=100))
    headers: Headers = (*proof, ("Content-Type", kind))
    if draw(st.booleans()):
        headers = (*headers, ("Idempotency-Key", draw(header_value)))
    query_string = draw(query) if draw(values.sometimes) else ""
    method = draw(st.sampled_from(["POST", "PUT"]))
    return Shot("/api/interviews", method, _asked("/api/interviews", query_string), headers, raw)


def _multipart(fields: Mapping[str, str], *, file: bool) -> tuple[str, bytes]:
    clean: dict[str, Any] = {
        name: value.encode("utf-8", "replace").decode() for name, value in fields.items()
    }
    if file:
        clean["file"] = FileStorage(io.BytesIO(b"\0" * 100), filename="../x")
    # One of its own making would be another one each time.
    return encode_multipart(clean, boundary="boundary-of-the-form")


@st.composite
def link(draw: st.DrawFn, aim: Aim) -> Shot:
    """A personal link: a right one under odd headers, one that was changed, or anything."""
    token = draw(st.sampled_from(aim.link_tokens))
    kind = draw(st.integers(0, 3))
    if kind == 1:
        at = draw(st.integers(0, len(token) - 1))
        token = token[:at] + draw(st.sampled_from("AZ.-_%\\/")) + token[at + 1 :]
    elif kind == 2:
        token = draw(segment)
    return Shot("/i/<token>", draw(st.sampled_from(["GET", "HEAD"])), f"/i/{token}", draw(any_headers))


@st.composite
def open_page(draw: st.DrawFn, _aim: Aim) -> Shot:
    """What anybody may look at, and what is nowhere."""
    path = draw(
        st.sampled_from(["/", "/healthz", "/api/openapi.json", "/console/sign-in", "/webhooks/koji"])
        | st.lists(segment, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
    )
    method = draw(st.sampled_from(_METHODS))
    sent = draw(st.binary(max_size=60)) if method in ("POST", "PUT", "PATCH") else b""
    return Shot("open", method, _asked(path, draw(query)), draw(any_headers), sent)


@st.composite
def console_page(draw: st.DrawFn, aim: Aim) -> Shot:
    """A page of the console, with anything in its address."""
    path = draw(st.sampled_from(aim.pages))
    if draw(values.sometimes):
        parts = path.split("/")
        parts[draw(st.integers(2, len(parts) - 1))] = draw(segment)
        path = "/".join(parts)
    headers = tuple(pair for pair in draw(any_headers) if pair[0] != "Cookie")
    method = draw(st.sampled_from(["GET", "GET", "GET", "HEAD", "OPTIONS", "POST"]))
    return Shot("/console", method, _asked(path, draw(query)), (("Cookie", aim.cookie), *headers))


@st.composite
def console_form(draw: st.DrawFn, aim: Aim) -> Shot:
    """A form of the console with its token, and with other things in some of its fields."""
    form = draw(st.sampled_from(aim.forms))
    fields = [(name, value) for name, value in form.fields if name != "csrf_token"]
    for _ in range(draw(st.integers(0, 3))):
        if not fields:
            break
        at = draw(st.integers(0, len(fields) - 1))
        way = draw(st.sampled_from(["other", "other", "gone", "twice", "new"]))
        if way == "gone":
            del fields[at]
        elif way == "twice":
            fields.append((fields[at][0], draw(values.text)))
        elif way == "new":
            fields.append((draw(values.text), draw(values.text)))
        else:
            fields[at] = (fields[at][0], draw(values.text))
    headers: Headers = (
        ("Cookie", aim.cookie),
        ("Content-Type", "application/x-www-form-urlencoded"),
    )
    path = form.action
    if draw(values.rarely):
        parts = path.split("/")
        parts[draw(st.integers(2, len(parts) - 1))] = draw(segment)
        path = "/".join(parts)
    fields.append(("csrf_token", aim.csrf_token))
    return Shot("/console form", "POST", path, headers, _urlencoded(fields).encode())


def every(aim: Aim) -> st.SearchStrategy[Shot]:
    """Any of them, the doors that take bodies more often."""
    ways = [signed(aim), signed(aim), signed(aim), link(aim), open_page(aim)]
    return st.one_of(*ways, console_page(aim), console_form(aim)) if aim.pages else st.one_of(*ways)
