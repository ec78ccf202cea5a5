"""The clock really ticks: a result whose webhook was lost arrives, and two workers ask no more than one."""

from __future__ import annotations

import pytest

from sandbox.faults import DeliveryFault
from tests.processes.stage import Stage, until

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("stage", [{"QUICK_CLOCK": "1"}], indirect=True)
def test_a_lost_webhook_is_made_up_for_by_the_clock_of_two_workers(stage: Stage) -> None:
    stage.start_worker()
    until("the first worker works", lambda: stage.logged(1, "worker_started"))
    stage.start_worker()
    until("the second worker works", lambda: stage.logged(2, "worker_started"))
    stage.wait_until_healthy()
    talk = stage.customer()
    stage.tap(talk)
    stage.until_card(talk, "Interview sent")
    until("Koji was asked in vain", stage.koji_was_asked)
    stage.sandbox.faults.set_delivery(DeliveryFault("lose", times=10))
    koji_id = stage.answer(talk)
    assert all(delivery.lost for delivery in stage.sandbox.deliverer.deliveries)
    assert len(stage.sandbox.deliverer.deliveries) == 2
    stage.check_round_trip(talk, koji_id)
    [row] = stage.interviews()
    # However many workers tick, each time it was due it was asked about once.
    assert stage.koji_was_asked() == row.checks
    # The names stand in the database. A purge that nobody was there for is made up for, a reconcile is not.
    made_up_for = {row["schedule_name"]: row["automatic_backfill"] for row in stage.schedules()}
    assert made_up_for == {"reconcile": False, "purge": True, "alerts": False}
    ticks = [job for job in stage.jobs_named("reconcile") if job.status == "SUCCESS"]
    assert len(ticks) >= 2
    assert len({job.input["args"][0] for job in ticks if job.input}) == len(ticks)
