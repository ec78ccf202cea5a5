"""What every door shares: the request's id, the one shape of errors, the log line, and what is counted."""

from __future__ import annotations

import logging
import os
import random
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from flask import Flask, Response, current_app, g, jsonify, request
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import ClientDisconnected, HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.wrappers import Response as BaseResponse

from canvas_app import addresses, log
from canvas_app.engine import Jobs
from canvas_app.errors import BodyRefused, BodyTooLarge, NotConfigured, Refused, TooManyRefused
from canvas_app.interviews import measures
from canvas_app.interviews.measures import Tally
from canvas_app.settings import Settings
from canvas_app.strangers import Strangers

logger = logging.getLogger(__name__)

_EXTENSION = "koji_for_intercom"
_MAX_BODY = 1024 * 1024
ARRIVED = "koji.arrived"
"""In a request's environ, where it was held up before: when it came, by the monotonic clock."""
# The door and the route of what no route is for.
_NOWHERE = "none"
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


@dataclass(frozen=True)
class Web:
    """What a request works with in the web process."""

    settings: Settings
    engine: Engine
    jobs: Jobs
    # Refusals since this process started, by door and reason code. Nothing else of a refused request is kept.
    refusals: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    # These and all else that is counted, on its way into the database.
    tally: Tally = field(default_factory=Tally)
    # Who is refused again and again.
    strangers: Strangers = field(default_factory=Strangers)
    routers: addresses.Routers = field(default_factory=lambda: addresses.Routers.of(os.environ))

    def count_refusal(self, door: str, reason: str) -> None:
        with self.lock:
            self.refusals[f"{door} {reason}"] += 1
        self.tally.refuse(door, reason)


def current() -> Web:
    web: Web = current_app.extensions[_EXTENSION]
    return web


def prepare(app: Flask, web: Web) -> None:
    app.extensions[_EXTENSION] = web
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    # A path is right or it is not: no redirect from one spelling to another.
    app.url_map.merge_slashes = False
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_is_over)
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(NotConfigured, _not_configured)
    app.register_error_handler(SQLAlchemyError, _database_away)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def body() -> bytes:
    """The exact bytes of the body, all of them: signatures are over these. Raises BodyTooLarge, BodyRefused.

    The server hands over what has come, also where the connection was cut; half a form may name another one.
    """
    try:
        raw = request.get_data(cache=True)
    except RequestEntityTooLarge:
        raise BodyTooLarge from None
    except ClientDisconnected:
        raise _cut_off() from None
    length = request.content_length
    if length is not None and len(raw) < length:
        raise _cut_off()
    # In chunks, it does not say how long it is. Reading stops at the limit, and says nothing of what follows.
    if length is None and len(raw) >= _MAX_BODY and request.environ["wsgi.input"].read(1):
        raise BodyTooLarge
    return raw


def _cut_off() -> BodyRefused:
    return BodyRefused(
        "The body ended before it was as long as it said. Please send it again.", reason="body_cut_off"
    )


def header(name: str) -> str | None:
    return request.headers.get(name)


def check_stranger() -> None:
    """To be called where a request is refused that shows nothing of who sends it, and nowhere else.

    Raises TooManyRefused where its address was refused too often. What is rightly signed, or knows what only
    those know whom it was given to, never comes here.
    """
    here = current()
    sender = addresses.sender(request.remote_addr, header("X-Forwarded-For"), here.routers)
    wait = here.strangers.refused(sender)
    if wait is None:
        return
    turned_away = TooManyRefused(wait.seconds)
    here.count_refusal(door(), turned_away.reason)
    # One line for each address and minute: the log is not for a stranger to fill.
    g.unlogged = not wait.first
    if wait.first:
        log.event(logger, logging.WARNING, "refused", door=door(), reason=turned_away.reason)
    raise turned_away


def door() -> str:
    """The rule of the request's address, and never the address."""
    return request.url_rule.rule if request.url_rule else "?"


def error(status: int, code: str, message: str) -> Response:
    """The one shape of an error: what happened, for a machine and for a person."""
    response = jsonify({"error": code, "message": message})
    response.status_code = status
    return response


def _begin() -> None:
    # With what it has waited before it came here.
    g.begun = request.environ.get(ARRIVED, time.monotonic())
    given = request.headers.get("X-Request-Id", "")
    # Where none is given, one that is nobody else's; it guards nothing.
    g.request_id = given if _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"  # nosec B311
    log.request_id.set(g.request_id)


def _end(response: BaseResponse) -> BaseResponse:
    response.headers["X-Request-Id"] = g.request_id
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    # The rule and not the path: a personal link's token stands in the path.
    route = request.url_rule.rule if request.url_rule else None
    seconds = time.monotonic() - g.begun
    door, tally = request.blueprint or _NOWHERE, current().tally
    tally.count(measures.REQUESTS, door, route or _NOWHERE, f"{response.status_code // 100}xx")
    tally.observe(measures.REQUEST_SECONDS, seconds, door)
    if g.get("unlogged"):
        return response
    log.event(
        logger,
        logging.INFO,
        "request",
        method=request.method,
        route=route,
        status=response.status_code,
        ms=round(seconds * 1000, 1),
    )
    return response


def _is_over(_error: BaseException | None) -> None:
    # What this thread says next may be about no request, or about one that is not read yet.
    log.request_id.set(None)


def _refused(refusal: Refused) -> Response:
    if refusal.of_a_stranger:
        try:
            check_stranger()
        except TooManyRefused as turned_away:
            refusal = turned_away
    if not isinstance(refusal, TooManyRefused):
        current().count_refusal(door(), refusal.reason)
        log.event(logger, logging.WARNING, "refused", door=door(), reason=refusal.reason)
    answer = error(refusal.status, refusal.reason, str(refusal))
    answer.headers.update(refusal.headers)
    return answer


def _not_configured(problem: NotConfigured) -> Response:
    if request.url_rule:
        current().tally.refuse(request.url_rule.rule, problem.reason)
    log.event(logger, logging.WARNING, "not_configured", missing=",".join(problem.missing))
    return error(503, problem.reason, f"{problem} Set it where the app is deployed; `doctor` tells how.")


def _database_away(problem: SQLAlchemyError) -> Response:
    log.failure(logger, "database_failed", problem)
    response = error(
        503, "database_unavailable", "The database cannot be reached. Please send it again soon."
    )
    response.headers["Retry-After"] = "5"
    return response


def _http_error(problem: HTTPException) -> Response:
    code = problem.name.lower().replace(" ", "_")
    response = error(problem.code or 500, code, problem.description or problem.name)
    if isinstance(problem, MethodNotAllowed) and problem.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(problem.valid_methods))
    return response


def _unexpected(problem: Exception) -> Response:
    log.failure(logger, "request_failed", problem)
    return error(
        500, "internal_error", "Something went wrong on our side. The request id names it in the log."
    )
