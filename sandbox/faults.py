"""How either stand-in can be told to misbehave.

A :class:`Fault` says which calls it spoils and how; a :class:`FaultGate` stands in front of a WSGI
application, records every call and spoils those that a fault matches.

==============  ===========================  ============================================================
kind            takes effect?                what the caller sees
==============  ===========================  ============================================================
``latency``     yes                          the answer, ``delay`` seconds late
``status``      no, unless ``effect``        ``status`` with the vendor's headers and error body
``drop_before`` no                           the connection closed without an answer
``drop_after``  yes                          the connection closed without an answer
``hang_before`` no                           nothing until ``release``; then the connection closed
``hang_after``  yes                          nothing until ``release``; then the answer
``html``        no, unless ``effect``        200 with an HTML page, as from a proxy in between
``truncated``   yes                          the answer, cut in the middle
==============  ===========================  ============================================================
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import re
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args

from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Request, Response

from sandbox.state import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Wire = Literal["intercom", "koji"]
Kind = Literal[
    "latency", "status", "drop_before", "drop_after", "hang_before", "hang_after", "html", "truncated"
]
LONGEST_HANG = 120.0
"""A forgotten hang ends by itself, in seconds, so that no run waits for ever."""


@dataclass(eq=False)
class Fault:
    """What goes wrong, for the next ``times`` calls of ``method`` whose whole path matches ``path_regex``.

    ``delay`` is in seconds: how long ``latency`` waits, and the longest that a hang lasts where it is not 0.
    ``skip`` lets that many matching calls through first. ``reached`` is set when a call has met the fault
    (for ``*_after``: when its effect has taken place); a hang goes on until ``release`` is set.
    """

    wire: Wire
    method: str
    path_regex: str
    kind: Kind
    times: int = 1
    delay: float = 0.0
    status: int = 500
    effect: bool = False
    skip: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    hits: int = 0
    id: int = 0

    def __post_init__(self) -> None:
        if self.wire not in get_args(Wire):
            raise ValueError(f"wire is {self.wire!r}, expected one of {get_args(Wire)}")
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind is {self.kind!r}, expected one of {get_args(Kind)}")
        try:
            re.compile(self.path_regex)
        except re.error as error:
            raise ValueError(f"path_regex is no regular expression: {error}") from error

    def matches(self, wire: Wire, method: str, path: str) -> bool:
        """Say whether this fault is about such a call, and not yet used up."""
        return (
            self.times > 0
            and self.wire == wire
            and self.method in {"*", method}
            and re.fullmatch(self.path_regex, path) is not None
        )

    def document(self) -> dict[str, Any]:
        """Return the fault as JSON for ``GET /_sandbox/faults``."""
        return {
            "id": self.id,
            "wire": self.wire,
            "method": self.method,
            "path_regex": self.path_regex,
            "kind": self.kind,
            "times": self.times,
            "hits": self.hits,
            "reached": self.reached.is_set(),
            "released": self.release.is_set(),
        }


@dataclass(eq=False)
class DeliveryFault:
    """What goes wrong with a vendor's next ``times`` webhooks of ``event`` ("*" for any).

    ``duplicate`` sends each ``copies`` times and ``lose`` never sends it. ``reorder`` sends it after the next
    one: with Koji, of the same interview; with Intercom, whatever it is about, so that without a next one it
    waits for ever.
    """

    kind: Literal["duplicate", "reorder", "lose"]
    event: str = "*"
    times: int = 1
    copies: int = 2
    vendor: Wire = "koji"

    def __post_init__(self) -> None:
        if self.vendor not in get_args(Wire):
            raise ValueError(f"vendor is {self.vendor!r}, expected one of {get_args(Wire)}")
        if self.kind not in {"duplicate", "reorder", "lose"}:
            raise ValueError(f"kind is {self.kind!r}, expected duplicate, reorder or lose")


class FaultBoard:
    """The faults that are set, for both stand-ins."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._faults: list[Fault] = []
        # Those that are not used up: a long run sets them by the thousand, and each call looks for its own.
        self._live: list[Fault] = []
        self._deliveries: list[DeliveryFault] = []
        self._ids = itertools.count(1)

    def set(self, fault: Fault) -> Fault:
        """Set a fault and return it, so that a test can wait for ``fault.reached``."""
        with self._lock:
            fault.id = next(self._ids)
            self._faults.append(fault)
            self._live.append(fault)
            return fault

    def set_delivery(self, fault: DeliveryFault) -> None:
        """Set a fault of a vendor's webhooks."""
        with self._lock:
            self._deliveries.append(fault)

    def from_json(self, document: Mapping[str, Any]) -> Fault | None:
        """Set the fault that a JSON body describes; ValueError or TypeError if it describes none."""
        fields = dict(document)
        vendor, _, delivery = str(fields.get("wire")).partition("_")
        if delivery == "delivery":
            del fields["wire"]
            self.set_delivery(DeliveryFault(**{**fields, "vendor": vendor}))
            return None
        if unsettable := fields.keys() & {"reached", "release", "hits", "id"}:
            raise ValueError(f"cannot be set: {sorted(unsettable)}")
        return self.set(Fault(**fields))

    def all(self) -> list[Fault]:
        """Return every fault set since the last ``clear``, used up or not."""
        with self._lock:
            return list(self._faults)

    def clear(self) -> None:
        """Forget all faults and release everything that hangs."""
        with self._lock:
            for fault in self._faults:
                fault.times = 0
                fault.release.set()
            self._faults.clear()
            self._live.clear()
            self._deliveries.clear()

    def take(self, wire: Wire, method: str, path: str) -> Fault | None:
        """Return the first fault for such a call, and use it up once."""
        with self._lock:
            # Whoever has set a fault may have ended it, too.
            self._live = [fault for fault in self._live if fault.times > 0]
            for fault in self._live:
                if fault.matches(wire, method, path):
                    if fault.skip > 0:
                        fault.skip -= 1
                        return None
                    fault.times -= 1
                    fault.hits += 1
                    return fault
            return None

    def take_delivery(self, vendor: Wire, event: str) -> DeliveryFault | None:
        """Return the first fault for such a webhook, and use it up once."""
        with self._lock:
            for fault in self._deliveries:
                if fault.times > 0 and fault.vendor == vendor and fault.event in {"*", event}:
                    fault.times -= 1
                    return fault
            return None


