"""A study is added, or changed. A key or a secret can be entered, and is never shown again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flask import Response, abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import BooleanField, Form, HiddenField, PasswordField, SelectChoice, SelectField, StringField

from canvas_app import health, store, web
from canvas_app.console import access, mistakes
from canvas_app.console.door import blueprint, show
from canvas_app.console.mistakes import Difference, Mistake
from canvas_app.console.views.studies import MODES
from canvas_app.errors import ChangedMeanwhile, StudyRefused
from canvas_app.interviews import studies, study_changes, study_facts, study_form
from canvas_app.settings import DEFAULT_STUDY, Study

# What says the same as an empty field.
_BLANK: Final = {"mode": "any", "credits": "auto", "remind_after_days": "off"}
_SECRETS: Final = ("api_key", "webhook_secret")
_BESIDE: Final = ("mode", "credits", "anonymous", "remind_after_days")
_FIELDS: Final = ("name", *_SECRETS, "link_template", *_BESIDE)


class StudyForm(Form):
    """Texts alone: what they must be like, the study's own check says."""

    seen = HiddenField()
    slug = StringField(
        "Name for rules, the API and the command line",
        description="Small letters, digits, - and _, as in churn. It cannot be changed later.",
    )
    name = StringField(
        "Name", description="What a rep reads who chooses among the studies; 1 to 80 characters."
    )
    api_key = PasswordField("Koji's API key", description="From Koji > your study > API keys.")
    webhook_secret = PasswordField(
        "Signing secret of its webhooks", description="Koji shows it when the webhook is made."
    )
    link_template = StringField(
        "Link template",
        description="Only where Koji makes no personal link: the study's address with {interview_id}, "
        "{contact_id}, {email} or {name} in it. Else leave it empty.",
    )
    mode = SelectField(
        "Mode",
        choices=[SelectChoice(code or "any", label) for code, label in MODES.items()],
        validate_choice=False,
    )
    credits = StringField(
        "Credits of one interview",
        description="What Koji counts for an answer. Empty: by the mode, 1 for text and 3 for voice.",
    )
    anonymous = BooleanField(
        "Anonymous",
        description="Nothing about an answer is ever written to Intercom; it is counted here.",
    )
    remind_after_days = StringField(
        "Remind after so many days",
        description="Once, if the link was not opened by then. Empty: never.",
    )
    enabled = BooleanField("On", description="Interviews can be asked for with it at once.", default=True)


@blueprint.get("/new-study")
def new_study() -> Response:
    return _form(StudyForm())


@blueprint.post("/new-study")
def add_study() -> BaseResponse:
    here, form = web.current(), StudyForm(request.form)
    slug = (form.slug.data or "").strip()
    given = _given(form) | {"enabled": "yes" if form.enabled.data else "no"}
    try:
        study_changes.create(here.engine, here.settings, access.current().teammate, slug, given)
    except StudyRefused as refused:
        return _form(form, 422, mistakes.tell(form, study_form.by_field(refused)))
    flash("The study is added. Let its webhooks in Koji go to the address below.")
    return redirect(url_for("console.edit_study", slug=slug))


@blueprint.get("/studies/<slug>/edit")
def edit_study(slug: str) -> Response:
    study, version = existing(slug)
    return _form(StudyForm(data={**_texts(study), "seen": version}), study=study)


@blueprint.post("/studies/<slug>/edit")
def save_study(slug: str) -> BaseResponse:
    here, form = web.current(), StudyForm(request.form)
    study, version = existing(slug)
    given = _given(form)
    if slug == DEFAULT_STUDY:
        given = {name: given[name] for name in _BESIDE}
    # What is not entered anew stays as it is.
    given = {name: text for name, text in given.items() if name not in _SECRETS or text.strip()}
    try:
        changed = study_changes.change(
            here.engine,
            here.settings,
            access.current().teammate,
            slug,
            given,
            seen=form.seen.data or "",
        )
    except StudyRefused as refused:
        return _form(form, 422, mistakes.tell(form, study_form.by_field(refused)), study=study)
    except ChangedMeanwhile:
        now = {name: text for name, text in _texts(study).items() if name in given}
        found = mistakes.differences(form, now)
        # They are told now what they would overwrite.
        form.seen.data = version
        return _form(form, 409, study=study, differences=found)
    flash("The study is changed." if changed else "There was nothing to change.")
    return redirect(url_for("console.studies"))


def existing(slug: str) -> tuple[Study, str]:
    """The study and its version. Raises 404."""
    here = web.current()
    with store.reading(here.engine) as connection:
        # The version first: what is changed between the two is refused then, and not overwritten.
        version = studies.versions(connection).get(slug, "")
        study = studies.find(connection, here.settings, slug)
    return study or abort(404), version


def _given(form: StudyForm) -> dict[str, str]:
    given = mistakes.given(form, _FIELDS)
    given = {name: text if text.strip() else _BLANK.get(name, text) for name, text in given.items()}
    return given | {"anonymous": "yes" if form.anonymous.data else "no"}


def _texts(study: Study) -> dict[str, str]:
    """The study as it stands in the form. Nothing of a secret."""
    values = {
        "name": study.name,
        "link_template": study.link_template,
        "mode": study.mode or "any",
        "credits": study.credits,
        "anonymous": "yes" if study.anonymous else "",
        "remind_after_days": study.remind_after_days,
    }
    return {name: "" if value is None else str(value) for name, value in values.items()}


def _form(
    form: StudyForm,
    status: int = 200,
    found: Sequence[Mistake] = (),
    *,
    study: Study | None = None,
    differences: Sequence[Difference] | None = None,
) -> Response:
    settings = web.current().settings
    addresses = dict(health.addresses(settings.public_url or request.host_url.rstrip("/")))
    return show(
        "study_form.html",
        status,
        form=form,
        mistakes=found,
        study=study,
        differences=differences,
        environments=study is not None and study.slug == DEFAULT_STUDY,
        key=study and study_facts.key(study),
        secret=study and study_facts.webhook_secret(study, settings),
        webhooks=addresses["Koji > Settings > Webhooks > Endpoint"],
        entered_secret=status != 200 and any(form[name].data for name in _SECRETS),
    )
