"""The worker: a process that does everything that talks to Koji or Intercom.

It takes a slot, launches the durable engine under the slot's name, and renews the slot until it is told to
stop. SIGTERM drains it within ten seconds; what is not finished by then is taken up by the next worker.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import httpx
from dbos import DBOS
from sqlalchemy.engine import Engine
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from canvas_app import engine as durable
from canvas_app import http_outcomes, log, migrate, slots, store
from canvas_app.engine import Jobs
from canvas_app.intercom.client import IntercomClient
from canvas_app.interviews import jobs
from canvas_app.interviews.services import Services
from canvas_app.interviews.tables import SCHEMA_VERSION
from canvas_app.koji.client import KojiClient
from canvas_app.settings import Settings

logger = logging.getLogger(__name__)

# A platform gives ten seconds between SIGTERM and SIGKILL, or thirty; ours is the shorter one.
_DRAIN_SECONDS = 6
_GONE_WITHIN_SECONDS = 9.0
_LOST_SLOT = 75


def run(settings: Settings) -> int:
    """Work until SIGTERM or SIGINT. Returns the process's exit status."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    engine = store.make_engine(settings.database_url, pool_size=store.WORKER_POOL)
    if not _wait_for_schema(engine, stopping):
        return 0
    services = make_services(settings, engine)
    slot = slots.take(engine)
    register(services)
    DBOS(config=durable.worker_config(engine, slot.executor_id))
    log.adopt("dbos")
    DBOS.launch()
    durable.register_queues()
    _ask_who_we_are(services, slot)
    log.event(logger, logging.INFO, "worker_started", slot=slot.number, missing=_missing(settings))
    status = _keep_slot(engine, slot, stopping)
    _stop(engine, slot, status)
    return status


def make_services(
    settings: Settings, engine: Engine, *, transport: httpx.BaseTransport | None = None
) -> Services:
    """The wires and the database of one worker. ``transport`` replaces the network in tests."""
    token, key = settings.intercom_access_token, settings.default_study.api_key
    return Services(
        settings=settings,
        engine=engine,
        jobs=Jobs(engine),
        intercom_client=IntercomClient(
            base_url=settings.intercom_url,
            token=token.get_secret_value(),
            version=settings.intercom_version,
            http=http_outcomes.make_http_client(transport),
        )
        if token
        else None,
        koji_client=KojiClient(
            base_url=settings.koji_api_url, key=key, http=http_outcomes.make_http_client(transport)
        )
        if key
        else None,
    )


def register(services: Services) -> None:
    """Give the durable engine its jobs. Their names stand in the database, so they never change."""

    @DBOS.workflow(name="send")
    def send(interview_id: str, attempt: int) -> None:
        jobs.send(_step, services, interview_id, attempt)

    @DBOS.workflow(name="forward")
    def forward(delivery_id: str, attempt: int) -> None:
        jobs.forward(_step, services, delivery_id, attempt)

    @DBOS.workflow(name="read_workspace")
    def read_workspace() -> None:
        jobs.read_workspace(_step, services)


def _step(name: str, function: Callable[..., Any], *args: Any) -> Any:
    """Run one step of a job. Its result is kept, so that a repeated job goes on where the first one died.

    While the database is away the step waits and is repeated, which every step of ours allows.
    """
    return DBOS.run_step(
        {
            "name": name,
            "retries_allowed": True,
            "max_attempts": 10,
            "interval_seconds": 0.5,
            "should_retry": _is_database_away,
        },
        function,
        *args,
    )


def _is_database_away(error: BaseException) -> bool:
    # A broken rule of the database's (IntegrityError, say) would be broken again.
    return isinstance(error, OperationalError | InterfaceError | PoolTimeout)


def _wait_for_schema(engine: Engine, stopping: threading.Event) -> bool:
    """Wait for `release` to have run. False when the process was told to stop meanwhile."""
    told = False
    while not stopping.is_set():
        try:
            if migrate.current_version(engine) == SCHEMA_VERSION:
                return True
            reason = "schema_missing_or_different"
        except SQLAlchemyError:
            reason = "database_unavailable"
        if not told:
            log.event(logger, logging.WARNING, "worker_waits", reason=reason)
            told = True
        stopping.wait(2.0)
    return False


def _keep_slot(engine: Engine, slot: slots.Slot, stopping: threading.Event) -> int:
    while not stopping.wait(slots.RENEW_SECONDS):
        try:
            if not slots.renew(engine, slot):
                log.event(logger, logging.CRITICAL, "slot_lost", slot=slot.number)
                return _LOST_SLOT
            for abandoned in slots.adopt_abandoned(engine):
                # DBOS re-enqueues only what still belongs to that executor and counts each recovery. The call
                # is internal to it; the public one forgets the count, so that a job that kills its worker
                # would be tried for ever.
                DBOS._recover_pending_workflows([abandoned.executor_id])  # noqa: SLF001
                slots.discard(engine, abandoned)
                log.event(logger, logging.WARNING, "slot_adopted", slot=abandoned.number)
        except SQLAlchemyError as error:
            # While the database is away nobody can take the slot either; it is tried again in a moment.
            log.failure(logger, "slot_not_renewed", error, slot=slot.number)
    return 0


def _stop(engine: Engine, slot: slots.Slot, status: int) -> None:
    """Finish what is running, give the slot back, and be gone in time even if something hangs."""
    watchdog = threading.Timer(_GONE_WITHIN_SECONDS, os._exit, args=(status,))
    watchdog.daemon = True
    watchdog.start()
    if status == _LOST_SLOT:
        # Somebody else runs our work already: not one more step.
        os._exit(status)
    DBOS.destroy(workflow_completion_timeout_sec=_DRAIN_SECONDS)
    try:
        slots.release(engine, slot)
    except SQLAlchemyError as error:
        log.failure(logger, "slot_not_released", error, slot=slot.number)
    log.event(logger, logging.INFO, "worker_stopped", slot=slot.number)


def _ask_who_we_are(services: Services, slot: slots.Slot) -> None:
    if services.intercom_client is None:
        return
    with store.writing(services.engine) as connection:
        services.jobs.enqueue(
            connection,
            "read_workspace",
            job_id=f"read_workspace:{slot.holder}",
            partition="workspace",
            fast=True,
        )


def _missing(settings: Settings) -> str:
    return ",".join(settings.missing_for_card())
