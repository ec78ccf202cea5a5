"""The console's door: who may come in, what all pages have in common, and what is said instead of one.

Nothing is loaded from outside, and no script stands in a page. Each page works without JavaScript.
"""

from __future__ import annotations

import logging
import secrets
from typing import Final

from flask import Blueprint, Flask, Response, g, make_response, redirect, render_template, request, url_for
from flask_bootstrap import Bootstrap5
from flask_wtf.csrf import CSRFError, CSRFProtect
from sqlalchemy.exc import DataError, SQLAlchemyError
from werkzeug.exceptions import Forbidden, HTTPException, NotFound
from werkzeug.wrappers import Response as BaseResponse

from canvas_app import log, store, web
from canvas_app.console import access, shown
from canvas_app.errors import Refused, TooManyRefused
from canvas_app.settings import PROJECT_ROOT, Settings

logger = logging.getLogger(__name__)

blueprint = Blueprint(
    "console",
    __name__,
    url_prefix="/console",
    static_folder=str(PROJECT_ROOT / "static" / "console"),
    static_url_path="/static",
)
_csrf = CSRFProtect()

# What may be seen and done without a session.
_OPEN: Final = frozenset({"console.sign_in", "console.use_link", "console.static"})
# What a teammate may do who may change nothing.
_HARMLESS: Final = frozenset({"console.use_link", "console.sign_out"})

# The pages in the order of the navigation, by endpoint; each module of views adds its own.
PAGES: Final[list[tuple[str, str]]] = []
_PLACES: Final[dict[str, int]] = {}


def page(endpoint: str, title: str, *, place: int = 50) -> None:
    """Let a page stand in the navigation, behind those of a smaller ``place``."""
    _PLACES[f"console.{endpoint}"] = place
    PAGES.append((f"console.{endpoint}", title))
    PAGES.sort(key=lambda one: _PLACES[one[0]])


def prepare(app: Flask, settings: Settings) -> None:
    access.prepare(app, settings)
    app.config.update(
        BOOTSTRAP_SERVE_LOCAL=True,
        # The other doors prove who sends by other means; this door asks for it itself.
        WTF_CSRF_CHECK_DEFAULT=False,
        # It ends with the session.
        WTF_CSRF_TIME_LIMIT=None,
    )
    Bootstrap5(app)
    _csrf.init_app(app)


def show(template: str, status: int = 200, **values: object) -> Response:
    """A page of the console."""
    return make_response(render_template(f"console/{template}", **values), status)


@blueprint.before_request
def _let_in() -> BaseResponse | None:
    g.nonce = secrets.token_urlsafe(16)
    here = web.current()
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        if not here.settings.secret_key:
            return _not_set_up()
        # Half a form would be taken for a whole one. Raises Refused.
        web.body()
        _csrf.protect()
    if request.endpoint in _OPEN:
        return None
    if not here.settings.secret_key:
        return _not_set_up()
    with store.reading(here.engine) as connection:
        visitor = access.visitor(connection)
    if visitor is None:
        return redirect(url_for("console.sign_in"))
    g.visitor = visitor
    if (
        request.method not in ("GET", "HEAD", "OPTIONS")
        and request.endpoint not in _HARMLESS
        and not visitor.may_change
    ):
        raise Forbidden
    return None


@blueprint.after_request
def _headers(answer: BaseResponse) -> BaseResponse:
    if request.endpoint == "console.static":
        return answer
    answer.headers["Cache-Control"] = "no-store"
    # A form's origin is looked at, which a browser does not tell under "no-referrer".
    answer.headers["Referrer-Policy"] = "same-origin"
    answer.headers["X-Frame-Options"] = "DENY"
    # Charts bring a style element of their own, which is named by its nonce.
    answer.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{g.nonce}'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return answer


@blueprint.context_processor
def _common() -> dict[str, object]:
    visitor = g.get("visitor")
    return {
        "pages": PAGES,
        "visitor": visitor,
        "nonce": g.get("nonce", ""),
        "moment": shown.moments_in(visitor.zone if visitor else None),
        "state_name": shown.state_name,
        "in_words": shown.in_words,
        "as_lines": shown.as_lines,
        "refusal_words": shown.refusal_words,
        "what_was_done": shown.what_was_done,
    }


@blueprint.errorhandler(CSRFError)
def _forged(_problem: CSRFError) -> Response:
    try:
        # Whoever has signed in and sends an old form is no stranger.
        if not access.is_known():
            web.check_stranger()
    except TooManyRefused as turned_away:
        return _turned_away(turned_away)
    log.event(logger, logging.WARNING, "refused", door="/console", reason="csrf")
    return show(
        "message.html",
        400,
        title="This form is too old",
        text="Nothing was changed. Go back, load the page again, and send the form once more.",
    )


@blueprint.errorhandler(Refused)
def _refused(problem: Refused) -> Response:
    here = web.current()
    here.count_refusal(web.door(), problem.reason)
    log.event(logger, logging.WARNING, "refused", door=web.door(), reason=problem.reason)
    text = f"Nothing was changed. {problem}"
    return show("message.html", problem.status, title="This did not work", text=text)


@blueprint.errorhandler(TooManyRefused)
def _turned_away(problem: TooManyRefused) -> Response:
    answer = show(
        "message.html",
        problem.status,
        title="Please wait a minute",
        text="Too many requests from your address were refused. Nothing was changed.",
    )
    answer.headers.update(problem.headers)
    return answer


@blueprint.errorhandler(DataError)
def _unstorable(problem: DataError) -> Response:
    """No text of PostgreSQL's holds a NUL, and none of a column's is longer than the column."""
    log.failure(logger, "console_unstorable", problem)
    return show(
        "message.html",
        400,
        title="This cannot be looked for or kept",
        text="Nothing was changed. It holds a character that no text has, or is too long.",
    )


@blueprint.errorhandler(SQLAlchemyError)
def _database_away(problem: SQLAlchemyError) -> Response:
    log.failure(logger, "console_without_database", problem)
    g.visitor = None
    return show(
        "message.html",
        503,
        title="The database cannot be reached",
        text="Whether your change was made is not known. Load the page again in a moment.",
    )


@blueprint.errorhandler(HTTPException)
def _http_error(problem: HTTPException) -> Response:
    title, text = _SAID.get(problem.code or 500, ("This did not work", problem.description or problem.name))
    return show("message.html", problem.code or 500, title=title, text=text)


@blueprint.errorhandler(Exception)
def _unexpected(problem: Exception) -> Response:
    log.failure(logger, "request_failed", problem)
    return show(
        "message.html",
        500,
        title="Something went wrong on our side",
        text=f"Whether your change was made is not known. In the log it is the request {g.request_id}.",
    )


@blueprint.get("/<path:_rest>")
def nowhere(_rest: str) -> Response:
    raise NotFound


_SAID: Final = {
    403: (
        "You may look, and not change",
        "Nothing was changed. An operator can make you one on the page People.",
    ),
    404: ("There is no such page", "It may have been erased, or the address was cut off."),
}


def _not_set_up() -> Response:
    return show(
        "message.html",
        503,
        title="Not set up yet",
        text="SECRET_KEY is missing: without it nobody can sign in. `doctor` tells how it is set.",
    )
