"""The console's pages, one module for each. Importing one adds its routes to the door's blueprint."""

from __future__ import annotations

from canvas_app.console.door import blueprint
from canvas_app.console.views import (
    card_preview,
    deliveries,
    interview_acts,
    interviews,
    overview,
    people,
    sign_in,
    write_back,
)

__all__ = [
    "blueprint",
    "card_preview",
    "deliveries",
    "interview_acts",
    "interviews",
    "overview",
    "people",
    "sign_in",
    "write_back",
]
