"""What became of an outgoing call: exceptions and statuses, turned into this app's errors in one place.

A call is *repeatable* when doing it twice is the same as doing it once. The same accident means "try again"
for such a call and "nobody knows" for any other, so each call says which kind it is.
"""

from __future__ import annotations

import email.utils
import json
import re
import time
from contextlib import nullcontext
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Final, Protocol

import httpx

from canvas_app.errors import CredentialsError, LaterError, PermanentError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from canvas_app.errors import WireError

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 10.0
# The time limit for one read starts anew with every byte, so the whole answer has a limit of its own.
CALL_SECONDS: Final = 25.0
# This long after its request could leave, a call has certainly ended, whatever the other side did.
LONGEST_CALL_SECONDS: Final = CALL_SECONDS + READ_SECONDS
MOST_ANSWER_BYTES: Final = 5 * 1024 * 1024
LONGEST_RETRY_AFTER: Final = 3600.0
USER_AGENT: Final = "koji-for-intercom"
# At least as many as a worker runs jobs at once: a job that waited for a connection of ours would take it for
# the other side's being out of reach. All of them are kept, so that no call has to connect anew meanwhile.
MOST_CONNECTIONS: Final = 40

# Why a gate put a call off that was not made: too many calls of ours, or the vendor has said "not before".
GATE_FULL: Final = "gate_full"
GATE_BLOCKED: Final = "gate_blocked"
# Why a call was not made whose claim had grown too old: our database or this machine was too slow for it.
TOO_SLOW: Final = "too_slow"
# None of these says anything about the vendor, or about what was to be done.
PUT_OFF: Final = frozenset({GATE_FULL, GATE_BLOCKED, TOO_SLOW})

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
# What httpcore tells right before the first byte of a request is written to its connection.
_REQUEST_LEAVES: Final = "http11.send_request_headers.started"
# With these, nothing has left yet: the other side cannot have acted.
_BEFORE_SENDING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Gate(Protocol):
    """What every call of a wire passes, so that all who call share the vendor's limits."""

    def passage(self, operation: str) -> AbstractContextManager[None]:
        """Surrounds one call. ``operation`` is the method and the path, with ``{id}`` for every id.

        Entering may take a moment, and raises LaterError or CredentialsError when the call is not to be made
        now. Leaving takes note of the WireError that the call ended with, if it did, and raises nothing new.
        """


class OpenGate:
    """A gate that lets every call through."""

    def passage(self, operation: str) -> AbstractContextManager[None]:
        return nullcontext()


OPEN_GATE: Final = OpenGate()


