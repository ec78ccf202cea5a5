"""The database of a run, which is gone after it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from canvas_app.settings import Settings


@contextlib.contextmanager
def fresh(*, postgres: bool) -> Iterator[str]:
    """The address of an empty database, of a PostgreSQL server of its own or in a file."""
    if not postgres:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{Path(folder) / 'bench.db'}"
        return
    from tests.support.postgres import PostgresServer
    from tests.support.system import postgres_bin

    bin_dir = postgres_bin()
    if bin_dir is None:
        raise click.ClickException("PostgreSQL's programs were not found.")
    with PostgresServer(bin_dir) as server:
        yield Settings.load({}, database_url=server.create_database()).database_url
