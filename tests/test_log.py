from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from canvas_app import log
from canvas_app.errors import SignatureRefused

LogLines = Callable[[], list[dict[str, Any]]]

ours = logging.getLogger("canvas_app.tests")
foreign = logging.getLogger("somelibrary.pool")


def test_a_line_is_json_with_the_event_and_its_fields(log_lines: LogLines) -> None:
    log.event(ours, logging.WARNING, "refused", door="/webhooks/koji", count=2, after=None, ok=True)
    [line] = log_lines()
    moment = datetime.fromisoformat(line.pop("at"))
    assert moment.utcoffset() is not None
    assert line == {
        "level": "warning",
        "logger": "canvas_app.tests",
        "event": "refused",
        "door": "/webhooks/koji",
        "count": 2,
        "after": None,
        "ok": True,
    }


def test_the_id_of_the_request_stands_in_its_lines(log_lines: LogLines) -> None:
    log.request_id.set("request-1")
    log.event(ours, logging.INFO, "one")
    log.request_id.set(None)
    log.event(ours, logging.INFO, "two")
    assert [line.get("request_id") for line in log_lines()] == ["request-1", None]


def test_nothing_that_is_logged_can_begin_a_line_of_its_own(log_lines: LogLines) -> None:
    log.event(ours, logging.INFO, "tap", reason='x\n{"event": "forged"}\r\u2028\x85end')
    [line] = log_lines()
    assert line["reason"].endswith("end")


def test_a_failure_is_logged_by_type_and_place_and_never_by_its_message(log_lines: LogLines) -> None:
    def inner() -> None:
        raise KeyError("planted")

    try:
        inner()
    except KeyError as error:
        log.failure(ours, "card_failed", error, interview="i1")
    [line] = log_lines()
    assert (line["event"], line["level"], line["error"], line["interview"]) == (
        "card_failed",
        "error",
        "KeyError",
        "i1",
    )
    assert line["where"][-1].startswith("test_log.py:")
    assert line["where"][-1].endswith(" inner")
    assert "planted" not in json.dumps(line)


def test_an_error_of_ours_brings_its_reason_code(log_lines: LogLines) -> None:
    log.failure(ours, "refused", SignatureRefused("planted", reason="signature_stale"))
    [line] = log_lines()
    assert line["reason"] == "signature_stale"
    assert "planted" not in json.dumps(line)


@pytest.mark.parametrize("logger", [ours, foreign], ids=["ours", "foreign"])
def test_the_message_of_an_exception_is_left_out_wherever_it_is_logged(
    log_lines: LogLines, logger: logging.Logger
) -> None:
    try:
        int("planted")
    except ValueError:
        logger.exception("it failed", stack_info=True)
    [line] = log_lines()
    assert (line["event"], line["error"]) == ("it failed", "ValueError")
    assert "planted" not in json.dumps(line)


@pytest.mark.parametrize(
    ("message", "arguments", "kept"),
    [
        ("(psycopg.Error) duplicate: Key (planted) exists", (), "(psycopg.Error) duplicate"),
        ("Retrying\nINSERT INTO interviews VALUES (planted)", (), "Retrying"),
        ("%s: %s", ("Rejected", "planted"), "Rejected"),
        ("x" * 300 + "planted", (), "x" * 200),
        ("Invalid request line 'GET /i/planted'", (), "Invalid request line"),
        ('no such column "planted"', (), "no such column"),
        ("GET /i/planted HTTP", (), "GET"),
        ("Sent mail to <planted", (), "Sent mail to"),
        ("row {planted}", (), "row"),
        ("values [planted]", (), "values"),
        ("token=planted", (), "token"),
        ("Worker 4711 planted", (), "Worker"),
        ("%s", ("@planted",), ""),
        ("Pool is full", (), "Pool is full"),
    ],
)
def test_a_library_may_say_what_happened_but_not_quote_what_it_handled(
    log_lines: LogLines, message: str, arguments: tuple[str, ...], kept: str
) -> None:
    foreign.warning(message, *arguments)
    [line] = log_lines()
    assert line["event"] == kept
    assert line["logger"] == "somelibrary.pool"


