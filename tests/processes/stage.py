"""The whole product on one machine: the sandbox, the web and any number of workers, each a real process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any, TypeVar

import httpx
import sqlalchemy as sa
from dbos import WorkflowSchedule, WorkflowStatus

from canvas_app import store
from canvas_app.engine import Jobs
from canvas_app.interviews.tables import interviews
from sandbox import seed
from sandbox.faults import Fault, Kind, Wire
from sandbox.inbox import Shown
from sandbox.processes import App, free_port
from sandbox.server import Sandbox, quiet_logs
from sandbox.state import Contact, Conversation, Part
from tests.support.dying import Point

T = TypeVar("T")
Worker = subprocess.Popen[bytes]

PATIENCE = 40.0
LEASE_LOST = 75
"""The exit status of a worker whose lease was taken from it."""
ANSWERS = [
    "I had to download the monthly export for our board meeting and it got stuck at eighty percent.",
    "The support team was helpful and friendly, but the export was broken for hours and nobody told us.",
    "Tell me in the product that the export is stuck, and what I can do, before I have to write to you.",
]
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


def until(what: str, look: Callable[[], T], *, within: float = PATIENCE) -> T:
    """Look again and again until there is something; AssertionError after ``within`` seconds."""
    deadline = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(0.02)
    return found


@dataclass(frozen=True)
class Talk:
    """A conversation with one customer."""

    conversation: Conversation
    contact: Contact


class Stage:
    """Web, workers and stand-ins over one migrated database. A context manager; it starts the web alone.

    The processes run as they run where they are deployed. Where they are ``measured`` for coverage they start
    half as fast, and only those that end by SIGTERM leave anything behind.
    """

    def __init__(self, database_url: str, logs: Path, *, measured: bool = False, **settings: Any) -> None:
        quiet_logs()
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        self.sandbox = Sandbox(url, database_url=database_url)
        # Many interviews are started here in less than a minute.
        self.sandbox.state.koji.calls_per_minute = 1000
        self.intercom, self.koji = self.sandbox.state.intercom, self.sandbox.state.koji
        self.logs = logs
        self.logs.mkdir(parents=True, exist_ok=True)
        self.marks = logs / "marks"
        self._points: Sequence[Point] = ()
        self.database_url = database_url
        self.app = App({**self.sandbox.env(url, database_url), **settings}, port=port, logs=logs)
        if not measured:
            for name in [name for name in self.app.environment if name.startswith("COVERAGE_")]:
                del self.app.environment[name]
        self.workers: list[Worker] = []
        # Of all that were ever started, by the name of the log: the process, and where its code is.
        self.started: dict[str, tuple[Worker, Path]] = {}
        self.engine = store.make_engine(database_url, pool_size=2)
        self._jobs = Jobs(self.engine)

    def __enter__(self) -> Stage:
        self.sandbox.__enter__()
        self.app.start("web")
        return self

    def __exit__(self, *_exc: object) -> None:
        # How processes end is a test of its own; here it would only take time.
        for worker in list(self.workers):
            self.kill_worker(worker)
        for name in list(self.app.processes):
            self.app.kill(name)
        self.sandbox.__exit__(None, None, None)
        self._jobs.close()
        self.engine.dispose()

    # Processes

    def start_worker(
        self, *, quick: bool = True, dying_at: Sequence[Point] = (), settings: Mapping[str, str] | None = None
    ) -> Worker:
        """Start a worker beside those that there are; ``quick`` with short waits.

        ``dying_at``, the same for all workers, are points at which a quick one kills itself, see
        :mod:`tests.support.dying`. ``settings`` are set for this one alone.
        """
        module = ["tests.support.quick_worker"] if quick else ["canvas_app", "worker"]
        number = len(list(self.logs.glob("worker-*"))) + 1
        with (self.logs / f"worker-{number}.log").open("ab") as log:
            worker = subprocess.Popen(  # noqa: S603 -- our own commands.
                [sys.executable, "-m", *module],
                cwd=self.app.root,
                env={**self.app.environment, **self._death(dying_at), **(settings or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.workers.append(worker)
        self.started[f"worker-{number}"] = (worker, self.app.root)
        return worker

    def started_as(self, worker: Worker) -> tuple[str, Path]:
        """The name of a worker's log, without its ending, and where the code is that it runs."""
        [found] = [(name, root) for name, (one, root) in self.started.items() if one is worker]
        return found

    def _death(self, points: Sequence[Point]) -> dict[str, str]:
        if not points:
            return {}
        self._points = points
        self.marks.mkdir(exist_ok=True)
        return {"DIE_AT": json.dumps(points), "DIE_MARKS": str(self.marks)}

    def until_one_has_died(self, point: Point) -> None:
        """Wait for a worker to die at a point, and start another one, with the same points, in its place."""
        until(f"a worker has died at {point.mark}", (self.marks / point.mark).exists)
        dead = until("it is dead", lambda: [worker for worker in self.workers if worker.poll() is not None])
        for worker in dead:
            # One that was starved for so long that another took its lease ends by itself.
            assert worker.returncode in (-signal.SIGKILL, LEASE_LOST)
            self.workers.remove(worker)
            self.start_worker(dying_at=self._points)

    def kill_worker(self, worker: Worker) -> None:
        """End a worker as the kernel does when memory runs out."""
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        self.workers.remove(worker)

    def wait_until_healthy(self) -> None:
        """Wait until the web answers and knows of a living worker."""
        self.app.wait_until_healthy(PATIENCE)

    def all_logs(self) -> str:
        return "\n".join(self.app.tail(path.stem, lines=60) for path in sorted(self.logs.glob("*.log")))

    def logged(self, worker: int, event: str) -> list[dict[str, Any]]:
        """What a worker has logged about an event; the first one that was started is number 1."""
        log = self.logs / f"worker-{worker}.log"
        lines = log.read_text().splitlines(keepends=True) if log.exists() else []
        objects = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]
        return [item for item in objects if item.get("event") == event]

    # What people and vendors do

    def customer(self, name: str = "Mia Chen") -> Talk:
        """A customer and their conversation."""
        now, id_ = int(time.time()), self.intercom.next_id()
        contact = Contact(f"c{id_}", "user", name, f"customer{id_}@example.com")
        with self.intercom.lock:
            self.intercom.contacts[contact.id] = contact
        said = Part(self.intercom.next_id(), "conversation", "<p>Hello</p>", "user", contact.id, now, "open")
        return Talk(self.intercom.add_conversation([contact.id], said), contact)

    def card(self, talk: Talk) -> Shown:
        """The card, as when the rep opens the conversation anew."""
        return self.sandbox.inbox.initialize(talk.conversation, talk.contact)

    def tap(self, talk: Talk) -> Shown:
        """The rep opens the conversation and taps on "Send Koji interview"."""
        self.card(talk)
        return self.sandbox.inbox.submit(
            talk.conversation, talk.contact, "send", {"personal_line": "Thanks."}
        )

    def tap_aside(self, talk: Talk) -> threading.Thread:
        """The same in a thread: the web watches a send for a moment before it answers."""
        thread = threading.Thread(target=self.tap, args=(talk,))
        thread.start()
        return thread

    def spoil(self, wire: Wire, method: str, path: str, kind: Kind, **options: Any) -> Fault:
        """Let a call go wrong at a vendor; ``reached`` of what is returned tells when it is there."""
        return self.sandbox.faults.set(Fault(wire, method, path, kind, **options))

    def links(self, talk: Talk) -> list[str]:
        """The personal links in the conversation, one for each message that the customer got."""
        bodies = [unescape(part.body or "") for part in self.intercom.comments(talk.conversation.id)]
        return [found for body in bodies for found in re.findall(r'href="([^"]+/i/[^"]+)"', body)]

    def answer(self, talk: Talk, **answer: Any) -> str:
        """The customer opens the link and answers. Returns Koji's id of the interview.

        ``answer`` replaces what Koji finds, see ``KojiState.answer``.
        """
        [link] = self.links(talk)
        with httpx.Client(trust_env=False, headers=BROWSER, timeout=10) as client:
            target = client.get(link).headers["Location"]
        interview_id: str = target.rpartition("/")[2]
        self.koji.answer(interview_id, answers=ANSWERS, rating=4, **answer)
        assert self.sandbox.deliverer.wait_idle()
        return interview_id

    def correct(self, koji_id: str, **found: str) -> None:
        """Koji analyses an answer anew and finds something else in it, see ``KojiState.correct``."""
        self.koji.correct(koji_id, **found)
        assert self.sandbox.deliverer.wait_idle()

    # What came of it

    def interviews(self) -> list[Any]:
        """The ledger's rows."""
        with store.reading(self.engine) as connection:
            return list(connection.execute(sa.select(interviews)))

    def koji_was_asked(self) -> int:
        """How often Koji was asked about an interview."""
        return sum(call.method == "GET" and "/api/v1/interviews/" in call.path for call in self.koji.calls)

    def jobs_named(self, name: str) -> list[WorkflowStatus]:
        """All jobs of a name, whatever became of them."""
        return self._jobs._client.list_workflows(name=name)

    def schedules(self) -> list[WorkflowSchedule]:
        """When jobs start by themselves."""
        return self._jobs._client.list_schedules()

    def waiting_jobs(self) -> list[str]:
        """Jobs that are not finished, whoever has them."""
        states = ["ENQUEUED", "DELAYED", "PENDING"]
        return [job.workflow_id for job in self._jobs._client.list_workflows(status=states)]

    def jobs_in_hand(self, worker: int) -> list[str]:
        """Jobs that a worker has begun and not finished; the first one that was started is number 1."""
        [started] = self.logged(worker, "worker_started")
        begun = self._jobs._client.list_workflows(status="PENDING", executor_id=started["executor"])
        return [job.workflow_id for job in begun]

    def until_nothing_is_left_to_do(self) -> None:
        until("no job is left", lambda: not self.waiting_jobs())

    def until_card(self, talk: Talk, text: str) -> Shown:
        """Wait for a card that says so."""
        found = until(f"the card says {text!r}", lambda: self._card_with(talk, text))
        assert found is not None
        return found

    def _card_with(self, talk: Talk, text: str) -> Shown | None:
        shown = self.card(talk)
        return shown if text in words(shown) else None

    def check_round_trip(self, talk: Talk, koji_id: str) -> None:
        """One message, one note, the right attributes and tags, and the card says so."""
        found = self.koji.results(self.koji.interview(koji_id))
        tag = {f"koji_{found['sentiment']}_sentiment"}
        self.until_card(talk, "Open transcript")
        self.until_nothing_is_left_to_do()
        assert len(self.intercom.comments(talk.conversation.id)) == 1
        assert len(self.links(talk)) == 1
        [note] = self.intercom.notes(talk.conversation.id)
        assert found["themes"][0] in unescape(note.body or "").casefold()
        assert note.author_id == seed.OWN_ADMIN
        written = dict(talk.contact.custom_attributes)
        assert isinstance(written.pop("last_interview_at"), int)
        assert written == {
            "last_interview_sentiment": found["sentiment"],
            "last_interview_top_theme": found["themes"][0],
            "last_interview_quality": found["quality_score"],
            "last_interview_url": found["transcript_url"],
        }
        assert self.intercom.tags_on_conversation(talk.conversation.id) == tag
        assert self.intercom.tags_on_contact(talk.contact.id) == tag
        card = words(self.card(talk))
        assert found["themes"][0] in card
        assert "still being written" not in card
        assert self.intercom.canvas_problems == []


def words(shown: Shown) -> str:
    """All that a card says, as one string; the reason where there is no card."""
    if shown.canvas is None:
        return f"no card: {shown.reason}"
    return json.dumps(shown.canvas["content"]["components"], ensure_ascii=False)
