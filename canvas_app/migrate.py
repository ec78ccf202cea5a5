"""Migrations: our tables by Alembic, the durable engine's by its own command. ``release`` runs both."""

from __future__ import annotations

import logging
from typing import Any, Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from canvas_app import engine as durable, log, store
from canvas_app.interviews.tables import GENERATED, SCHEMA_VERSION
from canvas_app.settings import PROJECT_ROOT

logger = logging.getLogger(__name__)

# Alembic's own table. Alembic describes it anew with each look, and SQLAlchemy would keep every one of these
# statements in the place of our own.
_VERSION = sa.table("alembic_version", sa.column("version_num"))

# Web and workers go on meanwhile, and lock the same tables in an order of their own. Of two that wait for
# each other PostgreSQL ends one: https://www.postgresql.org/docs/current/explicit-locking.html
_DEADLOCK: Final = "40P01"
_TRIES: Final = 10


def release(database_url: str) -> str | None:
    """Bring the database to the schema of this code. Safe to repeat.

    A schema that is newer is left as it is, and its version is returned: after a release was taken back, this
    code works on the newer tables.
    """
    engine = store.make_engine(database_url, pool_size=1)
    try:
        version = current_version(engine)
    finally:
        engine.dispose()
    if is_newer(version):
        return version
    # The engine's tables first: our own version is what the other processes look at, so it is written last.
    durable.migrate(database_url)
    try:
        for further in reversed(range(_TRIES)):
            try:
                _upgrade(engine)
                break
            except OperationalError as error:
                if not (further and getattr(error.orig, "sqlstate", None) == _DEADLOCK):
                    raise
                log.failure(logger, "release_repeated", error)
    finally:
        engine.dispose()
    return None


def _upgrade(engine: Engine) -> None:
    # A migration that fails leaves nothing half made behind, on SQLite neither.
    with store.writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            # Two releases at the same moment take turns.
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(0x6B6F6A69)))
        command.upgrade(alembic_config(connection), "head")


def is_newer(version: str | None) -> bool:
    """Whether a schema of this version is newer than this code."""
    # Versions are numbers of four digits, so that the order of texts is theirs.
    return version is not None and version > SCHEMA_VERSION


def alembic_config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(PROJECT_ROOT / "migrations"))
    config.attributes["connection"] = connection
    return config


def current_version(engine: Engine) -> str | None:
    """The version of the database's schema, or None when it has none."""
    with store.reading(engine) as connection:
        if not sa.inspect(connection).has_table(_VERSION.name):
            return None
        version: str | None = connection.execute(sa.select(_VERSION.c.version_num)).scalar()
        return version


def include_object(item: Any, name: str | None, kind: str, reflected: bool, _compare_to: Any) -> bool:
    """Leave the durable engine's tables alone: autogenerate would otherwise propose to drop them.

    So it would our indexes that stand in no table's description, and the columns that the database makes
    itself: each database words them in its own way.
    """
    if kind == "column" and name in GENERATED:
        return False
    if kind == "index" and reflected and name is not None:
        return not name.startswith("ix_interviews_search_")
    if kind == "table" and reflected and name is not None:
        return not durable.is_engine_table(name, getattr(item, "schema", None))
    return True
