"""Many shots, one after the other, and what was wrong with their answers. Hypothesis makes them up."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

from flask import Flask
from hypothesis import HealthCheck, Phase, given, seed as seeded, settings as drawing
from werkzeug.test import create_environ, run_wsgi_app

from tests.input import aiming, shots
from tests.input.aiming import Send
from tests.input.judge import Given, problems
from tests.input.shots import Aim, Shot

# After so many, what is known of the app is found out anew: forms are used up, cards are of before.
_AIM_AGAIN: Final = 400


@dataclass
class Score:
    """What came of it. ``wrong``: a shot, and what is wrong with its answer."""

    shots: int = 0
    by_door: Counter[str] = field(default_factory=Counter)
    by_status: Counter[int] = field(default_factory=Counter)
    wrong: list[tuple[Shot, list[str]]] = field(default_factory=list)


def fire(
    aim: Aim, send: Send, number: int, *, seed: int, every: Callable[[Score], None] = lambda _score: None
) -> Score:
    """Fire ``number`` shots. ``every`` is called after each."""
    score = Score()
    while score.shots < number:
        aiming.aim_again(aim, send)
        _fire_some(aim, send, min(number - score.shots, _AIM_AGAIN), seed + score.shots, score, every)
    return score


def _fire_some(
    aim: Aim, send: Send, number: int, seed: int, score: Score, every: Callable[[Score], None]
) -> None:
    """Fire at what does not move meanwhile: Hypothesis draws from the same choices all the time."""

    @seeded(seed)
    @drawing(
        max_examples=number,
        deadline=None,
        database=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(shots.every(aim))
    def one(shot: Shot) -> None:
        answer = send(shot)
        score.shots += 1
        score.by_door[shot.door] += 1
        score.by_status[answer.status] += 1
        if found := problems(shot, answer, aim.settings):
            score.wrong.append((shot, found))
        if shot.door.startswith("/console") and answer.headers.get("Location", "").endswith("/sign-in"):
            # One of the forms signs everybody out.
            aiming.sign_in(aim, send)
        every(score)

    one()


def to_flask(app: Flask) -> Send:
    """Send shots to an app in this process, through its WSGI interface as gunicorn does."""

    def send(shot: Shot) -> Given:
        path, _, query = shot.target.partition("?")
        environ = create_environ("/", base_url="http://127.0.0.1/")
        environ |= {
            "REQUEST_METHOD": shot.method,
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_LENGTH": str(len(shot.body)),
            "wsgi.input": io.BytesIO(shot.body),
        }
        for name, value in shot.headers:
            key = name.upper().replace("-", "_")
            key = key if key == "CONTENT_TYPE" else f"HTTP_{key}"
            environ[key] = f"{environ[key]},{value}" if environ.get(key) else value
        parts, status, headers = run_wsgi_app(app, environ, buffered=True)
        return Given(int(status.split()[0]), dict(headers), b"".join(parts))

    return send
