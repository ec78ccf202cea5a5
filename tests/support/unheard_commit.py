"""Stands between a process and PostgreSQL, and cuts a connection between a commit and the answer to it."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType

from tests.support.postgres import HOST

# Closing tells the other side that the connection is broken, and not that it has come to its end.
_ABRUPTLY = struct.pack("ii", 1, 0)


class UnheardCommit:
    """A port that leads to PostgreSQL's ``port``.

    Of the first transaction with a statement in which all of ``words`` stand, the server makes the commit,
    and whoever asked for it hears nothing of that: ``happened`` is set then. All else passes as it is.
    """

    def __init__(self, port: int, *words: bytes) -> None:
        self._server = (HOST, port)
        self._words = words
        self._listening = socket.create_server((HOST, 0))
        self._open: list[socket.socket] = []
        self.port: int = self._listening.getsockname()[1]
        self.happened = threading.Event()

    def __enter__(self) -> UnheardCommit:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        # A thread that waits inside it would keep it open.
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._cut(*self._open)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._server)
                self._open += [client, server]
                committing = threading.Event()
                for pass_on in (self._ask, self._answer):
                    threading.Thread(target=pass_on, args=(client, server, committing), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, committing: threading.Event) -> None:
        is_it = False
        with suppress(OSError):
            while asked := client.recv(65536):
                is_it = is_it or all(word in asked for word in self._words)
                if is_it and b"COMMIT" in asked and not self.happened.is_set():
                    committing.set()
                server.sendall(asked)
        self._cut(client, server)

    def _answer(self, client: socket.socket, server: socket.socket, committing: threading.Event) -> None:
        with suppress(OSError):
            while answered := server.recv(65536):
                if committing.is_set() and b"COMMIT" in answered:
                    self.happened.set()
                    break
                client.sendall(answered)
        self._cut(client, server)

    def _cut(self, *ends: socket.socket) -> None:
        for end in ends:
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABRUPTLY)
                end.shutdown(socket.SHUT_RDWR)
            end.close()
