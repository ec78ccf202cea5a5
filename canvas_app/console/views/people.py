"""Who may change things, and what was changed."""

from __future__ import annotations

from flask import Response, flash, redirect, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as BaseResponse
from wtforms import StringField, SubmitField
from wtforms.validators import InputRequired, Regexp

from canvas_app import store, web
from canvas_app.console import access, asked
from canvas_app.console.door import blueprint, page, show
from canvas_app.interviews import operators
from canvas_app.plaintext import one_line

page("people", "People", place=90)

_ENTRIES = 50


class NewOperator(FlaskForm):
    """A teammate who may change things from now on."""

    teammate_id = StringField(
        "Teammate's id",
        [
            InputRequired(),
            Regexp(r"[0-9]{1,20}\Z", message="The id that Intercom gives the teammate: digits."),
        ],
        description="It stands in the address of their page in Intercom > Settings > Teammates.",
    )
    name = StringField("Name")
    add = SubmitField("Let them change things")


@blueprint.get("/people")
def people() -> Response:
    return _page(NewOperator())


@blueprint.post("/people")
def add_operator() -> BaseResponse:
    form = NewOperator()
    if not form.validate_on_submit():
        return _page(form, 422)
    id_, name = str(form.teammate_id.data), one_line(form.name.data, 120) or None
    with store.writing(web.current().engine) as connection:
        workspace_id = asked.existing_workspace_id(connection)
        if operators.add(connection, workspace_id, id_, name):
            operators.note(connection, access.current().teammate, "operator_added", subject=id_, after=name)
    flash("They may change things from now on.")
    return redirect(url_for("console.people"))


@blueprint.post("/people/remove")
def remove_operator() -> BaseResponse:
    id_ = request.form.get("teammate_id", "")
    with store.writing(web.current().engine) as connection:
        if operators.remove(connection, asked.existing_workspace_id(connection), id_):
            operators.note(connection, access.current().teammate, "operator_removed", subject=id_)
    flash("They may only look from now on.")
    return redirect(url_for("console.people"))


@blueprint.post("/people/end-sessions")
def end_sessions() -> BaseResponse:
    with store.writing(web.current().engine) as connection:
        operators.end_all_sessions(connection)
        operators.note(connection, access.current().teammate, "sessions_ended")
    return redirect(url_for("console.sign_in"))


def _page(form: NewOperator, status: int = 200) -> Response:
    here = web.current()
    with store.reading(here.engine) as connection:
        workspace_id = asked.workspace_id(connection)
        return show(
            "people.html",
            status,
            form=form,
            operators=operators.listed(connection, workspace_id) if workspace_id else [],
            entries=operators.newest_entries(connection, most=_ENTRIES),
        )
