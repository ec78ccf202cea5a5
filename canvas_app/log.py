"""Structured logs: one JSON object a line, with the id of the request or job that wrote it.

What a line may hold is decided here rather than at each call: an event's name, codes, counts and our own
ids. Messages of exceptions are left out, because a driver's or a vendor's message may quote what a customer
wrote; the type and the place are enough to find the fault.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import sys
import time
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

from canvas_app.errors import KojiForIntercomError

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_FIELDS = "koji_fields"
_ENCODER = json.JSONEncoder(ensure_ascii=True, default=str)

# A library that finds the database away says so several times a second; once a minute is enough to know it.
_SAY_AGAIN_SECONDS = 60.0
_MOST_REMEMBERED = 1000

# Up to the first thing that may be, or may introduce, something that was being handled.
_OWN_WORDS = re.compile(r"[^0-9:=/@\"'<{\[\n]*")


class JsonFormatter(logging.Formatter):
    """Format a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if (current := request_id.get()) is not None:
            line["request_id"] = current
        line.update(getattr(record, _FIELDS, {}))
        if record.exc_info and record.exc_info[1] is not None:
            line.update(_exception_fields(record.exc_info[1]))
        return _ENCODER.encode(line)


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes each line in one call to the system, and holds no lock meanwhile.

    The usual handler holds one while it writes, and so while it waits for its turn to run again: under load
    all threads of the web stood in line for it. A line is far shorter than what a pipe takes in one piece.
    """

    def createLock(self) -> None:  # noqa: N802 -- the name is the base class's.
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + self.terminator
            try:
                descriptor = self.stream.fileno()
            except (AttributeError, OSError):
                # No file of the system's, as where a test listens.
                self.stream.write(line)
                return
            rest = line.encode()
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except Exception:  # noqa: BLE001 - as logging itself does: what cannot be logged must not fail our work
            self.handleError(record)


class ForeignFilter(logging.Filter):
    """Let libraries say that something happened, but neither again and again nor what they were handling."""

    def __init__(self) -> None:
        super().__init__()
        # When each of their words was last let through, and how often it was held back since.
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("canvas_app"):
            try:
                text = record.getMessage()
            except Exception:  # noqa: BLE001 - as logging itself does: a library's mistake must not fail our work
                text = "unreadable message"
            # Such a text begins with words of its own and goes on with data: a statement's, a request's.
            record.msg, record.args = "".join(_OWN_WORDS.findall(text)[:1])[:200].rstrip(), None
            return self._is_news(record, record.msg)
        return True

    def _is_news(self, record: logging.LogRecord, words: str) -> bool:
        now = time.monotonic()
        said_at, held_back = self._said.get((record.name, words), (-math.inf, 0))
        if now - said_at < _SAY_AGAIN_SECONDS:
            self._said[record.name, words] = (said_at, held_back + 1)
            return False
        if len(self._said) >= _MOST_REMEMBERED:
            self._said.clear()
        self._said[record.name, words] = (now, 0)
        if held_back:
            setattr(record, _FIELDS, {"held_back": held_back})
        return True


def event(logger: logging.Logger, level: int, name: str, **fields: str | int | float | bool | None) -> None:
    """Write one line: an event's name and its fields. Fields are codes, counts and our own ids."""
    if logger.isEnabledFor(level):
        # Without a look at who has called: no line says it, and it takes longer than the rest.
        record = logging.LogRecord(logger.name, level, "", 0, name, None, None)
        setattr(record, _FIELDS, fields)
        logger.handle(record)


def failure(
    logger: logging.Logger, name: str, error: BaseException, **fields: str | int | float | bool | None
) -> None:
    """Write an exception at error level: its type and place, not its message."""
    logger.error(name, extra={_FIELDS: {**fields, **_exception_fields(error)}})


def configure(level: int = logging.INFO) -> None:
    """Send every logger's lines to standard error as JSON."""
    handler = LineHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(ForeignFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # No line says in which thread, task or process it was written, so that nobody need find it out.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.logAsyncioTasks = False  # type: ignore[attr-defined]  # since Python 3.12
    # httpx logs every address at info level, and personal links and ids stand in addresses.
    for noisy in ("httpx", "httpcore", "dbos", "alembic", "werkzeug"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def adopt(name: str) -> None:
    """Let a library that brings a handler of its own write through ours."""
    library = logging.getLogger(name)
    library.handlers.clear()
    library.propagate = True


def _exception_fields(error: BaseException) -> dict[str, object]:
    fields: dict[str, object] = {"error": type(error).__name__}
    if isinstance(error, KojiForIntercomError):
        fields["reason"] = error.reason
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    fields["where"] = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames]
    return fields
