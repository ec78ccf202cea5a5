"""What the stand-in Koji remembers: studies, their interviews, and what came of them."""

from __future__ import annotations

import json
import secrets
import threading
import uuid
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sandbox.analysis import Analysis, analyse
from sandbox.deliveries import Delivery

if TYPE_CHECKING:
    from sandbox.deliveries import Deliverer
    from sandbox.state import Call


@dataclass
class Study:
    """A study has its own key, and the secret that its webhooks are signed with.

    In an anonymous one, nobody is told who answered.
    """

    id: str
    name: str
    key: str
    webhook_secret: str
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

    def add_study(
        self,
        name: str,
        *,
        key: str | None = None,
        webhook_secret: str | None = None,
        anonymous: bool = False,
        with_url: bool = True,
    ) -> Study:
        """Add a study with a key and a webhook secret of its own, made up where none is given."""
        study = Study(
            str(uuid.uuid4()),
            name,
            key or f"pk_live_{secrets.token_hex(16)}",
            webhook_secret or secrets.token_hex(16),
            anonymous,
            with_url,
        )
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
            batch = [self._webhook(interview, event) for event in ("completed", "analysis_ready")]
        self.deliverer.send(batch, after=self.analysis_takes)

    def correct(self, interview_id: str, *, sentiment: str) -> None:
        """Analyse an answered interview anew, with another outcome; ValueError if it is not answered."""
        with self.lock:
            interview = self.interviews[interview_id]
            if interview.analysis is None:
                raise ValueError("this interview is not answered")
            interview.analysis = replace(interview.analysis, sentiment=sentiment)
            batch = [self._webhook(interview, "analysis_ready")]
        self.deliverer.send(batch, after=self.analysis_takes)

    def _webhook(self, interview: Interview, event: str) -> Delivery:
        """Return what Koji sends about an interview as it stands now."""
        data = {"interview_id": interview.id, "study_id": interview.study.id, **self.identity(interview)}
        data["completed_at"] = interview.completed_at
        if event == "analysis_ready":
            data |= self.results(interview)
        named = f"interview.{event}"
        document = {"event": named, "delivery_id": str(uuid.uuid4()), "timestamp": interview.completed_at}
        raw = json.dumps({**document, "data": data}, ensure_ascii=False).encode()
        return Delivery(named, interview.id, raw, interview.study.webhook_secret)

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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
