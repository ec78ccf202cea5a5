"""The rules: in order, one by one, and switched, moved or tried."""

from __future__ import annotations

from flask import Response, abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from canvas_app import store, web
from canvas_app.console import access, asked, rule_words
from canvas_app.console.door import blueprint, page, show
from canvas_app.errors import ChangedMeanwhile, RuleRefused
from canvas_app.interviews import decisions, rehearsed, rule_changes, rulebook, rulestore, studies

page("rules", "Rules", place=40)

_DECISIONS = 10
_QUICKER = (
    "Somebody else has changed the rules since this page was shown. Nothing was changed now: look again."
)


@blueprint.get("/rules")
def rules() -> Response:
    here = web.current()
    with store.reading(here.engine) as connection:
        # The versions first: what is changed between the two is refused then, and not overwritten.
        versions = rulestore.versions(connection)
        every = rulestore.listed(connection)
        names = {study.slug: study.name for study in studies.listed(connection, here.settings)}
    return show(
        "rules.html",
        rules=every,
        versions=versions,
        order=rulestore.order_version([rule.slug for rule in every]),
        names=names,
        words=rule_words,
        tried_events=rulebook.REHEARSED,
    )


@blueprint.get("/rules/<slug>")
def rule(slug: str) -> Response:
    here = web.current()
    with store.reading(here.engine) as connection:
        version = rulestore.versions(connection).get(slug)
        found = rulestore.find(connection, slug)
        if found is None or version is None:
            abort(404)
        workspace_id = asked.workspace_id(connection)
        study = studies.find(connection, here.settings, found.study)
        tried = rehearsed.newest(connection, workspace_id, slug) if workspace_id else None
        decided = decisions.page(connection, workspace_id, rule=slug, most=_DECISIONS) if workspace_id else []
    return show(
        "rule.html",
        rule=found,
        version=version,
        study=study,
        words=rule_words,
        tried=tried,
        still_so=tried is not None and tried.fingerprint == rulebook.fingerprint(found),
        may_be_tried=found.event in rulebook.REHEARSED,
        decided=decided,
    )


@blueprint.post("/rules/<slug>/switch")
def switch_rule(slug: str) -> BaseResponse:
    here, on = web.current(), request.form.get("on") == "yes"
    try:
        switched = rule_changes.switch(
            here.engine,
            here.settings,
            access.current().teammate,
            slug,
            on=on,
            seen=request.form.get("seen", ""),
        )
    except ChangedMeanwhile:
        flash(_QUICKER, "warning")
        return redirect(url_for("console.rules"))
    except RuleRefused as refused:
        told = "; ".join(f"{field} {message}" for field, message in refused.problems)
        flash(f"It cannot be switched on: {told}. Edit it first.", "warning")
        return redirect(url_for("console.rule", slug=slug))
    if switched:
        flash(
            "The rule is on: it asks from now on."
            if on
            else "The rule is off. What it has planned is not sent either."
        )
    return redirect(url_for("console.rule", slug=slug))


@blueprint.post("/rules/<slug>/move")
def move_rule(slug: str) -> BaseResponse:
    up = request.form.get("to") == "up"
    try:
        rule_changes.move(
            web.current().engine,
            access.current().teammate,
            slug,
            up=up,
            seen=request.form.get("seen", ""),
        )
    except ChangedMeanwhile:
        flash(_QUICKER, "warning")
    return redirect(url_for("console.rules"))
