from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, run_wsgi_app

from canvas_app import create_app, log, store
from canvas_app.errors import Refused
from canvas_app.interviews.tables import metadata, refusals
from canvas_app.settings import Settings
from canvas_app.web import ARRIVED
from tests.support.doors import ATTEMPTS, DOORS, PLANTED, Attempt, Door
from tests.support.postgres import free_port
from tests.support.world import World, full_settings

LogLines = Callable[[], list[dict[str, Any]]]

each_door = pytest.mark.parametrize("door", DOORS, ids=lambda door: door.path)


@pytest.fixture(autouse=True)
def _no_worker_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("canvas_app.canvas.views._WATCH_SECONDS", 0.0)


@pytest.fixture
def app(sqlite_world: World) -> Flask:
    return sqlite_world.app


def assert_shape(answer: Any, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.mimetype == "application/json"
    body = answer.get_json()
    assert set(body) == {"error", "message"}
    assert body["error"] == code
    assert len(body["message"]) > 10


def rows(world: World) -> int:
    """All rows of all tables of ours but the counted refusals, and all jobs."""
    with store.reading(world.engine) as connection:
        counts = [
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in metadata.tables.values()
            if table is not refusals
        ]
    return sum(counts) + len(world.pending())


class TestSignedDoors:
    @each_door
    @pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
    def test_what_proves_nothing_leaves_nothing_but_its_reason(
        self, sqlite_world: World, log_lines: LogLines, door: Door, attempt: Callable[[Door], Attempt]
    ) -> None:
        tried, client = attempt(door), sqlite_world.app.test_client()
        answer = client.post(door.path, data=tried.raw, headers=tried.headers)
        assert_shape(answer, 401, tried.reason)
        assert PLANTED not in answer.text
        assert rows(sqlite_world) == 0
        lines = log_lines()
        [refused] = [line for line in lines if line["event"] == "refused"]
        assert (refused["door"], refused["reason"]) == (door.path, tried.reason)
        for secret in (
            PLANTED,
            "planted@",
            door.secret,
            *(value for value in tried.headers.values() if value),
        ):
            assert secret not in json.dumps(lines, ensure_ascii=False)
        assert client.get("/healthz").get_json()["refusals"] == {f"{door.path} {tried.reason}": 1}

    @each_door
    def test_the_same_request_truly_signed_is_let_in(self, sqlite_world: World, door: Door) -> None:
        client = sqlite_world.app.test_client()
        answer = client.post(door.path, data=door.raw, headers={door.header: door.signature})
        assert answer.status_code == 200, answer.text
        assert client.get("/healthz").get_json()["refusals"] == {}

    @each_door
    def test_its_body_is_not_logged_either(
        self, sqlite_world: World, log_lines: LogLines, door: Door
    ) -> None:
        client = sqlite_world.app.test_client()
        client.post(door.path, data=door.raw, headers={door.header: door.signature})
        lines = json.dumps(log_lines())
        assert '"route": "' + door.path in lines
        assert "planted" not in lines
        assert door.signature not in lines

    @each_door
    def test_old_and_new_secret_are_good_while_they_are_rotated(self, sqlite_url: str, door: Door) -> None:
        settings = full_settings(sqlite_url, **{door.setting.lower(): "new-secret, old-secret"})
        client = create_app(settings).test_client()
        answers = [
            client.post(door.path, data=door.raw, headers={door.header: door.sign(door.raw, secret)})
            for secret in ("new-secret", "old-secret", "oldest-secret", "new-secret, old-secret")
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 401, 401]

    @each_door
    @pytest.mark.parametrize(
        ("raw", "code"),
        [
            # Koji's door answers what cannot be read and is not about an interview either, see its own tests.
            (b"interview.completed " + PLANTED.encode(), "body_unreadable"),
            (b'["interview.planted"]', "body_unreadable"),
            (b'{"interview.planted": ', "body_unreadable"),
            (b'{"interview.planted": NaN}', "body_unreadable"),
            (b'{"interview.planted": "\xff"}', "body_unreadable"),
            (b"[" * 100_000 + b'"interview.planted', "body_unreadable"),
        ],
        ids=["text", "list", "cut", "nan", "not utf-8", "deep"],
    )
    def test_a_body_that_cannot_be_read_is_refused_even_though_it_is_signed(
        self, sqlite_world: World, log_lines: LogLines, door: Door, raw: bytes, code: str
    ) -> None:
        client = sqlite_world.app.test_client()
        answer = client.post(door.path, data=raw, headers={door.header: door.sign(raw, door.secret)})
        assert_shape(answer, 400, code)
        assert rows(sqlite_world) == 0
        assert "planted" not in answer.text + json.dumps(log_lines())

    @each_door
    def test_a_body_over_a_megabyte_is_not_read(self, sqlite_world: World, door: Door) -> None:
        client = sqlite_world.app.test_client()
        largest = json.dumps({**door.body, "x": ""}).encode()
        largest = largest[:-2] + b"x" * (1024 * 1024 - len(largest)) + largest[-2:]
        too_large = largest[:-2] + b"x" + largest[-2:]
        statuses = []
        for raw in (largest, too_large):
            answer = client.post(door.path, data=raw, headers={door.header: door.sign(raw, door.secret)})
            statuses.append(answer.status_code)
        assert statuses == [200, 413]
        assert_shape(answer, 413, "body_too_large")

    @each_door
    def test_a_body_that_was_cut_off_is_refused_though_what_came_is_signed(
        self, sqlite_world: World, door: Door
    ) -> None:
        """gunicorn hands over what has come, and says that there is nothing more."""
        length = {"CONTENT_LENGTH": str(len(door.raw) + 1)}
        for environ in (length, {**length, "wsgi.input_terminated": True}):
            answer = sqlite_world.app.test_client().post(
                door.path,
                data=door.raw,
                headers={door.header: door.signature},
                environ_overrides=environ,
            )
            assert_shape(answer, 400, "body_cut_off")
        assert rows(sqlite_world) == 0

    @each_door
    def test_a_body_in_chunks_is_no_larger_either(self, sqlite_world: World, door: Door) -> None:
        statuses = []
        largest = door.raw[:-1] + b" " * (1024 * 1024 - len(door.raw)) + b"}"
        for raw in (largest, largest + b" ", largest * 2):
            environ = EnvironBuilder(door.path, method="POST", data=raw).get_environ()
            del environ["CONTENT_LENGTH"]
            environ |= {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
            environ["HTTP_" + door.header.upper().replace("-", "_")] = door.sign(raw, door.secret)
            statuses.append(run_wsgi_app(sqlite_world.app, environ)[1][:3])
        assert statuses == ["200", "413", "413"]

    @each_door
    def test_a_database_that_is_away_is_no_fault_of_the_sender(self, door: Door) -> None:
        settings = full_settings(f"postgresql://koji@127.0.0.1:{free_port()}/koji")
        client = create_app(settings).test_client()
        answer = client.post(door.path, data=door.raw, headers={door.header: door.signature})
        if door.path.startswith("/canvas"):
            # The rep gets a card; Intercom would show nothing at all for an error.
            assert (answer.status_code, list(answer.get_json())) == (200, ["canvas"])
        else:
            assert_shape(answer, 503, "database_unavailable")
            assert answer.headers["Retry-After"] == "5"


class TestErrors:
    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    @pytest.mark.parametrize(
        ("path", "allowed"),
        [
            ("/canvas/initialize", {"POST"}),
            ("/canvas/submit", {"POST"}),
            ("/webhooks/koji", {"GET", "HEAD", "POST"}),
            ("/webhooks/intercom", {"GET", "HEAD", "POST"}),
            ("/healthz", {"GET", "HEAD"}),
            ("/i/token", {"GET", "HEAD"}),
            ("/", {"GET", "HEAD"}),
        ],
    )
    def test_a_wrong_method_names_the_right_ones(
        self, client: FlaskClient, method: str, path: str, allowed: set[str]
    ) -> None:
        answer = client.open(path, method=method)
        assert_shape(answer, 405, "method_not_allowed")
        assert set(re.split(", *", answer.headers["Allow"])) - {"OPTIONS"} == allowed

    def test_reading_the_card_is_not_offered(self, client: FlaskClient) -> None:
        assert_shape(client.get("/canvas/initialize"), 405, "method_not_allowed")

    @pytest.mark.parametrize(
        "path",
        [
            "/nothing",
            "/i/",
            "/i/a/b",
            "/healthz/",
            "/canvas//initialize",
            "/static/x",
            "/.env",
            "/%00",
            "/wp-login.php?x=<b>",
        ],
    )
    def test_an_unknown_path_is_answered_in_the_same_shape(self, client: FlaskClient, path: str) -> None:
        answer = client.get(path)
        assert_shape(answer, 404, "not_found")

    def test_a_hostile_host_is_not_repeated(self, client: FlaskClient) -> None:
        answer = client.get("/", headers={"Host": 'x"><script>alert(1)</script>'})
        assert "<script>" not in answer.text

    def test_a_fault_of_ours_tells_its_type_to_the_log_and_nothing_to_the_caller(
        self, app: Flask, log_lines: LogLines
    ) -> None:
        def boom() -> str:
            raise ValueError(PLANTED)

        app.add_url_rule("/boom", view_func=boom)
        answer = app.test_client().get("/boom", headers={"X-Request-Id": "our-request"})
        assert_shape(answer, 500, "internal_error")
        lines = log_lines()
        [failed] = [line for line in lines if line["event"] == "request_failed"]
        assert (failed["error"], failed["level"], failed["request_id"]) == (
            "ValueError",
            "error",
            "our-request",
        )
        assert "boom" in failed["where"][-1]
        assert PLANTED not in answer.text + json.dumps(lines)

    def test_every_refusal_has_a_status_of_its_own_kind(self) -> None:
        def leaves(kind: type[Refused]) -> list[type[Refused]]:
            return [leaf for sub in kind.__subclasses__() for leaf in leaves(sub)] or [kind]

        assert sorted(kind.status for kind in leaves(Refused)) == [400, 401, 401, 404, 413, 422, 429, 503]


class TestRequestId:
    def test_is_the_one_that_was_given(self, client: FlaskClient, log_lines: LogLines) -> None:
        answer = client.get("/healthz", headers={"X-Request-Id": "3f2a-4711-abc"})
        assert answer.headers["X-Request-Id"] == "3f2a-4711-abc"
        [line] = [line for line in log_lines() if line["event"] == "request"]
        assert line["request_id"] == "3f2a-4711-abc"

    @pytest.mark.parametrize("given", [None, "short", "x" * 65, "with space", 'quote"quote', "<script>"])
    def test_is_made_where_none_of_a_known_form_was_given(
        self, client: FlaskClient, log_lines: LogLines, given: str | None
    ) -> None:
        headers = {"X-Request-Id": given} if given else {}
        first, second = (client.get("/healthz", headers=headers).headers["X-Request-Id"] for _ in "ab")
        assert re.fullmatch("[0-9a-f]{32}", first)
        assert first != second
        assert [line["request_id"] for line in log_lines() if line["event"] == "request"] == [first, second]

    def test_is_on_no_line_after_its_request(self, client: FlaskClient, log_lines: LogLines) -> None:
        client.get("/healthz", headers={"X-Request-Id": "3f2a-4711-abc"})
        # As gunicorn says of bytes that are no request, in a thread that has answered one before.
        log.event(logging.getLogger("gunicorn.error"), logging.WARNING, "not_a_request")
        [line] = [line for line in log_lines() if line["event"] == "not_a_request"]
        assert "request_id" not in line


class TestEveryAnswer:
    @pytest.mark.parametrize("path", ["/", "/healthz", "/i/x", "/nothing", "/canvas/initialize"])
    def test_is_not_sniffed_and_gives_no_referrer(self, client: FlaskClient, path: str) -> None:
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"

    def test_is_logged_by_route_and_never_by_path(self, client: FlaskClient, log_lines: LogLines) -> None:
        client.get("/i/planted-token?planted=1", headers={"User-Agent": "planted", "Referer": "planted"})
        client.get("/planted")
        lines = [line for line in log_lines() if line["event"] == "request"]
        assert [(line["method"], line["route"], line["status"]) for line in lines] == [
            ("GET", "/i/<token>", 404),
            ("GET", None, 404),
        ]
        assert all(line["ms"] >= 0 for line in lines)
        assert "planted" not in json.dumps(lines)

    def test_is_timed_from_when_it_came(self, client: FlaskClient, log_lines: LogLines) -> None:
        came = time.monotonic() - 60
        client.get("/healthz", environ_overrides={ARRIVED: came})
        [line] = [line for line in log_lines() if line["event"] == "request"]
        assert 60_000 <= line["ms"] < 120_000


def test_the_routes_are_the_documented_ones(app: Flask) -> None:
    found = {
        (rule.rule, method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"OPTIONS"}
        # What the console has, its own tests walk through.
        if not rule.endpoint.startswith(("console.", "bootstrap."))
    }
    assert found == {
        ("/", "GET"),
        ("/", "HEAD"),
        ("/healthz", "GET"),
        ("/healthz", "HEAD"),
        ("/metrics", "GET"),
        ("/metrics", "HEAD"),
        ("/i/<token>", "GET"),
        ("/i/<token>", "HEAD"),
        ("/canvas/initialize", "POST"),
        ("/canvas/submit", "POST"),
        ("/api/interviews", "POST"),
        ("/api/interviews", "PUT"),
        ("/api/interviews/<interview_id>", "GET"),
        ("/api/interviews/<interview_id>", "HEAD"),
        ("/api/openapi.json", "GET"),
        ("/api/openapi.json", "HEAD"),
        *(
            (f"/webhooks/{vendor}", method)
            for vendor in ("intercom", "koji")
            for method in ("GET", "HEAD", "POST")
        ),
    }


@pytest.mark.parametrize("door", DOORS[2:], ids=lambda door: door.path)
def test_a_door_without_its_secret_believes_nobody(sqlite_url: str, log_lines: LogLines, door: Door) -> None:
    settings = Settings.load({}, database_url=sqlite_url)
    client = create_app(settings).test_client()
    for headers in ({}, {door.header: door.signature}, {door.header: door.sign(door.raw, "")}):
        answer = client.post(door.path, data=door.raw, headers=headers)
        assert_shape(answer, 503, "not_configured")
        assert door.setting in answer.get_json()["message"]
    assert_shape(client.post(door.path, data=b"interview.planted"), 503, "not_configured")
    lines = json.dumps(log_lines())
    assert door.setting in lines
    assert "planted" not in lines


@pytest.mark.parametrize("door", DOORS[:2], ids=lambda door: door.path)
def test_the_card_without_its_secret_says_so_and_believes_nobody(sqlite_url: str, door: Door) -> None:
    client = create_app(Settings.load({}, database_url=sqlite_url)).test_client()
    answers = [
        client.post(door.path, data=door.raw, headers=headers)
        for headers in ({}, {door.header: door.signature}, {door.header: door.sign(door.raw, "")})
    ]
    answers.append(client.post(door.path, data=PLANTED.encode()))
    assert {answer.status_code for answer in answers} == {200}
    [text] = {answer.text for answer in answers}
    assert door.setting in text
    assert "planted" not in text
