"""The studies that may be asked with: the environment's, and those that an operator has added.

Each study has a key of its own at Koji, because a key belongs to one project, and so do its webhooks:
https://www.koji.so/docs/api-authentication. Keys and secrets are sealed in the database.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import gates, store
from canvas_app.errors import NotConfigured, SecretLost
from canvas_app.gates import Wire
from canvas_app.interviews.tables import studies
from canvas_app.settings import DEFAULT_STUDY, Settings, Study
from canvas_app.vault import Vault

# What a row of the environment's study adds to the settings; the rest of it stands there.
BESIDE_THE_SETTINGS: Final = ("mode", "anonymous", "wording", "credits", "remind_after_days", "enabled")

# The settings that a study of the database may have in their place.
MADE_UP_FOR: Final = frozenset({"KOJI_API_KEY", "KOJI_WEBHOOK_SECRET"})

# What stands sealed in the database.
_SEALED: Final = (studies.c.api_key, studies.c.webhook_secret)

# Put together once: every result asks for its study more than once.
_BY_SLUG: Final = sa.select(studies).where(studies.c.slug == sa.bindparam("slug_"))
_LOCKED: Final = _BY_SLUG.with_for_update()


def listed(connection: Connection, settings: Settings) -> list[Study]:
    """Every study, the environment's first, then by name; those that are off as well."""
    return of_rows(connection.execute(sa.select(studies)).mappings().all(), settings)


def of_rows(rows: Iterable[Mapping[Any, Any]], settings: Settings) -> list[Study]:
    """The same, of rows of the table that have been read already."""
    default, own = settings.default_study, []
    for row in rows:
        if row["slug"] == DEFAULT_STUDY:
            default = _with(default, row)
        else:
            own.append(_of_row(row, settings))
    return [default, *sorted(own, key=lambda study: (study.name.casefold(), study.slug))]


def find(connection: Connection, settings: Settings, slug: str, *, lock: bool = False) -> Study | None:
    """The study with this name, on or off; the environment's is always there.

    With ``lock`` nobody else changes it until the transaction ends.
    """
    rows = connection.execute(_LOCKED if lock else _BY_SLUG, {"slug_": slug}).mappings().all()
    return next((study for study in of_rows(rows, settings) if study.slug == slug), None)


def existing(connection: Connection, settings: Settings, slug: str) -> Study:
    """The study of an interview. Raises NotConfigured when it has been taken away."""
    study = find(connection, settings, slug)
    if study is None:
        raise NotConfigured([f"the study {slug}"])
    return study


def save(connection: Connection, settings: Settings, study: Study, *, new: bool = False) -> None:
    """Write a study, new or changed. Raises NotConfigured while there is no SECRET_KEY to seal its key with.

    Of the environment's study only what no setting holds is kept. With ``new`` none is overwritten that
    somebody else has just added: raises IntegrityError then.
    """
    vault = Vault(settings.secret_key)
    now = store.now(connection)
    values: dict[str, Any] = {name: getattr(study, name) for name in BESIDE_THE_SETTINGS}
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
    change = sa.update(studies).where(same).values(**values, updated_at=now)
    if new or not connection.execute(change).rowcount:
        row = {"slug": study.slug, **values, "created_at": now, "updated_at": now}
        connection.execute(sa.insert(studies).values(**row))


def versions(connection: Connection) -> dict[str, str]:
    """What tells each study from how it was before: it is another text after every change.

    The environment's has none while nothing is kept beside the settings.
    """
    rows = connection.execute(sa.select(studies.c.slug, studies.c.updated_at))
    return {row.slug: row.updated_at.isoformat() for row in rows}


def gate_keys(connection: Connection, settings: Settings) -> dict[str, Wire]:
    """The gates of all tokens and keys that are in use."""
    own = connection.execute(
        sa.select(studies.c.gate_key).where(studies.c.enabled, studies.c.gate_key.is_not(None))
    ).scalars()
    return gates.keys_of(settings) | dict.fromkeys(own, "koji")


def by_gate(connection: Connection, settings: Settings) -> dict[str, str]:
    """The slug of the study whose key passes a gate; of several with one key the environment's, or one."""
    rows = connection.execute(
        sa.select(studies.c.gate_key, studies.c.slug)
        .where(studies.c.enabled, studies.c.gate_key.is_not(None))
        .order_by(studies.c.slug.desc())
    ).all()
    default = settings.default_study.api_key
    return {row.gate_key: row.slug for row in rows} | (
        {gates.key_of("koji", default): DEFAULT_STUDY} if default else {}
    )


def webhook_secrets(connection: Connection, settings: Settings) -> list[str]:
    """Every secret that a webhook of Koji's may be signed with, the environment's first.

    Of studies that are off, too: their results may still come.
    """
    return _webhook_secrets(listed(connection, settings), settings)


def signed_for(
    connection: Connection, settings: Settings, fits: Callable[[Sequence[str]], bool]
) -> list[str]:
    """The studies of the database whose own secrets fit a webhook."""
    every = listed(connection, settings)
    return [study.slug for study in every if fits(_own_webhook_secrets(study))]


