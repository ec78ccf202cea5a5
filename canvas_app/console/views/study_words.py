"""The message of a study, worded by language, as the customer will read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from flask import Response, flash, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import Form, HiddenField, StringField, TextAreaField

from canvas_app import languages, web
from canvas_app.console import access, mistakes
from canvas_app.console.door import blueprint, show
from canvas_app.console.mistakes import Difference, Mistake
from canvas_app.console.views.studies import QUICKER
from canvas_app.console.views.study_forms import existing
from canvas_app.errors import ChangedMeanwhile, StudyRefused
from canvas_app.interviews import study_changes, study_form, wording, words
from canvas_app.interviews.words import Words
from canvas_app.settings import Study

_PREVIEW_NAME: Final = "Mia"


@dataclass(frozen=True, slots=True)
class Preview:
    """A message as paragraphs; ``link`` is the one that is the link."""

    title: str
    paragraphs: tuple[str, ...]
    link: str


def _help(part: str, what: str) -> str:
    return f"{what} At most {words.LONGEST[part]} characters."


class WordsForm(Form):
    """A part that is left empty is taken from the broader language, else from the default, else from ours."""

    seen = HiddenField()
    language = StringField(
        "Language",
        description="A tag such as de or pt-BR, or default: for everybody who speaks none that is worded.",
    )
    greeting = StringField(
        "Greeting", description=_help("greeting", "{first_name} stands for the customer's first name.")
    )
    invitation = TextAreaField(
        "Invitation", description=_help("invitation", "The paragraph before the link.")
    )
    link_text = StringField("Link", description=_help("link_text", "What the link reads."))
    thanks = StringField("Thanks", description=_help("thanks", "The last paragraph."))
    reminder = TextAreaField(
        "Reminder", description=_help("reminder", "In place of the invitation, in the one reminder.")
    )


@blueprint.get("/studies/<slug>/words")
def study_words(slug: str) -> Response:
    study, version = existing(slug)
    asked = request.args.get("language", "")
    tag = words.ANY_LANGUAGE if asked == words.ANY_LANGUAGE else languages.tag(asked)
    if tag is None:
        tag = next(iter(sorted(study.wording)), words.ANY_LANGUAGE)
    data: dict[str, Any] = {**study.wording.get(tag, {}), "language": tag, "seen": version}
    return _page(study, WordsForm(data=data), tag, previewed=study)


@blueprint.post("/studies/<slug>/words")
def save_words(slug: str) -> BaseResponse:
    here, form = web.current(), WordsForm(request.form)
    study, version = existing(slug)
    language = (form.language.data or "").strip()
    given = mistakes.given(form, words.PARTS)
    try:
        if "preview" in request.form:
            return _page(study, form, language, previewed=study_form.reworded(study, language, given))
        changed = study_changes.reword(
            here.engine,
            here.settings,
            access.current().teammate,
            slug,
            language,
            given,
            seen=form.seen.data or "",
        )
    except StudyRefused as refused:
        return _page(study, form, language, 422, mistakes.tell(form, study_form.by_field(refused)))
    except ChangedMeanwhile:
        tag = languages.tag(language) or words.ANY_LANGUAGE
        now = {part: study.wording.get(tag, {}).get(part, "") for part in words.PARTS}
        found = mistakes.differences(form, now)
        # They are told now what they would overwrite.
        form.seen.data = version
        return _page(study, form, language, 409, differences=found)
    flash("The words are saved." if changed else "There was nothing to change.")
    return redirect(url_for("console.study_words", slug=slug, language=language))


@blueprint.post("/studies/<slug>/words/remove")
def remove_words(slug: str) -> BaseResponse:
    here, language = web.current(), request.form.get("language", "")
    try:
        study_changes.take_words_away(
            here.engine,
            here.settings,
            access.current().teammate,
            slug,
            language,
            seen=request.form.get("seen", ""),
        )
    except ChangedMeanwhile:
        flash(QUICKER, "warning")
    except StudyRefused as refused:
        flash("; ".join(refused.problems), "warning")
    else:
        flash("The words of this language are taken away.")
    return redirect(url_for("console.study_words", slug=slug))


def _page(
    study: Study,
    form: WordsForm,
    language: str,
    status: int = 200,
    found: Sequence[Mistake] = (),
    *,
    previewed: Study | None = None,
    differences: Sequence[Difference] | None = None,
) -> Response:
    tag = language if language == words.ANY_LANGUAGE else languages.tag(language)
    otherwise = {key: said for key, said in study.wording.items() if key != tag}
    if tag is not None and (form.invitation.data or "").strip():
        # A reminder without words of its own reminds with those of the invitation.
        otherwise[tag] = {"invitation": form.invitation.data}
    return show(
        "study_words.html",
        status,
        study=study,
        form=form,
        tag=tag,
        removable=tag in study.wording,
        mistakes=found,
        differences=differences,
        # What a part says that is left empty.
        otherwise=words.chosen(otherwise, tag),
        previews=_previews(words.chosen(previewed.wording, tag)) if previewed is not None else [],
        parts=words.PARTS,
    )


def _previews(said: Words) -> list[Preview]:
    reminder = replace(said, invitation=said.reminder)
    return [
        _preview(f"To {_PREVIEW_NAME}", said, _PREVIEW_NAME),
        _preview("Where no name is known", said, None),
        _preview("The reminder", reminder, _PREVIEW_NAME),
    ]


def _preview(title: str, said: Words, name: str | None) -> Preview:
    paragraphs = wording.invitation_preview(contact_name=name, personal_line=None, said=said)
    return Preview(title, paragraphs, words.filled(said.link_text, name))
