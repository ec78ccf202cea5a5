"""A clock that can be moved: what becomes older, what does not, and a delay of days that is watched."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa
from dbos._schemas.system_database import SystemSchema

from canvas_app import store
from canvas_app.engine import Jobs
from canvas_app.interviews.tables import gates, interviews, metadata, outside_writes, workers
from sandbox import acts, clock, seed
from sandbox.checking import until
from sandbox.running import everything
from sandbox.server import Sandbox
from sandbox.state import Part
from tests.interviews.asks import write
from tests.sandbox.test_playing import press, scripted
from tests.support.databases import on_sqlite

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

    from sandbox.running import Running

WEEK = timedelta(days=7)


def moments(connection: Connection) -> dict[tuple[str, str], datetime | None]:
    """Every moment of the application's tables, which have one row each."""
    return {
        (table.name, column.name): connection.execute(sa.select(column)).scalar_one_or_none()
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, store.UtcDateTime)
    }


def job(connection: Connection) -> dict[str, Any]:
    """What the engine has stored of the one job."""
    table = clock._engine_table(connection)
    return dict(connection.execute(sa.select(table)).mappings().one())


@pytest.fixture
def planted(engine: Engine) -> Engine:
    """A database with a delayed job, and with what a running worker writes."""
    interview = write(engine)
    jobs = Jobs(engine)
    with store.writing(engine) as connection:
        now = store.now(connection)
        connection.execute(sa.delete(clock._engine_table(connection)))
        connection.execute(sa.update(interviews).values(created_at=now, not_before=now + WEEK))
        connection.execute(sa.insert(workers).values(executor_id="w", renewed_at=now))
        connection.execute(sa.insert(gates).values(key="k", due_at=now, blocked_until=now + WEEK))
        connection.execute(
            sa.insert(outside_writes).values(
                interview_id=interview.id, kind="message", claim="c", claimed_at=now, tries=1
            )
        )
        delay = WEEK.total_seconds()
        jobs.enqueue(connection, "send", interview.id, 1, job_id="send:1", partition="p", delay=delay)
    jobs.close()
    return engine


def test_every_moment_of_the_app_is_known_and_every_one_of_the_engines_jobs(engine: Engine) -> None:
    with store.reading(engine) as connection:
        found = {
            (table.name, name)
            for table, names in clock._moments(connection).items()
            if table.name != clock.ENGINE_TABLE
            for name in names
        }
        assert found == set(moments(connection))
    assert found >= clock.OF_PROCESSES
    numbers = {column.name for column in SystemSchema.workflow_status.c if type(column.type) is sa.BigInteger}
    assert numbers - set(clock.ENGINE_MOMENTS) == {"recovery_attempts", "workflow_timeout_ms"}


def test_all_becomes_older_but_what_a_running_worker_holds(planted: Engine) -> None:
    with store.writing(planted) as connection:
        before, job_before = moments(connection), job(connection)
        clock.make_older(connection, WEEK)
        after, job_after = moments(connection), job(connection)
    assert job_after["status"] == "DELAYED"
    for name in clock.ENGINE_MOMENTS:
        was = job_before[name]
        assert job_after[name] == (None if was is None else was - 7 * 86_400_000), name
    assert job_after["delay_until_epoch_ms"] <= time.time() * 1000
    for place, then in before.items():
        moved = then if then is None or place in clock.OF_PROCESSES else then - WEEK
        assert after[place] == moved, place


def test_a_lease_that_is_stale_anyway_becomes_older_too(planted: Engine) -> None:
    with store.writing(planted) as connection:
        long_ago = store.now(connection) - 2 * clock.FRESH
        connection.execute(sa.update(workers).values(renewed_at=long_ago))
        clock.make_older(connection, WEEK)
        assert moments(connection)["workers", "renewed_at"] == long_ago - WEEK


def test_microseconds_and_the_hour_that_is_lost_in_spring_are_kept(planted: Engine) -> None:
    moment = datetime(2026, 4, 1, 2, 30, 0, 123_457, tzinfo=UTC)
    with store.writing(planted) as connection:
        if planted.dialect.name == "postgresql":
            connection.execute(sa.text("SET LOCAL TIME ZONE 'Europe/Berlin'"))
        connection.execute(sa.update(interviews).values(created_at=moment))
        clock.make_older(connection, WEEK)
        assert moments(connection)["interviews", "created_at"] == moment - WEEK


def test_nothing_is_moved_while_others_write(
    planted: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "PATIENCE", 0.2)
    with Sandbox(database_url=database_url) as sandbox:
        with store.writing(planted) as connection:
            connection.execute(sa.update(interviews).values(contact_name="Somebody"))
            with pytest.raises(acts.ActRefused, match="could not be used: OperationalError"):
                sandbox.clock.let_pass(timedelta(hours=1))
            before = moments(connection)
        sandbox.clock.let_pass(timedelta(hours=1))
    with store.reading(planted) as connection:
        after = moments(connection)
    was, now = before["interviews", "created_at"], after["interviews", "created_at"]
    assert was is not None
    assert now == was - timedelta(hours=1)