class FaultGate:
    """Stands before a stand-in's WSGI application: records each call, and spoils it where a fault says so.

    ``refuse(status)`` gives the vendor's headers and JSON body for a status. ``exempt`` are the beginnings of
    paths that are no API: pages, static files and the stand-in's own controls.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        wire: Wire,
        board: FaultBoard,
        record: Callable[[Call], None],
        refuse: Callable[[int], tuple[dict[str, str], Any]],
        exempt: tuple[str, ...],
    ) -> None:
        self._app = app
        self._wire = wire
        self._board = board
        self._record = record
        self._refuse = refuse
        self._exempt = exempt

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/" or path.startswith(self._exempt):
            return self._app(environ, start_response)
        request = Request(environ)
        # Read now: a body that nobody reads would be met by a reset connection, which is another fault.
        raw = request.get_data(cache=True)
        environ["wsgi.input"] = io.BytesIO(raw)
        call = Call(self._wire, request.method, path, _json_or_none(raw), time.time())
        fault = self._board.take(self._wire, request.method, path)
        call.fault = fault.kind if fault else None
        self._record(call)
        response = self._spoil(fault, environ, call) if fault else self._pass(environ, call)
        return response(environ, start_response)

    def _pass(self, environ: WSGIEnvironment, call: Call) -> Response:
        body, status, headers = run_wsgi_app(self._app, environ, buffered=True)
        response = Response(b"".join(body), status, headers)
        call.status = response.status_code
        return response

    def _spoil(self, fault: Fault, environ: WSGIEnvironment, call: Call) -> Response:
        if fault.kind == "latency":
            fault.reached.set()
            fault.release.wait(fault.delay)
            return self._pass(environ, call)
        if fault.kind == "drop_before":
            fault.reached.set()
            _hang_up(environ, "before any effect")
        if fault.kind == "hang_before":
            fault.reached.set()
            fault.release.wait(fault.delay or LONGEST_HANG)
            _hang_up(environ, "after a hang without effect")
        if fault.kind in {"status", "html"}:
            if fault.effect:
                self._pass(environ, call)
            fault.reached.set()
            return self._answer_instead(fault, call)
        response = self._pass(environ, call)
        fault.reached.set()
        if fault.kind == "drop_after":
            _hang_up(environ, "after the effect")
        if fault.kind == "hang_after":
            fault.release.wait(fault.delay or LONGEST_HANG)
            return response
        return _cut(environ, response)

    def _answer_instead(self, fault: Fault, call: Call) -> Response:
        if fault.kind == "html":
            call.status = 200
            return Response(
                "<!doctype html><title>Please wait</title><p>Please wait.", 200, mimetype="text/html"
            )
        headers, body = self._refuse(fault.status)
        call.status = fault.status
        chosen = body if fault.body is None else fault.body
        return Response(
            json.dumps(chosen), fault.status, {**headers, **fault.headers}, mimetype="application/json"
        )


def _hang_up(environ: WSGIEnvironment, when: str) -> NoReturn:
    # The server would go on reading from a connection that nothing was answered on; so it is closed here, and
    # then the error that a vanished caller causes makes the server forget it without a word.
    connection: socket.socket = environ["werkzeug.socket"]
    with contextlib.suppress(OSError):  # The caller may have closed it already.
        connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError(f"fault: the connection is closed {when}")


def _cut(environ: WSGIEnvironment, response: Response) -> Response:
    raw = response.get_data()
    headers = {key: value for key, value in response.headers.items() if key.lower() != "content-length"}
    headers["Content-Length"] = str(len(raw))

    def half() -> Iterable[bytes]:
        yield raw[: len(raw) // 2]
        _hang_up(environ, "in the middle of the answer")

    return Response(half(), response.status_code, headers, direct_passthrough=True)


def _json_or_none(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None
