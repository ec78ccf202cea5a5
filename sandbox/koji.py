"""The stand-in Koji: start and get over REST, the page where a participant answers, and signed webhooks.

The REST form is the newer one of https://www.koji.so/docs/starting-interviews-via-api
"""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, current_app, g, jsonify, render_template, request

from sandbox.analysis import QUESTIONS

if TYPE_CHECKING:
    from flask import Flask

    from sandbox.koji_state import Interview, KojiState

MOST_WORDS = 4000
"""Characters of one answer that the page takes."""

pages = Blueprint("koji_pages", __name__)
rest = Blueprint("koji_rest", __name__)


def register(app: Flask, state: KojiState) -> None:
    """Add Koji's REST API and pages to ``app``."""
    app.extensions["koji_state"] = state
    app.register_blueprint(rest, url_prefix="/api/v1")
    app.register_blueprint(pages)


def refuse(status: int) -> tuple[dict[str, str], Any]:
    """Return Koji's headers and body for an answer with this status, for faults.

    https://www.koji.so/docs/common-error-codes
    """
    codes = {
        400: "bad_request",
        401: "unauthorized",
        402: "credits_exhausted",
        403: "forbidden",
        404: "not_found",
        429: "rate_limited",
    }
    code = codes.get(status, "internal_error")
    headers = {"Retry-After": "2"} if status == 429 else {}
    return headers, {"error": code, "message": f"The sandbox was told to answer {status}."}


def _state() -> KojiState:
    state: KojiState = current_app.extensions["koji_state"]
    return state


def _error(status: int, code: str, message: str) -> Response:
    response = jsonify({"error": code, "message": message})
    response.status_code = status
    return response


# REST --------------------------------------------------------------------------------------------------


@rest.before_request
def admit() -> Response | None:
    """Check the key, then its rate."""
    state = _state()
    given = request.headers.get("Authorization", "").encode()
    for key, study in state.studies.items():
        if hmac.compare_digest(given, f"Bearer {key}".encode()):
            g.study = study
            break
    else:
        return _error(401, "unauthorized", "The API key is missing or not valid.")
    wait = state.admit(g.study.key, time.time())
    if wait:
        response = _error(429, "rate_limited", "Too many requests with this key.")
        response.headers["Retry-After"] = str(wait)
        return response
    return None


@rest.post("/interviews/start")
def start() -> Response:
    """Start an interview and return its id, and the personal link where the study gives one."""
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        return _error(400, "validation_error", "The body is not a JSON object.")
    problem = _what_is_wrong(body)
    if problem is not None:
        return _error(400, "validation_error", problem)
    state = _state()
    interview = state.start(g.study, body)
    answer = {
        "interview_id": interview.id,
        "session_token": interview.session_token,
        "initial_message": f"Hi {interview.display_name or 'there'}! {QUESTIONS[0]}",
    }
    if g.study.with_url:
        answer["interview_url"] = state.link(interview)
    response = jsonify(answer)
    response.status_code = 201
    return response


def _what_is_wrong(body: dict[str, Any]) -> str | None:
    """Say why the body is not of the newer form; None if it is."""
    if unknown := body.keys() - {"respondent", "mode", "locale"}:
        return f"Unknown fields: {', '.join(sorted(unknown))}."
    respondent = body.get("respondent", {})
    if not isinstance(respondent, dict):
        return "respondent is not an object."
    if unknown := respondent.keys() - {"external_id", "display_name", "metadata"}:
        return f"Unknown fields in respondent: {', '.join(sorted(unknown))}."
    if not all(isinstance(respondent.get(name, ""), str) for name in ("external_id", "display_name")):
        return "external_id and display_name are strings."
    if not isinstance(respondent.get("metadata", {}), dict):
        return "respondent.metadata is not an object."
    if body.get("mode", "text") not in {"text", "voice"}:
        return "mode is text or voice."
    return None if isinstance(body.get("locale", ""), str) else "locale is a string."


@rest.get("/interviews/<interview_id>")
def get(interview_id: str) -> Response:
    """Return an interview of the key's own study, with its transcript and its analysis."""
    state = _state()
    with state.lock:
        interview = state.interviews.get(interview_id)
        if interview is None or interview.study.key != g.study.key:
            return _error(404, "not_found", "There is no such interview in this project.")
        results = state.results(interview)
        document = {
            "interview_id": interview.id,
            "project_id": interview.study.id,
            "status": interview.status,
            "started_at": interview.started_at,
            "completed_at": interview.completed_at,
            "transcript": _transcript(interview),
            "analysis": results or None,
            "statistics": {"messages_count": 2 * len(interview.answers)},
            **state.identity(interview),
        }
    return jsonify(document)


def _transcript(interview: Interview) -> list[dict[str, str]]:
    lines = []
    for question, answer in zip(QUESTIONS, interview.answers, strict=False):
        lines.append({"role": "interviewer", "content": question})
        lines.append({"role": "respondent", "content": answer})
    return lines


# Pages -------------------------------------------------------------------------------------------------


def _find(interview_id: str) -> Interview:
    found = _state().interviews.get(interview_id)
    if found is None:
        abort(404)
    return found


@pages.get("/interview/<interview_id>")
def interview_page(interview_id: str) -> str:
    """Show the questions, or that they were answered."""
    interview = _find(interview_id)
    return render_template("interview.html", interview=interview, questions=QUESTIONS, most=MOST_WORDS)


@pages.post("/interview/<interview_id>")
def answer_page(interview_id: str) -> str:
    """Take the answers; sending them twice keeps the first."""
    interview = _find(interview_id)
    answers = [request.form.get(f"answer-{index}", "")[:MOST_WORDS] for index in range(len(QUESTIONS))]
    given = request.form.get("rating", "")
    rating = int(given) if given in {"1", "2", "3", "4", "5"} else None
    if interview.status != "completed":
        _state().answer(interview.id, answers=answers, rating=rating)
    return render_template("interview.html", interview=interview, questions=QUESTIONS, most=MOST_WORDS)


@pages.get("/transcript/<interview_id>")
def transcript_page(interview_id: str) -> str:
    """Show what was said; this never leaves Koji."""
    interview = _find(interview_id)
    return render_template("transcript.html", interview=interview, lines=_transcript(interview))


@pages.after_request
def confine(response: Response) -> Response:
    """Let the pages load nothing but their own files."""
    response.headers["Content-Security-Policy"] = (
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
