"""The console's larger forms: what an operator has entered, as text, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flask_wtf import FlaskForm
from wtforms import (
    FloatField,
    HiddenField,
    IntegerField,
    SelectMultipleField,
    StringField,
    SubmitField,
    TextAreaField,
)
from wtforms.validators import InputRequired

from canvas_app.interviews import rules
from canvas_app.interviews.choosing import Choice
from canvas_app.interviews.options import FIELDS, PARTS, SENTIMENTS, Options
from canvas_app.settings import Settings

ATTRIBUTES: Final = {
    "at": "When it was answered",
    "sentiment": "Sentiment",
    "top_theme": "Top theme",
    "quality": "Quality, 1 to 5",
    "url": "Transcript's address",
}
NOTE_PARTS: Final = {
    "top_theme": "Top theme",
    "sentiment": "Sentiment",
    "quality": "Quality",
    "themes": "Up to three themes",
    "transcript": "Link to the transcript",
}
_MOST_THEMES: Final = 200


def _stripped(text: str | None) -> str:
    return (text or "").strip()


class _NumberField(FloatField):
    """``3`` for 3.0, as people write it."""

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return "" if self.data is None else f"{self.data:g}"


class WriteBackForm(FlaskForm):
    """What is written to Intercom when a result is here, and how often somebody is asked."""

    seen = HiddenField()
    min_quality = _NumberField("Quality gate", [InputRequired()], render_kw={"inputmode": "decimal"})
    ask_again_days = IntegerField(
        "Days until asked again", [InputRequired()], render_kw={"inputmode": "numeric"}
    )
    attribute_at = StringField(ATTRIBUTES["at"], filters=[_stripped])
    attribute_sentiment = StringField(ATTRIBUTES["sentiment"], filters=[_stripped])
    attribute_top_theme = StringField(ATTRIBUTES["top_theme"], filters=[_stripped])
    attribute_quality = StringField(ATTRIBUTES["quality"], filters=[_stripped])
    attribute_url = StringField(ATTRIBUTES["url"], filters=[_stripped])
    tag_positive = StringField("Positive", filters=[_stripped])
    tag_neutral = StringField("Neutral", filters=[_stripped])
    tag_mixed = StringField("Mixed", filters=[_stripped])
    tag_negative = StringField("Negative", filters=[_stripped])
    note = SelectMultipleField("What the note says", choices=list(NOTE_PARTS))
    themes = SelectMultipleField("Themes that become tags", validate_choice=False)
    more_themes = TextAreaField("Other themes, one on each line", render_kw={"rows": 3})
    preview = SubmitField("Preview")
    save = SubmitField("Save")

    def show(self, choice: Choice) -> None:
        """Fill the form with what counts now."""
        flat = choice.flat()
        for name, value in flat.items():
            if name != "themes":
                self[name].data = "" if value is None else value
        self.themes.data = flat["themes"]
        self.seen.data = choice.fingerprint

    def entered(self, otherwise: Options) -> Choice:
        """What the fields say; ``otherwise`` where a field holds no number."""
        attributes: Any = {name: self[f"attribute_{name}"].data for name in FIELDS}
        tags: Any = {name: self[f"tag_{name}"].data or None for name in SENTIMENTS}
        quality, days = self.min_quality.data, self.ask_again_days.data
        ticked = set(self.note.data or ())
        return Choice(
            Options(
                min_quality=otherwise.min_quality if quality is None else quality,
                ask_again_days=otherwise.ask_again_days if days is None else days,
                attributes=attributes,
                tags=tags,
                note=tuple(part for part in PARTS if part in ticked),
            ),
            frozenset(filter(None, map(rules.tag_slug, [*(self.themes.data or ()), *self._lines()]))),
        )

    def tell(self, problems: Mapping[str, str]) -> bool:
        """Say at each field what is wrong with it; whether nothing is."""
        for name, said in problems.items():
            # A field that holds no number has been told of already.
            if not self[name].errors:
                self[name].errors = [*self[name].errors, said]
        nameless = [line for line in self._lines() if not rules.tag_slug(line)]
        if nameless:
            said = "A theme needs a letter a-z or a digit, which its tag can be named by."
            self.more_themes.errors = [*self.more_themes.errors, said]
        if len(self.themes.data or ()) + len(self._lines()) > _MOST_THEMES:
            self.more_themes.errors = [*self.more_themes.errors, f"At most {_MOST_THEMES} themes."]
        return not self.errors

    def defaults_in_words(self, settings: Settings) -> dict[str, str]:
        """What stands under a field whose default is a setting."""
        return {
            "min_quality": (
                "Koji's scores are 1 to 5. Results below the gate are recorded and not written. "
                f"MIN_QUALITY says {settings.min_quality:g}."
            ),
            "ask_again_days": (
                f"0 is no limit; at most {settings.retention_days}, as many as RETENTION_DAYS. "
                f"ASK_AGAIN_DAYS says {settings.ask_again_days}."
            ),
        }

    def _lines(self) -> list[str]:
        return [line.strip() for line in (self.more_themes.data or "").splitlines() if line.strip()]
