"""How long the doors take to answer: ``python -m bench.doors [--rounds 400] [--postgres]``.

One web process of gunicorn and one worker run as where they are deployed, beside the stand-ins. Each round
calls every door once, in an order of its own, over one connection: a busy machine slows all of them alike.
Every call is one that the door has not seen before, and is written down with a job, but for the card, which
only reads. The worker does these jobs meanwhile, as far as the limits of Koji's calls let it.

``HEAD /webhooks/intercom`` is the floor: what gunicorn, Flask and the network take where nothing is read,
checked or written. What counts are the ratios to it. Nothing is asserted.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import multiprocessing
import random
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import httpx

from bench import databases
from bench.figures import median_and_95
from sandbox import seed
from sandbox.processes import App, free_port
from sandbox.server import Sandbox, quiet_logs

FLOOR = "HEAD /webhooks/intercom"
WARM_UP = 20
RULE = (
    "low-rating",
    "--title",
    "Low rating",
    "--event",
    "conversation.rating.added",
    "--rating-at-most",
    "2",
)


@dataclass(frozen=True)
class Inputs:
    """What the calls are made of; ``card`` are the bytes of a request of the inbox."""

    url: str
    workspace_id: str
    client_secret: str
    koji_secret: str
    api_token: str
    card: bytes
    koji_interview_id: str


Timings = dict[str, list[float]]


@click.command()
@click.option("--rounds", default=400, show_default=True, help="How often each door is called.")
@click.option("--postgres", is_flag=True, help="On PostgreSQL instead of SQLite.")
def main(rounds: int, postgres: bool) -> None:
    """Measure, and print the table."""
    click.echo("PostgreSQL" if postgres else "SQLite")
    _print(measure(rounds=rounds, postgres=postgres))


def measure(*, rounds: int, postgres: bool) -> Timings:
    """Seconds that each call took, by door."""
    quiet_logs()
    with contextlib.ExitStack() as everything:
        database_url = everything.enter_context(databases.fresh(postgres=postgres))
        folder = everything.enter_context(tempfile.TemporaryDirectory(prefix="koji-bench-"))
        # After a server of PostgreSQL has taken its own.
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        sandbox = everything.enter_context(Sandbox(url))
        app = everything.enter_context(App(sandbox.env(url, database_url), port=port, logs=Path(folder)))
        app.command("rules", "add", *RULE)
        app.command("rules", "on", RULE[0])
        inputs = inputs_of(sandbox, url)
        # In a process of its own: the stand-ins answer the worker in this one.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(_measure, (inputs, rounds))


def inputs_of(sandbox: Sandbox, url: str) -> Inputs:
    """What the calls are made of, with an interview at Koji that a tap has sent."""
    intercom, koji = sandbox.state.intercom, sandbox.state.koji
    talk, contact = intercom.conversation(seed.MARTAS_CONVERSATION), intercom.contact(seed.MARTA)
    sandbox.inbox.initialize(talk, contact)
    sandbox.inbox.submit(talk, contact, "send", {})
    deadline = time.monotonic() + 30
    while not koji.interviews:
        if time.monotonic() > deadline:
            raise click.ClickException("The worker has sent nothing.")
        time.sleep(0.1)
    return Inputs(
        url=url,
        workspace_id=intercom.workspace_id,
        client_secret=sandbox.client_secret,
        koji_secret=sandbox.koji_webhook_secret,
        api_token=sandbox.api_token,
        card=sandbox.inbox.request_body("initialize", talk, contact, {}),
        koji_interview_id=next(iter(koji.interviews)),
    )


def _measure(inputs: Inputs, rounds: int) -> Timings:
    """Seconds that each call took, by door; the first rounds warm up and do not count."""
    chance = random.Random(1)  # noqa: S311 -- the same order in every run
    with httpx.Client(base_url=inputs.url, trust_env=False, timeout=30) as client:
        doors = _doors(inputs, client)
        timings: Timings = {name: [] for name in doors}
        for number in range(WARM_UP + rounds):
            for name in chance.sample(list(doors), len(doors)):
                request = doors[name]()
                begun = time.perf_counter()
                answer = client.send(request)
                took = time.perf_counter() - begun
                if not answer.is_success:
                    raise RuntimeError(f"{name} answered {answer.status_code}: {answer.text[:300]}")
                if number >= WARM_UP:
                    timings[name].append(took)
    return timings


def call_for(asked: tuple[Inputs, float, int]) -> int:
    """Call the doors in turns for so many seconds, in an order from a seed; how many were answered."""
    inputs, seconds, seed_ = asked
    chance = random.Random(seed_)  # noqa: S311 -- the same order in every run
    answered, until = 0, time.monotonic() + seconds
    with httpx.Client(base_url=inputs.url, trust_env=False, timeout=30) as client:
        doors = list(_doors(inputs, client).values())
        while time.monotonic() < until:
            for door in chance.sample(doors, len(doors)):
                answered += client.send(door()).is_success
    return answered


def _doors(inputs: Inputs, client: httpx.Client) -> dict[str, Callable[[], httpx.Request]]:
    def signed(path: str, raw: bytes, header: str, signature: str) -> httpx.Request:
        return client.build_request("POST", path, content=raw, headers=_JSON | {header: signature})

    def intercom() -> httpx.Request:
        raw = _rated(inputs.workspace_id)
        signature = hmac.new(inputs.client_secret.encode(), raw, hashlib.sha1).hexdigest()
        return signed("/webhooks/intercom", raw, "X-Hub-Signature", f"sha1={signature}")

    def koji() -> httpx.Request:
        raw = _completed(inputs.koji_interview_id)
        return signed("/webhooks/koji", raw, "X-Koji-Signature", _hmac(inputs.koji_secret, raw))

    def api() -> httpx.Request:
        # Each asks about somebody else: one contact has one open interview.
        body = {"contact_id": uuid.uuid4().hex[:24], "deliver": "none"}
        token = {"Authorization": f"Bearer {inputs.api_token}"}
        return client.build_request("POST", "/api/interviews", json=body, headers=token)

    def card() -> httpx.Request:
        signature = _hmac(inputs.client_secret, inputs.card)
        return signed("/canvas/initialize", inputs.card, "X-Body-Signature", signature)

    return {
        FLOOR: lambda: client.build_request("HEAD", "/webhooks/intercom"),
        "POST /webhooks/intercom": intercom,
        "POST /webhooks/koji": koji,
        "POST /api/interviews": api,
        "POST /canvas/initialize": card,
    }


_JSON = {"Content-Type": "application/json"}


def _hmac(secret: str, raw: bytes) -> str:
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def _rated(workspace_id: str) -> bytes:
    """A rating that the rule finds too good, which the worker has to find out."""
    rating = {"rating": 5, "remark": "Thank you", "created_at": int(time.time())}
    contacts = {"type": "contact.list", "contacts": [{"type": "contact", "id": seed.HOSTILE}]}
    item = {
        "type": "conversation",
        "id": seed.HOSTILE_CONVERSATION,
        "contacts": contacts,
        "conversation_rating": rating,
    }
    document = {
        "type": "notification_event",
        "app_id": workspace_id,
        "id": f"notif_{uuid.uuid4()}",
        "topic": "conversation.rating.added",
        "created_at": int(time.time()),
        "data": {"type": "notification_event_data", "item": item},
    }
    return json.dumps(document).encode()


def _completed(interview_id: str) -> bytes:
    """An interview that is over, and not analysed yet."""
    data = {"interview_id": interview_id, "completed_at": "2026-11-20T10:00:00Z"}
    document = {"event": "interview.completed", "delivery_id": str(uuid.uuid4()), "data": data}
    return json.dumps(document).encode()


def _print(timings: Timings) -> None:
    click.echo(f"{'':26}{'calls':>7}{'median':>10}{'95 %':>10}  ms{'ratio':>9}{'95 %':>9}")
    floor = median_and_95(timings[FLOOR])
    for name, values in timings.items():
        figures = median_and_95(values)
        cells = "".join(f"{figure * 1000:10.2f}" for figure in figures)
        ratios = "".join(f"{mine / least:9.2f}" for mine, least in zip(figures, floor, strict=True))
        click.echo(f"{name:26}{len(values):7}{cells}    {ratios}")


if __name__ == "__main__":
    main()
