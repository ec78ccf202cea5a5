"""What several commands need."""

from __future__ import annotations

import os

import click
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from canvas_app import migrate, store
from canvas_app.settings import Settings


def load_settings() -> Settings:
    """The settings of the environment. Raises SettingsError, which the command line prints as a list."""
    return Settings.load(os.environ)


def open_engine(settings: Settings) -> Engine:
    """The database, once `release` has made its tables. Raises ClickException with what to do."""
    engine = store.make_engine(settings.database_url, pool_size=1)
    try:
        ready = migrate.current_version(engine) is not None
    except SQLAlchemyError as error:
        raise click.ClickException("The database cannot be reached. Look at DATABASE_URL.") from error
    if not ready:
        raise click.ClickException("The database has no tables yet. Run: python -m canvas_app release")
    return engine
