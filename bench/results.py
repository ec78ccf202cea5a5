"""Interviews that were sent and are answered: in the ledger, at the stand-in Intercom, and as webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from bench.load import Prepared
from bench.place import Place
from canvas_app import store
from canvas_app.interviews import deliveries
from canvas_app.interviews.tables import interviews
from canvas_app.koji import events
from sandbox.state import Contact, Part

_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Answered:
    """An interview that somebody has answered."""

    id: str
    contact_id: str
    conversation_id: str

    def body(self) -> bytes:
        """What Koji sends when it is analysed, with all that there is to know."""
        data = {
            "interview_id": f"koji-{self.id}",
            "study_id": str(uuid.UUID(int=7)),
            "external_id": self.contact_id,
            "respondent_email": f"{self.contact_id}@example.com",
            "metadata": {"interview_ref": self.id},
            "completed_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "sentiment": "positive",
            "themes": ["Exports stuck", "Support helpful", "Pricing"],
            "quality_score": 4,
            "transcript_url": f"https://koji.so/t/{self.id}",
        }
        document = {"event": "interview.analysis_ready", "delivery_id": str(uuid.uuid4()), "data": data}
        return json.dumps(document).encode()

    def request(self, place: Place) -> Prepared:
        """The webhook, signed."""
        raw = self.body()
        signature = hmac.new(place.sandbox.koji_webhook_secret.encode(), raw, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Koji-Signature": signature}
        return Prepared("/webhooks/koji", headers, raw)


def make(place: Place, number: int) -> list[Answered]:
    """So many interviews, each of another contact in a conversation of their own, sent an hour ago."""
    state, now = place.sandbox.state.intercom, int(time.time())
    made = []
    for index in range(number):
        contact = Contact(f"answered{index}", "user", f"Customer {index}", f"answered{index}@example.com")
        with state.lock:
            state.contacts[contact.id] = contact
        said = Part(state.next_id(), "conversation", "<p>Hello</p>", "user", contact.id, now, "open")
        talk = state.add_conversation([contact.id], said)
        made.append(Answered(f"{index:032x}", contact.id, talk.id))
    with store.reading(place.engine) as connection:
        sent = store.now(connection) - timedelta(hours=1)
    rows = (_row(one, place.workspace_id, sent) for one in made)
    while chunk := list(islice(rows, _CHUNK)):
        with store.writing(place.engine) as connection:
            connection.execute(sa.insert(interviews), chunk)
    return made


def store_all(place: Place, made: list[Answered]) -> None:
    """Store every result with its job, as the door does: what has gathered while no worker was there."""
    engine = _careless(place)
    for one in made:
        raw = one.body()
        deliveries.keep(engine, place.jobs, events.parse(raw), raw)
    engine.dispose()


def _careless(place: Place) -> Engine:
    """An engine that does not wait for the disk: what it fills is gone after the run in any case."""
    engine = store.make_engine(place.database_url, pool_size=1)
    if engine.dialect.name == "sqlite":

        @sa.event.listens_for(engine, "connect")
        def _hurry(connection: Any, _record: object) -> None:
            connection.execute("PRAGMA synchronous=OFF")

    return engine


def _row(one: Answered, workspace_id: str, sent: datetime) -> dict[str, Any]:
    return {
        "id": one.id,
        "workspace_id": workspace_id,
        "contact_id": one.contact_id,
        "conversation_id": one.conversation_id,
        "study": "default",
        "origin": "card",
        "asked_by_id": "991",
        "asked_by_name": "Ada Byrne",
        "contact_name": "Mia Chen",
        "contact_email": f"{one.contact_id}@example.com",
        "state": "sent",
        "link_token": f"token-{one.id}",
        "koji_interview_id": f"koji-{one.id}",
        "koji_link": f"https://koji.so/interview/{one.id}",
        "send_attempt": 1,
        "created_at": sent,
        "state_since": sent,
        "send_before": sent + timedelta(minutes=15),
        "sent_at": sent,
        "credits": 5,
    }