def make_http_client(transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """An HTTP client as both wires need it: time limits always, no redirects, no proxy or cookie by accident.

    Redirects stay off because a followed one would carry the bearer token to another address.
    """
    return httpx.Client(
        transport=transport,
        timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
        follow_redirects=False,
        trust_env=False,
        limits=httpx.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=MOST_CONNECTIONS),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that came: its status, its headers, and its body unless that could not be read.

    ``problem`` is the reason code why ``body`` is None. The status is known all the same.
    """

    status: int
    headers: httpx.Headers
    body: bytes | None
    problem: str | None = None

    def json_object(self) -> dict[str, object]:
        """The body's JSON object; an empty one when the body is anything else."""
        if self.body is None:
            return {}
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


def send(
    http: httpx.Client,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    json_body: Mapping[str, object] | None = None,
    params: Mapping[str, str] | None = None,
    repeatable: bool,
    service: str,
    begin_by: float | None = None,
    server_name: str | None = None,
) -> Answer:
    """Make one call and read its answer, at most 5 MB of it. ``service`` is the name used in messages.

    ``begin_by``: the moment of ``time.monotonic`` after which no byte of the request leaves any more.
    ``server_name``: whose certificate it must be, where ``url`` names an IP address. Raises
    LaterError ``too_slow`` then and ``unreachable`` when nothing left; ``no_answer`` as LaterError or, for a
    call that is not repeatable, UnknownOutcomeError, when no status came back; PermanentError
    ``base_url_wrong``.
    """

    def in_time(event: str = _REQUEST_LEAVES, _info: object = None) -> None:
        if event == _REQUEST_LEAVES and begin_by is not None and time.monotonic() > begin_by:
            raise too_slow()

    sent_headers = dict(headers)
    content: bytes | None = None
    if json_body is not None:
        # Escaped to ASCII, a stray half of a surrogate pair in a person's name cannot break the encoding.
        content = json.dumps(json_body, allow_nan=False).encode()
        sent_headers["Content-Type"] = "application/json"
    deadline = time.monotonic() + CALL_SECONDS
    try:
        request = http.build_request(
            method,
            url,
            headers=sent_headers,
            content=content,
            params=params,
            # Asked once more when the connection stands: looking the name up has no time limit, and
            # connecting and TLS take their time too. https://www.encode.io/httpcore/extensions/#trace
            extensions={"trace": in_time} | ({"sni_hostname": server_name} if server_name else {}),
        )
        in_time()
        response = http.send(request, stream=True)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise PermanentError(
            f"The address set for {service} is not a usable https:// address.", reason="base_url_wrong"
        ) from error
    except _BEFORE_SENDING as error:
        raise LaterError(f"{service} cannot be reached.", reason="unreachable") from error
    except httpx.HTTPError as error:
        raise _no_answer(service, repeatable=repeatable) from error
    try:
        body, problem = _read(response, deadline)
    finally:
        response.close()
    return Answer(response.status_code, response.headers, body, problem)


def _read(response: httpx.Response, deadline: float) -> tuple[bytes | None, str | None]:
    """The body, or why there is none. The status came already, so nothing here may lose it by raising."""
    body = bytearray()
    try:
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MOST_ANSWER_BYTES:
                return None, "answer_too_large"
            if time.monotonic() > deadline:
                return None, "no_answer"
    except httpx.DecodingError:
        return None, "answer_unreadable"
    except httpx.HTTPError:
        return None, "no_answer"
    return bytes(body), None


def failure(
    answer: Answer,
    *,
    wire: str,
    service: str,
    repeatable: bool,
    retry_after: float | None = None,
    request_id: str | None = None,
    codes: tuple[str, ...] = (),
) -> WireError | None:
    """The error that a status stands for, None for 2xx. A wire looks at its special cases before.

    ``wire`` starts the reason codes (``intercom_refused``). ``codes`` are the vendor's machine codes, the
    only part of its answer that messages repeat: its texts can hold personal data.
    """
    status = answer.status
    said = f"{service} answered {status}" + (f" ({', '.join(codes)})" if codes else "")
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return PermanentError(
            f"{said}: it moved. The address set for {service} is wrong (with or without www, or the region).",
            reason="redirected",
            status=status,
            request_id=request_id,
        )
    if status == 401:
        return CredentialsError(
            f"{said}: the token is not valid.",
            reason=f"{wire}_token_refused",
            status=status,
            request_id=request_id,
        )
    if status == 403:
        return CredentialsError(
            f"{said}: the token lacks a permission.",
            reason=f"{wire}_scope_missing",
            status=status,
            request_id=request_id,
        )
    if status == 429:
        return LaterError(
            f"{said}: too many calls.",
            reason="rate_limited",
            status=status,
            request_id=request_id,
            retry_after=retry_after,
        )
    if status == 408 or status >= 500:
        if not repeatable:
            return UnknownOutcomeError(
                f"{said} to a call that may have had its effect.",
                reason="server_error",
                status=status,
                request_id=request_id,
            )
        return LaterError(
            f"{said}.", reason="server_error", status=status, request_id=request_id, retry_after=retry_after
        )
    reason = "not_found" if status == 404 else f"{wire}_refused"
    return PermanentError(f"{said}.", reason=reason, status=status, request_id=request_id)


def too_slow() -> LaterError:
    """The error for a call that could not begin in time, and was not made."""
    return LaterError(
        "The call could not begin in time, so it was not made.",
        reason=TOO_SLOW,
        # Nothing has to be waited for.
        retry_after=0.0,
    )


def unreadable(answer: Answer, *, service: str, request_id: str | None = None) -> LaterError:
    """The error for a repeatable call that succeeded, but whose answer is not the JSON that is needed."""
    return LaterError(
        f"{service} answered {answer.status} with a body that cannot be used.",
        reason=answer.problem or "answer_unreadable",
        status=answer.status,
        request_id=request_id,
    )


def page_instead(
    answer: Answer, *, service: str, repeatable: bool, request_id: str | None = None
) -> WireError | None:
    """The error for a page for people where JSON belongs, None when none came. To be asked before failure.

    Something between us and the service has answered, with whatever status, and may have kept the call to
    itself: a 404 of a gateway's is not the service's. What 429, 408 and 5xx mean is the same from either, and
    a redirect tells that the address is wrong.
    """
    status = answer.status
    if not _is_web_page(answer) or status in (408, 429) or 300 <= status < 400 or status >= 500:
        return None
    kind = LaterError if repeatable else UnknownOutcomeError
    return kind(
        f"A page for people came with status {status} where {service} should have answered.",
        reason="answer_unreadable",
        status=status,
        request_id=request_id,
    )


def _is_web_page(answer: Answer) -> bool:
    return (
        "html" in answer.headers.get("Content-Type", "").lower() or (answer.body or b"").lstrip()[:1] == b"<"
    )


def answered_at(answer: Answer, now: float) -> float:
    """When the answer was given by the clock of who gave it, in unix seconds; ``now`` where it does not say.

    Moments in an answer are meant by that clock, and ours may be minutes ahead.
    """
    moment = _unix_seconds(answer.headers.get("Date"))
    return now if moment is None else moment


def retry_after_seconds(value: str | None, now: float) -> float | None:
    """Seconds to wait by a ``Retry-After`` header (seconds or an HTTP date), 0 to 3600, None if unusable.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    if value is None:
        return None
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return min(float(text), LONGEST_RETRY_AFTER)
    moment = _unix_seconds(text)
    return None if moment is None else min(max(moment - now, 0.0), LONGEST_RETRY_AFTER)


def reset_seconds(value: str | None, now: float) -> float | None:
    """Seconds until a moment given as unix seconds (``X-RateLimit-Reset``), 0 to 3600, None if unusable."""
    if value is None or not _NUMBER.fullmatch(value.strip()):
        return None
    return min(max(float(value) - now, 0.0), LONGEST_RETRY_AFTER)


def _unix_seconds(http_date: str | None) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(http_date or "").timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def safe_request_id(*candidates: object) -> str | None:
    """The first candidate that looks like an id and nothing more, since it goes into logs."""
    for candidate in candidates:
        if isinstance(candidate, str) and _REQUEST_ID.fullmatch(candidate):
            return candidate
    return None


def token_is_sendable(token: str) -> bool:
    """Whether a token can stand in a header: a stray line feed or accent would fail far from its cause."""
    return bool(token) and token.isascii() and token.isprintable() and " " not in token


def _no_answer(service: str, *, repeatable: bool) -> WireError:
    if repeatable:
        return LaterError(f"{service} did not answer in time.", reason="no_answer")
    return UnknownOutcomeError(
        f"{service} did not answer; the call may have had its effect.", reason="no_answer"
    )
