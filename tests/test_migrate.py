from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from canvas_app import migrate, store
from canvas_app.interviews import ledger, rulestore
from canvas_app.interviews.states import STATES
from canvas_app.interviews.tables import SCHEMA_VERSION, metadata
from canvas_app.settings import PROJECT_ROOT, Settings
from tests.support.databases import BOTH
from tests.support.world import full_settings


@pytest.fixture(params=BOTH)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without any table."""
    url = f"sqlite:///{tmp_path}/empty.db"
    if request.param == "postgresql":
        url = full_settings(request.getfixturevalue("postgres_url")).database_url
    engine = store.make_engine(url, pool_size=2)
    yield engine
    engine.dispose()


def address(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def differences(engine: Engine) -> list[object]:
    """What Alembic's autogenerate would write into a new migration."""
    with engine.connect() as connection:
        options = {"include_object": migrate.include_object, "compare_type": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def tables(engine: Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names())


def test_a_database_without_tables_has_no_version(empty: Engine) -> None:
    assert migrate.current_version(empty) is None


def test_release_brings_an_empty_database_to_this_version_and_may_be_repeated(empty: Engine) -> None:
    migrate.release(address(empty))
    with store.writing(empty) as connection:
        connection.execute(sa.text("INSERT INTO theme_tags (slug) VALUES ('pricing')"))
    migrate.release(address(empty))
    assert migrate.current_version(empty) == SCHEMA_VERSION
    assert set(metadata.tables) <= tables(empty)
    with store.reading(empty) as connection:
        assert connection.execute(sa.text("SELECT slug FROM theme_tags")).scalars().all() == ["pricing"]


def test_release_leaves_a_newer_schema_as_it_is(engine: Engine, settings: Settings) -> None:
    assert migrate.release(settings.database_url) is None
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(sa.text("INSERT INTO theme_tags (slug) VALUES ('pricing')"))
    assert migrate.release(settings.database_url) == "9999"
    assert migrate.current_version(engine) == "9999"


def test_versions_are_numbers_of_four_digits_that_can_be_compared() -> None:
    # A worker tells an older schema from a newer one by them.
    found = ScriptDirectory(str(PROJECT_ROOT / "migrations")).walk_revisions()
    numbers = [script.revision for script in found]
    assert sorted(numbers, reverse=True) == numbers
    assert all(len(number) == 4 and number.isdecimal() for number in numbers)


def test_the_migrations_make_exactly_the_tables_of_the_code(engine: Engine) -> None:
    assert differences(engine) == []


def test_autogenerate_would_see_a_table_and_a_column_of_ours_that_are_gone(engine: Engine) -> None:
    # So that the test before this one cannot pass because nothing is looked at.
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE theme_tags"))
        connection.execute(sa.text("ALTER TABLE deliveries DROP COLUMN tries"))
        connection.execute(sa.text("DROP INDEX uq_interviews_open"))
        connection.execute(sa.text("CREATE TABLE forgotten (id INTEGER)"))
    kinds = sorted(str(difference[0]) for difference in differences(engine) if isinstance(difference, tuple))
    assert kinds == ["add_column", "add_index", "add_table", "remove_table"]


def test_without_the_filter_the_durable_engines_tables_would_be_dropped(sqlite_url: str) -> None:
    engine = store.make_engine(sqlite_url, pool_size=1)
    with engine.connect() as connection:
        unfiltered = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    dropped = {str(difference[1]) for difference in unfiltered if difference[0] == "remove_table"}
    assert "workflow_status" in dropped


def test_the_code_names_the_newest_migration_and_there_is_one_line_of_them() -> None:
    scripts = ScriptDirectory(str(PROJECT_ROOT / "migrations"))
    assert scripts.get_heads() == [SCHEMA_VERSION]
    assert len(scripts.get_bases()) == 1


def test_every_migration_can_be_taken_back_and_made_again(engine: Engine) -> None:
    before = tables(engine)
    with engine.begin() as connection:
        command.downgrade(migrate.alembic_config(connection), "base")
    # The durable engine's own tables are none of our business.
    assert tables(engine) == before - set(metadata.tables)
    assert migrate.current_version(engine) is None
    with engine.begin() as connection:
        command.upgrade(migrate.alembic_config(connection), "head")
    assert tables(engine) == before
    assert differences(engine) == []


def test_a_migration_that_fails_half_way_leaves_nothing_behind(empty: Engine) -> None:
    # One of the last tables stands in the way of the first migration.
    with empty.begin() as connection:
        connection.execute(sa.text("CREATE TABLE workers (number INTEGER)"))
    with pytest.raises(SQLAlchemyError):
        migrate.release(address(empty))
    assert migrate.current_version(empty) is None
    assert tables(empty) & set(metadata.tables) == {"workers"}
    with empty.begin() as connection:
        connection.execute(sa.text("DROP TABLE workers"))
    migrate.release(address(empty))
    assert differences(empty) == []


def test_an_interview_that_was_sent_before_the_clock_was_there_is_asked_about(engine: Engine) -> None:
    to = migrate.alembic_config
    with engine.begin() as connection:
        command.downgrade(to(connection), "0001")
    with engine.begin() as connection:
        for state in ("sent", "written_back"):
            connection.execute(
                sa.text(
                    "INSERT INTO interviews (id, workspace_id, contact_id, study, origin, state, link_token,"
                    " send_attempt, created_at, state_since, send_before)"
                    " VALUES (:id, 'ws', 'c', 's', 'card', :id, :id, 1, :day, :day, :day)"
                ),
                {"id": state, "day": "2026-11-01 12:00:00"},
            )
            connection.execute(
                sa.text("INSERT INTO outside_writes (interview_id, kind, tries) VALUES (:id, 'message', 1)"),
                {"id": state},
            )

    def writes() -> list[str]:
        query = sa.text("SELECT interview_id FROM outside_writes ORDER BY interview_id")
        with store.reading(engine) as connection:
            return list(connection.execute(query).scalars())

    with engine.begin() as connection:
        command.upgrade(to(connection), "0002")
    assert writes() == ["sent", "written_back"]
    query = sa.text("SELECT id, check_at = state_since, checks, purged_at FROM interviews ORDER BY id")
    with store.reading(engine) as connection:
        rows = [tuple(row) for row in connection.execute(query)]
    assert rows == [("sent", True, 0, None), ("written_back", None, 0, None)]
    with engine.begin() as connection:
        command.downgrade(to(connection), "0001")
    assert writes() == ["sent", "written_back"]
    with store.reading(engine) as connection:
        count = sa.text("SELECT count(*) FROM interviews")
        assert connection.execute(count).scalar_one() == 2


def test_what_was_there_before_rules_and_studies_stays_as_it_is(engine: Engine, settings: Settings) -> None:
    to = migrate.alembic_config
    with engine.begin() as connection:
        command.downgrade(to(connection), "0002")
    states = [state for state in STATES if state not in ("planned", "skipped")]
    moment = "2026-11-01 12:00:00"
    with engine.begin() as connection:
        for state in states:
            connection.execute(
                sa.text(
                    "INSERT INTO interviews (id, workspace_id, contact_id, conversation_id, study, origin,"
                    " state, link_token, send_attempt, created_at, state_since, send_before, sent_at, result)"
                    " VALUES (:id, 'ws', :id, '501', 'default', 'card', :id, :id, 1, :day, :day, :day, :day,"
                    """ '{"sentiment": "negative"}')"""
                ),
                {"id": state, "day": moment},
            )
        connection.execute(
            sa.text(
                "INSERT INTO deliveries (id, door, dedupe_key, event, state, attempt, waits, fills, tries,"
                " received_at) VALUES ('d', 'koji', 'k', 'e', 'stored', 1, 0, 0, 0, :day)"
            ),
            {"day": moment},
        )
    for _ in range(2):
        assert migrate.release(settings.database_url) is None
        with store.reading(engine) as connection:
            rows = [ledger.existing(connection, state) for state in states]
            assert connection.execute(sa.text("SELECT count(*) FROM deliveries")).scalar_one() == 1
            assert rulestore.listed(connection) == []
        assert [row.state for row in rows] == states
        assert {row.deliver for row in rows} == {"conversation"}
        assert {row.conversation_id for row in rows} == {"501"}
        assert {(row.rule, row.not_before, row.remind_at, row.credits) for row in rows} == {(None,) * 4}
        assert differences(engine) == []
        # And once more, after a release was taken back.
        with engine.begin() as connection:
            command.downgrade(to(connection), "0002")


@pytest.mark.slow
def test_two_releases_at_once_take_turns(postgres_url: str) -> None:
    environment = {**os.environ, "DATABASE_URL": postgres_url}
    releases = [
        subprocess.Popen(
            [sys.executable, "-m", "canvas_app", "release"],
            cwd=PROJECT_ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    said = [release.communicate(timeout=60)[0] for release in releases]
    assert [release.returncode for release in releases] == [0, 0], said
    engine = store.make_engine(full_settings(postgres_url).database_url, pool_size=1)
    assert migrate.current_version(engine) == SCHEMA_VERSION
    assert differences(engine) == []
    engine.dispose()


def test_a_release_that_meets_the_work_of_others_is_made_all_the_same(postgres_url: str) -> None:
    """Where each waits for the other, PostgreSQL ends one of them: here the release, which has come last."""
    url = full_settings(postgres_url).database_url
    migrate.release(url)
    engine = store.make_engine(url, pool_size=5)
    with engine.begin() as connection:
        command.downgrade(migrate.alembic_config(connection), "0003")
    with engine.connect() as one, engine.connect() as other, ThreadPoolExecutor() as beside:
        # Whoever looks first is ended.
        one.execute(sa.text("SET deadlock_timeout = '1min'"))
        one.execute(sa.text("LOCK TABLE gates IN ROW EXCLUSIVE MODE"))
        other.execute(sa.text("LOCK TABLE deliveries IN ROW EXCLUSIVE MODE"))
        release = beside.submit(migrate.release, url)
        # It has changed the interviews, and waits for the deliveries.
        wait_for_a_lock(engine, "deliveries")
        waiting = beside.submit(one.execute, sa.text("SELECT count(*) FROM interviews"))
        wait_for_a_lock(engine, "interviews")
        # Now it comes to the gates.
        other.rollback()
        waiting.result(timeout=30)
        one.rollback()
        assert release.result(timeout=30) is None
    assert migrate.current_version(engine) == SCHEMA_VERSION
    assert differences(engine) == []
    engine.dispose()


def wait_for_a_lock(engine: Engine, table: str) -> None:
    query = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = CAST(:name AS regclass)")
    deadline = time.monotonic() + 20
    with store.reading(engine) as connection:
        while not connection.execute(query, {"name": table}).scalar_one():
            assert time.monotonic() < deadline, f"nobody waits for {table}"
            time.sleep(0.02)


def test_looking_at_the_version_again_and_again_keeps_nothing(sqlite_url: str) -> None:
    """The web looks with every card, and SQLAlchemy keeps statements that it has not seen before."""
    engine = store.make_engine(sqlite_url, pool_size=1)
    migrate.current_version(engine)
    kept = len(engine._compiled_cache or ())
    for _ in range(20):
        assert migrate.current_version(engine) == SCHEMA_VERSION
    assert len(engine._compiled_cache or ()) == kept
    engine.dispose()
