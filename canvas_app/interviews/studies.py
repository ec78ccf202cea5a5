"""The studies that may be asked with: the environment's, and those that an operator has added.

Each study has a key of its own at Koji, because a key belongs to one project, and so do its webhooks:
https://www.koji.so/docs/api-authentication. Keys and secrets are sealed in the database.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import gates, store
from canvas_app.errors import NotConfigured
from canvas_app.gates import Wire
from canvas_app.interviews.tables import studies
from canvas_app.settings import DEFAULT_STUDY, Settings, Study
from canvas_app.vault import Vault

# What a row of the environment's study adds to the settings; the rest of it stands there.
_BESIDE_THE_SETTINGS: Final = ("mode", "anonymous", "wording", "credits", "remind_after_days", "enabled")


def listed(connection: Connection, settings: Settings) -> list[Study]:
    """Every study, the environment's first, then by name; those that are off as well."""
    rows = connection.execute(sa.select(studies)).all()
    own = [_of_row(row, settings) for row in rows if row.slug != DEFAULT_STUDY]
    return [_default(rows, settings), *sorted(own, key=lambda study: (study.name.casefold(), study.slug))]


def find(connection: Connection, settings: Settings, slug: str) -> Study | None:
    """The study with this name, on or off; the environment's is always there."""
    rows = connection.execute(sa.select(studies).where(studies.c.slug == slug)).all()
    if slug == DEFAULT_STUDY:
        return _default(rows, settings)
    return _of_row(rows[0], settings) if rows else None


def existing(connection: Connection, settings: Settings, slug: str) -> Study:
    """The study of an interview. Raises NotConfigured when it has been taken away."""
    study = find(connection, settings, slug)
    if study is None:
        raise NotConfigured([f"the study {slug}"])
    return study


def save(connection: Connection, settings: Settings, study: Study) -> None:
    """Write a study, new or changed. Raises NotConfigured while there is no SECRET_KEY to seal its key with.

    Of the environment's study only what no setting holds is kept.
    """
    vault = Vault(settings.secret_key)
    now = store.now(connection)
    values: dict[str, Any] = {name: getattr(study, name) for name in _BESIDE_THE_SETTINGS}
    values["wording"] = dict(study.wording) or None
    if study.slug != DEFAULT_STUDY:
        values |= {"name": study.name, "link_template": study.link_template}
        # A secret that cannot be opened any more stays as it is, until there is a new one.
        if study.api_key:
            values |= {
                "api_key": vault.seal(study.api_key),
                "gate_key": gates.key_of("koji", study.api_key),
            }
        if study.webhook_secret:
            values["webhook_secret"] = vault.seal(study.webhook_secret)
    same = studies.c.slug == study.slug
    changed = connection.execute(sa.update(studies).where(same).values(**values, updated_at=now)).rowcount
    if not changed:
        new = {"slug": study.slug, **values, "created_at": now, "updated_at": now}
        connection.execute(sa.insert(studies).values(**new))


def gate_keys(connection: Connection, settings: Settings) -> dict[str, Wire]:
    """The gates of all tokens and keys that are in use."""
    own = connection.execute(
        sa.select(studies.c.gate_key).where(studies.c.enabled, studies.c.gate_key.is_not(None))
    ).scalars()
    return gates.keys_of(settings) | dict.fromkeys(own, "koji")


def webhook_secrets(connection: Connection, settings: Settings) -> list[str]:
    """Every secret that a webhook of Koji's may be signed with: of studies that are off, too, whose results
    may still come."""
    own = [study.webhook_secret for study in listed(connection, settings) if study.webhook_secret]
    return [*settings.koji_webhook_secret, *own]


def _default(rows: Any, settings: Settings) -> Study:
    study = settings.default_study
    for row in rows:
        if row.slug == DEFAULT_STUDY:
            beside = {name: getattr(row, name) for name in _BESIDE_THE_SETTINGS}
            beside["wording"] = row.wording or {}
            study = replace(study, **beside)
    return study


def _of_row(row: Any, settings: Settings) -> Study:
    api_key, key_lost = _opened(row.api_key, settings)
    webhook_secret, secret_lost = _opened(row.webhook_secret, settings)
    return Study(
        slug=row.slug,
        name=row.name or row.slug,
        api_key=api_key,
        link_template=row.link_template,
        anonymous=row.anonymous,
        mode=row.mode,
        webhook_secret=webhook_secret,
        credits=row.credits,
        wording=row.wording or {},
        remind_after_days=row.remind_after_days,
        enabled=row.enabled,
        secrets_lost=key_lost or secret_lost,
    )


def _opened(sealed: str | None, settings: Settings) -> tuple[str | None, bool]:
    if sealed is None:
        return None, False
    try:
        return Vault(settings.secret_key).open(sealed), False
    except NotConfigured:
        return None, True
