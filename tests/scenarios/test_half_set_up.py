"""Half set up: each setting missing alone and all of them, no worker, no tables, tables of a newer version.

Whatever is missing, every door answers with something clear and nobody meets a stack trace.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from canvas_app import create_app, leases, store
from canvas_app.engine import Jobs
from canvas_app.settings import Settings
from canvas_app.worker import make_services
from tests.support.databases import BOTH
from tests.support.doors import DOORS, Door
from tests.support.world import KOJI_LINK, World, component, full_settings, texts

LogLines = Callable[[], list[dict[str, Any]]]

INITIALIZE, SUBMIT, INTERCOM, KOJI = DOORS

NEEDED = [
    "SECRET_KEY",
    "PUBLIC_URL",
    "INTERCOM_CLIENT_SECRET",
    "INTERCOM_ACCESS_TOKEN",
    "KOJI_API_KEY",
    "KOJI_WEBHOOK_SECRET",
]

# Which doors do not open without which setting. The others go on: a missing key of Koji's is no reason to
# lose what Intercom sends.
CLOSED = {
    "INTERCOM_CLIENT_SECRET": {INTERCOM.path},
    "KOJI_WEBHOOK_SECRET": {KOJI.path},
}


@pytest.fixture(autouse=True)
def _no_worker_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("canvas_app.canvas.views._WATCH_SECONDS", 0.0)


@contextmanager
def app_with(settings: Settings) -> Iterator[FlaskClient]:
    app = create_app(settings)
    yield app.test_client()
    app.extensions["koji_for_intercom"].engine.dispose()


def without(database_url: str, names: list[str]) -> Settings:
    """Everything but these settings."""
    nothing = {name.lower(): None if name == "PUBLIC_URL" else "" for name in names}
    return full_settings(database_url, **nothing)


def knock(client: FlaskClient, door: Door) -> Any:
    return client.post(door.path, data=door.raw, headers={door.header: door.signature})


@pytest.mark.parametrize("missing", [*([name] for name in NEEDED), NEEDED], ids=[*NEEDED, "all of them"])
class TestMissingSettings:
    @pytest.fixture
    def client(self, sqlite_url: str, missing: list[str]) -> Iterator[FlaskClient]:
        with app_with(without(sqlite_url, missing)) as client:
            yield client

    def test_the_card_names_them_and_nothing_is_written(
        self, client: FlaskClient, missing: list[str]
    ) -> None:
        for door in (INITIALIZE, SUBMIT):
            answer = knock(client, door)
            assert answer.status_code == 200
            card = answer.get_json()["canvas"]
            assert [name for name in NEEDED if name in texts(card)] == missing
            assert component(card, "send") is None
        with store.reading(client.application.extensions["koji_for_intercom"].engine) as connection:
            assert connection.execute(sa.text("SELECT count(*) FROM interviews")).scalar_one() == 0

    def test_a_webhook_is_refused_only_where_it_cannot_be_verified(
        self, client: FlaskClient, missing: list[str]
    ) -> None:
        closed = set().union(*(CLOSED.get(name, set()) for name in missing))
        for door in (INTERCOM, KOJI):
            answer = knock(client, door)
            if door.path in closed:
                assert (answer.status_code, answer.get_json()["error"]) == (503, "not_configured")
                assert door.setting in answer.get_json()["message"]
            else:
                assert (answer.status_code, answer.get_json()) == (200, {"status": "stored"})

    def test_the_address_can_be_saved_at_both_vendors(self, client: FlaskClient, missing: list[str]) -> None:
        for path in (INTERCOM.path, KOJI.path):
            assert client.get(path).status_code == 200
            assert client.head(path).status_code == 200
        assert client.post(KOJI.path, data=b"{}").status_code == 200

    def test_the_first_page_and_the_health_name_them(self, client: FlaskClient, missing: list[str]) -> None:
        page = client.get("/")
        assert page.status_code == 200
        assert [name for name in NEEDED if f"<code>{name}</code> is missing" in page.text] == missing
        assert client.get("/healthz").get_json()["missing"] == missing

    def test_a_link_that_cannot_be_checked_is_an_unknown_link(
        self, client: FlaskClient, missing: list[str]
    ) -> None:
        answer = client.get("/i/abc")
        assert answer.status_code == 404

    def test_a_worker_has_the_wires_that_it_has_the_credentials_for(
        self, sqlite_url: str, missing: list[str]
    ) -> None:
        engine = store.make_engine(sqlite_url, pool_size=1)
        services = make_services(without(sqlite_url, missing), engine)
        study = services.study("default")
        engine.dispose()
        assert (services.intercom_client is None) == ("INTERCOM_ACCESS_TOKEN" in missing)
        assert (study.api_key is None) == ("KOJI_API_KEY" in missing)


@pytest.mark.parametrize("name", ["INTERCOM_ACCESS_TOKEN", "KOJI_API_KEY"])
def test_what_was_asked_for_waits_for_a_setting_that_is_missing_in_the_worker(
    world: World, name: str
) -> None:
    # The web process and the worker are deployed apart, and the worker was forgotten.
    world.vendors_are_well()
    world.initialize()
    world.submit("send")
    complete = world.services
    world.services = make_services(without(world.settings.database_url, [name]), world.engine)
    world.run_jobs()
    assert world.interview().state == "sending"
    assert "A setting of the app is missing" in texts(world.initialize())
    assert world.calls("POST", "/reply") == []
    world.services = complete
    world.run_jobs(delayed=True)
    assert world.interview().state == "sent"
    assert len(world.calls("POST", "/reply")) == 1


def test_a_web_without_a_worker_takes_a_tap_and_says_who_is_missing(world: World) -> None:
    world.initialize()
    card = world.submit("send")
    assert "is not running" in texts(card)
    assert component(card, "refresh") is not None
    answer = world.get("/healthz")
    assert (answer.status_code, answer.get_json()["down"]) == (503, ["worker"])
    assert "python -m canvas_app worker" in world.get("/").text
    # Nothing is lost by it: the first worker that comes sends it.
    world.vendors_are_well()
    leases.take(world.engine)
    world.run_jobs()
    assert "is not running" not in texts(world.initialize())
    assert world.interview().state == "sent"


class TestWithoutTables:
    """The web was started before ``release``."""

    @pytest.fixture(params=BOTH)
    def client(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FlaskClient]:
        url = f"sqlite:///{tmp_path}/empty.db"
        if request.param == "postgresql":
            url = request.getfixturevalue("postgres_url")
        with app_with(full_settings(url)) as client:
            yield client

    @pytest.mark.parametrize("door", DOORS, ids=lambda door: door.path)
    def test_every_door_says_that_it_cannot_yet(
        self, client: FlaskClient, log_lines: LogLines, door: Door
    ) -> None:
        answer = knock(client, door)
        if door in (INITIALIZE, SUBMIT):
            assert answer.status_code == 200
            card = answer.get_json()["canvas"]
            assert component(card, "refresh") is not None
            assert component(card, "send") is None
        else:
            assert (answer.status_code, answer.get_json()["error"]) == (503, "database_unavailable")
            assert int(answer.headers["Retry-After"]) > 0
        assert "planted" not in answer.text
        assert "planted" not in json.dumps(log_lines())

    def test_the_first_page_tells_the_command(self, client: FlaskClient) -> None:
        assert client.get("/healthz").get_json()["down"] == ["schema"]
        assert "python -m canvas_app release" in client.get("/").text


class TestTablesOfANewerVersion:
    """The next version was released, and this one's processes are still there."""

    @pytest.fixture
    def world(self, world: World) -> World:
        # Migrations only add, while two versions are at work beside each other.
        with world.engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
            connection.execute(sa.text("ALTER TABLE interviews ADD COLUMN of_tomorrow VARCHAR(10)"))
            connection.execute(sa.text("ALTER TABLE deliveries ADD COLUMN of_tomorrow INTEGER DEFAULT 1"))
            connection.execute(sa.text("CREATE TABLE tomorrows (id INTEGER PRIMARY KEY)"))
        return world

    def test_what_comes_is_done_all_the_same(self, world: World) -> None:
        world.send()
        link = f"/i/{world.interview().link_token}"
        assert world.get(link, headers={"User-Agent": "Mozilla/5.0"}).headers["Location"] == KOJI_LINK
        world.intercom_takes("attributes", "tags")
        assert world.koji_event(world.result()).status_code == 200
        world.run_jobs()
        assert world.interview().state == "written_back"

    def test_the_health_is_red_and_says_what_to_do(self, world: World) -> None:
        leases.take(world.engine)
        answer = world.get("/healthz")
        assert (answer.status_code, answer.get_json()["down"]) == (503, ["schema"])
        page = world.get("/").text
        assert "deploy the newer version again" in page
        # It would do nothing.
        assert "python -m canvas_app release" not in page


def test_no_setting_that_the_app_needs_is_left_out_above(sqlite_url: str) -> None:
    nothing = Settings.load({}, database_url=sqlite_url)
    assert nothing.missing_for_card() == NEEDED


def test_the_jobs_of_a_web_without_tables_are_not_made_in_secret(tmp_path: Path) -> None:
    engine = store.make_engine(f"sqlite:///{tmp_path}/empty.db", pool_size=1)
    jobs = Jobs(engine)
    with pytest.raises(sa.exc.SQLAlchemyError), store.writing(engine) as connection:
        jobs.enqueue(connection, "read_workspace", job_id="a", partition="b")
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()
