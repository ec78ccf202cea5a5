"""The disk under SQLite runs full: nothing acknowledged is lost, it is said, and it goes on by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from canvas_app import migrate
from canvas_app.canvas import reasons
from tests.processes.stage import Stage, until, words
from tests.processes.test_outage import get, post_koji, started
from tests.support.small_disk import Disk, family, small_disk

pytestmark = pytest.mark.slow


@pytest.fixture
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Stage, Disk]]:
    """Web, a worker and stand-ins; the database has a disk of its own."""
    with small_disk(tmp_path / "disk", megabytes=16) as disk:
        url = f"sqlite:///{disk.folder}/koji.db"
        migrate.release(url)
        stage = Stage(url, tmp_path / "logs", QUICK_SILENT_SECONDS="20")
        try:
            with stage:
                stage.start_worker()
                stage.wait_until_healthy()
                yield stage, disk
        finally:
            request.node.add_report_section("teardown", "processes", stage.all_logs())


def test_a_full_disk_loses_nothing_and_is_gone_on_from(scene: tuple[Stage, Disk]) -> None:
    stage, disk = scene
    pids = {stage.app.processes["web"].pid, stage.workers[0].pid}
    answered, under_way = stage.customer("Answers Before"), stage.customer("Is Waited For")
    stage.tap(answered)
    stage.until_card(answered, "Interview sent")
    # Under way when the disk runs full: a message that Intercom is slow with.
    slow = stage.spoil("intercom", "POST", ".*/reply", "latency", delay=0.7)
    tap = stage.tap_aside(under_way)
    assert slow.reached.wait(20)
    event, new = started(stage), stage.customer("Taps Meanwhile")

    processes = [pid for known in pids for pid in family(known)]
    disk.fill(processes)
    assert reasons.DISK_FULL in words(stage.tap(new)) or not disk.is_small
    answer = post_koji(stage, *event)
    assert (answer.status_code, answer.json()["error"]) == (503, "database_unavailable")
    if disk.is_small:
        # Its logs are on another disk, and the file system tells how much room there is.
        assert "disk" in get(stage, "/healthz").json()["down"]
        until("the worker says why it waits", lambda: "database_full" in reasons_of(stage))
    tap.join()
    disk.free(processes)

    until("all is well again", lambda: get(stage, "/healthz").status_code == 200)
    stage.until_card(under_way, "Interview sent")
    assert post_koji(stage, *event).status_code == 200
    assert stage.links(new) == []
    stage.tap(new)
    stage.until_card(new, "Interview sent")
    stage.check_round_trip(answered, stage.answer(answered))
    stage.until_nothing_is_left_to_do()
    for talk in (answered, under_way, new):
        assert len(stage.links(talk)) == 1
    assert pids == {stage.app.processes["web"].pid, stage.workers[0].pid}
    assert all(process.poll() is None for process in (*stage.app.processes.values(), *stage.workers))
    for log in stage.logs.glob("*.log"):
        assert "Traceback" not in log.read_text(), log
        assert "job_failed" not in log.read_text(), log


def reasons_of(stage: Stage) -> set[str]:
    """The reasons that the worker's log has of its waits for the database."""
    events = [*stage.logged(1, "waits_for_database"), *stage.logged(1, "lease_not_renewed")]
    return {json.dumps(event.get("reason")).strip('"') for event in events}
