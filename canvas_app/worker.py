"""The worker: a process that does everything that talks to Koji or Intercom.

It takes a lease, launches the durable engine under the lease's name, and renews it until it is told to stop.
SIGTERM drains it within ten seconds; what is not finished by then is taken up by another worker.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from dbos import DBOS
from dbos._error import DBOSException
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from canvas_app import ending, engine as durable, gates, health, http_outcomes, leases, log, migrate, store
from canvas_app.claims import Claims
from canvas_app.engine import Jobs, Schedule
from canvas_app.intercom.client import IntercomClient
from canvas_app.interviews import alert_address, jobs, measures, studies
from canvas_app.interviews.measures import Tally
from canvas_app.interviews.services import Services
from canvas_app.interviews.tables import SCHEMA_VERSION
from canvas_app.koji.client import KojiClient
from canvas_app.passages import DatabaseGate
from canvas_app.rates import Rate
from canvas_app.settings import Settings

logger = logging.getLogger(__name__)

# A platform gives ten seconds between SIGTERM and SIGKILL, or thirty; ours is the shorter one.
_DRAIN_SECONDS = 6
_GONE_WITHIN_SECONDS = 9.0
_LOST_LEASE = 75
# The last step of every job that has an end to be written down.
_SETTLING = "settle"

# Set when the worker ends: a job that is still running has a few seconds.
_draining = threading.Event()

# When the clock ticks. A day's purge is made up for, since a machine may be off at that hour every night.
SCHEDULES = {
    "reconcile": Schedule("*/5 * * * *", made_up_for=False),
    "purge": Schedule("37 2 * * *", made_up_for=True),
    # After the clock has looked after what it can mend itself.
    "alerts": Schedule("2-59/5 * * * *", made_up_for=False),
}


def run(settings: Settings) -> int:
    """Work until SIGTERM or SIGINT. Returns the process's exit status."""
    stopping = ending.listen(gone_within=_GONE_WITHIN_SECONDS)
    engine = store.make_engine(settings.database_url, pool_size=store.WORKER_POOL)
    executor_id = _begin(engine, stopping)
    if executor_id is None:
        return 0
    services = make_services(settings, engine)
    services.tally.keep_by_itself(engine)
    _reseal(engine, settings)
    ticks = register(services)
    DBOS(config=durable.worker_config(engine, executor_id))
    log.adopt("dbos")
    durable.go_by_the_databases_clock()
    claims = Claims()
    claims.watch()
    DBOS.launch()
    durable.register_queues()
    durable.register_schedules(SCHEDULES, ticks)
    _ask_who_we_are(services, executor_id)
    missing = ",".join(health.missing_names(engine, settings))
    log.event(logger, logging.INFO, "worker_started", executor=executor_id, missing=missing)
    try:
        status = _keep_lease(engine, executor_id, stopping, claims)
    except Exception as error:  # noqa: BLE001 - the engine's threads would go on without a lease that is renewed
        log.failure(logger, "lease_not_kept", error, executor=executor_id)
        status = _LOST_LEASE
    _stop(engine, executor_id, status, services.tally)
    return status


def _reseal(engine: Engine, settings: Settings) -> None:
    """Seal what stands in the database with the newest SECRET_KEY, so that the older ones can be dropped."""
    try:
        with store.writing(engine) as connection:
            count = studies.reseal(connection, settings) + alert_address.reseal(connection, settings)
            lost = studies.secrets_lost(connection, settings)
    except SQLAlchemyError as error:
        # The older key opens it until the next start, and `doctor` says that it is still in use.
        log.failure(logger, "secrets_not_resealed", error)
        return
    if count:
        log.event(logger, logging.INFO, "secrets_resealed", count=count)
    if lost:
        log.event(logger, logging.WARNING, "secrets_lost", studies=",".join(lost))


