"""The pure decision: never more than so many calls in any window, and no fewer than the rate allows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from canvas_app import gates, rates
from canvas_app.rates import Rate

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
PATIENCE = timedelta(seconds=2)


def most_in_a_window(moments: list[datetime], seconds: float) -> int:
    """The most that fall into any window of this length, both of its ends included."""
    moments = sorted(moments)
    window = timedelta(seconds=seconds)
    most = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] > window:
            first += 1
        most = max(most, last - first + 1)
    return most


def through(rate: Rate, arrivals: list[datetime], patience: timedelta = PATIENCE) -> list[datetime]:
    """When the calls that arrive then are made, as far as their turn comes soon enough."""
    due_at, made = arrivals[0], []
    for now in arrivals:
        turn = rates.turn(rate, due_at=due_at, blocked_until=None, now=now)
        if turn.at - now <= patience:
            due_at = turn.due_at
            made.append(turn.at)
    return made


some_rates = st.builds(
    lambda calls, share, seconds: Rate(calls=calls, seconds=seconds, burst=max(1, int((calls - 1) * share))),
    st.integers(2, 40),
    st.floats(0, 1),
    st.floats(0.01, 60),
)
# Many at the same moment, some close together, some after a long silence.
some_gaps = st.lists(st.one_of(st.just(0.0), st.floats(0, 0.5), st.floats(0, 90)), min_size=1, max_size=200)


@given(rate=some_rates, gaps=some_gaps)
def test_in_no_window_more_calls_are_made_than_the_rate_allows(rate: Rate, gaps: list[float]) -> None:
    arrivals, now = [], START
    for gap in gaps:
        now += timedelta(seconds=gap)
        arrivals.append(now)
    assert most_in_a_window(through(rate, arrivals), rate.seconds) <= rate.calls


@pytest.mark.parametrize("rate", [Rate(10, 1.0, 3), Rate(2, 1.0, 1), *gates.RATES.values()])
def test_a_crowd_that_never_ends_gets_all_that_the_rate_promises(rate: Rate) -> None:
    step = rate.interval / 3
    arrivals = [START + number * step for number in range(rate.calls * 6)]
    made = through(rate, arrivals, patience=timedelta(0))
    within = timedelta(seconds=rate.seconds)
    assert sum(moment - START < within for moment in made) >= rate.calls - 1
    assert most_in_a_window(made, rate.seconds) <= rate.calls


def test_a_burst_goes_through_at_once_and_the_next_one_waits_for_its_turn() -> None:
    rate = Rate(calls=10, seconds=60.0, burst=4)
    made = through(rate, [START] * 5, patience=timedelta(minutes=1))
    assert made == [START] * 4 + [START + timedelta(seconds=10)]


def test_a_silence_does_not_save_up_more_than_a_burst() -> None:
    rate = Rate(calls=10, seconds=60.0, burst=4)
    later = START + timedelta(days=1)
    assert through(rate, [START, *[later] * 9], patience=timedelta(0)) == [START, *[later] * 4]


def test_nothing_goes_through_before_the_end_of_a_block_and_one_at_a_time_after_it() -> None:
    rate = Rate(calls=10, seconds=60.0, burst=4)
    until = START + timedelta(seconds=30)
    due_at = rates.due_after_block(rate, due_at=START, blocked_until=until, now=START)
    first = rates.turn(rate, due_at=due_at, blocked_until=until, now=START)
    second = rates.turn(rate, due_at=first.due_at, blocked_until=until, now=until)
    assert (first.at, second.at) == (until, until + rate.interval)


def test_a_block_does_not_shorten_what_is_due_anyway() -> None:
    rate = Rate(calls=10, seconds=60.0, burst=4)
    due_at = START + timedelta(hours=1)
    assert rates.due_after_block(rate, due_at=due_at, blocked_until=START, now=START) == due_at


def test_a_clock_that_was_set_back_does_not_stop_the_calls_for_as_long() -> None:
    rate = Rate(calls=10, seconds=60.0, burst=4)
    far = START + timedelta(days=400)
    turn = rates.turn(rate, due_at=far, blocked_until=far, now=START)
    assert turn == rates.turn(rate, due_at=START, blocked_until=None, now=START)
    assert turn.at == START
    until = START + timedelta(minutes=1)
    assert rates.due_after_block(rate, due_at=far, blocked_until=until, now=START) < until + timedelta(
        minutes=1
    )


def test_a_wait_of_two_hours_is_the_longest_that_is_believed() -> None:
    rate = Rate(calls=10, seconds=60.0, burst=4)
    ahead = START + timedelta(hours=2)
    assert rates.turn(rate, due_at=START, blocked_until=ahead, now=START).at == ahead
    assert rates.turn(rate, due_at=ahead, blocked_until=None, now=START).at == ahead - rate.tolerance


@pytest.mark.parametrize("burst", [0, 10, 11])
def test_a_burst_that_leaves_no_steady_rate_is_refused(burst: int) -> None:
    with pytest.raises(ValueError, match="burst"):
        Rate(calls=10, seconds=1.0, burst=burst)


def test_the_vendors_limits_are_kept_with_a_tenth_to_spare() -> None:
    intercom, koji = gates.RATES["intercom"], gates.RATES["koji"]
    # 10,000 a minute in windows of ten seconds; 60 a minute.
    assert (intercom.seconds, koji.seconds) == (10.0, 60.0)
    assert intercom.calls <= 10_000 / 6 * 0.9
    assert koji.calls <= 60 * 0.9


class TestRoom:
    RATE = Rate(calls=54, seconds=60.0, burst=9)

    def room(self, *, due_in: float = 0.0, blocked_for: float | None = None) -> int:
        blocked_until = None if blocked_for is None else START + timedelta(seconds=blocked_for)
        due_at = START + timedelta(seconds=due_in)
        return rates.room(self.RATE, due_at=due_at, blocked_until=blocked_until, now=START)

    def test_is_the_whole_burst_when_nothing_was_called_lately(self) -> None:
        assert self.room() == self.room(due_in=-3600) == 9

    @given(made=st.integers(0, 9))
    def test_is_what_the_burst_leaves(self, made: int) -> None:
        due_at = START
        for _ in range(made):
            turn = rates.turn(self.RATE, due_at=due_at, blocked_until=None, now=START)
            assert turn.at == START
            due_at = turn.due_at
        assert rates.room(self.RATE, due_at=due_at, blocked_until=None, now=START) == 9 - made

    def test_is_none_while_the_vendor_has_said_to_wait(self) -> None:
        assert self.room(blocked_for=1) == 0
        assert self.room(blocked_for=-1) == 9

    def test_is_never_less_than_none(self) -> None:
        assert self.room(due_in=3600) == 0

    def test_does_not_believe_what_no_clock_can_have_written(self) -> None:
        assert self.room(due_in=86_400 * 365, blocked_for=86_400 * 365) == 9
