"""How long the doors for webhooks take to answer while a burst arrives, and a worker works on it.

Half of the burst is Koji's and half Intercom's, each webhook one that was not seen before. They come over a
few connections, each the next when the former one was answered, as fast as they are: that is a storm, and no
second of it is a quiet one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid

from bench import load
from bench.figures import Figure, Found, Plot, Target, percentile
from bench.load import Prepared
from bench.place import Place, Run
from sandbox import seed

PART = "webhooks"
# As many as the web process has threads, so that what is measured is our answer and not the sender's line.
CONNECTIONS = 8
SHARES = (0.5, 0.9, 0.95, 0.99, 1.0)
_JSON = {"Content-Type": "application/json"}


def measure(run: Run) -> Found:
    """The times of all answers."""
    found, number = Found(), run.size(5_000, 400)
    with Place(run) as place:
        place.start_web()
        place.start_worker()
        burst = [_koji(place, index) if index % 2 else _intercom(place) for index in range(number)]
        run.say(f"  {number:,} webhooks over {CONNECTIONS} connections")
        # The first ones open connections to the database.
        load.all_of(place.url, [_intercom(place) for _ in range(CONNECTIONS)], connections=CONNECTIONS)
        begun = time.perf_counter()
        answers = load.all_of(place.url, burst, connections=CONNECTIONS)
        took = time.perf_counter() - begun
    times = [1000 * one for one in answers.took]
    what = f"answer to a webhook in a burst of {number:,}"
    least = Target(most=250)
    add = found.figures.append
    add(Figure(PART, f"{what}, p99", percentile(times, 0.99), "ms", least, run.database))
    add(Figure(PART, f"{what}, median", percentile(times, 0.5), "ms", None, run.database))
    add(Figure(PART, "webhooks that were refused", answers.refused, "", Target(most=0), run.database))
    add(Figure(PART, "webhooks taken in", number / took, "a second", None, run.database))
    shares = {"answers": [percentile(times, share) for share in SHARES]}
    labels = [f"{share:.0%}" for share in SHARES]
    found.plots.append(Plot("webhooks", "Webhooks in a burst: answered within", "ms", dict(shares), labels))
    found.raw |= {"milliseconds": [round(one, 2) for one in times], "statuses": answers.statuses}
    return found


def _koji(place: Place, index: int) -> Prepared:
    """An interview that is over, and that nobody here knows: its job looks for it, and waits."""
    data = {"interview_id": f"koji-{index:032x}", "completed_at": "2026-11-20T10:00:00Z"}
    raw = _written({"event": "interview.completed", "delivery_id": str(uuid.uuid4()), "data": data})
    secret = place.sandbox.koji_webhook_secret.encode()
    return Prepared(
        "/webhooks/koji",
        {**_JSON, "X-Koji-Signature": hmac.new(secret, raw, hashlib.sha256).hexdigest()},
        raw,
    )


def _intercom(place: Place) -> Prepared:
    """A closed conversation, which the rules are asked about."""
    now = int(time.time())
    contacts = {"type": "contact.list", "contacts": [{"type": "contact", "id": seed.HOSTILE}]}
    item = {"type": "conversation", "id": seed.HOSTILE_CONVERSATION, "contacts": contacts, "state": "closed"}
    raw = _written(
        {
            "type": "notification_event",
            "app_id": place.workspace_id,
            "id": f"notif_{uuid.uuid4()}",
            "topic": "conversation.admin.closed",
            "created_at": now,
            "data": {"type": "notification_event_data", "item": item},
        }
    )
    secret = place.sandbox.client_secret.encode()
    signature = hmac.new(secret, raw, hashlib.sha1).hexdigest()
    return Prepared("/webhooks/intercom", {**_JSON, "X-Hub-Signature": f"sha1={signature}"}, raw)


def _written(document: object) -> bytes:
    return json.dumps(document).encode()
