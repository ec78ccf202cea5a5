"""The durable engine: DBOS, kept in our own database (https://docs.dbos.dev/python/programming-guide).

A job is **one short attempt**. Nothing sleeps inside one: what has to wait is enqueued again with a delay, in
the same transaction that writes down why. Only a dry run takes minutes: it changes nothing but what it has
found, and is begun anew where it was interrupted. This module knows how jobs are enqueued and where the
engine keeps its tables; what the jobs do, :mod:`canvas_app.worker` puts together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions
from dbos._sys_db import SystemDatabase
from sqlalchemy.engine import Connection, Engine

APPLICATION = "koji-for-intercom"

# Never changes: work that is enqueued under one version is not taken by another, also not after a rollback.
# A changed workflow branches with DBOS.patch instead.
VERSION = "1"

# JSON and not pickle: what stands in the database is data, and a reader of it runs no code.
SERIALIZER = DBOSPortableJSONSerializer()

# A job that the clock starts: the tick's time in ISO 8601, and a context that is not used.
Tick = Callable[[str, None], None]


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job starts by itself: a cron line in UTC. One worker of all runs a tick: its time is in its id.

    ``made_up_for``: a tick that no worker was there for is run when one starts. Whether it is too late by
    then, the job says.
    """

    cron: str
    made_up_for: bool


JobName = Literal[
    "send",
    "forward",
    "react",
    "remind",
    "close_again",
    "clear_link",
    "read_workspace",
    "replay",
    "erase",
    "set_up",
    "rehearse",
]

# Taps are waited for by a person; looking for work costs CPU, so that only their queue is looked at often.
FAST_QUEUE = "taps"
QUEUE = "work"
POLLING_SECONDS = {FAST_QUEUE: 0.2, QUEUE: 0.5}

# How many jobs of a queue one worker runs at a time. They wait for the network, not for the processor. Each
# time it looks it takes up no more than these, so that both together bound what it can do: 48 jobs a second.
CONCURRENCY = {FAST_QUEUE: 8, QUEUE: 24}

# What is still to be run, or is running; and what is over for good.
_LIVING = ("DELAYED", "ENQUEUED", "PENDING")
_LIVING_IN_WORDS = ("status IN ('ENQUEUED', 'PENDING')", "status = 'DELAYED'")
_FINISHED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


class Jobs:
    """Enqueues jobs inside the caller's transaction. It connects to nothing by itself."""

    def __init__(self, engine: Engine) -> None:
        self._client = DBOSClient(
            system_database_engine=engine,
            serializer=SERIALIZER,
            application_name=APPLICATION,
            lazy=True,
            # A web process answers "not now" rather than wait for its database to come back.
            retry_connection_errors=False,
        )

    def enqueue(
        self,
        connection: Connection,
        name: JobName,
        *args: str | int,
        job_id: str,
        partition: str,
        delay: float = 0.0,
        fast: bool = False,
    ) -> None:
        """Write a job in the caller's transaction.

        ``job_id`` names one attempt: a job id that was enqueued before is not enqueued again. Jobs of one
        ``partition`` (a contact) and one queue run one at a time, in order; on SQLite the order within one
        second is not kept. ``delay`` is in seconds. The engine is told a hash of the partition's name only.
        """
        options: EnqueueOptions = {
            "workflow_name": name,
            "queue_name": FAST_QUEUE if fast else QUEUE,
            "workflow_id": job_id,
            "queue_partition_key": partition_key(partition),
            "app_version": VERSION,
        }
        if delay > 0:
            options["delay_seconds"] = delay
        self._client.enqueue_in_transaction(connection, options, *args)
        if delay > 0 and connection.dialect.name == "postgresql":
            # The engine has reckoned by this machine's clock, and another machine's may tell when it is over.
            jobs = _table(connection)
            waits = sa.update(jobs).where(jobs.c.workflow_uuid == job_id, jobs.c.status == "DELAYED")
            over_at = _database_ms() + round(delay * 1000)
            connection.execute(waits.values(delay_until_epoch_ms=over_at))

    def purge(self, *, before: datetime, most: int) -> int:
        """Delete the oldest finished jobs that were enqueued ``before``, with all that is kept of them.

        At most ``most`` of them, in one short transaction that locks nothing but their own rows; returns how
        many there were. Jobs that wait or run are left alone, however old they are.
        https://docs.dbos.dev/python/reference/client
        """
        finished = self._client.list_workflows(
            status=list(_FINISHED),
            end_time=before.isoformat(),
            limit=most,
            load_input=False,
            load_output=False,
        )
        if finished:
            self._client.delete_workflows([job.workflow_id for job in finished])
        return len(finished)

    def forget_partition(self, connection: Connection, partition: str) -> int:
        """Take a partition's name out of the jobs of earlier versions, which had it as it is; how many.

        Their order stays: they wait in line with those that were enqueued under its hash.
        """
        jobs = _table(connection)
        named = sa.update(jobs).where(jobs.c.queue_partition_key == partition)
        return connection.execute(named.values(queue_partition_key=partition_key(partition))).rowcount

    def close(self) -> None:
        self._client.destroy()


