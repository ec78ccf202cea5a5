"""Single rows of a busy workspace: made up, and the same in every run for the same number and moment."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any, Final

from canvas_app.interviews.states import MAY_HAVE_REACHED_CUSTOMER, State

_NAMES: Final = (
    ("Mia Chen", "mia.chen@northwind.example"),
    ("Łukasz Nowak", "lukasz@lumen.example"),
    ("Priya Raman", "priya@lumen.example"),
    ("Tom Becker", "tom.becker@tables.example"),
    ("Aïcha Diallo", "aicha@sahel.example"),
    ("Noah Williams", "noah@harbor.example"),
    ("Sofía Ortega", "sofia@ortega.example"),
    ("Kenji Watanabe", "kenji@kumo.example"),
    ("Hanna Lindqvist", "hanna@fjord.example"),
    ("Oluwaseun Adeyemi", "seun@lagosworks.example"),
)
_THEMES: Final = (
    *("Export reliability",) * 6,
    *("Pricing friction",) * 5,
    *("Helpful support",) * 4,
    *("Slow search",) * 3,
    *("Onboarding clarity",) * 3,
    *("Missing SSO",) * 2,
    "Mobile app",
    "Invoice mistakes",
)
_REASONS: Final[dict[State, str]] = {
    "not_written": "low_quality",
    "cancelled": "withdrawn",
    "skipped": "asked_recently",
    "failed": "intercom_refused",
    "unknown": "no_answer",
}
_ANSWERED: Final = ("completed", "analysed", "written_back", "not_written")
_NOT_FOUND: Final = {
    "kind": "analysis_ready",
    "name": "interview.analysis_ready",
    "result": {"koji_interview_id": "nobodys"},
}


def interview(workspace_id: str, number: int, state: State, at: datetime, **changes: Any) -> dict[str, Any]:
    """A row of the ledger, asked for at ``at`` and now in ``state``. Each number is another contact."""
    chance = random.Random(number)  # noqa: S311 -- the same row in every run
    name, email = _NAMES[number % len(_NAMES)]
    id_ = f"{chance.getrandbits(128):032x}"
    reached = state in MAY_HAVE_REACHED_CUSTOMER and state != "unknown"
    sent = at + timedelta(seconds=chance.uniform(2, 20)) if reached else None
    answered = at + timedelta(hours=min(chance.expovariate(1 / 9), 60)) if state in _ANSWERED else None
    opened = answered and answered - timedelta(minutes=chance.uniform(4, 12))
    if state == "opened":
        opened = at + timedelta(hours=chance.uniform(0.2, 0.9))
    origin = ("card", "rule", "card", "api")[number % 4]
    return {
        "id": id_,
        "workspace_id": workspace_id,
        "contact_id": contact_id(number),
        "conversation_id": str(215_460_000_000 + number),
        "study": ("default", "default", "leaving")[number % 3],
        "origin": origin,
        "rule": "low-rating" if origin == "rule" else None,
        "asked_by_id": "991" if origin == "card" else None,
        "asked_by_name": "Ada Byrne" if origin == "card" else None,
        "contact_name": name,
        "contact_email": email,
        "personal_line": "It was good to sort out the export with you." if origin == "card" else None,
        "state": state,
        "reason": _REASONS.get(state),
        "link_token": f"token-{id_}",
        "koji_interview_id": f"koji-{id_}" if sent else None,
        "send_attempt": 1,
        "created_at": at,
        "state_since": answered or opened or sent or at,
        "send_before": at + timedelta(minutes=15),
        "not_before": at + timedelta(days=9) if state == "planned" else None,
        "sent_at": sent,
        "opened_at": opened,
        "completed_at": answered,
        "result": _result(chance, state) if answered and state != "completed" else None,
        "result_at": answered if state != "completed" else None,
        "attributes_written_at": answered and answered + timedelta(seconds=4)
        if state == "written_back"
        else None,
        "written_back_at": answered and answered + timedelta(seconds=9) if state == "written_back" else None,
        "conversation_tags": {"81": "koji_mixed_sentiment"} if state == "written_back" else None,
        "deliver": "conversation",
        "language": ("en", "de", "pt-BR")[number % 3],
        "credits": 1,
        **changes,
    }


def contact_id(number: int) -> str:
    """Whom a number stands for."""
    return f"66b{random.Random(-number).getrandbits(84):021x}"  # noqa: S311 -- the same in every run


def delivery(number: int, at: datetime, **changes: Any) -> dict[str, Any]:
    """A row of a delivery of Koji's that was taken in."""
    return {
        "id": f"d{number:031x}",
        "door": "koji",
        "dedupe_key": f"made-up-{number}",
        "event": "interview.analysis_ready",
        "interview_id": None,
        "state": "done",
        "reason": None,
        "content": None,
        "attempt": 2,
        "waits": 0,
        "fills": 0,
        "tries": 1,
        "received_at": at,
        "finished_at": at + timedelta(seconds=2),
        **changes,
    }


def failed(number: int, at: datetime, **changes: Any) -> dict[str, Any]:
    """One that was given up, and can be run again."""
    values = {"state": "failed", "reason": "server_error", "content": _NOT_FOUND, "tries": 9}
    return delivery(number, at, **{**values, **changes})


def _result(chance: random.Random, state: State) -> dict[str, Any]:
    themes = list(dict.fromkeys(chance.choices(_THEMES, k=5)))[:3]
    low = state == "not_written"
    return {
        "identity": "named",
        "sentiment": chance.choice(("positive", "positive", "neutral", "mixed", "mixed", "negative")),
        "quality": float(chance.choice((1, 2) if low else (3, 4, 4, 5, 5))),
        "themes": themes,
        "top_theme": themes[0],
        "transcript_url": None,
    }
