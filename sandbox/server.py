"""Both stand-ins on two loopback ports, in threads of this process::

with Sandbox(app_url="http://127.0.0.1:5052") as sandbox:
    environment = sandbox.env(public_url=..., database_url=...)
"""

from __future__ import annotations

import logging
import secrets
import threading
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, jsonify, request
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from sandbox import inbox, intercom, koji, refusals, seed
from sandbox.deliveries import Deliverer, Endpoint
from sandbox.dumping import intercom_dump
from sandbox.faults import FaultBoard, FaultGate
from sandbox.state import IntercomState

if TYPE_CHECKING:
    from types import TracebackType

HOST = "127.0.0.1"
# Pages, static files and the sandbox's own controls are never spoiled and never counted as calls.
INTERCOM_PAGES = ("/inbox/", "/static/", "/_sandbox/", "/favicon")
KOJI_PAGES = ("/interview/", "/transcript/", "/static/", "/_sandbox/", "/favicon")


class State:
    """What both stand-ins know: ``state.intercom`` and ``state.koji``."""

    def __init__(self, intercom_state: IntercomState, koji_state: koji.KojiState) -> None:
        self.intercom = intercom_state
        self.koji = koji_state


class _QuietHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's.
        pass


class Sandbox:
    """A stand-in Intercom with its inbox, and a stand-in Koji.

    ``app_url`` is the base address of the application, which is asked for cards and sent webhooks; without
    one the inbox shows no card and no webhooks are sent. Ports of 0 take free ones. ``retry_pauses`` are the
    seconds before the second and the third try of a webhook, ``analysis_takes`` those an analysis needs.
    """

    def __init__(
        self,
        app_url: str | None = None,
        port: int = 0,
        koji_port: int = 0,
        *,
        retry_pauses: tuple[float, ...] = (0.2, 0.4),
        analysis_takes: float = 0.0,
        anonymous: bool = False,
        with_url: bool = True,
        log_requests: bool = False,
    ) -> None:
        self.client_secret = "sandbox-client-secret"
        self.access_token = "sandbox-access-token"
        self.koji_key = "pk_live_" + "sandbox0" * 4
        self.koji_webhook_secret = "sandbox-webhook-secret"
        lock = threading.RLock()
        self.faults = FaultBoard(lock)
        webhook_url = None if app_url is None else f"{app_url.rstrip('/')}/webhooks/koji"
        endpoint = Endpoint(webhook_url, self.koji_webhook_secret, pauses=retry_pauses)
        self.deliverer = Deliverer(endpoint, self.faults, lock)
        study = koji.Study(str(uuid.uuid4()), "Customer interview", self.koji_key, anonymous, with_url)
        self.state = State(IntercomState(lock), koji.KojiState(lock, self.deliverer, study))
        self.state.koji.analysis_takes = analysis_takes
        seed.plant(self.state.intercom)
        app_base = None if app_url is None else app_url.rstrip("/")
        viewer = self.state.intercom.admins[seed.ADA]
        self.inbox = inbox.CanvasCaller(self.state.intercom, self.client_secret, app_base, viewer)
        handler = WSGIRequestHandler if log_requests else _QuietHandler
        self._servers: list[BaseWSGIServer] = [
            make_server(HOST, port, self._intercom_app(), threaded=True, request_handler=handler)
        ]
        try:
            self._servers.append(
                make_server(HOST, koji_port, self._koji_app(), threaded=True, request_handler=handler)
            )
        except BaseException:
            self._servers[0].server_close()
            raise
        self.intercom_url, self.koji_url = (f"http://{HOST}:{server.server_port}" for server in self._servers)
        self.inbox_url = f"{self.intercom_url}/"
        self.state.koji.url = self.koji_url
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Sandbox:
        """Serve from here on."""
        for server in self._servers:
            # The interval is how long stopping may take, in seconds; tests stop a sandbox often.
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="sandbox", daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release what hangs, stop the webhooks, and close both ports."""
        self.faults.clear()
        self.deliverer.stop()
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()

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
        }

    def _intercom_app(self) -> Flask:
        app = Flask("sandbox")
        intercom.register(app, self.state.intercom, self.access_token)
        inbox.register(app, self.inbox)
        app.register_blueprint(self._controls())
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

    def _controls(self) -> Blueprint:
        """Make the routes by which another process sets faults and looks at what happened."""
        controls = Blueprint("controls", __name__, url_prefix="/_sandbox")

        @controls.get("/state")
        def state() -> Response:
            return jsonify(
                intercom=intercom_dump(self.state.intercom),
                koji=koji.dump(self.state.koji),
                faults=[fault.document() for fault in self.faults.all()],
            )

        @controls.get("/faults")
        def list_faults() -> Response:
            return jsonify([fault.document() for fault in self.faults.all()])

        @controls.post("/faults")
        def set_fault() -> tuple[Response, int]:
            try:
                fault = self.faults.from_json(request.get_json())
            except (TypeError, ValueError) as error:
                return jsonify(error="fault_malformed", message=str(error)), 400
            return jsonify(fault.document() if fault else {}), 201

        @controls.post("/faults/<int:fault_id>/release")
        def release(fault_id: int) -> tuple[Response, int]:
            for fault in self.faults.all():
                if fault.id == fault_id:
                    fault.release.set()
                    return jsonify(fault.document()), 200
            return jsonify(error="not_found", message="There is no such fault."), 404

        @controls.delete("/faults")
        def clear() -> tuple[str, int]:
            self.faults.clear()
            return "", 204

        return controls


def quiet_logs() -> None:
    """Keep the request lines of the HTTP client out of the terminal."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
