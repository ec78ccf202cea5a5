"""Interviews: the list, the same as a spreadsheet, and the story of one."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, cast

from flask import Response, abort, request
from sqlalchemy.engine import Connection
from wtforms import DateField, Form, SelectField, StringField
from wtforms.validators import Optional

from canvas_app import log, store, web
from canvas_app.console import access, asked, outward, shown, timeline
from canvas_app.console.door import blueprint, page, show
from canvas_app.console.views import interview_acts
from canvas_app.interviews import ledger, search, story, studies, wording
from canvas_app.interviews.ledger_rows import Interview, result_of
from canvas_app.interviews.search import Filter
from canvas_app.interviews.states import STATES, State
from canvas_app.plaintext import one_line
from canvas_app.settings import Study
from canvas_app.spreadsheet_cells import cell

logger = logging.getLogger(__name__)

page("interviews", "Interviews", place=20)

_ON_A_PAGE: Final = 50
_LONGEST_TEXT: Final = 320

COLUMNS: Final = (
    "id",
    "asked_at",
    "state",
    "state_since",
    "reason",
    "study",
    "asked_through",
    "rule",
    "teammate",
    "contact_id",
    "contact_name",
    "contact_email",
    "conversation_id",
    "sent_at",
    "opened_at",
    "answered_at",
    "sentiment",
    "quality",
    "top_theme",
    "themes",
    "written_back_at",
)


class FilterForm(Form):
    """Which interviews. It changes nothing, so that it is sent with GET and has no token."""

    text = StringField("Name, address or id", description="See below for what is looked for.")
    state = SelectField("State", validate_choice=False)
    study = SelectField("Study", validate_choice=False)
    origin = SelectField("Asked through", validate_choice=False)
    teammate = SelectField("Teammate", validate_choice=False)
    since = DateField("From", [Optional()])
    until = DateField("To", [Optional()])

    def offer(self, every: list[Study], teammates: list[tuple[str, str | None]]) -> None:
        """Let there be a choice of these."""
        self.state.choices = asked.choices((state, shown.state_name(state)) for state in STATES)
        self.study.choices = asked.choices((study.slug, study.name) for study in every)
        self.origin.choices = asked.choices(timeline.ORIGINS.items())
        self.teammate.choices = asked.choices((id_, name or id_) for id_, name in teammates)

    def chosen(self) -> Filter:
        """What was chosen; a value that cannot be is passed over."""
        self.validate()
        state = self.state.data if self.state.data in STATES else None
        days = asked.period(
            None if self.since.errors else self.since.data,
            None if self.until.errors else self.until.data,
            access.current().zone,
        )
        return Filter(
            state=cast(State | None, state),
            study=_line(self.study.data, 64),
            origin=_line(self.origin.data, 16),
            teammate=_line(self.teammate.data, 64),
            since=days.since,
            before=days.before,
            text=_line(self.text.data, _LONGEST_TEXT),
        )


@blueprint.get("/interviews")
def interviews() -> Response:
    here, form = web.current(), FilterForm(request.args)
    which = form.chosen()
    with store.reading(here.engine) as connection:
        workspace_id = asked.workspace_id(connection)
        every = studies.listed(connection, here.settings)
        form.offer(every, search.teammates(connection, workspace_id) if workspace_id else [])
        found = (
            search.page(
                connection, workspace_id, which, after=asked.place(request.args.get("after")), most=_ON_A_PAGE
            )
            if workspace_id
            else search.Page((), None)
        )
        now = store.now(connection)
    open_days = here.settings.open_days
    return show(
        "interviews.html",
        form=form,
        rows=[_Row(ledger.as_of(row, now, open_days=open_days)) for row in found.rows],
        names={study.slug: study.name for study in every},
        origins=timeline.ORIGINS,
        chosen=_without_place(),
        further=asked.place_text(found.next),
        first="after" not in request.args,
        filtered=which != Filter(),
    )


@blueprint.get("/interviews.csv")
def interviews_csv() -> Response:
    """All of those, row by row: nothing waits in memory, and no connection is held between two batches."""
    here, which = web.current(), FilterForm(request.args).chosen()
    with store.reading(here.engine) as connection:
        workspace_id = asked.existing_workspace_id(connection)
        now = store.now(connection)
    log.event(logger, logging.INFO, "interviews_downloaded", teammate=access.current().teammate.id)
    every = search.every(here.engine, workspace_id, which)
    answer = Response(
        _lines(ledger.as_of(row, now, open_days=here.settings.open_days) for row in every),
        mimetype="text/csv",
    )
    answer.headers["Content-Disposition"] = f'attachment; filename="interviews-{now:%Y-%m-%d}.csv"'
    return answer


@blueprint.get("/interviews/<interview_id>")
def interview(interview_id: str) -> Response:
    here = web.current()
    with store.reading(here.engine) as connection:
        told = _story(connection, interview_id)
    about = told.interview
    result = result_of(about)
    return show(
        "interview.html",
        told=told,
        about=about,
        result=result,
        quality=wording.number(result.quality),
        moments=timeline.moments(told),
        conversation=outward.conversation(here.settings, about),
        contact=outward.contact(here.settings, about),
        transcript=outward.transcript(here.settings, about),
        origin=timeline.ORIGINS.get(about.origin, about.origin),
        acts=interview_acts.offered(about, told.now, here.settings),
    )


class _Row:
    """An interview as the list shows it."""

    def __init__(self, interview: Interview) -> None:
        self.interview = interview
        result = result_of(interview)
        self.sentiment = result.sentiment
        self.quality = None if result.quality is None else wording.number(result.quality)
        self.who = interview.contact_name or interview.contact_email or _somebody(interview)


def _somebody(interview: Interview) -> str:
    return "Somebody whose data was removed" if interview.purged_at else interview.contact_id


def _story(connection: Connection, interview_id: str) -> story.Story:
    settings = web.current().settings
    return story.read(
        connection, settings, asked.existing_workspace_id(connection), asked.existing_id(interview_id)
    ) or abort(404)


def _without_place() -> dict[str, str]:
    """What was chosen, for an address that shows the same from another place on."""
    return {name: value for name, value in request.args.items() if value and name in FilterForm()}


def _lines(rows: Iterator[Interview] | Any) -> Iterator[str]:
    yield _line_of(COLUMNS)
    for row in rows:
        yield _line_of(_values(row))


def _line_of(values: Any) -> str:
    written = io.StringIO(newline="")
    csv.writer(written).writerow([cell(value) for value in values])
    return written.getvalue()


def _values(row: Interview) -> list[str | None]:
    result, known = result_of(row), asdict(row)
    known |= {
        "asked_at": row.created_at,
        "asked_through": row.origin,
        "teammate": row.asked_by_name or row.asked_by_id,
        "answered_at": row.completed_at,
        "sentiment": result.sentiment,
        "quality": None if result.quality is None else wording.number(result.quality),
        "top_theme": result.top_theme,
        "themes": "; ".join(result.themes),
    }
    return [_text(known[name]) for name in COLUMNS]


def _text(value: Any) -> str | None:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value


def _line(text: str | None, limit: int) -> str | None:
    return one_line(text, limit) or None
