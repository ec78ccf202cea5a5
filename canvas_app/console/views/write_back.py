"""What is written to Intercom when a result is here, and how often somebody is asked."""

from __future__ import annotations

from typing import Any, Final

from flask import Response, flash, redirect, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from canvas_app import store, web
from canvas_app.console import access, asked, forms
from canvas_app.console.door import blueprint, page, show
from canvas_app.console.forms import WriteBackForm
from canvas_app.interviews import choosing, options, rules, rulestore, themes, wording
from canvas_app.interviews.choosing import Choice
from canvas_app.interviews.options import FIELDS, SENTIMENTS
from canvas_app.interviews.themes import Seen
from canvas_app.koji.results import KojiResult

page("write_back", "Write-back", place=60)

# Of the themes that were seen, these many are offered; those that become tags already are there anyway.
_OFFERED: Final = 40
_EXAMPLE: Final = KojiResult(
    sentiment="negative",
    quality=4,
    top_theme="Pricing friction",
    themes=("Pricing friction", "Slow exports", "Good support"),
)


@blueprint.get("/write-back")
def write_back() -> Response:
    here = web.current()
    with store.reading(here.engine) as connection:
        choice = choosing.current(connection, here.settings)
    form = WriteBackForm(formdata=None)
    form.show(choice)
    return _page(form, choice)


@blueprint.post("/write-back")
def choose() -> BaseResponse:
    here, form = web.current(), WriteBackForm()
    with store.reading(here.engine) as connection:
        now = choosing.current(connection, here.settings)
        set_off = rulestore.tags_that_set_off(connection)
    form.validate()
    chosen = form.entered(now.options)
    if not form.tell(options.problems(chosen.options, here.settings, rule_tags=set_off)):
        return _page(form, chosen, 422)
    if form.preview.data:
        return _page(form, chosen, previewed=True)
    with store.writing(here.engine) as connection:
        other = choosing.save(
            connection, here.settings, access.current().teammate, chosen, seen=form.seen.data or ""
        )
    if other is not None:
        form.seen.data = other.fingerprint
        return _page(form, chosen, 409, meanwhile=_meanwhile(other, chosen))
    flash("Saved. It counts from the next result on.")
    return redirect(url_for("console.write_back"))


def _page(
    form: WriteBackForm,
    choice: Choice,
    status: int = 200,
    *,
    previewed: bool = False,
    meanwhile: list[tuple[str, str, str]] | None = None,
) -> Response:
    here = web.current()
    with store.reading(here.engine) as connection:
        workspace_id = asked.workspace_id(connection)
        seen = themes.seen(connection, workspace_id) if workspace_id else []
    return show(
        "write_back.html",
        status,
        form=form,
        offered=_offered(seen, choice.themes),
        results=themes.RESULTS,
        hints=form.defaults_in_words(here.settings),
        mistakes=[(name, form[name].label.text, said) for name, said in _first_errors(form)],
        previewed=previewed,
        meanwhile=meanwhile,
        shown=_shown(choice, seen),
    )


def _first_errors(form: WriteBackForm) -> list[tuple[str, str]]:
    return [(name, str(errors[0])) for name, errors in form.errors.items() if name is not None and errors]


def _offered(seen: list[Seen], chosen: frozenset[str]) -> list[Seen]:
    """The themes to choose from: the most frequent of late, and all that become tags."""
    known = {theme.slug: theme for theme in seen}
    ticked = [known.get(slug, Seen(slug, slug.replace("_", " "), 0)) for slug in chosen]
    rest = [theme for theme in seen[:_OFFERED] if theme.slug not in chosen]
    return sorted([*ticked, *rest], key=lambda theme: (-theme.count, theme.slug))


def _meanwhile(other: Choice, chosen: Choice) -> list[tuple[str, str, str]]:
    """What counts now and is entered differently, as names of fields, and both values in words."""
    now, entered = other.flat(), chosen.flat()
    return [
        (name, _in_words(now[name]), _in_words(entered[name])) for name in now if now[name] != entered[name]
    ]


def _in_words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "nothing"
    return "no tag" if value is None else f"{value}"


def _shown(choice: Choice, seen: list[Seen]) -> dict[str, Any]:
    """What would be written of an example: nothing of a customer's but the names of themes."""
    named = tuple(theme.name for theme in seen[:3]) or _EXAMPLE.themes
    example = _EXAMPLE.model_copy(update={"themes": named, "top_theme": named[0]})
    chosen = choice.options
    values = {
        "at": "the moment",
        "sentiment": example.sentiment,
        "top_theme": example.top_theme,
        "quality": wording.number(example.quality),
        "url": "its address at Koji",
    }
    note = wording.note(
        example,
        study_name=web.current().settings.koji_study_name,
        transcript_url="#shown",
        reference=wording.note_reference("…"),
        parts=chosen.note,
    )
    return {
        "written": example.quality is not None and example.quality >= chosen.min_quality,
        "quality": wording.number(example.quality),
        "attributes": [(chosen.attributes[name], values[name]) for name in FIELDS],
        # Our own template has escaped what it was filled with.
        "note": Markup(note),  # noqa: S704  # nosec B704
        "tags": [(sentiment, _tags(example, sentiment, choice)) for sentiment in SENTIMENTS],
        "parts": forms.NOTE_PARTS,
    }


def _tags(example: KojiResult, sentiment: str, choice: Choice) -> list[str]:
    result = example.model_copy(update={"sentiment": sentiment})
    return rules.tags_for(result, sentiment_tags=choice.options.tags, allowed_themes=choice.themes)
