"""How gunicorn serves the web process. https://docs.gunicorn.org/en/stable/settings.html"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger


class QuietLogger(Logger):
    """No access log, whatever the platform asks for.

    The path of a customer's link holds their personal token, so a line with the path must never be written.
    The app logs each request itself, without it. A platform may pass ``--access-logfile -`` in
    ``GUNICORN_CMD_ARGS``, which counts for more than this file; so ``accesslog = None`` alone would not do.
    """

    access_log_enabled = False

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Write nothing."""


logger_class = QuietLogger
accesslog = None

bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"

# One process with threads fits a 512 MB dyno and a small database plan. Heroku's Python buildpack sets
# WEB_CONCURRENCY to 2 where the app's settings do not say otherwise; app.json therefore sets it to 1.
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
worker_class = "gthread"
threads = 8
# Each worker makes its own database connections; sharing them across a fork would break both ends.
preload_app = False

timeout = 30
# Heroku kills 30 s after SIGTERM, others after 10 s: requests in flight get 8 s.
# https://devcenter.heroku.com/articles/dyno-shutdown-behavior
graceful_timeout = 8
keepalive = 5

limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190

# forwarded_allow_ips is not set here. It comes from FORWARDED_ALLOW_IPS, which Heroku sets to "*" because its
# router has no fixed address; elsewhere only the same machine is believed. All that it decides is whether a
# request counts as https. It must not also let a client choose SCRIPT_NAME or PATH_INFO, as by default.
forwarder_headers = ""

# A worker's heartbeat is a file: on a real disk a slow write would look like a hung worker.
# gunicorn makes that file with a safe, unique name.
if Path("/dev/shm").is_dir():  # noqa: S108  # nosec B108
    worker_tmp_dir = "/dev/shm"  # noqa: S108  # nosec B108

# Nobody steers a dyno with gunicornc, and the socket file would collide when one account runs two servers.
control_socket_disable = True
