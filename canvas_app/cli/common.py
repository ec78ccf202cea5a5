"""What several commands need."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click
import httpx
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from canvas_app import gates, health, http_outcomes, migrate, store
from canvas_app.errors import CredentialsError, LaterError, NotConfigured, WireError
from canvas_app.intercom.directory import IntercomDirectory
from canvas_app.passages import DatabaseGate
from canvas_app.settings import Settings, documented_fields

if TYPE_CHECKING:
    from canvas_app.interviews.services import Services

P = ParamSpec("P")
T = TypeVar("T")

# A person waits at the terminal: what a vendor puts off is asked again a few times, and not for long.
_MOST_TRIES = 5
_LONGEST_WAIT = 60.0
_WAIT = 2.0


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


@contextmanager
def database(settings: Settings) -> Iterator[Engine]:
    """The database for as long as a command needs it; an outage meanwhile is told in words."""
    engine = open_engine(settings)
    try:
        yield engine
    except SQLAlchemyError as error:
        if not store.is_away(error):
            raise
        raise click.ClickException("The database cannot be reached. Look at DATABASE_URL.") from error
    finally:
        engine.dispose()


def make_services(settings: Settings, engine: Engine) -> Services:
    """What a worker works with, for a command that acts as one would."""
    # The durable engine takes half a second to import.
    from canvas_app import worker

    return worker.make_services(settings, engine)


def directory(settings: Settings, engine: Engine) -> IntercomDirectory:
    """Intercom, through the gate that all processes share. Raises ClickException while there is no token."""
    if settings.intercom_access_token is None:
        raise click.ClickException(missing_in_words(settings, "INTERCOM_ACCESS_TOKEN"))
    token = settings.intercom_access_token.get_secret_value()
    return IntercomDirectory(
        base_url=settings.intercom_url,
        token=token,
        version=settings.intercom_version,
        http=http_outcomes.make_http_client(),
        gate=DatabaseGate(engine, "intercom", token, gates.RATES["intercom"]),
    )


def make_client(seconds: float) -> httpx.Client:
    """For a call to the running app. No redirect is followed: the signature is meant for one address."""
    return httpx.Client(timeout=seconds, follow_redirects=False, trust_env=False)


def missing_in_words(settings: Settings, name: str) -> str:
    return f"{name} is not set: {documented_fields()[name]} {health.set_command(settings)}{name}=…"


def patiently(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Make a call that may be repeated, and wait where the vendor or our own gate says so.

    Raises ClickException with what to do when it does not work all the same; PermanentError is passed on,
    since what it means depends on what was asked for.
    """
    for left in reversed(range(_MOST_TRIES)):
        try:
            return function(*args, **kwargs)
        except LaterError as error:
            wait = error.retry_after if error.retry_after is not None else _WAIT
            if not left or wait > _LONGEST_WAIT:
                raise click.ClickException(in_words(error)) from error
            time.sleep(wait)
        except (CredentialsError, NotConfigured) as error:
            raise click.ClickException(in_words(error)) from error
    raise AssertionError("the last try has returned or raised")


def in_words(error: WireError | NotConfigured) -> str:
    """An error of a wire for the person at the terminal: what happened, and what to do."""
    if isinstance(error, CredentialsError):
        wire: gates.Wire = "koji" if error.reason.startswith("koji") else "intercom"
        return f"{error} {health.remedy(error.reason, wire)}"
    if isinstance(error, LaterError):
        return f"{error} ({error.reason}) Please try again in a while."
    return f"{error} ({error.reason})"


# What a person reads


def is_terminal() -> bool:
    return sys.stdout.isatty()


@dataclass
class Progress:
    """A bar on standard error, at a terminal; elsewhere nothing."""

    advance: Callable[[int], None]
    expect: Callable[[int], None]


@contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Progress]:
    """Show how far something has come that may take long."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(label, total=total)
        yield Progress(
            advance=lambda steps: bar.advance(task, steps),
            expect=lambda number: bar.update(task, total=number),
        )


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, whole: Collection[str] = ()) -> None:
    """A table at a terminal; elsewhere one line a row, with two spaces between what stands in it.

    Nothing is cut off in a narrow terminal. The columns that are ``whole`` are not folded either: what stands
    in them is there to be copied.
    """
    if is_terminal():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(header_style="bold")
        for name in columns:
            table.add_column(name, overflow="fold", no_wrap=name in whole)
        for row in rows:
            table.add_row(*map(Text, row))
        Console().print(table)
        return
    for row in rows:
        click.echo("  ".join(cell for cell in row if cell))
