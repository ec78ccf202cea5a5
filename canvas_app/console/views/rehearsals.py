"""Dry runs: begun, looked at while they run, and what they have found."""

from __future__ import annotations

from flask import Response, abort, flash, redirect, url_for
from werkzeug.wrappers import Response as BaseResponse

from canvas_app import store, web
from canvas_app.console import asked
from canvas_app.console.door import blueprint, show
from canvas_app.interviews import rehearsed, rulebook, rulestore


@blueprint.post("/rules/<slug>/try")
def try_rule(slug: str) -> BaseResponse:
    here = web.current()
    with store.writing(here.engine) as connection:
        workspace_id = asked.workspace_id(connection)
        rule = rulestore.find(connection, slug)
        if rule is None or rule.event not in rulebook.REHEARSED:
            abort(404)
        if workspace_id is None:
            flash(
                "It is not known yet which workspace this is: a worker finds that out when it starts.",
                "warning",
            )
            return redirect(url_for("console.rule", slug=slug))
        id_ = rehearsed.begin(connection, here.jobs, workspace_id, slug)
    return redirect(url_for("console.rehearsal", rehearsal_id=id_))


@blueprint.get("/rehearsals/<rehearsal_id>")
def rehearsal(rehearsal_id: str) -> Response:
    here = web.current()
    with store.reading(here.engine) as connection:
        workspace_id = asked.workspace_id(connection)
        run = rehearsed.get(connection, workspace_id, rehearsal_id) if workspace_id else None
        if run is None:
            abort(404)
        rule = rulestore.find(connection, run.rule)
        version = rulestore.versions(connection).get(run.rule)
        lines = rehearsed.lines(connection, run.id) if run.state == "done" else []
    not_asked = sum(run.not_asked.values())
    return show(
        "rehearsal.html",
        run=run,
        rule=rule,
        version=version,
        under_way=run.state in rehearsed.UNDER_WAY,
        asked=[line for line in lines if line.reason is None],
        others=[line for line in lines if line.reason is not None],
        not_asked=not_asked,
        still_so=rule is not None and run.fingerprint == rulebook.fingerprint(rule),
    )