def make_services(
    settings: Settings,
    engine: Engine,
    *,
    transport: httpx.BaseTransport | None = None,
    rates: Mapping[gates.Wire, Rate] | None = None,
) -> Services:
    """The wires and the database of one worker. ``transport`` replaces the network in tests."""
    rates = rates or gates.RATES
    token = settings.intercom_access_token
    tally = Tally()

    def make_gate(wire: gates.Wire, secret: str) -> DatabaseGate:
        count = functools.partial(tally.count, measures.OUTSIDE_CALLS, wire)
        return DatabaseGate(engine, wire, secret, rates[wire], told=count)

    def make_koji_client(key: str) -> KojiClient:
        return KojiClient(
            base_url=settings.koji_api_url,
            key=key,
            http=http_outcomes.make_http_client(transport),
            gate=make_gate("koji", key),
        )

    return Services(
        settings=settings,
        engine=engine,
        jobs=Jobs(engine),
        intercom_client=IntercomClient(
            base_url=settings.intercom_url,
            token=token.get_secret_value(),
            version=settings.intercom_version,
            http=http_outcomes.make_http_client(transport),
            gate=make_gate("intercom", token.get_secret_value()),
        )
        if token
        else None,
        make_koji_client=make_koji_client,
        make_alert_client=lambda: http_outcomes.make_http_client(transport),
        tally=tally,
    )


def register(services: Services) -> dict[str, durable.Tick]:
    """Give the durable engine its jobs. Their names stand in the database, so they never change.

    Returns those that the clock starts, by name.
    """

    @DBOS.workflow(name="send")
    def send(interview_id: str, attempt: int) -> None:
        log.request_id.set(DBOS.workflow_id)
        jobs.send(_step, services, interview_id, attempt)

    @DBOS.workflow(name="forward")
    def forward(delivery_id: str, attempt: int) -> None:
        log.request_id.set(DBOS.workflow_id)
        jobs.forward(_step, services, delivery_id, attempt)

    @DBOS.workflow(name="react")
    def react(delivery_id: str, attempt: int) -> None:
        log.request_id.set(DBOS.workflow_id)
        jobs.react(_step, services, delivery_id, attempt)

    @DBOS.workflow(name="remind")
    def remind(interview_id: str) -> None:
        log.request_id.set(DBOS.workflow_id)
        jobs.remind(_step, services, interview_id)

    @DBOS.workflow(name="close_again")
    def close_again(interview_id: str, attempt: int) -> None:
        log.request_id.set(DBOS.workflow_id)
        jobs.close_again(_step, services, interview_id, attempt)

    @DBOS.workflow(name="clear_link")
    def clear_link(interview_id: str, attempt: int, tries: int) -> None:
        log.request_id.set(DBOS.workflow_id)
        jobs.clear_link(_step, services, interview_id, attempt, tries)

    @DBOS.workflow(name="replay")
    def replay(replay_id: str, batch: int) -> None:
        log.request_id.set(DBOS.workflow_id)
        jobs.replay(_step, services, replay_id, batch)

    @DBOS.workflow(name="erase")
    def erase(interview_id: str) -> None:
        log.request_id.set(DBOS.workflow_id)
        jobs.erase(_step, services, interview_id)

    @DBOS.workflow(name="rehearse")
    def rehearse(rehearsal_id: str) -> None:
        log.request_id.set(DBOS.workflow_id)
        jobs.rehearse(_step, services, rehearsal_id)

    @DBOS.workflow(name="read_workspace")
    def read_workspace() -> None:
        log.request_id.set(DBOS.workflow_id)
        jobs.read_workspace(_step, services)

    @DBOS.workflow(name="set_up")
    def set_up() -> None:
        log.request_id.set(DBOS.workflow_id)
        jobs.set_up(_step, services)

    @DBOS.workflow(name="reconcile")
    def reconcile(scheduled_at: str, _context: None) -> None:
        log.request_id.set(DBOS.workflow_id)
        jobs.tick_reconcile(_step, services, scheduled_at)

    @DBOS.workflow(name="purge")
    def purge(scheduled_at: str, _context: None) -> None:
        log.request_id.set(DBOS.workflow_id)
        jobs.tick_purge(_step, services, scheduled_at)

    @DBOS.workflow(name="alerts")
    def alerts(scheduled_at: str, _context: None) -> None:
        log.request_id.set(DBOS.workflow_id)
        jobs.tick_alerts(_step, services, scheduled_at)

    return {"reconcile": reconcile, "purge": purge, "alerts": alerts}


def _step(name: str, function: Callable[..., Any], *args: Any) -> Any:
    """Run one step of a job. Its result is kept, so that a repeated job goes on where the first one died.

    A step waits for the database while it is away, and is repeated then, which every step of ours allows.
    What settles an attempt is not kept: it is one transaction that may be made again, and nothing comes after
    it.
    """
    if name == _SETTLING:
        return store.patiently(function, *args)
    try:
        return DBOS.run_step({"name": name}, store.patiently, function, *args)
    except DBOSException:
        if _draining.is_set():
            # There was no time left for this job, and the engine was taken away beneath it. That is no fault
            # that its attempt could be settled with: whoever takes it up goes on from its last step.
            threading.Event().wait()
        raise


