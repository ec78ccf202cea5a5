"""The pages: for a person who opens the app, for the platform, and for the customer who taps the link."""

from __future__ import annotations

import logging
import re
import secrets
from datetime import datetime, timedelta

from flask import Blueprint, Response, jsonify, make_response, redirect, render_template, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response as BaseResponse

from canvas_app import health, log, store, web
from canvas_app.canvas import texts
from canvas_app.errors import TooManyRefused
from canvas_app.interviews import hours, ledger, links, workspace
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.states import HAS_RESULT, LINK_STATES
from canvas_app.koji import links as koji_links

blueprint = Blueprint("pages", __name__)
logger = logging.getLogger(__name__)

# Programs that fetch a link to show what is behind it. Nobody has opened anything when they do. (Cubot makes
# telephones. Telegram's says TelegramBot; without that it is the browser inside Telegram, and a person.)
_PREVIEWERS = re.compile(
    r"(?<!cu)bot\b|crawler|spider|preview|facebookexternalhit|whatsapp|slack|discord|skypeuripreview|embedly"
    r"|linkedinbot|twitterbot|googleimageproxy|intercom",
    re.IGNORECASE,
)

# A page that waits asks again after a tenth of the time that it has waited for, within these limits: most
# interviews are ready within seconds, and a fault that a person has to mend can take hours.
_SOONEST_REFRESH_SECONDS = 3
_LATEST_REFRESH_SECONDS = 60
_WAITED = 10
_DATABASE_AWAY_REFRESH_SECONDS = 5
# What takes a person to mend.
_MENDING_REFRESH_SECONDS = 60
_PLANNED_REFRESH_SECONDS = 60


@blueprint.get("/")
def home() -> Response:
    here = web.current()
    parts = health.parts(here.engine)
    base = here.settings.public_url or request.url_root.rstrip("/")
    return _page(
        "home.html",
        200,
        parts=parts,
        problems=[part for part in parts if not part.ok],
        missing=health.missing(here.engine, here.settings),
        pauses=[health.in_words(pause) for pause in health.pauses(here.engine, here.settings, parts)],
        command=health.set_command(here.settings),
        addresses=health.addresses(base),
    )


@blueprint.get("/healthz")
def healthz() -> Response:
    here = web.current()
    parts = health.parts(here.engine)
    down = [part.name for part in parts if not part.ok]
    paused: dict[str, list[dict[str, str]]] = {}
    for pause in health.pauses(here.engine, here.settings, parts):
        paused.setdefault(pause.wire, []).append(
            {
                "reason": pause.reason,
                "operation": pause.operation,
                "since": pause.since.isoformat(timespec="seconds"),
                **({} if pause.study is None else {"study": pause.study}),
            }
        )
    with here.lock:
        refusals = dict(here.refusals)
    answer = jsonify(
        {
            "status": "down" if down else "ok",
            "down": down,
            "parts": {part.name: "ok" if part.ok else "down" for part in parts},
            "missing": health.missing_names(here.engine, here.settings),
            "refusals": refusals,
            # It stays 200: a platform would restart the process, and the token would be as dead as before.
            "paused": paused,
        }
    )
    answer.status_code = 503 if down else 200
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.get("/i/<token>")
def personal_link(token: str) -> BaseResponse:
    """The customer's link: counts as opened and leads to the interview, or says kindly why it does not."""
    try:
        return _follow(token)
    except SQLAlchemyError as error:
        log.failure(logger, "link_without_database", error)
        return _not_working(refresh=_DATABASE_AWAY_REFRESH_SECONDS)
    except TooManyRefused as turned_away:
        answer = _message(
            turned_away.status,
            "Please wait a minute",
            "Too many links that do not work were opened from here. Please open yours again in a minute.",
        )
        answer.headers.update(turned_away.headers)
        return answer


