"""How a process that works learns that it is to end, and is gone in time whatever it is at."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def listen(*, gone_within: float) -> threading.Event:
    """From now on SIGTERM and SIGINT set the event that is returned, and so many seconds later the process is
    gone, with 0, if it has not ended by then.

    The main thread may wait for the database just then: SQLite waits for its lock inside one call, for up to
    ten seconds, and no handler written in Python is called meanwhile. What the interpreter's own
    handler does at once is to write a byte, which wakes a thread here.
    https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd
    """
    stopping = threading.Event()
    woken, waking = socket.socketpair()
    waking.setblocking(False)
    signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
    for number in _SIGNALS:
        # Without a handler, a signal would end the process there and then. It is the thread that heeds it.
        signal.signal(number, lambda *_: None)

    def watch(woken: socket.socket, _kept_open: socket.socket) -> None:
        while woken.recv(1)[0] not in _SIGNALS:
            pass
        stopping.set()
        time.sleep(gone_within)
        os._exit(0)

    threading.Thread(target=watch, args=(woken, waking), name="ending", daemon=True).start()
    return stopping