def test_the_stand_ins_become_older_too(database_url: str) -> None:
    with Sandbox(database_url=database_url) as sandbox:
        intercom, koji = sandbox.state.intercom, sandbox.state.koji
        talk, contact = intercom.conversation("1001"), intercom.contact(seed.MARTA)
        acts.rate(intercom, talk, contact, 2, None)
        acts.tag_contact(intercom, contact, "vip", by=seed.ADA)
        acts.tag_part(intercom, talk, talk.parts[0].id, "bug", by=seed.ADA)
        interview = koji.start(koji.studies[sandbox.koji_key], {})
        koji.answer(interview.id, answers=["It was fast."])

        def all_moments() -> list[float]:
            assert talk.rating is not None
            tags = [*talk.tags.values(), *contact.tags.values()]
            assert interview.completed_at is not None
            koji_moments = (interview.started_at, interview.completed_at)
            return [
                *(datetime.fromisoformat(moment).timestamp() for moment in koji_moments),
                *(part.created_at for part in (talk.source, *talk.parts)),
                *(tag.applied_at for tag in tags),
                talk.rating.created_at,
                talk.created_at,
                talk.updated_at,
                contact.created_at,
                contact.updated_at,
            ]

        before = all_moments()
        sandbox.clock.let_pass(timedelta(days=1))
        assert [was - now for was, now in zip(before, all_moments(), strict=True)] == pytest.approx(
            [86_400.0] * len(before)
        )
        assert all(isinstance(part, Part) for part in talk.parts)


def test_where_the_database_is_not_known_no_time_passes(pages: httpx.Client) -> None:
    answer = pages.post("/_sandbox/time", json={"days": 1})
    assert (answer.status_code, answer.json()["error"]) == (400, "refused")
    assert "does not know the application's database" in answer.json()["message"]
    assert 'name="span"' not in pages.get("/inbox/1001").text


@pytest.mark.parametrize(
    "body", [{}, {"days": 0}, {"days": -1}, {"days": 367}, {"days": 1e9}, {"weeks": 1}, {"hours": True}]
)
def test_a_span_that_makes_no_sense_is_refused(sqlite_url: str, body: dict[str, Any]) -> None:
    with Sandbox(database_url=sqlite_url) as sandbox:
        answer = httpx.post(f"{sandbox.intercom_url}/_sandbox/time", json=body, trust_env=False)
        assert (answer.status_code, answer.json()["error"]) == (400, "refused")


def test_a_database_that_is_away_or_empty_is_told(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path / 'empty.db'}", "postgresql://nobody@127.0.0.1:9/nothing"):
        with Sandbox(database_url=url) as sandbox:
            with pytest.raises(acts.ActRefused, match="OperationalError") as told:
                sandbox.clock.let_pass(WEEK)
            assert "nobody" not in str(told.value)


def test_the_page_lets_time_pass_and_opens_the_conversation_anew(sqlite_url: str) -> None:
    with (
        Sandbox(database_url=sqlite_url) as sandbox,
        httpx.Client(base_url=sandbox.intercom_url, trust_env=False, timeout=10) as pages,
    ):
        offered = pages.get("/inbox/1001").text
        for span in clock.SPANS:
            assert f'name="span" value="{span}"' in offered
        talk = sandbox.state.intercom.conversation("1001")
        before = talk.updated_at
        page = press(pages, "time", span="7 days")
        assert (page.status_code, "kept" in page.url.params) == (200, False)
        assert before - talk.updated_at == 7 * 86_400
        assert scripted(pages, "time", span="1 hour")["moved"] == f"/inbox/1001?contact={seed.MARTA}"
        assert press(pages, "time", span="1 year").status_code == 400


# With real processes --------------------------------------------------------------------------------


def play(running: Running, path: str, **body: Any) -> None:
    address = f"{running.sandbox.intercom_url}/_sandbox{path}"
    answer = httpx.post(address, json=body, trust_env=False, timeout=60)
    assert answer.is_success, answer.text


def state_of_the_one(running: Running) -> str | None:
    engine = store.make_engine(running.app.environment["DATABASE_URL"], pool_size=1)
    with store.reading(engine) as connection:
        return connection.execute(sa.select(interviews.c.state)).scalar_one_or_none()


def close_with_a_rule(running: Running, delay: str) -> None:
    """A rule of this delay is switched on, and a conversation closed, by which an interview is planned."""
    event = ("--title", "Later", "--event", "conversation.admin.closed", "--delay", delay)
    running.app.command("rules", "add", "later", *event)
    running.app.command("rules", "on", "later")
    play(running, f"/conversations/{seed.LEADS_CONVERSATION}/close")
    until("it is planned", lambda: state_of_the_one(running) == "planned")


def messages(running: Running) -> int:
    return len(running.sandbox.state.intercom.comments(seed.LEADS_CONVERSATION))


@pytest.mark.slow
@on_sqlite
def test_a_delay_of_seven_days_is_watched_and_one_interview_goes_out_by_itself(database_url: str) -> None:
    with everything(database_url=database_url) as running:
        close_with_a_rule(running, "7 days")
        worker, before = running.app.processes["worker"], messages(running)
        play(running, "/time", days=6)
        assert (state_of_the_one(running), messages(running)) == ("planned", before)
        # Time stops at its moment until the worker, which looks once a second, has sent it.
        play(running, "/time", days=1)
        assert (state_of_the_one(running), messages(running)) == ("sent", before + 1)
        # Its link is open for OPEN_DAYS, which are 14.
        play(running, "/time", days=7)
        assert (state_of_the_one(running), messages(running)) == ("sent", before + 1)
        assert len(running.sandbox.state.koji.interviews) == 1
        assert httpx.get(f"{running.app.url}/healthz", trust_env=False).status_code == 200
        assert worker.poll() is None
        assert "lease_lost" not in (running.app.logs / "worker.log").read_text()


@pytest.mark.slow
@on_sqlite
def test_what_comes_due_on_the_way_is_done_at_its_moment(database_url: str) -> None:
    with everything(database_url=database_url) as running:
        close_with_a_rule(running, "1 day")
        before = messages(running)
        # Found only now, it would be six days late, and not be sent.
        play(running, "/time", days=7)
        assert (state_of_the_one(running), messages(running)) == ("sent", before + 1)
