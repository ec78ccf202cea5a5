"""The whole application in one process, with truly signed requests in and counted calls out."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import responses
import sqlalchemy as sa
from dbos import DBOSClient, WorkflowStatus
from flask import Flask
from sqlalchemy.engine import Engine
from werkzeug.test import TestResponse

from canvas_app import gates, store
from canvas_app.intercom import signatures as intercom_signatures
from canvas_app.interviews import jobs, ledger, studies
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.services import Services
from canvas_app.interviews.tables import deliveries, interviews, outside_writes
from canvas_app.koji import signatures as koji_signatures
from canvas_app.rates import Rate
from canvas_app.settings import Settings, Study
from canvas_app.worker import make_services
from sandbox import clock
from tests.support.httpx_responses import ResponsesTransport
from tests.support.intercom_contract import CheckedTransport
from tests.support.rates import WIDE_OPEN

INTERCOM = "https://api.intercom.io"
KOJI = "https://koji.so"
CLIENT_SECRET = "intercom-client-secret"
KOJI_SECRET = "koji-webhook-secret"
PUBLIC_URL = "https://interviews.example.com"
WORKSPACE, CONTACT, CONVERSATION = "ws1", "contact1", "501"
REP = {"type": "admin", "id": "991", "name": "Ada Byrne", "email": "ada@example.com"}
OWN_ADMIN = "7"
KOJI_ID = "0b7f6a4e-0001-4000-8000-000000000001"
KOJI_LINK = "https://koji.so/interview/abc?rid=1"

_TICKS: dict[str, Callable[..., None]] = {
    "reconcile": jobs.tick_reconcile,
    "purge": jobs.tick_purge,
    "alerts": jobs.tick_alerts,
}

_TASKS: dict[str, Callable[..., None]] = {
    "send": jobs.send,
    "forward": jobs.forward,
    "react": jobs.react,
    "remind": jobs.remind,
    "close_again": jobs.close_again,
    "clear_link": jobs.clear_link,
    "rehearse": jobs.rehearse,
    "read_workspace": jobs.read_workspace,
    "replay": jobs.replay,
    "erase": jobs.erase,
    "set_up": jobs.set_up,
}


def full_settings(database_url: str, **changes: Any) -> Settings:
    """Every setting that the app needs, and the ones that a test changes."""
    values: dict[str, Any] = {
        "database_url": database_url,
        "secret_key": "new-key,old-key",
        "public_url": PUBLIC_URL,
        "intercom_client_secret": CLIENT_SECRET,
        "intercom_access_token": "intercom-token",
        "koji_api_key": "pk_live_key",
        "koji_webhook_secret": KOJI_SECRET,
        # Many tests send twice to one contact. Those that are about how often one is asked say so.
        "ask_again_days": 0,
    }
    return Settings.load({}, **(values | changes))


@dataclass
class World:
    """The app, its database, its jobs and the two vendors."""

    app: Flask
    engine: Engine
    settings: Settings
    outside: responses.RequestsMock
    services: Services = field(init=False)
    last_canvas: dict[str, Any] = field(default_factory=dict)
    # What the steps of all jobs gave back: the durable engine keeps it in the database.
    step_results: list[str] = field(default_factory=list)
    # What a step raised. A job turns it into "later"; run_jobs raises it again unless a test wants it.
    faults: list[Exception] = field(default_factory=list)
    faults_wanted: bool = False

    def __post_init__(self) -> None:
        self.services = self.make_services(self.settings)

    def make_services(
        self, settings: Settings, rates: Mapping[gates.Wire, Rate] = WIDE_OPEN, engine: Engine | None = None
    ) -> Services:
        """What another worker would work with; only tests of the gates want to wait for them."""
        services = make_services(
            settings,
            engine or self.engine,
            # Every call to Intercom is held against its own description.
            transport=CheckedTransport(ResponsesTransport(), host="api.intercom.io"),
            rates=rates,
        )
        # No chance in tests: every pause is its shortest.
        return dataclasses.replace(services, chance=lambda: 0.0)

    def deploy(self, **changes: Any) -> None:
        """Start the app with other settings: web and worker alike."""
        self.settings = full_settings(self.settings.database_url, **changes)
        here = self.app.extensions["koji_for_intercom"]
        self.app.extensions["koji_for_intercom"] = dataclasses.replace(here, settings=self.settings)
        self.services = self.make_services(self.settings)

    # What comes in

    def canvas_body(self, **changes: Any) -> dict[str, Any]:
        """An initialize request as the inbox sends it."""
        return {
            "workspace_id": WORKSPACE,
            "admin": REP,
            "conversation": {"type": "conversation", "id": CONVERSATION, "state": "open"},
            "contact": {"type": "contact", "id": CONTACT, "name": "Mia Chen", "email": "mia@example.com"},
            **changes,
        }

    def initialize(self, **changes: Any) -> dict[str, Any]:
        return self._canvas("/canvas/initialize", self.canvas_body(**changes))

    def submit(
        self, component_id: str, inputs: dict[str, Any] | None = None, **changes: Any
    ) -> dict[str, Any]:
        """A tap on the card that was drawn last."""
        body = {
            **self.canvas_body(),
            "component_id": component_id,
            "input_values": inputs or {},
            "current_canvas": self.last_canvas,
            **changes,
        }
        return self._canvas("/canvas/submit", body)

    def _canvas(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.post_canvas(path, json.dumps(body).encode())
        assert answer.status_code == 200, answer.text
        canvas: dict[str, Any] = answer.get_json()["canvas"]
        self.last_canvas = canvas
        return canvas

    def post_canvas(self, path: str, raw: bytes, *, secret: str = CLIENT_SECRET) -> TestResponse:
        header = {"X-Body-Signature": intercom_signatures.sign_body(raw, secret)}
        return self.app.test_client().post(path, data=raw, headers=header, content_type="application/json")

    def koji_event(self, body: dict[str, Any], *, secret: str = KOJI_SECRET) -> TestResponse:
        raw = json.dumps(body).encode()
        header = {"X-Koji-Signature": koji_signatures.sign(raw, secret)}
        return self.app.test_client().post("/webhooks/koji", data=raw, headers=header)

    def intercom_event(self, body: dict[str, Any], *, secret: str = CLIENT_SECRET) -> TestResponse:
        raw = json.dumps(body).encode()
        header = {"X-Hub-Signature": intercom_signatures.sign_hub(raw, secret)}
        return self.app.test_client().post("/webhooks/intercom", data=raw, headers=header)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.app.test_client().get(path, **options)

    def add_study(self, slug: str, **changes: Any) -> Study:
        """Save a study, by default with a key and a webhook secret of its own, and on."""
        values = {
            "name": slug.title(),
            "api_key": f"pk_{slug}",
            "webhook_secret": f"whsec_{slug}",
            "link_template": None,
            **changes,
        }
        study = Study(slug=slug, **values)
        with store.writing(self.engine) as connection:
            studies.save(connection, self.settings, study)
        return study

    # What is done about it

    def run_jobs(self, *, delayed: bool = False) -> list[str]:
        """Run every job that is due, in the order in which they were enqueued; names of those that ran.

        With ``delayed`` also those that are to wait, once each.
        """
        ran: list[str] = []
        while (due := self._take_job(delayed=delayed and not ran)) is not None:
            name, args = due
            _TASKS[name](self._call, self.services, *args)
            if self.faults and not self.faults_wanted:
                raise self.faults[0]
            ran.append(name)
        return ran

    def tick(self, name: str) -> None:
        """The clock starts a job of its own, "reconcile", "purge" or "alerts", and it is run to its end."""
        with store.reading(self.engine) as connection:
            scheduled_at = store.now(connection).isoformat()
        _TICKS[name](self._call, self.services, scheduled_at)
        if self.faults and not self.faults_wanted:
            raise self.faults[0]

    def _call(self, _name: str, function: Callable[..., Any], *args: Any) -> Any:
        """Run a step as the durable engine does: what it gives back passes through JSON."""
        try:
            kept = json.dumps(function(*args))
        except Exception as error:
            self.faults.append(error)
            raise
        self.step_results.append(kept)
        return json.loads(kept)

    def pending(self) -> list[tuple[str, float]]:
        """Jobs that wait: name, and the seconds that they were to wait when they were enqueued."""
        return [(job.name, _delay(job)) for job in self._waiting(("ENQUEUED", "DELAYED"))]

    def _take_job(self, *, delayed: bool) -> tuple[str, list[Any]] | None:
        waiting = self._waiting(("ENQUEUED", "DELAYED") if delayed else ("ENQUEUED",))
        if not waiting:
            return None
        job = waiting[0]
        if delayed:
            # Its time has come: the gates of the wires have rested for as long as it has.
            with store.writing(self.engine) as connection:
                span = timedelta(seconds=_delay(job))
                clock.make_older(connection, span, only=("gates", "pauses"), kept=())
        self._durable.cancel_workflow(job.workflow_id)
        assert job.input is not None
        return job.name, list(job.input["args"])

    def _waiting(self, states: tuple[str, ...]) -> list[WorkflowStatus]:
        return self._durable.list_workflows(status=list(states))

    @property
    def _durable(self) -> DBOSClient:
        return self.services.jobs._client

    # What came of it

    def interview(self) -> Interview:
        """The newest interview."""
        with store.reading(self.engine) as connection:
            id_ = connection.execute(
                sa.select(interviews.c.id).order_by(interviews.c.created_at.desc()).limit(1)
            ).scalar_one()
            found = ledger.get(connection, id_)
        assert found is not None
        return found

    def count(self, table: sa.Table) -> int:
        with store.reading(self.engine) as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())

    def counts(self) -> dict[str, int]:
        return {table.name: self.count(table) for table in (interviews, deliveries, outside_writes)}

    def set_interview(self, **values: Any) -> None:
        with store.writing(self.engine) as connection:
            connection.execute(sa.update(interviews).values(**values))

    def let_time_pass(self, **span: float) -> None:
        """Make everything that the database remembers older; ``span`` as for a timedelta.

        Also what is of processes: none runs here, and a test may be about one that has died.
        """
        with store.writing(self.engine) as connection:
            clock.make_older(connection, timedelta(**span), kept=())

    def calls(self, method: str, path: str) -> list[dict[str, Any]]:
        """The bodies of the calls that were made to a vendor's path (a regular expression)."""
        return [
            json.loads(cast(bytes, call.request.body or b"{}"))
            for call in self.outside.calls
            if call.request.method == method and re.search(path, str(call.request.url))
        ]

    # The vendors, as they answer when all is well

    def vendors_are_well(self) -> None:
        self.intercom_knows_us()
        self.koji_starts()
        self.intercom_takes("reply")

    def intercom_knows_us(self, **app: Any) -> None:
        self.outside.get(
            f"{INTERCOM}/me",
            json={
                "type": "admin",
                "id": OWN_ADMIN,
                "app": {
                    "type": "app",
                    "id_code": WORKSPACE,
                    "name": "Acme",
                    "region": "US",
                    "timezone": "Europe/Berlin",
                    **app,
                },
            },
        )

    def koji_starts(self, **answer: Any) -> None:
        self.outside.post(
            f"{KOJI}/api/v1/interviews/start",
            status=201,
            json={"interview_id": KOJI_ID, "interview_url": KOJI_LINK, "session_token": "secret", **answer},
        )

    def intercom_takes(self, *what: str) -> None:
        conversation = f"{INTERCOM}/conversations/{CONVERSATION}"
        if "reply" in what:
            self.outside.post(f"{conversation}/reply", json={"type": "conversation", "id": CONVERSATION})
        if "attributes" in what:
            self.outside.put(f"{INTERCOM}/contacts/{CONTACT}", json={"type": "contact", "id": CONTACT})
        if "tags" in what:
            self.outside.post(f"{INTERCOM}/tags", json={"type": "tag", "id": "81", "name": "any"})
            self.outside.post(f"{conversation}/tags", json={"type": "tag", "id": "81"})
            self.outside.post(f"{INTERCOM}/contacts/{CONTACT}/tags", json={"type": "tag", "id": "81"})

    def intercom_shows(self, *parts: str, total: int | None = None, state: str = "open") -> None:
        """The conversation when it is read, as Intercom gives it: these parts, or one of ``total``."""
        listed = [
            {"type": "conversation_part", "part_type": "comment", "id": str(number), "body": body}
            for number, body in enumerate(parts, start=1)
        ]
        self.outside.upsert(
            "GET",
            f"{INTERCOM}/conversations/{CONVERSATION}",
            json={
                "type": "conversation",
                "id": CONVERSATION,
                "state": state,
                "source": {"type": "conversation", "body": "<p>Hello, I have a question.</p>"},
                "conversation_parts": {
                    "type": "conversation_part.list",
                    "conversation_parts": listed,
                    "total_count": len(listed) if total is None else total,
                },
            },
        )

    def send(self) -> Interview:
        """An interview that is sent: tap, worker, recorded."""
        self.vendors_are_well()
        self.initialize()
        self.submit("send")
        self.run_jobs()
        interview = self.interview()
        assert interview.state == "sent", interview
        return interview

    def result(self, **changes: Any) -> dict[str, Any]:
        """An ``interview.analysis_ready`` for the newest interview."""
        interview = self.interview()
        data = {
            "interview_id": KOJI_ID,
            "respondent_email": "mia@example.com",
            "external_id": CONTACT,
            "metadata": {"interview_ref": interview.id},
            "sentiment": "negative",
            "quality_score": 4,
            "themes": ["Pricing friction", "Slow exports", "Missing SSO", "Good support"],
            "transcript_url": "https://koji.so/t/1",
            "completed_at": "2026-11-20T10:00:00Z",
            **changes,
        }
        return {"event": "interview.analysis_ready", "data": data}


def _delay(job: WorkflowStatus) -> float:
    if job.delay_until_epoch_ms is None or job.created_at is None:
        return 0.0
    # One is this process's time, the other the database's: on some SQLites in whole seconds.
    return float(round((job.delay_until_epoch_ms - job.created_at) / 1000))


def component(canvas: dict[str, Any], id_: str) -> dict[str, Any] | None:
    """The component of a canvas with this id."""
    components = canvas["content"]["components"]
    return next((item for item in components if item.get("id") == id_), None)


def texts(canvas: dict[str, Any]) -> str:
    """All that a canvas says, as one string."""
    return json.dumps(canvas["content"]["components"], ensure_ascii=False)
