"""The stand-in Koji: start and get over REST, the page where a participant answers, and signed webhooks.

The REST form is the newer one of https://www.koji.so/docs/starting-interviews-via-api
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, current_app, g, jsonify, render_template, request

from sandbox.analysis import QUESTIONS, Analysis, analyse

if TYPE_CHECKING:
    from flask import Flask

    from sandbox.deliveries import Deliverer
    from sandbox.state import Call

MOST_WORDS = 4000
"""Characters of one answer that the page takes."""

pages = Blueprint("koji_pages", __name__)
rest = Blueprint("koji_rest", __name__)


@dataclass
class Study:
    """A study has its own key; in an anonymous one, nobody is told who answered."""

    id: str
    name: str
    key: str
    anonymous: bool = False
    with_url: bool = True
    """Whether the start call returns the personal link; no page of Koji's reference says it does."""


@dataclass
class Interview:
    """One interview; ``answers`` are what the participant wrote."""

    id: str
    study: Study
    session_token: str
    external_id: str | None
    display_name: str | None
    metadata: dict[str, Any]
    mode: str
    locale: str | None
    started_at: str
    status: str = "active"
    completed_at: str | None = None
    answers: list[str] = field(default_factory=list)
    rating: int | None = None
    analysis: Analysis | None = None
    anonymous: bool = False


class KojiState:
    """Studies and their interviews, behind the lock that both stand-ins share."""

    def __init__(self, lock: threading.RLock, deliverer: Deliverer, study: Study) -> None:
        self.lock = lock
        self.deliverer = deliverer
        self.url = ""
        self.studies = {study.key: study}
        self.interviews: dict[str, Interview] = {}
        self.calls: list[Call] = []
        self.calls_per_minute = 60
        self.analysis_takes = 0.0
        """Seconds between the last answer and the webhooks."""
        self._recent: dict[str, deque[float]] = {}

    def add_study(self, name: str, *, anonymous: bool = False, with_url: bool = True) -> Study:
        """Add a study with a key of its own."""
        study = Study(str(uuid.uuid4()), name, f"pk_live_{secrets.token_hex(16)}", anonymous, with_url)
        with self.lock:
            self.studies[study.key] = study
        return study

    def interview(self, interview_id: str) -> Interview:
        """Return an interview by its id; KeyError if there is none."""
        with self.lock:
            return self.interviews[interview_id]

    def start(self, study: Study, body: dict[str, Any]) -> Interview:
        """Start an interview from the body of the start call."""
        respondent = body.get("respondent") or {}
        interview = Interview(
            id=str(uuid.uuid4()),
            study=study,
            session_token=secrets.token_urlsafe(24),
            external_id=respondent.get("external_id"),
            display_name=respondent.get("display_name"),
            metadata=respondent.get("metadata") or {},
            mode=body.get("mode") or "text",
            locale=body.get("locale"),
            started_at=_now(),
            anonymous=study.anonymous,
        )
        with self.lock:
            self.interviews[interview.id] = interview
        return interview

    def answer(
        self,
        interview_id: str,
        *,
        answers: list[str],
        rating: int | None = None,
        anonymous: bool = False,
        quality: float | None = None,
        sentiment: str | None = None,
        themes: list[str] | None = None,
    ) -> None:
        """Answer an interview as its participant would; the last three replace what the toy rules find.

        ValueError if it is already answered.
        """
        with self.lock:
            interview = self.interviews[interview_id]
            if interview.status == "completed":
                raise ValueError("this interview is already answered")
            found = analyse(answers, rating)
            interview.analysis = Analysis(
                sentiment or found.sentiment,
                found.themes if themes is None else tuple(themes),
                found.quality if quality is None else quality,
            )
            interview.answers, interview.rating = list(answers), rating
            interview.anonymous = interview.anonymous or anonymous
            interview.status, interview.completed_at = "completed", _now()
            who = self.identity(interview)
            results = self.results(interview)
        base = {"interview_id": interview.id, "study_id": interview.study.id, **who}
        base["completed_at"] = interview.completed_at
        events = [("interview.completed", base), ("interview.analysis_ready", {**base, **results})]
        self.deliverer.send(interview.id, events, after=self.analysis_takes)

    def identity(self, interview: Interview) -> dict[str, Any]:
        """Return who answered, as webhooks and the API tell it.

        An anonymous interview says so with an address that is null; one whose start call named no address
        does not speak of it. The metadata of the start call comes back as it was in either case.
        """
        told: dict[str, Any] = {"metadata": interview.metadata}
        if interview.anonymous:
            return {**told, "respondent_email": None}
        if interview.external_id is not None:
            told["external_id"] = interview.external_id
        if email := interview.metadata.get("respondent_email"):
            told["respondent_email"] = email
        return told

    def results(self, interview: Interview) -> dict[str, Any]:
        """Return what the analysis found; nothing before the interview is answered."""
        if interview.analysis is None:
            return {}
        return {
            "sentiment": interview.analysis.sentiment,
            "themes": list(interview.analysis.themes),
            "quality_score": interview.analysis.quality,
            "transcript_url": f"{self.url}/transcript/{interview.id}",
        }

    def link(self, interview: Interview) -> str:
        """Return the address of the page where this interview is answered."""
        return f"{self.url}/interview/{interview.id}"

    def admit(self, key: str, now: float) -> int:
        """Count one call of a key: 0 if it is allowed, else the seconds to wait."""
        with self.lock:
            recent = self._recent.setdefault(key, deque())
            while recent and recent[0] <= now - 60:
                recent.popleft()
            if len(recent) >= self.calls_per_minute:
                return max(1, int(recent[0] + 60 - now + 0.999)) if recent else 60
            recent.append(now)
            return 0


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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


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


def dump(state: KojiState) -> dict[str, Any]:
    """Return everything that happened here as JSON for ``GET /_sandbox/state``."""
    with state.lock:
        return {
            "interviews": {
                item.id: {
                    "study": item.study.name,
                    "status": item.status,
                    "external_id": item.external_id,
                    "metadata": item.metadata,
                    "anonymous": item.anonymous,
                    "answers": list(item.answers),
                    **state.results(item),
                }
                for item in state.interviews.values()
            },
            "deliveries": [item.document() for item in state.deliverer.deliveries],
            "calls": [json.loads(json.dumps(item.document())) for item in state.calls],
        }
