"""The web application put together."""

from __future__ import annotations

import os

from flask import Flask

from canvas_app import cli, log, metrics, pages, store, web
from canvas_app.api import views as api_views
from canvas_app.canvas import views as canvas_views
from canvas_app.canvas.in_turn import InTurn
from canvas_app.console import door as console, views as console_views
from canvas_app.engine import Jobs
from canvas_app.settings import PROJECT_ROOT, Settings
from canvas_app.webhooks import intercom as intercom_webhooks, koji as koji_webhooks


def make_application(settings: Settings | None) -> Flask:
    # Where they are not given, this is a process of its own.
    serving = settings is None
    if settings is None:
        log.configure()
        # Its own lines may quote a request, and with it a link's token or somebody's address.
        log.adopt("gunicorn.error")
        settings = Settings.load(os.environ)
    engine = store.make_engine(
        settings.database_url,
        pool_size=store.WEB_POOL_OF_A_FILE if settings.uses_sqlite else store.WEB_POOL,
        patience=store.WEB_PATIENCE,
        somebody_waits=True,
    )
    app = Flask(
        "canvas_app",
        template_folder=str(PROJECT_ROOT / "templates" / "pages"),
        # Only the console has static files, and Bootstrap's stand below this path.
        static_folder=None,
        static_url_path="/static",
    )
    here = web.Web(settings=settings, engine=engine, jobs=Jobs(engine))
    web.prepare(app, here)
    if serving:
        here.tally.keep_by_itself(engine)
    for door in (pages, canvas_views, koji_webhooks, intercom_webhooks, api_views, metrics):
        app.register_blueprint(door.blueprint)
    if settings.uses_sqlite:
        # Around all of Flask, which is the larger part of what a card takes. A server that is elsewhere would
        # be waited for in turn as well.
        app.wsgi_app = InTurn(app.wsgi_app, "/canvas/initialize")  # type: ignore[method-assign]
    console.prepare(app, settings)
    # The pages that it has come with their modules.
    app.register_blueprint(console_views.blueprint)
    # The same commands as `python -m canvas_app …`, as `flask --app canvas_app …`.
    for command in cli.commands.commands.values():
        app.cli.add_command(command)
    return app
