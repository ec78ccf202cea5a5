"""What processes count is added up in the database, a few seconds later and outside of any request."""

from __future__ import annotations

import atexit
import threading
import time

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from canvas_app import store
from canvas_app.interviews import measures, refused
from canvas_app.interviews.measures import ATTEMPTS, REFUSALS, REQUESTS, SEND_SECONDS, SUM, Tally, Totals
from tests.processes.stage import until

# Here it is the real one, which no test has before it asks for it.
keep_by_itself = Tally.keep_by_itself


def totals(engine: Engine) -> Totals:
    with store.reading(engine) as connection:
        return measures.totals(connection)


def test_counts_of_several_processes_are_added_up(engine: Engine) -> None:
    for number in (1, 2):
        tally = Tally()
        for _ in range(number):
            tally.count(ATTEMPTS, "send", "done")
        tally.count(ATTEMPTS, "send", "later")
        tally.refuse("/api/interviews", "token_wrong")
        tally.keep(engine)
        # Nothing is counted twice.
        tally.keep(engine)
    assert totals(engine) == {
        "attempts": {("send", "done"): 3, ("send", "later"): 2},
        "refusals": {("/api/interviews", "token_wrong"): 2},
    }


def test_a_time_falls_into_the_bucket_whose_limit_it_does_not_exceed(engine: Engine) -> None:
    tally = Tally()
    for seconds in (0.1, 0.25, 0.26, 4000.0):
        tally.observe(SEND_SECONDS, seconds, "card")
    tally.keep(engine)
    found = totals(engine)["send_seconds"]
    assert found.pop(("card", SUM)) == pytest.approx(4000.61)
    assert found == {("card", "0.25"): 2, ("card", "0.5"): 1, ("card", "+Inf"): 1}


def test_two_processes_that_write_at_once_lose_nothing_and_do_not_block_each_other(engine: Engine) -> None:
    tallies = [Tally() for _ in range(2)]

    def count(tally: Tally, order: int) -> None:
        for _ in range(10):
            for reason in ("a", "b", "c")[::order]:
                tally.refuse("/x", reason)
            tally.keep(engine)

    threads = [threading.Thread(target=count, args=pair) for pair in zip(tallies, (1, -1), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals(engine) == {"refusals": {("/x", reason): 20 for reason in "abc"}}


def test_what_cannot_be_written_is_kept_for_the_next_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = Tally()
    tally.refuse("/x", "y")
    with monkeypatch.context() as away:

        def fail(*_args: object) -> None:
            raise OperationalError("x", {}, Exception("gone"))

        # The last of what is written, so that the rest has to be taken back.
        away.setattr(refused, "write", fail)
        tally.keep(engine)
    assert totals(engine) == {}
    tally.refuse("/x", "y")
    tally.keep(engine)
    assert totals(engine) == {"refusals": {("/x", "y"): 2}}


def test_it_is_written_by_itself_and_a_process_that_counts_nothing_has_no_thread(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "KEPT_BACK_SECONDS", 0.05)
    at_exit: list[object] = []
    monkeypatch.setattr(atexit, "register", lambda *what: at_exit.append(what))
    before = threading.active_count()
    tally = Tally()
    tally.count(REQUESTS, "api", "/x", "2xx")
    assert threading.active_count() == before
    keep_by_itself(tally, engine)
    until("it is written", lambda: totals(engine))
    until("the thread is over", lambda: threading.active_count() == before)
    tally.count(REQUESTS, "api", "/x", "2xx")
    until("it is written too", lambda: totals(engine) == {"requests": {("api", "/x", "2xx"): 2}})
    until("the thread is over again", lambda: threading.active_count() == before)
    assert at_exit == [(tally.keep, engine)]


def test_labels_are_kept_short(engine: Engine) -> None:
    tally = Tally()
    for end in "ab":
        tally.refuse("/" + "x" * 500 + end, "y")
    tally.keep(engine)
    [(labels, number)] = totals(engine)[REFUSALS.name].items()
    assert (len(labels[0]), number) == (80, 2)


def test_counting_is_no_matter_of_the_database() -> None:
    tally, begun = Tally(), time.perf_counter()
    for _ in range(10_000):
        tally.observe(SEND_SECONDS, 1.0, "card")
    assert time.perf_counter() - begun < 1.0


def test_a_statement_is_made_once_for_all_that_was_counted(engine: Engine) -> None:
    statements: list[str] = []
    tally = Tally()
    for number in range(50):
        tally.count(REQUESTS, "console", f"/console/{number}", "2xx")
    sa.event.listen(
        engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_rest: statements.append(statement),
    )
    tally.keep(engine)
    assert len([one for one in statements if "INTO counts" in one]) == 1
