from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from dbos import WorkflowStatus
from dbos._sys_db import SystemDatabase
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from canvas_app import store
from canvas_app.claims import Claims
from canvas_app.engine import QUEUE, VERSION, Jobs

Claim = Callable[[str], list[str]]


@pytest.fixture
def jobs(engine: Engine) -> Iterator[Jobs]:
    jobs = Jobs(engine)
    jobs._client.register_queue(QUEUE, partition_concurrency=1, worker_concurrency=8)
    with store.writing(engine) as connection:
        for job_id in ("first", "second"):
            jobs.enqueue(connection, "send", "i1", 1, job_id=job_id, partition="ws:c1")
    yield jobs
    jobs.close()


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> Claims:
    # So that they are themselves again after the test.
    for name in ("start_queued_workflows", "start_queued_partitioned_workflows"):
        monkeypatch.setattr(SystemDatabase, name, getattr(SystemDatabase, name))
    claims = Claims()
    claims.watch()
    return claims


@pytest.fixture
def claim(jobs: Jobs, claims: Claims) -> Claim:
    """Claims under a token, as a worker's queue does; answers with the ids of the jobs that are to start."""
    queue: Any = jobs._client.retrieve_queue(QUEUE)

    def claim(token: str) -> list[str]:
        return jobs._client._sys_db.start_queued_partitioned_workflows(
            queue, "executor", VERSION, 8, owner_xid=token
        )

    return claim


@pytest.fixture
def break_off(engine: Engine, claim: Claim, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Claims with a connection that breaks before the database makes the commit, or after it."""

    def break_off(token: str, *, kept: bool = True, breaks: bool = True) -> None:
        dialect = engine.dialect
        commit, error = dialect.do_commit, dialect.loaded_dbapi.OperationalError

        def commit_unheard(connection: Any) -> None:
            if kept:
                commit(connection)
            raise error("planted")

        with monkeypatch.context() as broken:
            broken.setattr(dialect, "do_commit", commit_unheard)
            broken.setattr(dialect, "is_disconnect", lambda *_: breaks)
            with pytest.raises(DBAPIError):
                claim(token)

    return break_off


def job(jobs: Jobs, job_id: str) -> WorkflowStatus:
    [job] = jobs._client.list_workflows(workflow_ids=[job_id])
    return job


def test_a_claim_that_was_kept_without_an_answer_holds_its_contacts_line_until_it_is_put_back(
    engine: Engine, jobs: Jobs, claims: Claims, claim: Claim, break_off: Callable[..., None]
) -> None:
    break_off("lost")
    assert (job(jobs, "first").status, claim("next")) == ("PENDING", [])
    assert claims.put_back(engine) == 1
    assert (job(jobs, "first").status, job(jobs, "first").dequeued_at) == ("ENQUEUED", None)
    assert claim("another") == ["first"]
    # What has been put back is running under another claim, and is none of the lost one's.
    assert claims.put_back(engine) == 0
    # The engine counts how often it was claimed, as with every recovery.
    assert job(jobs, "first").recovery_attempts == 2


def test_a_claim_that_was_answered_is_left_alone(
    engine: Engine, jobs: Jobs, claims: Claims, claim: Claim
) -> None:
    assert claim("answered") == ["first"]
    assert claims.put_back(engine) == 0
    assert job(jobs, "first").status == "PENDING"


def test_a_claim_that_the_database_did_not_keep_leaves_nothing_to_put_back(
    engine: Engine, jobs: Jobs, claims: Claims, claim: Claim, break_off: Callable[..., None]
) -> None:
    break_off("lost", kept=False)
    assert job(jobs, "first").status == "ENQUEUED"
    assert claims.put_back(engine) == 0
    assert claim("next") == ["first"]
    assert claims.put_back(engine) == 0


def test_a_claim_is_put_back_also_where_the_database_keeps_it_later(
    engine: Engine, jobs: Jobs, claims: Claims, claim: Claim, break_off: Callable[..., None]
) -> None:
    break_off("lost", kept=False)
    assert claims.put_back(engine) == 0
    # Its commit waited in the server when the connection broke.
    claim("lost")
    assert claims.put_back(engine) == 1
    assert job(jobs, "first").status == "ENQUEUED"


def test_a_claim_that_the_database_itself_has_refused_is_not_remembered(
    engine: Engine, claims: Claims, claim: Claim, break_off: Callable[..., None]
) -> None:
    # With a database that refuses them for hours, those that may have been kept would be forgotten.
    break_off("refused", kept=False, breaks=False)
    assert not claims._broken_off
    assert claim("next") == ["first"]


def test_only_jobs_of_the_lost_claim_are_put_back(
    engine: Engine, jobs: Jobs, claims: Claims, claim: Claim, break_off: Callable[..., None]
) -> None:
    assert claim("answered") == ["first"]
    with store.writing(engine) as connection:
        jobs.enqueue(connection, "send", "i2", 1, job_id="another's", partition="ws:c2")
    break_off("lost")
    assert claims.put_back(engine) == 1
    assert (job(jobs, "first").status, job(jobs, "another's").status) == ("PENDING", "ENQUEUED")


def test_what_the_clock_has_claimed_is_put_back_as_well(
    engine: Engine, jobs: Jobs, claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its queue has no partitions, and the engine claims from it in another way.
    def breaks(*_args: object, **_options: object) -> None:
        raise DBAPIError("", {}, Exception(), connection_invalidated=True)

    queue: Any = jobs._client.retrieve_queue(QUEUE)
    with monkeypatch.context() as broken:
        broken.setattr(SystemDatabase, "_begin", breaks)
        with pytest.raises(DBAPIError):
            jobs._client._sys_db.start_queued_workflows(queue, "executor", VERSION, None, owner_xid="lost")
    schema = "dbos." if engine.dialect.name == "postgresql" else ""
    with store.writing(engine) as connection:
        connection.execute(
            sa.text(f"UPDATE {schema}workflow_status SET status = 'PENDING', owner_xid = 'lost'")  # noqa: S608 -- a name of ours
        )
    assert claims.put_back(engine) == 2
