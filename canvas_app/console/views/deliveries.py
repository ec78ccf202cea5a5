"""Deliveries: every request that came in and was stored, what became of it, and how it is run again."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, cast

from flask import Response, abort, flash, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import DateField, Form, SelectField
from wtforms.validators import Optional

from canvas_app import health, store, web
from canvas_app.console import access, asked, timeline
from canvas_app.console.door import blueprint, page, show
from canvas_app.interviews import inbound, operators, refused, replay, replays
from canvas_app.interviews.inbound import Filter
from canvas_app.interviews.replays import Which
from canvas_app.plaintext import one_line

page("deliveries", "Deliveries", place=30)

_ON_A_PAGE: Final = 50
_FAILED_ON_TOP: Final = 5
_REFUSED_SHOWN: Final = timedelta(days=7)

_WORDS: Final[dict[str, str]] = {
    "taken_up": "It is taken up again. A worker is at it in a moment.",
    "under_way": "It is being worked on already.",
    "finished": "Nothing to take up: it has not failed.",
    "content_gone": "What it said is not kept any more. It has to be sent anew.",
    "not_found": "It is not there any more.",
}


class FilterForm(Form):
    """Which deliveries. It changes nothing, so that it is sent with GET and has no token."""

    state = SelectField(
        "What became of it",
        choices=asked.choices((state, timeline.delivery_state(state)) for state in inbound.STATES),
        validate_choice=False,
    )
    door = SelectField(
        "From",
        choices=asked.choices((door, timeline.door_name(door)) for door in inbound.DOORS),
        validate_choice=False,
    )
    since = DateField("From day", [Optional()])
    until = DateField("To day", [Optional()])

    def chosen(self) -> Filter:
        """What was chosen; a value that cannot be is passed over."""
        self.validate()
        days = asked.period(
            None if self.since.errors else self.since.data,
            None if self.until.errors else self.until.data,
            access.current().zone,
        )
        state = self.state.data if self.state.data in inbound.STATES else None
        door = self.door.data if self.door.data in inbound.DOORS else None
        return Filter(door, cast(inbound.State | None, state), days.since, days.before)


@blueprint.get("/deliveries")
def deliveries() -> Response:
    here, form = web.current(), FilterForm(request.args)
    which = form.chosen()
    here.tally.keep(here.engine)
    first = "after" not in request.args
    with store.reading(here.engine) as connection:
        found = inbound.page(connection, which, after=asked.place(request.args.get("after")), most=_ON_A_PAGE)
        on_top = first and which.state is None
        failed = (
            inbound.page(
                connection, Filter(which.door, "failed", which.since, which.before), most=_FAILED_ON_TOP
            )
            if on_top
            else None
        )
        reasons = inbound.failed_reasons(connection) if first else []
        refusals = refused.since(connection, store.now(connection) - _REFUSED_SHOWN) if first else []
        runs = replays.newest(connection) if first else []
    return show(
        "deliveries.html",
        form=form,
        rows=found.rows,
        failed=failed,
        reasons=reasons,
        refusals=refusals,
        runs=runs,
        chosen=_chosen(),
        further=asked.place_text(found.next),
        first=first,
        filtered=which != Filter(),
        door_name=timeline.door_name,
        delivery_state=timeline.delivery_state,
    )


@blueprint.post("/deliveries/<delivery_id>/replay")
def replay_delivery(delivery_id: str) -> BaseResponse:
    here, teammate = web.current(), access.current().teammate
    came = replay.delivery(
        here.engine,
        here.jobs,
        asked.existing_id(delivery_id),
        note=lambda connection: operators.note(
            connection, teammate, "delivery_replayed", subject=delivery_id
        ),
    )
    flash(_WORDS.get(came, came), "message" if came == "taken_up" else "warning")
    interview_id = request.form.get("back", "")
    if interview_id.isalnum():
        return redirect(url_for("console.interview", interview_id=interview_id))
    return redirect(url_for("console.deliveries"))


@blueprint.post("/deliveries/replay")
def replay_many() -> BaseResponse:
    """Let a worker take up again all that have failed of those that were chosen."""
    here, teammate, chosen = web.current(), access.current().teammate, FilterForm(request.form).chosen()
    reason = one_line(request.form.get("reason"), 64) or None
    which = Which(chosen.door, reason, chosen.since, chosen.before)
    said = {name: value for name, value in (("door", which.door), ("reason", reason)) if value}
    id_ = replays.begin(
        here.engine,
        here.jobs,
        which,
        note=lambda connection: operators.note(connection, teammate, "deliveries_replayed", after=said),
    )
    if id_ is None:
        flash("Nothing to take up: none of these has failed.", "warning")
        return redirect(url_for("console.deliveries"))
    return redirect(url_for("console.replay_progress", replay_id=id_))


@blueprint.get("/deliveries/replays/<replay_id>")
def replay_progress(replay_id: str) -> Response:
    """How far it has come. The page loads itself anew where there is no script that does so."""
    run = _run(replay_id)
    worker = next((part.ok for part in health.parts(web.current().engine) if part.name == "worker"), True)
    return show("replay.html", run=run, worker=worker)


@blueprint.get("/deliveries/replays/<replay_id>/progress")
def replay_figures(replay_id: str) -> Response:
    run = _run(replay_id)
    return jsonify({"seen": run.seen, "total": run.total, "finished": run.finished_at is not None})


def _run(replay_id: str) -> replays.Replay:
    with store.reading(web.current().engine) as connection:
        return replays.get(connection, asked.existing_id(replay_id)) or abort(404)


def _chosen() -> dict[str, str]:
    return {name: value for name, value in request.args.items() if value and name in FilterForm()}