def partition_key(partition: str) -> str:
    """What the engine knows a partition by. Its history outlives what is erased, so it names nobody."""
    return hashlib.sha256(partition.encode()).hexdigest()[:32]


def has_no_job(connection: Connection, job_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """For a query's WHERE: no job of this id waits or runs.

    The engine's public calls cannot be part of a query, and asking it about each row apart would be many.
    """
    jobs = _table(connection)
    living = sa.select(sa.literal(1)).where(jobs.c.workflow_uuid == job_id, jobs.c.status.in_(_LIVING))
    return ~living.exists()


def has_no_job_like(connection: Connection, job_ids: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """For a query's WHERE: no job waits or runs whose id begins so."""
    jobs = _table(connection)
    begins_so = jobs.c.workflow_uuid.like(job_ids + "%")
    living = sa.select(sa.literal(1)).where(begins_so, jobs.c.status.in_(_LIVING))
    return ~living.exists()


def due(connection: Connection, job_ids: Collection[str]) -> dict[str, datetime | None]:
    """Of these jobs those that wait or run: when their turn comes, None where it has come."""
    jobs = _table(connection)
    rows = connection.execute(
        sa.select(jobs.c.workflow_uuid, jobs.c.status, jobs.c.delay_until_epoch_ms).where(
            jobs.c.workflow_uuid.in_(list(job_ids)), jobs.c.status.in_(_LIVING)
        )
    )
    return {
        row.workflow_uuid: (
            datetime.fromtimestamp(row.delay_until_epoch_ms / 1000, UTC)
            if row.status == "DELAYED" and row.delay_until_epoch_ms
            else None
        )
        for row in rows
    }


def put_back(connection: Connection, claims: Collection[str]) -> int:
    """Make the jobs of these claims wait in their queues again, as the engine's recovery does; how many.

    A claim is named by its token, which a job has for as long as it runs under this very claim.
    """
    jobs = _table(connection)
    # In the words of the engine's partial index, so that its finished jobs are not looked at.
    held = sa.and_(sa.text("status = 'PENDING'"), jobs.c.owner_xid.in_(list(claims)))
    waits = sa.update(jobs).where(held).values(status="ENQUEUED", owner_xid=None, started_at_epoch_ms=None)
    return connection.execute(waits).rowcount


@dataclass(frozen=True, slots=True)
class Waiting:
    """Of a queue, or of all: jobs whose turn has come, those that are to wait, and those that run; and since
    when the oldest of the first waits for a worker, in unix seconds."""

    due: int = 0
    delayed: int = 0
    running: int = 0
    oldest_since: float | None = None

    def __add__(self, other: Waiting) -> Waiting:
        since = [one for one in (self.oldest_since, other.oldest_since) if one is not None]
        return Waiting(
            self.due + other.due,
            self.delayed + other.delayed,
            self.running + other.running,
            min(since, default=None),
        )


def waiting(connection: Connection) -> Waiting:
    """How much there is to do."""
    return sum(queues(connection).values(), Waiting())


def queues(connection: Connection) -> dict[str, Waiting]:
    """How much there is to do in each queue, counted by the database: listing jobs would fetch them all."""
    jobs = _table(connection)
    counted = sa.select(
        jobs.c.queue_name,
        jobs.c.status,
        sa.func.count(),
        sa.func.min(sa.func.coalesce(jobs.c.delay_until_epoch_ms, jobs.c.created_at)),
    ).group_by(jobs.c.queue_name, jobs.c.status)
    # In the words of the engine's partial indexes, so that its finished jobs are not looked at.
    living = sa.union_all(*(counted.where(sa.text(words)) for words in _LIVING_IN_WORDS))
    found = dict.fromkeys(CONCURRENCY, Waiting())
    for name, status, number, since in connection.execute(living):
        # What the clock starts has a queue of the engine's own.
        queue = name or "none"
        found[queue] = found.get(queue, Waiting()) + Waiting(
            due=number if status == "ENQUEUED" else 0,
            delayed=number if status == "DELAYED" else 0,
            running=number if status == "PENDING" else 0,
            oldest_since=since / 1000 if status == "ENQUEUED" else None,
        )
    return found


def _table(connection: Connection) -> sa.TableClause:
    """The engine's table of jobs: its name and these columns are all that is used of it beside its API."""
    columns = (
        "workflow_uuid",
        "status",
        "queue_name",
        "queue_partition_key",
        "created_at",
        "delay_until_epoch_ms",
        "owner_xid",
        "started_at_epoch_ms",
    )
    schema = "dbos" if connection.dialect.name == "postgresql" else None
    return sa.table("workflow_status", *map(sa.column, columns), schema=schema)


def worker_config(engine: Engine, executor_id: str) -> DBOSConfig:
    """DBOS's configuration in a worker that holds the lease ``executor_id``."""
    return {
        "name": APPLICATION,
        "system_database_engine": engine,
        "application_version": VERSION,
        "executor_id": executor_id,
        "serializer": SERIALIZER,
        # A listener would hold a connection of its own; nothing here waits for notifications.
        "use_listen_notify": False,
        "run_migrations": False,
        "max_executor_threads": sum(CONCURRENCY.values()) + 4,
        "log_level": "WARNING",
    }


def go_by_the_databases_clock() -> None:
    """Let the jobs' delays end by the database's clock; called before a worker is launched.

    One worker of all ends them for all, by its own clock. One that is minutes slow would let each next
    attempt, a person's tap among them, wait for as long.
    """
    SystemDatabase.transition_delayed_workflows = _end_delays  # type: ignore[assignment,method-assign]


_engines_own = SystemDatabase.transition_delayed_workflows


def _end_delays(system: SystemDatabase) -> None:
    if system.engine.dialect.name != "postgresql":
        # All processes are on one machine.
        _engines_own(system)
        return
    with system.engine.begin() as connection:
        jobs = _table(connection)
        # In the words of the engine's partial index of these.
        over = sa.and_(sa.text("status = 'DELAYED'"), jobs.c.delay_until_epoch_ms <= _database_ms())
        connection.execute(sa.update(jobs).where(over).values(status="ENQUEUED"))


def _database_ms() -> sa.ColumnElement[int]:
    """PostgreSQL's clock as the engine writes moments: milliseconds since 1970."""
    # The same for a whole statement, so that an index can be searched for it.
    return sa.cast(sa.func.extract("epoch", sa.func.statement_timestamp()) * 1000, sa.BigInteger)


def register_queues() -> None:
    """Write the queues' limits; called by a launched worker."""
    for name, polling_seconds in POLLING_SECONDS.items():
        DBOS.register_queue(
            name,
            partition_concurrency=1,
            worker_concurrency=CONCURRENCY[name],
            polling_interval_sec=polling_seconds,
            on_conflict="always_update",
        )


def register_schedules(schedules: Mapping[str, Schedule], ticks: Mapping[str, Tick]) -> None:
    """Write when jobs start by themselves; called by a launched worker.

    https://docs.dbos.dev/python/tutorials/scheduled-workflows
    """
    DBOS.apply_schedules(
        [
            {
                "schedule_name": name,
                # The engine gives the job its time as a datetime, which our serializer makes a string.
                "workflow_fn": cast(Any, ticks[name]),
                "schedule": schedule.cron,
                "automatic_backfill": schedule.made_up_for,
            }
            for name, schedule in schedules.items()
        ]
    )


def migrate(database_url: str) -> None:
    """Create or update the engine's own tables."""
    DBOS.migrate(database_url)


def is_engine_table(name: str, schema: str | None) -> bool:
    """Whether a table found in the database is the engine's and none of our business.

    The engine has a schema of its own on PostgreSQL; on SQLite its tables stand beside ours.
    """
    return schema == "dbos" or name in _sqlite_tables()


def _sqlite_tables() -> frozenset[str]:
    from dbos._schemas.system_database import SystemSchema

    tables: Any = SystemSchema.metadata_obj.tables.values()
    return frozenset(table.name for table in tables) | {"dbos_migrations"}
