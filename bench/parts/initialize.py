"""``initialize``, with a full ledger, beside the least that could answer and beside a card on Express.

All three run at the same time and are asked in turns: a busy machine slows them alike. The cards are those of
contacts from all over the ledger.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import sqlalchemy as sa

from bench import express, load
from bench.figures import Figure, Found, Plot, Target, median, ratio
from bench.filled import fill, multiply
from bench.load import Prepared
from bench.place import Place, Run, wait_for_answer
from canvas_app.interviews.tables import interviews
from sandbox import seed
from sandbox.processes import ROOT, free_port

PART = "initialize"
CONNECTIONS = 16
CARDS = 2_000
LEAST = {"sqlite": 0.70, "postgresql": 0.55}
# How much slower a ledger of ten times the size may be.
LEAST_OF_A_MILLION = 0.9

Ask = Callable[[float], load.Rate]


def measure(run: Run) -> Found:
    """Throughput of all three with 100,000 interviews, and of ours and the bare one with 1,000,000."""
    found = Found()
    rounds, seconds = run.size(4, 2), float(run.size(4, 2))
    number = run.size(100_000, 3_000)
    with Place(run) as place, contextlib.ExitStack() as servers:
        fill(place.engine, workspace=place.workspace_id, number=number, received=1_000)
        place.start_web()
        cards = _cards(place)
        asked = {"app": _ask(place.url, cards)}
        canvas = _canvas(place.url, cards[0])
        asked["bare"] = _ask(_start_bare(place, canvas), cards)
        _start_express(place, servers, found, asked, cards)
        run.say(f"  {number:,} interviews; {', '.join(asked)}; {rounds} rounds of {seconds:g} s each")
        rates = _rounds(asked, rounds, seconds)
        _tell(run, found, rates, number)
        more = number * 10
        multiply(place.engine, 10)
        both = {name: asked[name] for name in ("app", "bare")}
        run.say(f"  {more:,} interviews")
        again = _rounds(both, rounds, seconds)
        _tell_of_more(run, found, rates, again, more)
        found.raw |= {"rates": rates, "rates_of_more": again, "by": "wrk" if load.has_wrk() else "python"}
    if not load.has_wrk():
        found.left_out.append(
            "wrk is not there: our own client took its share of the cores, so that the ratio is too good."
        )
    return found


def _rounds(asked: dict[str, Ask], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Requests a second, round by round; the first one warms up and does not count."""
    rates: dict[str, list[float]] = {name: [] for name in asked}
    for ask in asked.values():
        ask(1.0)
    for _ in range(rounds):
        for name, ask in asked.items():
            answered = ask(seconds)
            if answered.refused:
                raise RuntimeError(f"{name} refused {answered.refused} of {answered.answered}")
            rates[name].append(answered.per_second)
    return rates


def _tell(run: Run, found: Found, rates: dict[str, list[float]], number: int) -> None:
    named = {"app": "initialize", "bare": "a bare Flask view", "express": "a card on Express"}
    share = ratio(rates["app"], rates["bare"])
    least = Target(least=LEAST[run.database])
    what = f"initialize with {number:,} interviews, against a bare Flask view"
    found.figures.append(Figure(PART, what, share, "of its throughput", least, run.database))
    for name, values in rates.items():
        what = f"{named[name]}, {number:,} interviews" if name == "app" else named[name]
        found.figures.append(Figure(PART, what, median(values), "requests a second", None, run.database))
    series = {named[name]: [median(values)] for name, values in rates.items()}
    found.plots.append(Plot("initialize", "Cards a second", "requests a second", dict(series)))


def _tell_of_more(
    run: Run, found: Found, before: dict[str, list[float]], after: dict[str, list[float]], number: int
) -> None:
    # Against the bare view of the same minutes, so that a machine that has become slower does not count.
    share = ratio(after["app"], after["bare"]) / ratio(before["app"], before["bare"])
    what = f"initialize with {number:,} interviews, against a tenth of them"
    target = Target(least=LEAST_OF_A_MILLION)
    found.figures.append(Figure(PART, what, share, "of its throughput", target, run.database))


def _cards(place: Place) -> list[Prepared]:
    """Signed requests of the inbox about contacts of the ledger, spread over all of it."""
    state = place.sandbox.state.intercom
    talk, contact = state.conversation(seed.MARTAS_CONVERSATION), state.contact(seed.MARTA)
    document = json.loads(place.sandbox.inbox.request_body("initialize", talk, contact, {}))
    with place.engine.connect() as connection:
        columns = interviews.c
        number = connection.execute(sa.select(sa.func.count()).select_from(interviews)).scalar_one()
        rows = connection.execute(sa.select(columns.contact_id, columns.conversation_id)).all()
    found = []
    for row in rows[:: max(1, number // CARDS)]:
        document["contact"]["id"], document["conversation"]["id"] = row
        raw = json.dumps(document).encode()
        signature = hmac.new(place.sandbox.client_secret.encode(), raw, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json; charset=utf-8", "X-Body-Signature": signature}
        found.append(Prepared("/canvas/initialize", headers, raw))
    return found


def _ask(url: str, cards: list[Prepared]) -> Ask:
    return lambda seconds: load.rate(url, cards, connections=CONNECTIONS, seconds=seconds)


def _canvas(url: str, card: Prepared) -> str:
    answer = httpx.post(f"{url}{card.path}", content=card.body, headers=dict(card.headers), trust_env=False)
    answer.raise_for_status()
    return answer.text


def _start_bare(place: Place, canvas: str) -> str:
    """Under the same gunicorn with the same configuration, as its ``gunicorn.conf.py`` says."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    file = place.logs / "canvas.json"
    file.write_text(canvas)
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "--bind", f"127.0.0.1:{port}"]
    process = place.start_beside(
        [*gunicorn, "bench.bare:create_app()"],
        place.logs / "bare.log",
        cwd=ROOT,
        also={"CLIENT_SECRET": place.sandbox.client_secret, "CANVAS": str(file)},
    )
    wait_for_answer(url, process)
    return url


def _start_express(
    place: Place,
    servers: contextlib.ExitStack,
    found: Found,
    asked: dict[str, Ask],
    cards: list[Prepared],
) -> None:
    folder = servers.enter_context(express.installed())
    node = shutil.which("node")
    if folder is None or node is None:
        found.left_out.append(
            "The card on Express was not measured: node, npm or npm's registry is not there."
        )
        return
    port = free_port()
    process = place.start_beside(
        [node, str(Path(folder) / "card.js")],
        place.logs / "express.log",
        cwd=Path(folder),
        also={"PORT": str(port), "CLIENT_SECRET": place.sandbox.client_secret, "NODE_ENV": "production"},
    )
    url = f"http://127.0.0.1:{port}"
    wait_for_answer(url, process)
    asked["express"] = _ask(url, cards)