def test_a_library_is_not_let_say_the_same_again_and_again(
    log_lines: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("canvas_app.log.time.monotonic", lambda: now)
    for number in range(50):
        foreign.warning("Cannot connect: %s", number)
    foreign.warning("Pool is full")
    logging.getLogger("another.library").warning("Cannot connect")
    assert [line["event"] for line in log_lines()] == ["Cannot connect", "Pool is full", "Cannot connect"]
    now += 59
    foreign.warning("Cannot connect")
    assert log_lines() == []
    now += 2
    foreign.warning("Cannot connect")
    [line] = log_lines()
    assert (line["event"], line["held_back"]) == ("Cannot connect", 50)
    now += 61
    foreign.warning("Cannot connect")
    [line] = log_lines()
    assert "held_back" not in line


def test_what_is_remembered_of_libraries_is_bounded() -> None:
    filter_ = log.ForeignFilter()
    for number in range(5 * log._MOST_REMEMBERED):
        words = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        assert filter_.filter(logging.LogRecord("lib", logging.WARNING, "", 0, words, (), None))
    assert len(filter_._said) <= log._MOST_REMEMBERED


def test_our_own_events_are_all_written(log_lines: LogLines) -> None:
    for _ in range(3):
        log.event(ours, logging.INFO, "tap")
    assert len(log_lines()) == 3


def test_our_own_events_are_not_cut(log_lines: LogLines) -> None:
    log.event(ours, logging.INFO, "a: b")
    assert [line["event"] for line in log_lines()] == ["a: b"]


def test_a_library_that_misuses_logging_does_not_fail_the_request(log_lines: LogLines) -> None:
    foreign.warning("%d rows for planted", "planted")
    [line] = log_lines()
    assert line["level"] == "warning"
    assert "planted" not in json.dumps(line)


@pytest.mark.parametrize("name", ["httpx", "httpcore", "dbos", "alembic", "werkzeug"])
def test_libraries_that_log_addresses_are_quiet(log_lines: LogLines, name: str) -> None:
    logging.getLogger(name).info("HTTP Request: GET https://koji.so/planted")
    logging.getLogger(f"{name}.part").info("GET /i/planted")
    assert log_lines() == []
    logging.getLogger(name).warning("slow")
    assert [line["event"] for line in log_lines()] == ["slow"]


def test_a_level_that_is_not_wanted_writes_nothing(log_lines: LogLines) -> None:
    log.event(ours, logging.DEBUG, "detail")
    assert log_lines() == []


def test_a_library_with_a_handler_of_its_own_is_made_to_use_ours(log_lines: LogLines) -> None:
    library = logging.getLogger("library_with_handler")
    library.addHandler(logging.StreamHandler())
    library.propagate = False
    log.adopt("library_with_handler")
    library.warning("Engine error: planted")
    assert [line["event"] for line in log_lines()] == ["Engine error"]
    assert library.handlers == []


def test_a_malformed_request_line_that_gunicorn_quotes_does_not_reach_the_log(log_lines: LogLines) -> None:
    # As gunicorn logs it: https://github.com/benoitc/gunicorn/blob/master/gunicorn/workers/base.py
    gunicorn = logging.getLogger("gunicorn.error")
    gunicorn.addHandler(logging.StreamHandler())
    gunicorn.propagate = False
    log.adopt("gunicorn.error")
    error = "Invalid HTTP request line: 'GET /i/planted planted@example.com'"
    gunicorn.warning("Invalid request from ip={ip}: {error}".format(ip="203.0.113.7", error=error))
    gunicorn.debug("%s /i/planted", "GET")
    gunicorn.error("Error handling request /i/planted")
    lines = log_lines()
    assert [line["event"] for line in lines] == ["Invalid request from ip", "Error handling request"]
    for part in ("planted", "203.0.113.7"):
        assert part not in json.dumps(lines)


def test_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure()
    log.event(ours, logging.INFO, "hello")
    captured = capsys.readouterr()
    assert json.loads(captured.err)["event"] == "hello"
    assert captured.out == ""
