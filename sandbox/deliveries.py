"""Webhooks of either vendor: signed, sent from a thread in the background, tried again as the vendor does.

=============  =====================================  ===================================================
what           Koji                                   Intercom
=============  =====================================  ===================================================
signature      HMAC-SHA256 in hex                     HMAC-SHA1 in hex, after ``sha1=``
tries          three, with growing pauses             two, a minute apart
an answer may  take 10 s                              take 5 s
gives up       that webhook                           that webhook; all of them for ever after a 410
=============  =====================================  ===================================================

https://www.koji.so/docs/webhook-setup, https://developers.intercom.com/docs/webhooks/webhook-notifications
Intercom's throttling after a 429, and its pauses after a thousand errors, are not played: a 429 is tried
again like any other error.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.faults import FaultBoard

MINUTE = 60.0
"""Seconds after which Intercom tries once more."""


@dataclass(eq=False)
class Delivery:
    """One webhook: its exact bytes, and what each try was answered (None: no answer).

    ``about`` is whom it concerns: the id of an interview, a conversation or a contact.
    """

    event: str
    about: str
    raw: bytes
    secret: str = field(repr=False)
    statuses: list[int | None] = field(default_factory=list)
    lost: bool = False
    done: bool = False

    @property
    def accepted(self) -> bool:
        """Whether the last try was answered with a 2xx."""
        last = self.statuses[-1] if self.statuses else None
        return last is not None and 200 <= last < 300

    def document(self) -> dict[str, Any]:
        """Return the delivery as JSON for ``GET /_sandbox/state``."""
        return {
            "event": self.event,
            "about": self.about,
            "body": json.loads(self.raw),
            "statuses": list(self.statuses),
            "lost": self.lost,
            "done": self.done,
        }


@dataclass
class Endpoint:
    """Where one vendor's webhooks go and how it sends them; no address means that none are sent.

    ``sign`` gives the headers for these bytes and a secret; ``pauses`` are the seconds before the second and
    any further try, ``timeout`` those that an answer may take.
    """

    vendor: Literal["koji", "intercom"]
    url: str | None
    sign: Callable[[bytes, str], dict[str, str]]
    pauses: tuple[float, ...]
    timeout: float
    gone: frozenset[int] = frozenset()
    """Statuses after which nothing is ever sent again."""
    renew: Callable[[bytes, int], bytes] = lambda raw, _attempt: raw
    """Gives the bytes of the second and any further try, which a vendor may number."""
    waits_for_next: bool = False
    """Whether a webhook that a fault sends late may wait for one of another batch."""


def koji_endpoint(url: str | None, pauses: tuple[float, ...] = (1.0, 4.0)) -> Endpoint:
    """Return how Koji sends webhooks; the interval and the number of its tries are not documented."""

    def sign(raw: bytes, secret: str) -> dict[str, str]:
        return {"X-Koji-Signature": hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()}

    return Endpoint("koji", url, sign, pauses, timeout=10.0)


def intercom_endpoint(url: str | None, pause: float = MINUTE) -> Endpoint:
    """Return how Intercom sends notifications."""

    def sign(raw: bytes, secret: str) -> dict[str, str]:
        return {"X-Hub-Signature": "sha1=" + hmac.new(secret.encode(), raw, hashlib.sha1).hexdigest()}

    def renew(raw: bytes, attempt: int) -> bytes:
        # The id stays, so that a receiver can tell that it is the same. Intercom implies that, no more.
        document = json.loads(raw)
        document |= {"delivery_attempts": attempt, "delivery_status": "pending"}
        return json.dumps(document, ensure_ascii=False).encode()

    return Endpoint(
        "intercom",
        url,
        sign,
        (pause,),
        timeout=5.0,
        gone=frozenset([410]),
        renew=renew,
        waits_for_next=True,
    )


class Deliverer:
    """Sends one vendor's webhooks, one thread for each batch, and remembers every one of them."""

    def __init__(self, endpoint: Endpoint, board: FaultBoard, lock: threading.RLock) -> None:
        self.endpoint = endpoint
        self.disabled = False
        self.deliveries: list[Delivery] = []
        self._board = board
        self._lock = lock
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._held: list[Delivery] = []
        # Making a client takes longer than sending with it. No connection is kept: the application is killed
        # and started again in tests, and a connection that is gone would look like a webhook that failed.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.Client(trust_env=False, limits=limits)

    def send(self, batch: list[Delivery], *, after: float = 0.0) -> None:
        """Send these, in this order, ``after`` so many seconds."""
        if self.endpoint.url is None:
            return
        with self._lock:
            order = self._as_faults_have_it(batch)
            self.deliveries.extend(batch)
            thread = threading.Thread(target=self._run, args=(order, after), name="webhooks", daemon=True)
            self._threads = [item for item in self._threads if item.is_alive()]
            # Started here, under the lock: one that is not yet alive would be taken for one that has ended.
            thread.start()
            self._threads.append(thread)

    def send_again(self, delivery: Delivery) -> Delivery:
        """Send the same bytes once more, and return when they were answered or given up."""
        again = Delivery(delivery.event, delivery.about, delivery.raw, delivery.secret)
        with self._lock:
            self.deliveries.append(again)
        self._run([again], 0.0)
        return again

    def wait_idle(self, timeout: float = 20.0) -> bool:
        """Wait until nothing is under way; False if that took longer than ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def stop(self) -> None:
        """Give up what is still to be tried."""
        self._stop.set()
        if self.wait_idle():
            self._http.close()

    def _as_faults_have_it(self, batch: list[Delivery]) -> list[Delivery]:
        order: list[Delivery] = []
        held, self._held = self._held, []
        for delivery in batch:
            fault = self._board.take_delivery(self.endpoint.vendor, delivery.event)
            if fault is not None and fault.kind == "lose":
                delivery.lost = delivery.done = True
            elif fault is not None and fault.kind == "reorder":
                held.append(delivery)
                continue
            order += [delivery] * (fault.copies if fault is not None and fault.kind == "duplicate" else 1)
            order += held
            held = []
        if self.endpoint.waits_for_next:
            self._held = held
            return order
        return order + held

    def _run(self, batch: list[Delivery], after: float) -> None:
        if self._stop.wait(after):
            return
        for delivery in batch:
            if self.disabled and not delivery.done:
                delivery.lost = delivery.done = True
            if not delivery.lost:
                self._try(delivery)

    def _try(self, delivery: Delivery) -> None:
        for attempt, pause in enumerate((0.0, *self.endpoint.pauses), start=1):
            if self._stop.wait(pause):
                return
            if attempt > 1:
                delivery.raw = self.endpoint.renew(delivery.raw, attempt)
            status = self._post(delivery)
            with self._lock:
                delivery.statuses.append(status)
                self.disabled = self.disabled or status in self.endpoint.gone
            if delivery.accepted or self.disabled:
                break
        with self._lock:
            delivery.done = True

    def _post(self, delivery: Delivery) -> int | None:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        headers |= self.endpoint.sign(delivery.raw, delivery.secret)
        try:
            answer = self._http.post(
                str(self.endpoint.url),
                content=delivery.raw,
                headers=headers,
                timeout=self.endpoint.timeout,
            )
        except httpx.HTTPError:
            # No answer is an outcome that is recorded, and tried again.
            return None
        return answer.status_code
