"""The API's requests: read, checked, written down with their job in one transaction, and answered.

Everything that takes time is done by a worker afterwards; asking for the interview's status tells how it
stands. ``docs/api.md`` and the OpenAPI description say what is asked and answered.
"""

from __future__ import annotations

import logging
import re
from datetime import datetime

from flask import Blueprint, Response, jsonify, request

from canvas_app import log, store, web
from canvas_app.api import answers, bearer, openapi, request as reading
from canvas_app.errors import FieldsRefused, InterviewNotFound, NotConfigured, NotReady
from canvas_app.interviews import ledger, requested, workspace
from canvas_app.web import Web

blueprint = Blueprint("api", __name__)
logger = logging.getLogger(__name__)

# Whatever else is asked for, there is none: a zero byte would be refused by PostgreSQL, as if it were away.
_INTERVIEW_ID = re.compile(r"[0-9a-f]{32}")


@blueprint.route("/api/interviews", methods=["POST", "PUT"])
def ask_for_interview() -> Response:
    """Ask for an interview. A Series sends PUT or POST; both are the same here."""
    here = web.current()
    _let_in(here)
    wanted = reading.parse(web.body(), request.mimetype, request.args.items(multi=True))
    key = reading.idempotency_key(web.header("Idempotency-Key"))
    workspace_id, now = _workspace(here)
    answered = requested.request(here.engine, here.jobs, here.settings, workspace_id, wanted, key)
    if answered is None:
        raise FieldsRefused(
            "This Idempotency-Key was used for a request with another content before. Use a new key for each "
            "interview, and the same one only to repeat a request.",
            reason="idempotency_key_reused",
        )
    interview = answered.interview
    log.event(
        logger,
        logging.INFO,
        "interview_asked_for",
        interview=interview.id,
        new=answered.new,
        state=interview.state,
        reason=interview.reason,
        deliver=interview.deliver,
    )
    answer = _answer(answers.of(interview, here.settings, now))
    answer.status_code = 201 if answered.new else 200
    return answer


@blueprint.get("/api/interviews/<interview_id>")
def tell_status(interview_id: str) -> Response:
    """How an interview stands."""
    here = web.current()
    _let_in(here)
    workspace_id, now = _workspace(here)
    interview = None
    if _INTERVIEW_ID.fullmatch(interview_id):
        with store.reading(here.engine) as connection:
            interview = ledger.get(connection, interview_id)
    # Also one of another workspace that the app was connected to before.
    if interview is None or interview.workspace_id != workspace_id:
        raise InterviewNotFound(
            "There is no interview with this interview_id. Please look at what was copied."
        )
    return _answer(answers.of(interview, here.settings, now))


@blueprint.get("/api/openapi.json")
def describe() -> Response:
    """The description of this API, for programs that read it. It holds no secret and needs no token."""
    base = web.current().settings.public_url or request.url_root.rstrip("/")
    return jsonify(openapi.description(base))


def _let_in(here: Web) -> None:
    bearer.check(web.header("Authorization"), here.settings.api_token)
    missing = here.settings.missing_for_api()
    if missing:
        raise NotConfigured(missing)


def _workspace(here: Web) -> tuple[str, datetime]:
    """The workspace that the app is connected to, never one that a request names; and the time."""
    with store.reading(here.engine) as connection:
        workspace_id = workspace.of_token(connection, here.settings)
        now = store.now(connection)
    if workspace_id is None:
        with store.writing(here.engine) as connection:
            # A worker asks when it starts; where Intercom did not answer then, it is asked once more.
            here.jobs.enqueue(
                connection,
                "read_workspace",
                job_id=f"read_workspace:api:{int(now.timestamp()) // 60}",
                partition="workspace",
                fast=True,
            )
        raise NotReady(
            "The app does not know yet which Intercom workspace it is connected to. It finds out within "
            "seconds when its worker is running and INTERCOM_ACCESS_TOKEN is right. Please try again.",
            reason="workspace_unknown",
        )
    return workspace_id, now


def _answer(content: dict[str, str | None]) -> Response:
    answer = jsonify(content)
    answer.headers["Cache-Control"] = "no-store"
    return answer
