from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.input.firing import Score
from tests.input.memory import MB, Memory


@pytest.mark.parametrize(
    ("resident", "is_flat"),
    [
        pytest.param(lambda _shots: 130 * MB, True, id="the same"),
        pytest.param(lambda shots: 130 * MB + shots * 1024, False, id="a kilobyte an input"),
        pytest.param(lambda shots: 130 * MB + min(shots, 9_000) * 3 * 1024, True, id="steps that end"),
        pytest.param(lambda shots: (170 if shots % 1_000 == 0 else 140) * MB, True, id="up and down"),
    ],
)
def test_memory_that_grows_with_the_inputs_is_told_from_memory_that_rises_until_all_is_warm(
    resident: Callable[[int], int], is_flat: bool
) -> None:
    score = Score()
    memory = Memory(lambda: resident(score.shots), every=400)
    for score.shots in range(1, 20_001):
        memory.look(score)
    assert memory.is_flat is is_flat


def test_too_few_inputs_tell_nothing_of_memory() -> None:
    score = Score()
    memory = Memory(lambda: score.shots * MB, every=10)
    assert memory.is_flat
    for score.shots in range(1, 1_001):
        memory.look(score)
    assert memory.growth == 500 * MB
    assert memory.is_flat
