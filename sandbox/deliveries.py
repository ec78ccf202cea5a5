"""Koji's webhooks: signed, sent from a thread in the background, tried up to three times.

https://www.koji.so/docs/webhook-setup
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from sandbox.faults import FaultBoard


@dataclass(eq=False)
class Delivery:
    """One webhook: its exact bytes, and what each try was answered (None: no answer)."""

    event: str
    interview_id: str
    raw: bytes
    signature: str
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
            "interview_id": self.interview_id,
            "body": json.loads(self.raw),
            "statuses": list(self.statuses),
            "lost": self.lost,
            "done": self.done,
        }


@dataclass
class Endpoint:
    """Where webhooks go and how they are signed; no address means that none are sent."""

    url: str | None
    secret: str
    header: str = "X-Koji-Signature"
    pauses: tuple[float, ...] = (1.0, 4.0)
    """Seconds before the second and the third try."""
    timeout: float = 10.0


class Deliverer:
    """Sends webhooks, one thread for each batch, and remembers every one of them."""

    def __init__(self, endpoint: Endpoint, board: FaultBoard, lock: threading.RLock) -> None:
        self.endpoint = endpoint
        self.deliveries: list[Delivery] = []
        self._board = board
        self._lock = lock
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def send(
        self, interview_id: str, events: list[tuple[str, dict[str, Any]]], *, after: float = 0.0
    ) -> None:
        """Send these events of one interview, in this order, ``after`` so many seconds."""
        if self.endpoint.url is None:
            return
        batch = self._as_faults_have_it([self._make(interview_id, event, data) for event, data in events])
        thread = threading.Thread(target=self._run, args=(batch, after), name="koji-webhooks", daemon=True)
        with self._lock:
            self.deliveries.extend(dict.fromkeys(batch))
            self._threads.append(thread)
        thread.start()

    def send_again(self, delivery: Delivery) -> Delivery:
        """Send the same bytes once more, and return when they were answered or given up."""
        again = Delivery(delivery.event, delivery.interview_id, delivery.raw, delivery.signature)
        with self._lock:
            self.deliveries.append(again)
        self._run([again], 0.0)
        return again

    def wait_idle(self, timeout: float = 20.0) -> bool:
        """Wait until nothing is under way; False if that took longer than ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Give up what is still to be tried."""
        self._stop.set()
        self.wait_idle()

    def sign(self, raw: bytes) -> str:
        """Return the signature of these bytes: HMAC-SHA256 in hex."""
        return hmac.new(self.endpoint.secret.encode(), raw, hashlib.sha256).hexdigest()

    def _make(self, interview_id: str, event: str, data: dict[str, Any]) -> Delivery:
        document = {"event": event, "delivery_id": str(uuid.uuid4()), "timestamp": data["completed_at"]}
        raw = json.dumps({**document, "data": data}, ensure_ascii=False).encode()
        return Delivery(event, interview_id, raw, self.sign(raw))

    def _as_faults_have_it(self, batch: list[Delivery]) -> list[Delivery]:
        order: list[Delivery] = []
        held: list[Delivery] = []
        for delivery in batch:
            fault = self._board.take_delivery(delivery.event)
            if fault is not None and fault.kind == "lose":
                delivery.lost = delivery.done = True
            elif fault is not None and fault.kind == "reorder":
                held.append(delivery)
                continue
            order += [delivery] * (fault.copies if fault is not None and fault.kind == "duplicate" else 1)
            order += held
            held = []
        return order + held

    def _run(self, batch: list[Delivery], after: float) -> None:
        if self._stop.wait(after):
            return
        for delivery in batch:
            if not delivery.lost:
                self._try(delivery)

    def _try(self, delivery: Delivery) -> None:
        for pause in (0.0, *self.endpoint.pauses):
            if self._stop.wait(pause):
                return
            status = self._post(delivery)
            with self._lock:
                delivery.statuses.append(status)
            if delivery.accepted:
                break
        with self._lock:
            delivery.done = True

    def _post(self, delivery: Delivery) -> int | None:
        headers = {"Content-Type": "application/json", self.endpoint.header: delivery.signature}
        try:
            with httpx.Client(timeout=self.endpoint.timeout, trust_env=False) as client:
                return client.post(str(self.endpoint.url), content=delivery.raw, headers=headers).status_code
        except httpx.HTTPError:
            # No answer is an outcome that is recorded, and tried again.
            return None
