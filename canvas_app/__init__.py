"""Koji for Intercom. ``create_app`` wires the web application's doors together, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from canvas_app.settings import Settings


# Of pyproject.toml, which a test holds it against.
VERSION = "0.1.0"


def create_app(settings: Settings | None = None) -> Flask:
    """The Flask application. Without ``settings`` they are read from the environment, and logs go to stderr.

    Raises SettingsError that lists every malformed setting.
    """
    # Imported here, so that a worker that imports this package does not load the web application.
    from canvas_app.application import make_application

    return make_application(settings)
