"""A worker dies at every named point of every outside write, and the others bring all to its end, once.

Each point has a customer of its own, and takes one worker with it while the work of the customers before is
still being taken up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from tests.processes.stage import Stage, Talk, until
from tests.support.dying import AROUND_A_CALL, AROUND_A_WRITE, AROUND_RECORDING, AROUND_SETTLING, Point

pytestmark = pytest.mark.slow

SENDING = {
    "koji_start": (*AROUND_A_WRITE, "after_step"),
    "message": (*AROUND_A_WRITE, "after_step", *AROUND_SETTLING),
}
WRITING_BACK = {
    "attributes": AROUND_A_WRITE,
    "note": AROUND_A_WRITE,
    # Where no tag came off, what was written down before these calls holds after them.
    "conversation_tag": AROUND_A_CALL,
    # All three writes are one step.
    "contact_tag": (*AROUND_A_CALL, "after_step", *AROUND_SETTLING),
}
CORRECTING = {
    "conversation_untag": AROUND_A_CALL,
    "conversation_tag": AROUND_RECORDING,
    "contact_untag": AROUND_A_CALL,
    "contact_tag": AROUND_RECORDING,
}
FOR_THE_CONTACT = ("koji_start", "attributes", "contact_tag", "contact_untag")
# One dies, one takes up its work, and one is being started.
WORKERS = 3


def test_workers_that_die_while_sending_send_one_message_each(stage: Stage) -> None:
    points = customers(stage, SENDING)
    start_workers(stage, points)
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
    points = customers(stage, WRITING_BACK)
    start_workers(stage, points)
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


def test_workers_that_die_while_correcting_leave_the_tags_of_now_alone(stage: Stage) -> None:
    points = customers(stage, CORRECTING)
    start_workers(stage)
    for tap in [stage.tap_aside(talk) for talk in points.values()]:
        tap.join()
    answers = []
    for talk in points.values():
        stage.until_card(talk, "Interview sent")
        answers.append((talk, stage.answer(talk, sentiment="negative")))
    for talk, koji_id in answers:
        stage.check_round_trip(talk, koji_id)
    for worker in list(stage.workers):
        stage.kill_worker(worker)
    # Only now: the first time no tag comes off.
    start_workers(stage, points)
    for point, (_talk, koji_id) in zip(points, answers, strict=True):
        stage.correct(koji_id, sentiment="positive")
        stage.until_one_has_died(point)
    for talk, koji_id in answers:
        stage.check_round_trip(talk, koji_id)


def customers(stage: Stage, table: Mapping[str, tuple[str, ...]]) -> dict[Point, Talk]:
    """A customer for each point of a table."""
    points = {}
    for write, moments in table.items():
        for moment in moments:
            talk = stage.customer(f"Customer {write} {moment}")
            whom = talk.contact.id if write in FOR_THE_CONTACT else talk.conversation.id
            points[Point(write, moment, whom)] = talk
    return points


def start_workers(stage: Stage, points: Iterable[Point] = ()) -> None:
    """Workers that will die at these points."""
    others = len(list(stage.logs.glob("worker-*")))
    mine = range(others + 1, others + 1 + WORKERS)
    for _ in mine:
        stage.start_worker(dying_at=list(points))
    until("a worker works", lambda: any(stage.logged(number, "worker_started") for number in mine))
