"""Both stand-ins on two loopback ports, in threads of this process::

with Sandbox(app_url="http://127.0.0.1:5052") as sandbox:
    environment = sandbox.env(public_url=..., database_url=...)
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from sandbox import controls, inbox, intercom, koji, playing, refusals, seed
from sandbox.clock import Clock
from sandbox.deliveries import Deliverer, intercom_endpoint, koji_endpoint
from sandbox.faults import FaultBoard, FaultGate
from sandbox.koji_state import KojiState, Study
from sandbox.notifications import Notifier
from sandbox.outgoing import Caller
from sandbox.state import IntercomState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from sandbox.faults import Wire

HOST = "127.0.0.1"
SECOND_STUDY = "Why customers leave"
# Pages, static files and the sandbox's own controls are never spoiled and never counted as calls.
INTERCOM_PAGES = ("/inbox/", "/static/", "/_sandbox/", "/favicon")
KOJI_PAGES = ("/interview/", "/transcript/", "/static/", "/_sandbox/", "/favicon")


class State:
    """What both stand-ins know: ``state.intercom`` and ``state.koji``."""

    def __init__(self, intercom_state: IntercomState, koji_state: KojiState) -> None:
        self.intercom = intercom_state
        self.koji = koji_state


class _QuietHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's.
        pass


class Sandbox:
    """A stand-in Intercom with its inbox, and a stand-in Koji.

    ``app_url`` is the base address of the application, which is asked for cards and sent webhooks; without
    one the inbox shows no card and no webhooks are sent. Ports of 0 take free ones. ``retry_pauses`` are the
    seconds before the second and the third try of Koji's webhooks, ``retry_pause`` those before Intercom's
    second one (in truth a minute), ``analysis_takes`` those an analysis needs. With ``second_study`` there is
    another study at Koji, with a key and a webhook secret of its own; the application has to be told of it.
    ``database_url`` is the application's database: with it, time can be let pass, see ``clock``.
    """

    def __init__(
        self,
        app_url: str | None = None,
        port: int = 0,
        koji_port: int = 0,
        *,
        retry_pauses: tuple[float, ...] = (0.2, 0.4),
        retry_pause: float = 0.2,
        analysis_takes: float = 0.0,
        anonymous: bool = False,
        with_url: bool = True,
        second_study: bool = False,
        database_url: str | None = None,
        log_requests: bool = False,
    ) -> None:
        self.client_secret = "sandbox-client-secret"
        self.access_token = "sandbox-access-token"
        self.koji_key = "pk_live_" + "sandbox0" * 4
        self.koji_webhook_secret = "sandbox-webhook-secret"
        self.api_token = "sandbox-api-token"
        self.second_study: Study | None = None
        lock = threading.RLock()
        self.faults = FaultBoard(lock)
        app_base = None if app_url is None else app_url.rstrip("/")

        def door(vendor: str) -> str | None:
            return None if app_base is None else f"{app_base}/webhooks/{vendor}"

        self.deliverer = Deliverer(koji_endpoint(door("koji"), retry_pauses), self.faults, lock)
        study = Study(
            str(uuid.uuid4()),
            "Customer interview",
            self.koji_key,
            self.koji_webhook_secret,
            anonymous,
            with_url,
        )
        self.state = State(IntercomState(lock), KojiState(lock, self.deliverer, study))
        self.state.koji.analysis_takes = analysis_takes
        if second_study:
            self.second_study = self.state.koji.add_study(
                SECOND_STUDY, key="pk_live_" + "sandbox1" * 4, webhook_secret="sandbox-second-webhook-secret"
            )
        seed.plant(self.state.intercom)
        intercom_deliverer = Deliverer(intercom_endpoint(door("intercom"), retry_pause), self.faults, lock)
        self.notifier = Notifier(self.state.intercom, intercom_deliverer, self.client_secret)
        # Only now, so that nobody is told of what was there from the start.
        self.state.intercom.tell = self.notifier.hear
        viewer = self.state.intercom.admins[seed.ADA]
        self.inbox = inbox.CanvasCaller(self.state.intercom, self.client_secret, app_base, viewer)
        self.caller = Caller(app_base, self.api_token)
        self.clock = Clock(self.state.intercom, self.state.koji, database_url)
        self._handler = WSGIRequestHandler if log_requests else _QuietHandler
        self._apps: dict[Wire, Flask] = {"intercom": self._intercom_app(), "koji": self._koji_app()}
        self._servers: dict[Wire, BaseWSGIServer] = {"intercom": self._listen("intercom", port)}
        try:
            self._servers["koji"] = self._listen("koji", koji_port)
        except BaseException:
            self._servers["intercom"].server_close()
            raise
        self.intercom_url, self.koji_url = (
            f"http://{HOST}:{server.server_port}" for server in self._servers.values()
        )
        self.inbox_url = f"{self.intercom_url}/"
        self.state.koji.url = self.koji_url
        self._threads: dict[Wire, threading.Thread] = {}

    def __enter__(self) -> Sandbox:
        """Serve from here on."""
        for wire in self._servers:
            self._serve(wire)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release what hangs, stop the webhooks, and close both ports."""
        self.faults.clear()
        self.deliverer.stop()
        self.notifier.deliverer.stop()
        for wire in list(self._threads):
            self._close(wire)

    @contextlib.contextmanager
    def refusing(self, wire: Wire) -> Iterator[None]:
        """Close a port meanwhile: who calls is refused the connection. What is under way goes on."""
        port = self._servers[wire].server_port
        self._close(wire)
        try:
            yield
        finally:
            self._servers[wire] = self._listen(wire, port)
            self._serve(wire)

    def _listen(self, wire: Wire, port: int) -> BaseWSGIServer:
        return make_server(HOST, port, self._apps[wire], threaded=True, request_handler=self._handler)

    def _serve(self, wire: Wire) -> None:
        # The interval is how long stopping may take, in seconds; tests stop a sandbox often.
        serve = self._servers[wire].serve_forever
        thread = threading.Thread(target=serve, args=(0.02,), name="sandbox", daemon=True)
        thread.start()
        self._threads[wire] = thread

    def _close(self, wire: Wire) -> None:
        self._servers[wire].shutdown()
        self._servers[wire].server_close()
        self._threads.pop(wire).join()

    def env(self, public_url: str, database_url: str) -> dict[str, str]:
        """Return every setting with which the application talks to this sandbox and to nothing else."""
        return {
            "DATABASE_URL": database_url,
            "SECRET_KEY": secrets.token_hex(32),
            "PUBLIC_URL": public_url,
            "INTERCOM_CLIENT_SECRET": self.client_secret,
            "INTERCOM_ACCESS_TOKEN": self.access_token,
            "INTERCOM_API_URL": self.intercom_url,
            "KOJI_API_KEY": self.koji_key,
            "KOJI_API_URL": self.koji_url,
            "KOJI_WEBHOOK_SECRET": self.koji_webhook_secret,
            "KOJI_LINK_HOSTS": urlsplit(self.koji_url).netloc,
            "API_TOKEN": self.api_token,
        }

    def _intercom_app(self) -> Flask:
        app = Flask("sandbox")
        intercom.register(app, self.state.intercom, self.access_token)
        inbox.register(app, self.inbox)
        playing.register(app, self.caller, self.clock)
        app.register_blueprint(controls.blueprint(self))
        app.wsgi_app = FaultGate(  # type: ignore[method-assign]
            app.wsgi_app,
            wire="intercom",
            board=self.faults,
            record=self.state.intercom.calls.append,
            refuse=refusals.refuse,
            exempt=INTERCOM_PAGES,
        )
        return app

    def _koji_app(self) -> Flask:
        app = Flask("sandbox")
        koji.register(app, self.state.koji)
        app.wsgi_app = FaultGate(  # type: ignore[method-assign]
            app.wsgi_app,
            wire="koji",
            board=self.faults,
            record=self.state.koji.calls.append,
            refuse=koji.refuse,
            exempt=KOJI_PAGES,
        )
        return app


def quiet_logs() -> None:
    """Keep the request lines of the HTTP client out of the terminal."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
