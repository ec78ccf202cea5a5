"""What the rules have decided lately, yes and no, and why."""

from __future__ import annotations

from typing import Final, cast, get_args

from flask import Response, current_app, request, url_for

from canvas_app import store, web
from canvas_app.console import asked, rule_words
from canvas_app.console.door import blueprint, show
from canvas_app.interviews import decisions as decided, rulestore
from canvas_app.interviews.decisions import Verdict

_ON_A_PAGE: Final = 50
_INTERVIEW: Final = "console.interview"


@blueprint.get("/decisions")
def decisions() -> Response:
    here = web.current()
    slug = request.args.get("rule", "")[:64] or None
    verdict = request.args.get("verdict")
    chosen = cast(Verdict, verdict) if verdict in get_args(Verdict) else None
    with store.reading(here.engine) as connection:
        workspace_id = asked.workspace_id(connection)
        rules = rulestore.listed(connection)
        found = (
            decided.page(
                connection,
                workspace_id,
                rule=slug,
                verdict=chosen,
                before=asked.place(request.args.get("before")),
                most=_ON_A_PAGE + 1,
            )
            if workspace_id
            else []
        )
    further = asked.place_text(found[_ON_A_PAGE - 1].place) if len(found) > _ON_A_PAGE else None
    names = {rule.slug: rule.title for rule in rules}
    if slug is not None:
        # One that is gone has decided all the same.
        names.setdefault(slug, slug)
    return show(
        "decisions.html",
        found=found[:_ON_A_PAGE],
        names=names,
        verdicts=rule_words.VERDICTS,
        slug=slug,
        verdict=chosen,
        first="before" not in request.args,
        further=further and url_for("console.decisions", rule=slug, verdict=chosen, before=further),
    )


@blueprint.app_template_global()
def interview_address(interview_id: str | None) -> str | None:
    """Where an interview's own page is, if there is such a page."""
    if interview_id is None or _INTERVIEW not in current_app.view_functions:
        return None
    return url_for(_INTERVIEW, interview_id=interview_id)