def _begin(engine: Engine, stopping: threading.Event) -> str | None:
    """Wait for the database and for `release` to have run, and take a lease: its executor id.

    None when the process was told to stop meanwhile.
    """
    told = None
    while not stopping.is_set():
        try:
            version = migrate.current_version(engine)
            # A newer schema will do: migrations only add, so that a release can be taken back.
            if version is not None and version >= SCHEMA_VERSION:
                if version > SCHEMA_VERSION:
                    log.event(logger, logging.WARNING, "schema_newer_than_code", version=version)
                return leases.take(engine)
            reason = "schema_missing_or_older"
        except SQLAlchemyError:
            reason = "database_unavailable"
        if reason != told:
            log.event(logger, logging.WARNING, "worker_waits", reason=reason)
            told = reason
        stopping.wait(2.0)
    return None


def _keep_lease(engine: Engine, executor_id: str, stopping: threading.Event, claims: Claims) -> int:
    """Renew the lease until told to stop. Take up meanwhile what others have abandoned, or we have lost."""
    in_touch_since = renewed = time.monotonic()
    while True:
        try:
            if not leases.renew(engine, executor_id):
                log.event(logger, logging.CRITICAL, "lease_lost", executor=executor_id)
                return _LOST_LEASE
            former, renewed = renewed, time.monotonic()
            if renewed - former > 2 * leases.RENEW_SECONDS:
                # Held up: frozen, or inside the durable engine, which sits an outage out and raises nothing.
                in_touch_since = renewed
            # Right after an outage every lease looks silent: the others get the time to renew theirs.
            if time.monotonic() - in_touch_since > leases.SILENT_SECONDS:
                for silent in leases.end_silent(engine):
                    log.event(logger, logging.WARNING, "worker_silent", executor=silent)
            _adopt(engine)
            _put_back(engine, claims)
        except SQLAlchemyError as error:
            if not store.is_away(error):
                raise
            log.failure(logger, "lease_not_renewed", error, executor=executor_id)
            in_touch_since = time.monotonic()
        if stopping.wait(leases.RENEW_SECONDS):
            return 0


def _adopt(engine: Engine) -> None:
    """Put work back into its queue whose worker has no lease any more."""
    pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
    owners = {job.executor_id for job in pending if job.executor_id}
    # Read after the work: a worker that has begun since has its lease already.
    abandoned = owners - leases.living(engine)
    if abandoned:
        # DBOS puts back only what still belongs to these executors, and counts each recovery. The call is
        # internal to it; the public one forgets the count, so that a job that kills its worker would be
        # tried for ever.
        DBOS._recover_pending_workflows(sorted(abandoned))  # noqa: SLF001
        log.event(logger, logging.WARNING, "work_adopted", executors=len(abandoned))


def _put_back(engine: Engine, claims: Claims) -> None:
    """Put work back into its queue that the database gave to us without our hearing of it."""
    if count := claims.put_back(engine):
        log.event(logger, logging.WARNING, "claim_put_back", jobs=count, reason="answer_lost")


def _stop(engine: Engine, executor_id: str, status: int, tally: Tally) -> None:
    """Finish what is running, and give the lease back."""
    if status == _LOST_LEASE:
        # Somebody else runs our work already: not one more step.
        os._exit(status)
    _draining.set()
    log.event(logger, logging.INFO, "worker_draining", executor=executor_id)
    DBOS.destroy(workflow_completion_timeout_sec=_DRAIN_SECONDS)
    try:
        leases.end(engine, executor_id)
    except SQLAlchemyError as error:
        log.failure(logger, "lease_not_ended", error, executor=executor_id)
    tally.keep(engine)
    log.event(logger, logging.INFO, "worker_stopped", executor=executor_id)


def _ask_who_we_are(services: Services, executor_id: str) -> None:
    if services.intercom_client is None:
        return
    with store.writing(services.engine) as connection:
        services.jobs.enqueue(
            connection,
            "read_workspace",
            job_id=f"read_workspace:{executor_id}",
            partition="workspace",
            fast=True,
        )
