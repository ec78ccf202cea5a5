"""The first page: is all well?"""

from __future__ import annotations

from flask import Response

from canvas_app import health, web
from canvas_app.console.door import blueprint, page, show

page("overview", "Overview", at=0)


@blueprint.get("/")
def overview() -> Response:
    here = web.current()
    parts = health.parts(here.engine)
    return show(
        "overview.html",
        parts=parts,
        missing=health.missing(here.engine, here.settings),
        pauses=[health.in_words(pause) for pause in health.pauses(here.engine, here.settings, parts)],
        command=health.set_command(here.settings),
    )
