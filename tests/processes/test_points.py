"""A worker dies at every named point of every outside write, and the others bring all to its end, once.

Each point has a customer of its own, and takes one worker with it while the work of the customers before is
still being taken up.
"""

from __future__ import annotations

import pytest

from tests.processes.stage import Stage, Talk, until
from tests.support.dying import AROUND_A_WRITE, AROUND_SETTLING, Point

pytestmark = pytest.mark.slow

SENDING = {"koji_start": AROUND_A_WRITE, "message": (*AROUND_A_WRITE, *AROUND_SETTLING)}
WRITING_BACK = {
    "attributes": AROUND_A_WRITE,
    "note": AROUND_A_WRITE,
    # Where no tag came off, what was written down before these calls holds after them.
    "conversation_tag": ("before_call", "after_call"),
    "contact_tag": ("before_call", "after_call", "after_step", *AROUND_SETTLING),
}
FOR_THE_CONTACT = ("koji_start", "attributes", "contact_tag")
# One dies, one takes up its work, and one is being started.
WORKERS = 3


def test_workers_that_die_while_sending_send_one_message_each(stage: Stage) -> None:
    points = start_workers(stage, SENDING)
    taps = []
    for point, talk in points.items():
        taps.append(stage.tap_aside(talk))
        stage.until_one_has_died(point)
    for tap in taps:
        tap.join()
    for talk in points.values():
        stage.until_card(talk, "Interview sent")
    for talk, koji_id in [(talk, stage.answer(talk)) for talk in points.values()]:
        stage.check_round_trip(talk, koji_id)


def test_workers_that_die_while_writing_back_write_everything_once(stage: Stage) -> None:
    points = start_workers(stage, WRITING_BACK)
    for tap in [stage.tap_aside(talk) for talk in points.values()]:
        tap.join()
    for talk in points.values():
        stage.until_card(talk, "Interview sent")
    answers = []
    for point, talk in points.items():
        answers.append((talk, stage.answer(talk)))
        stage.until_one_has_died(point)
    for talk, koji_id in answers:
        stage.check_round_trip(talk, koji_id)


def start_workers(stage: Stage, table: dict[str, tuple[str, ...]]) -> dict[Point, Talk]:
    """Workers that will die at the points of a table; returns a customer for each point."""
    points = {}
    for write, moments in table.items():
        for moment in moments:
            talk = stage.customer(f"Customer {write} {moment}")
            whom = talk.contact.id if write in FOR_THE_CONTACT else talk.conversation.id
            points[Point(write, moment, whom)] = talk
    for _ in range(WORKERS):
        stage.start_worker(dying_at=list(points))
    until("a worker works", lambda: any(stage.logged(n + 1, "worker_started") for n in range(WORKERS)))
    return points