def not_meant(connection: Connection, settings: Settings, signed: Sequence[str] | None) -> list[str]:
    """The studies that a webhook cannot be about which is signed with the secrets of these alone.

    They have a secret of their own, so that Koji signs what is about them with that. None: it may be about
    any study.
    """
    if signed is None:
        return []
    every = listed(connection, settings)
    own = {study.slug for study in every if _own_webhook_secrets(study)}
    if settings.koji_webhook_secret:
        own.add(DEFAULT_STUDY)
    return sorted(own.difference(signed))


def missing(every: Sequence[Study], settings: Settings) -> list[str]:
    """Names of the settings without which a tap on the card could not do its whole job.

    ``every`` study that there is: what one of them has, no setting need have.
    """
    absent = settings.missing_for_card()
    if not absent:
        return []
    made_up_for = set()
    if any(study.askable for study in every):
        made_up_for.add("KOJI_API_KEY")
    if _webhook_secrets(every, settings):
        made_up_for.add("KOJI_WEBHOOK_SECRET")
    return [name for name in absent if name not in made_up_for]


def missing_at_all(every: Sequence[Study], settings: Settings) -> list[str]:
    """The same without a key that some study has, if only one that is off or that cannot be read now.

    Then nobody can be asked; what has been asked goes on, and its results still come.
    """
    has_key = any(study.api_key is not None or study.secrets_lost for study in every)
    return [name for name in missing(every, settings) if name != "KOJI_API_KEY" or not has_key]


# Secrets at rest


def reseal(connection: Connection, settings: Settings) -> int:
    """Seal with the newest SECRET_KEY what an older one has sealed, so that the older one can be dropped.

    Returns how many secrets there were. One that no listed key opens stays as it is; without any SECRET_KEY
    nothing is done.
    """
    if not settings.secret_key:
        return 0
    count = 0
    for _, column, sealed in _all_sealed(connection):
        renewed = _renewed(settings, sealed)
        if renewed is not None:
            # Only what was read is replaced: somebody may have entered a new one meanwhile.
            change = sa.update(studies).where(column == sealed).values({column: renewed})
            count += connection.execute(change).rowcount
    return count


def sealed_with_older_key(connection: Connection, settings: Settings) -> list[str]:
    """The studies with a secret that only an older SECRET_KEY opens: it must not be dropped yet."""
    if not settings.secret_key:
        return []
    return _slugs(slug for slug, _, sealed in _all_sealed(connection) if _renewed(settings, sealed))


def secrets_lost(connection: Connection, settings: Settings) -> list[str]:
    """The studies with a secret that no listed SECRET_KEY opens: it has to be entered anew."""
    return _slugs(study.slug for study in listed(connection, settings) if study.secrets_lost)


def _all_sealed(connection: Connection) -> list[tuple[str, sa.Column[str], str]]:
    rows = connection.execute(sa.select(studies.c.slug, *_SEALED).order_by(studies.c.slug)).all()
    return [
        (row.slug, column, sealed)
        for row in rows
        for column, sealed in zip(_SEALED, (row.api_key, row.webhook_secret), strict=True)
        if sealed is not None
    ]


def _renewed(settings: Settings, sealed: str) -> str | None:
    try:
        return Vault(settings.secret_key).renewed(sealed)
    except SecretLost:
        return None


@functools.lru_cache(maxsize=1024)
def _opened(secret_keys: tuple[str, ...], sealed: str) -> str | None:
    """A secret of the database; None where no key opens it.

    It is opened once a process. A new one, and one that was sealed anew, is another text, so that it counts
    from the next look at the database on.
    """
    try:
        return Vault(secret_keys).open(sealed)
    except NotConfigured:
        return None


def _slugs(found: Iterable[str]) -> list[str]:
    return sorted(set(found))


def _webhook_secrets(every: Sequence[Study], settings: Settings) -> list[str]:
    own = [secret for study in every for secret in _own_webhook_secrets(study)]
    return [*settings.koji_webhook_secret, *own]


def _own_webhook_secrets(study: Study) -> list[str]:
    return [secret.strip() for secret in (study.webhook_secret or "").split(",") if secret.strip()]


def _with(default: Study, row: Mapping[Any, Any]) -> Study:
    beside = {name: row[name] for name in BESIDE_THE_SETTINGS}
    return replace(default, **beside | {"wording": row["wording"] or {}})


def _of_row(row: Mapping[Any, Any], settings: Settings) -> Study:
    sealed = [row[column.name] for column in _SEALED]
    api_key, webhook_secret = (text and _opened(settings.secret_key, text) for text in sealed)
    return Study(
        slug=row["slug"],
        name=row["name"] or row["slug"],
        api_key=api_key,
        link_template=row["link_template"],
        anonymous=row["anonymous"],
        mode=row["mode"],
        webhook_secret=webhook_secret,
        credits=row["credits"],
        wording=row["wording"] or {},
        remind_after_days=row["remind_after_days"],
        enabled=row["enabled"],
        secrets_lost=(api_key, webhook_secret).count(None) > sealed.count(None),
    )
