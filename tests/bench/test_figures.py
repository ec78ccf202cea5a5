"""How figures are reckoned, and held against what is to be reached."""

from __future__ import annotations

import pytest

from bench.figures import Figure, Target, median, percentile, ratio, shown, slope, table, wanted


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1), (0.5, 50), (0.95, 95), (0.99, 99), (0.991, 100), (1.0, 100)]
)
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_the_median_is_one_of_the_values() -> None:
    assert median([3.0, 1.0, 2.0]) == 2.0


def test_a_ratio_compares_rounds_that_were_neighbours() -> None:
    # The machine was half as fast in the second round: that says nothing about either.
    assert ratio([70, 35, 72], [100, 50, 100]) == 0.7


@pytest.mark.parametrize(("ours", "theirs"), [([], []), ([1.0], [1.0, 2.0])])
def test_each_round_of_a_ratio_has_two_figures(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(ValueError, match="two figures"):
        ratio(ours, theirs)


def test_the_slope_is_the_growth_in_a_unit_of_time() -> None:
    assert slope([0, 1, 2, 3], [100, 102, 104, 106]) == 2
    assert slope([0], [100]) == slope([1, 1], [1, 9]) == 0


@pytest.mark.parametrize(
    ("target", "value", "reached"),
    [
        (Target(least=0.7), 0.7, True),
        (Target(least=0.7), 0.69, False),
        (Target(most=250), 249.9, True),
        (Target(most=250), 250, False),
        (Target(most=0), 0, True),
        (Target(most=0), 1, False),
    ],
)
def test_a_target_is_reached_or_not(target: Target, value: float, reached: bool) -> None:
    assert Figure("p", "what", value, target=target).reached is reached


def test_without_a_target_nothing_is_reached_or_missed() -> None:
    figure = Figure("p", "what", 3)
    assert figure.reached is None
    assert wanted(figure) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0512, "0.0512"), (0.7, "0.7"), (3.14159, "3.14"), (42.25, "42.2"), (1453.4, "1,453")],
)
def test_a_number_is_shown_with_three_digits(value: float, text: str) -> None:
    assert shown(value) == text


def test_the_table_says_what_was_not_reached() -> None:
    found = table(
        [
            Figure("p", "initialize", 0.5, "of its throughput", Target(least=0.7), "sqlite", "wrk"),
            Figure("p", "refused", 0, "", Target(most=0), "postgresql"),
            Figure("p", "beside it", 12.5, "ms"),
        ]
    )
    assert found.splitlines()[2:] == [
        "| initialize (wrk) | SQLite | ≥ 0.7 of its throughput | 0.5 of its throughput | **not reached** |",
        "| refused | PostgreSQL | 0 | 0 | yes |",
        "| beside it |  |  | 12.5 ms |  |",
    ]
