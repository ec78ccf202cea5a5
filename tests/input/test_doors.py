"""The short form of ``make input``: a few hundred inputs through all doors, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.api.caller import TOKEN
from tests.input import aiming, firing, judge
from tests.support.world import WORKSPACE, World

LogLines = Callable[[], list[dict[str, Any]]]
SHOTS = 250


def test_whatever_comes_is_answered_and_leaves_nothing_that_was_not_checked(
    world: World, log_lines: LogLines
) -> None:
    world.deploy(api_token=TOKEN)
    aim = aiming.furnish(world.engine, world.settings, WORKSPACE)
    score = firing.fire(aim, firing.to_flask(world.app), SHOTS, seed=1)
    assert [f"{shot}: {found}" for shot, found in score.wrong] == []
    assert judge.faults("\n".join(map(json.dumps, log_lines()))) == []
    assert judge.bad_rows(world.engine) == []
    assert len(score.by_door) >= 9, "each door was tried"
    # What is near enough to something real is let in: otherwise nothing behind the doors would be tried.
    assert score.by_status[200] > SHOTS / 10
