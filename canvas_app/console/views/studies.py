"""The studies: which interviews can be asked for, and whether each can be."""

from __future__ import annotations

from flask import Response, flash, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from canvas_app import store, web
from canvas_app.console import access
from canvas_app.console.door import blueprint, page, show
from canvas_app.errors import ChangedMeanwhile, StudyRefused
from canvas_app.interviews import studies as stored, study_changes, study_facts
from canvas_app.settings import DEFAULT_STUDY

page("studies", "Studies", place=50)

MODES = {None: "What the study allows", "text": "Text", "voice": "Voice"}
QUICKER = (
    "Somebody else has changed the study since this page was shown. Nothing was changed now: look again."
)


@blueprint.get("/studies")
def studies() -> Response:
    here = web.current()
    with store.reading(here.engine) as connection:
        # The versions first: what is changed between the two is refused then, and not overwritten.
        versions = stored.versions(connection)
        every = stored.listed(connection, here.settings)
        older = stored.sealed_with_older_key(connection, here.settings)
    return show(
        "studies.html",
        studies=every,
        versions=versions,
        older=older,
        facts=study_facts,
        settings=here.settings,
        environments=DEFAULT_STUDY,
        modes=MODES,
    )


@blueprint.post("/studies/<slug>/switch")
def switch_study(slug: str) -> BaseResponse:
    here, on = web.current(), request.form.get("on") == "yes"
    try:
        switched = study_changes.switch(
            here.engine,
            here.settings,
            access.current().teammate,
            slug,
            on=on,
            seen=request.form.get("seen", ""),
        )
    except ChangedMeanwhile:
        flash(QUICKER, "warning")
    except StudyRefused as refused:
        flash("; ".join(refused.problems), "warning")
    else:
        if switched:
            flash(
                "The study is on."
                if on
                else "The study is off. What is sent already goes on, and its results still come."
            )
    return redirect(url_for("console.studies"))
