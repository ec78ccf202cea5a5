"""Which parts of the app are up, and which settings are missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from canvas_app import gates, migrate, store
from canvas_app.gates import Pause
from canvas_app.interviews import rules, studies
from canvas_app.interviews.tables import SCHEMA_VERSION, workers
from canvas_app.leases import SILENT_SECONDS
from canvas_app.settings import DEFAULT_STUDY, Settings, documented_fields

# What a person calls a wire, and the setting that holds its token.
_WIRES: dict[gates.Wire, tuple[str, str]] = {
    "intercom": ("Intercom", "INTERCOM_ACCESS_TOKEN"),
    "koji": ("Koji", "KOJI_API_KEY"),
}

SERVICES = {wire: name for wire, (name, _) in _WIRES.items()}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the app; ``text`` says for a person how it is, and what to do where it is down."""

    name: str
    ok: bool
    text: str


def parts(engine: Engine) -> list[Part]:
    """Database, schema and worker, in this order, up to the first without which no more is known.

    The disk is a part only while it is full.
    """
    try:
        version = migrate.current_version(engine)
    except SQLAlchemyError:
        text = "The database cannot be reached. Look at DATABASE_URL and at the database itself."
        return [Part("database", ok=False, text=text)]
    found = [Part("database", ok=True, text="The database answers.")]
    if store.is_full(engine):
        text = (
            "The disk with the database is full: nothing can be stored. Make room; it goes on by itself then."
        )
        found.append(Part("disk", ok=False, text=text))
    if migrate.is_newer(version):
        text = (
            "The database's tables are those of a newer version of this app. A worker of this version goes "
            "on with them; deploy the newer version again."
        )
        return [*found, Part("schema", ok=False, text=text)]
    if version != SCHEMA_VERSION:
        text = "The database's tables are not those of this version. Run: python -m canvas_app release"
        return [*found, Part("schema", ok=False, text=text)]
    with store.reading(engine) as connection:
        seen = sa.select(sa.func.max(workers.c.renewed_at))
        renewed = sa.type_coerce(seen.scalar_subquery(), workers.c.renewed_at.type)
        seen_at, now = connection.execute(sa.select(renewed, store.now_expression(connection))).one()
    alive = rules.worker_alive(seen_at, now, silent_after=SILENT_SECONDS)
    text = "A worker is running." if alive else "No worker is running. Start one: python -m canvas_app worker"
    return [
        *found,
        Part("schema", ok=True, text="The tables are up to date."),
        Part("worker", ok=alive, text=text),
    ]


def missing(engine: Engine, settings: Settings) -> list[tuple[str, str]]:
    """The settings that the app cannot do its whole job without: name, and where the value is found."""
    return documented(missing_names(engine, settings))


def documented(names: Iterable[str]) -> list[tuple[str, str]]:
    """Settings by name, each with where its value is found."""
    described = documented_fields()
    return [(name, described[name]) for name in names]


def missing_names(engine: Engine, settings: Settings) -> list[str]:
    """The same, the names alone. What a study of the database has is not missing."""
    names = settings.missing_for_card()
    # Nothing else can be made up for, so that the database is asked only where it matters.
    if not studies.MADE_UP_FOR.intersection(names):
        return names
    try:
        with store.reading(engine) as connection:
            return studies.missing(studies.listed(connection, settings), settings)
    except SQLAlchemyError:
        # Without the database there is the environment's study alone.
        return names


def pauses(engine: Engine, settings: Settings, found: list[Part]) -> list[Pause]:
    """What the vendors refuse at the moment; none where ``found`` says that the tables cannot be read."""
    if not any(part.name == "schema" and part.ok for part in found):
        return []
    with store.reading(engine) as connection:
        paused = gates.paused(connection, studies.gate_keys(connection, settings))
        whose = studies.by_gate(connection, settings) if paused else {}
    return [replace(pause, study=whose.get(pause.gate)) for pause in paused]


def in_words(pause: Pause) -> str:
    """A pause for a person: what is refused since when, and what to do about it."""
    service, _ = _WIRES[pause.wire]
    what = "every call" if pause.operation == gates.EVERYTHING else pause.operation
    if pause.study is not None:
        what = f"{what} of the study {pause.study}"
    since = f"{pause.since:%Y-%m-%d %H:%M} UTC"
    return (
        f"{service} has refused {what} since {since} ({pause.reason}). "
        f"{remedy(pause.reason, pause.wire, study=pause.study)} "
        "Until then it is tried once a minute at most, and what waits goes on by itself."
    )


def remedy(reason: str, wire: gates.Wire, *, study: str | None = None) -> str:
    """What to do about a refusal for want of a valid token, a permission or credits.

    ``study``: the slug of the one whose key it is; the environment's has it from a setting.
    """
    setting = _WIRES[wire][1]
    if reason.endswith("_scope_missing"):
        if reason.startswith("intercom"):
            return "Give the app the permission in Intercom > Developer Hub > your app > Authentication."
        return "Give the key the permission in Koji > your study > API keys, or take a plan with the API."
    if reason == "koji_credits":
        return "Get new credits for the study at Koji."
    if study not in (None, DEFAULT_STUDY):
        command = f"python -m canvas_app studies edit {study} --key-from prompt"
        return f"Give the study a valid key: {command}. {documented_fields()[setting]}"
    return f"Get a valid value for {setting} and set it: {documented_fields()[setting]}"


def set_command(settings: Settings) -> str:
    """How a setting is set where this app runs."""
    return "heroku config:set " if settings.on_heroku else "export "


def addresses(base_url: str) -> list[tuple[str, str]]:
    """What to paste where."""
    return [
        ("Intercom > Canvas Kit > For teammates > Initialize URL", f"{base_url}/canvas/initialize"),
        ("Intercom > Canvas Kit > For teammates > Submit URL", f"{base_url}/canvas/submit"),
        ("Intercom > Webhooks > Endpoint URL", f"{base_url}/webhooks/intercom"),
        ("Koji > Settings > Webhooks > Endpoint", f"{base_url}/webhooks/koji"),
        ("A Series, Zapier, Make or your own code > POST", f"{base_url}/api/interviews"),
    ]
