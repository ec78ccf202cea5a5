"""Cards one after the other, inside one web process.

Python runs one thread at a time. A thread lets another one go on, often on another core, at each call to the
database, the log and the system's random numbers, and finds its caches cold when it returns: between others a
card costs twice what it costs alone. On SQLite it waits for nothing: it asks one query, of a file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from canvas_app.web import ARRIVED

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Seconds after which a card is drawn without a turn: one before it may be waiting for a slow disk, or for a
# body that comes slowly. Drawing takes a fiftieth of that.
PATIENCE: Final = 0.05


class InTurn:
    """Lets the requests for one path through one by one, and all others as they come."""

    def __init__(self, application: WSGIApplication, path: str) -> None:
        self._application = application
        self._path = path
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """As in https://peps.python.org/pep-3333/"""
        if environ.get("PATH_INFO") != self._path:
            return self._application(environ, start_response)
        environ[ARRIVED] = time.monotonic()
        has_turn = self._lock.acquire(timeout=PATIENCE)
        try:
            return self._application(environ, start_response)
        finally:
            if has_turn:
                self._lock.release()
