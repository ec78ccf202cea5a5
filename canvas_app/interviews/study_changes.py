"""What an operator changes about the studies: each in one transaction with its entry in the audit log.

The log says that a key or a secret was replaced, and nothing of it. A change says what it was shown, and is
refused where somebody else has been quicker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError

from canvas_app import store
from canvas_app.errors import ChangedMeanwhile, StudyRefused
from canvas_app.interviews import operators, studies, study_form
from canvas_app.interviews.operators import Teammate
from canvas_app.settings import DEFAULT_STUDY, Settings, Study

# What the audit log says of them.
_REPLACED: Final = {"api_key": "key replaced", "webhook_secret": "webhook secret replaced"}
_TOLD: Final = (
    "name",
    "mode",
    "link_template",
    "anonymous",
    "credits",
    "remind_after_days",
    "enabled",
)

_Change = Callable[[Study, list[Study]], Study]


def create(
    engine: Engine, settings: Settings, teammate: Teammate, slug: str, given: Mapping[str, str]
) -> Study:
    """Add a study. Raises StudyRefused with every mistake."""
    try:
        with store.writing(engine) as connection:
            others = studies.listed(connection, settings)
            study = study_form.new(slug, given, settings=settings, others=others)
            studies.save(connection, settings, study, new=True)
            operators.note_change(
                connection,
                teammate,
                "study_added",
                subject=slug,
                before={},
                after=_told(study) | _secrets(given),
            )
    except IntegrityError:
        raise StudyRefused([f"slug: there is a study {slug} already"]) from None
    return study


def change(
    engine: Engine, settings: Settings, teammate: Teammate, slug: str, given: Mapping[str, str], *, seen: str
) -> bool:
    """Change what is given of a study; whether anything was different.

    ``seen``: its version, see :func:`studies.versions`, empty where it had none. Raises ChangedMeanwhile, and
    StudyRefused with every mistake.
    """
    return _change(
        engine,
        settings,
        teammate,
        slug,
        lambda study, others: study_form.changed(study, given, settings=settings, others=others),
        what="study_changed",
        seen=seen,
        secrets=_secrets(given),
    )


def switch(engine: Engine, settings: Settings, teammate: Teammate, slug: str, *, on: bool, seen: str) -> bool:
    """Let interviews be asked for with it, or no more; False when it was so already.

    Raises ChangedMeanwhile.
    """
    given = {"enabled": "yes" if on else "no"}
    with store.reading(engine) as connection:
        study = studies.find(connection, settings, slug)
    if study is not None and study.enabled == on:
        return False
    return _change(
        engine,
        settings,
        teammate,
        slug,
        lambda study, others: study_form.changed(study, given, settings=settings, others=others),
        what="study_switched_on" if on else "study_switched_off",
        seen=seen,
    )


def reword(
    engine: Engine,
    settings: Settings,
    teammate: Teammate,
    slug: str,
    language: str,
    given: Mapping[str, str],
    *,
    seen: str,
) -> bool:
    """Word the message in a language; whether anything was different. Raises as :func:`change` does."""
    return _change(
        engine,
        settings,
        teammate,
        slug,
        lambda study, _: study_form.reworded(study, language, given),
        what="study_worded",
        seen=seen,
    )


def take_words_away(
    engine: Engine, settings: Settings, teammate: Teammate, slug: str, language: str, *, seen: str
) -> None:
    """Take the words of a language away. Raises as :func:`change` does."""
    _change(
        engine,
        settings,
        teammate,
        slug,
        lambda study, _: study_form.without_words(study, language),
        what="study_words_removed",
        seen=seen,
    )


def _change(
    engine: Engine,
    settings: Settings,
    teammate: Teammate,
    slug: str,
    changed: _Change,
    *,
    what: str,
    seen: str,
    secrets: Mapping[str, str] | None = None,
) -> bool:
    try:
        with store.writing(engine) as connection:
            before = studies.find(connection, settings, slug, lock=True)
            # After the lock was had, and by a statement of its own.
            if before is None or studies.versions(connection).get(slug, "") != seen:
                raise ChangedMeanwhile
            after = changed(before, studies.listed(connection, settings))
            if after == before:
                return False
            # One without a version has no row: of two who write it at once the second is told.
            studies.save(connection, settings, after, new=not seen)
            operators.note_change(
                connection,
                teammate,
                what,
                subject=slug,
                before=_told(before),
                after={**_told(after), **(secrets or {})},
            )
    except IntegrityError:
        # The environment's study had no row until somebody else has just written one.
        raise ChangedMeanwhile from None
    return True


def _told(study: Study) -> dict[str, Any]:
    """What the audit log may say, by field; the words of each language apart."""
    names = [name for name in _TOLD if study.slug != DEFAULT_STUDY or name in studies.BESIDE_THE_SETTINGS]
    told = {name: getattr(study, name) for name in names}
    return told | {f"words in {tag}": dict(parts) for tag, parts in study.wording.items()}


def _secrets(given: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in _REPLACED.items() if given.get(name, "").strip()}
