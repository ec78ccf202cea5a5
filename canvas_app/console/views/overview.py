"""The first page: is all well, is all set up, and what do the results say?"""

from __future__ import annotations

from collections.abc import Sequence

from flask import Response, flash, g, redirect, request, url_for
from flask_wtf import FlaskForm
from sqlalchemy.engine import Connection
from werkzeug.wrappers import Response as BaseResponse
from wtforms import StringField, SubmitField, ValidationError

from canvas_app import health, notices, store, web
from canvas_app.console import access, charts, checklist
from canvas_app.console.door import blueprint, page, show
from canvas_app.interviews import (
    alarms,
    alert_address,
    alerts,
    figures,
    operators,
    provisions,
    standing,
    studies,
)
from canvas_app.interviews.alerts import Alert
from canvas_app.interviews.standing import Standing
from canvas_app.settings import Study

page("overview", "Overview", place=10)

_USUAL_DAYS = 30


class AlertAddress(FlaskForm):
    """Where one message is posted for each new alert."""

    address = StringField(
        "Address for alerts",
        description="An https address that takes Slack's JSON, as an incoming webhook of Slack's does. It is "
        "kept sealed and not shown again.",
        render_kw={"autocomplete": "off", "maxlength": notices.LONGEST_ADDRESS},
    )
    save = SubmitField("Post alerts there")

    def validate_address(self, field: StringField) -> None:
        try:
            field.data = notices.checked_address(field.data or "")
        except ValueError as error:
            raise ValidationError(f"It {error}.") from None


@blueprint.get("/")
def overview() -> Response:
    return _page(AlertAddress())


@blueprint.post("/overview/set-up")
def provide() -> BaseResponse:
    here = web.current()
    with store.writing(here.engine) as connection:
        if provisions.ask(connection, here.jobs, here.settings):
            operators.note(connection, access.current().teammate, "set_up_asked")
    flash("A worker makes what is missing in Intercom. Load this page again in a moment.")
    return redirect(url_for("console.overview", _anchor="set-up"))


@blueprint.post("/overview/alert-address")
def enter_alert_address() -> BaseResponse:
    form = AlertAddress()
    if not form.validate_on_submit():
        return _page(form, 422)
    here = web.current()
    with store.writing(here.engine) as connection:
        host = alert_address.enter(connection, here.settings, str(form.address.data))
        operators.note(connection, access.current().teammate, "alert_address_entered", after=host)
    flash("Alerts are posted there. A first message comes within five minutes.")
    return redirect(url_for("console.overview", _anchor="alerts"))


@blueprint.post("/overview/alert-address/remove")
def remove_alert_address() -> BaseResponse:
    with store.writing(web.current().engine) as connection:
        host = alert_address.remove(connection)
        if host is not None:
            operators.note(connection, access.current().teammate, "alert_address_removed", before=host)
    flash("Alerts are posted nowhere now. This page and the log still tell them.")
    return redirect(url_for("console.overview", _anchor="alerts"))


def _page(form: AlertAddress, status: int = 200) -> Response:
    here = web.current()
    parts = health.parts(here.engine)
    if not any(part.name == "worker" for part in parts):
        # Without tables that are ours there is nothing else to be told.
        return show("overview.html", status, parts=parts, how=None)
    visitor = access.current()
    with store.reading(here.engine) as connection:
        every = studies.listed(connection, here.settings)
        how = standing.read(connection, here.settings, every, visitor.teammate.workspace_id)
        found = _alerts(connection, how, parts, every)
        chosen = _figures(connection, how, every)
    described = health.documented(studies.missing(every, here.settings))
    command = health.set_command(here.settings)
    return show(
        "overview.html",
        status,
        parts=parts,
        how=how,
        alerts=found,
        form=form,
        items=checklist.items(
            how, parts, missing=described, command=command, has_api_token=bool(here.settings.api_token)
        ),
        addresses=health.addresses(here.settings.public_url or request.url_root.rstrip("/")),
        topics=provisions.TOPICS,
        koji_event=provisions.KOJI_EVENT,
        services=health.SERVICES,
        span=charts.span,
        **chosen,
    )


def _alerts(
    connection: Connection, how: Standing, parts: Sequence[health.Part], every: Sequence[Study]
) -> list[Alert]:
    """What is so at this moment, and what the clock has found lately."""
    return [
        *alerts.of_worker(alive=all(part.ok for part in parts if part.name == "worker")),
        *alerts.of_pauses(how.pauses),
        *alerts.of_lost_secrets(study.slug for study in every if study.secrets_lost),
        *alerts.of_queue(how.queue.oldest),
        *(alert for alert in alarms.listed(connection) if alert.kind not in alerts.LIVE),
    ]


def _figures(connection: Connection, how: Standing, every: Sequence[Study]) -> dict[str, object]:
    days = request.args.get("days", type=int)
    days = days if days in figures.PERIODS else _USUAL_DAYS
    names = {study.slug: study.name for study in every}
    study = request.args.get("study")
    study = study if study in names else None
    choice = {"days": days, "study": study, "names": names, "periods": figures.PERIODS}
    if how.workspace_id is None:
        return {**choice, "figures": None, "charts": []}
    found = figures.read(
        connection, how.workspace_id, days=days, now=how.now, zone=access.current().zone, study=study
    )
    return {
        **choice,
        "figures": found,
        "charts": charts.all_of(found, g.nonce),
        "tiles": charts.tiles(found),
        "stage_names": charts.STAGE_NAMES,
        "percent": charts.percent,
    }
