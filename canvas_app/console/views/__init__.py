"""The console's pages, one module for each. Importing one adds its routes to the door's blueprint."""

from __future__ import annotations

from canvas_app.console.door import blueprint
from canvas_app.console.views import deliveries, interview_acts, interviews, overview, people, sign_in

__all__ = ["blueprint", "deliveries", "interview_acts", "interviews", "overview", "people", "sign_in"]