def _follow(token: str) -> BaseResponse:
    here = web.current()
    interview_id = links.read_token(token, here.settings.secret_key)
    if interview_id is None:
        # Raises TooManyRefused where its address has tried too many; what we have signed never comes here.
        web.check_stranger()
        return _unknown_link()
    with store.reading(here.engine) as connection:
        interview = ledger.by_token(connection, token)
        former = ledger.get(connection, interview_id) if interview is None else None
        planned = interview is not None and interview.state == "planned"
        timezone = workspace.timezone(connection, interview.workspace_id) if interview and planned else None
        now = store.now(connection)
    if former is not None and former.purged_at is not None:
        # Its personal data is gone, and the token with it; that we have signed it is enough to be kind.
        return _over()
    if interview is None:
        return _unknown_link()
    interview = ledger.as_of(interview, now, open_days=here.settings.open_days)
    if interview.state in HAS_RESULT or interview.result is not None:
        return _message(
            200, "Thank you!", "You have already answered this interview. There is nothing more to do."
        )
    if interview.state == "planned":
        begins_at = interview.not_before or interview.created_at
        return _planned(begins_at, timezone) if begins_at > now else _being_prepared(now - begins_at)
    if interview.state == "failed":
        return _message(
            410,
            "This interview could not be started",
            "Something went wrong on our side. We are sorry; there is nothing that you need to do.",
        )
    if interview.state not in LINK_STATES:
        return _over()
    if interview.koji_link is None:
        return _being_prepared(now - interview.state_since)
    if not koji_links.allowed(interview.koji_link, here.settings.koji_link_hosts):
        # The interview is still open, and its card says so; KOJI_LINK_HOSTS can be mended.
        log.event(logger, logging.WARNING, "link_host_not_allowed", interview=interview.id)
        return _not_working(refresh=_MENDING_REFRESH_SECONDS)
    if (interview.opened_at is None or interview.state != "opened") and _is_a_person():
        try:
            _count_as_opened(interview, now)
        except SQLAlchemyError as error:
            if not store.is_away(error):
                raise
            # The customer wants to answer now; that they came is known from their answer as well.
            log.failure(logger, "opening_not_recorded", error, interview=interview.id)
    answer = redirect(interview.koji_link, code=302)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _count_as_opened(interview: Interview, now: datetime) -> None:
    with store.writing(web.current().engine) as connection:
        # The message is surely there when its link is opened, so that "unknown" is known now.
        sent_at = interview.tried_at or interview.state_since
        if not ledger.move(
            connection, interview.id, "opened", only_from=("unknown",), now=now, sent_at=sent_at
        ):
            ledger.move(connection, interview.id, "opened", only_from=("sent",), now=now)
        opened_at = interview.opened_at or now
        ledger.change(connection, interview.id, only_from=LINK_STATES, opened_at=opened_at)


def _is_a_person() -> bool:
    if request.method != "GET":
        return False
    purpose = request.headers.get("Sec-Purpose", "") + request.headers.get("Purpose", "")
    return "prefetch" not in purpose.lower() and not _PREVIEWERS.search(request.user_agent.string)


def _unknown_link() -> Response:
    return _message(
        404, "This link does not work", "It may have been cut off. Please open it again from the message."
    )


def _being_prepared(since: timedelta) -> Response:
    pause = round(since.total_seconds() / _WAITED)
    return _message(
        200,
        "Your interview is being prepared",
        "This page loads again by itself in a moment.",
        refresh=min(max(pause, _SOONEST_REFRESH_SECONDS), _LATEST_REFRESH_SECONDS),
    )


def _planned(begins_at: datetime, timezone: str | None) -> Response:
    """Says when, and promises nothing: at that moment the limits are looked at once more."""
    when = texts.moment(begins_at, hours.zone_of(timezone))
    return _message(
        200,
        "Your interview is not open yet",
        f"It is planned for about {when}. Please come back to this link then.",
        refresh=_PLANNED_REFRESH_SECONDS,
    )


def _over() -> Response:
    return _message(410, "This interview is over", "The link is no longer in use. You need not do anything.")


def _not_working(*, refresh: int) -> Response:
    text = "Something is not working on our side. This page loads again by itself in a moment."
    answer = _message(503, "Please wait a moment", text, refresh=refresh)
    answer.headers["Retry-After"] = str(refresh)
    return answer


def _message(status: int, title: str, text: str, *, refresh: int | None = None) -> Response:
    return _page("message.html", status, title=title, text=text, refresh=refresh)


def _page(template: str, status: int, **values: object) -> Response:
    nonce = secrets.token_urlsafe(16)
    answer = make_response(render_template(template, nonce=nonce, **values), status)
    answer.headers["Cache-Control"] = "no-store"
    # Nothing is loaded from anywhere; the one style element is named by its nonce.
    answer.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return answer
