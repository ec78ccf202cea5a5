"""The console's pages, one module for each. Importing one adds its routes to the door's blueprint."""

from __future__ import annotations

from canvas_app.console.door import blueprint
from canvas_app.console.views import (
    card_preview,
    decisions,
    deliveries,
    interview_acts,
    interviews,
    overview,
    people,
    rehearsals,
    rule_forms,
    rules,
    sign_in,
    studies,
    study_forms,
    study_words,
    write_back,
)

__all__ = [
    "blueprint",
    "card_preview",
    "decisions",
    "deliveries",
    "interview_acts",
    "interviews",
    "overview",
    "people",
    "rehearsals",
    "rule_forms",
    "rules",
    "sign_in",
    "studies",
    "study_forms",
    "study_words",
    "write_back",
]
