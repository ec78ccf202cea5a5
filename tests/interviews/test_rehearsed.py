"""What a dry run has found is kept for a day, as ids and reasons, and about nobody who is to be forgotten."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.interviews import rehearsed, rulebook, rulestore
from canvas_app.interviews.rehearsed import Kept, Line, Rehearsal
from canvas_app.interviews.rulebook import No
from canvas_app.interviews.tables import rehearsal_lines, rehearsals
from tests.support.events import add_rule
from tests.support.world import WORKSPACE, World

HOUR = timedelta(hours=1)


def begun(world: World, slug: str = "closed") -> str:
    with store.writing(world.engine) as connection:
        id_ = rehearsed.begin(connection, world.services.jobs, WORKSPACE, slug)
    assert id_ is not None
    return id_


def run(world: World, id_: str) -> Rehearsal:
    with store.reading(world.engine) as connection:
        found = rehearsed.get(connection, WORKSPACE, id_)
    assert found is not None
    return found


def lines(world: World, id_: str) -> list[Kept]:
    with store.reading(world.engine) as connection:
        return rehearsed.lines(connection, id_)


def finish(world: World, id_: str, *found: Line) -> bool:
    with store.writing(world.engine) as connection:
        return rehearsed.finish(connection, id_, found)


def line(world: World, contact_id: str = "c1", **changes: Any) -> Line:
    with store.reading(world.engine) as connection:
        now = store.now(connection)
    values = {"conversation_id": "601", "happened_at": now, "sent_at": now + HOUR, "no": None, **changes}
    return Line(contact_id=contact_id, **values)


@pytest.fixture(autouse=True)
def _rule(world: World) -> None:
    add_rule(world)


def test_one_that_is_under_way_is_not_begun_again(world: World) -> None:
    first = begun(world)
    assert begun(world) == first
    assert (world.count(rehearsals), len(world.pending())) == (1, 1)
    add_rule(world, "other")
    assert begun(world, "other") != first


def test_after_it_has_ended_another_may_begin(world: World) -> None:
    first = begun(world)
    assert finish(world, first)
    assert begun(world) != first


def test_there_is_none_of_a_rule_that_is_not_there(world: World) -> None:
    with store.writing(world.engine) as connection:
        assert rehearsed.begin(connection, world.services.jobs, WORKSPACE, "none") is None


def test_one_that_no_job_is_at_has_failed(world: World) -> None:
    id_ = begun(world)
    assert (run(world, id_).state, run(world, id_).reason) == ("waiting", None)
    world.services.jobs._client.cancel_workflow(f"rehearse:{id_}")
    assert (run(world, id_).state, run(world, id_).reason) == ("failed", "given_up")
    assert begun(world) != id_


def test_it_is_about_the_workspace_alone(world: World) -> None:
    id_ = begun(world)
    with store.reading(world.engine) as connection:
        assert rehearsed.get(connection, "ws2", id_) is None
        assert rehearsed.newest(connection, "ws2", "closed") is None


def test_the_counts_are_of_all_and_the_lines_of_the_newest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsed, "MOST_ASKED", 2)
    monkeypatch.setattr(rehearsed, "MOST_NOT_ASKED", 1)
    now = line(world)
    id_ = begun(world)
    asked = [line(world, f"c{age}", happened_at=now.happened_at - age * HOUR) for age in range(4)]
    nos = [
        line(world, f"n{age}", happened_at=now.happened_at - age * HOUR, no=No("too_short", "3 characters"))
        for age in range(3)
    ]
    assert finish(world, id_, *nos, *reversed(asked), line(world, "n9", no=No("blocked")))
    found = run(world, id_)
    assert (found.state, found.asked, found.not_asked) == ("done", 4, {"too_short": 3, "blocked": 1})
    assert [one.contact_id for one in lines(world, id_)[:2]] == ["c0", "c1"]
    assert len(lines(world, id_)) == 3
    assert lines(world, id_)[0].sent_at == asked[0].sent_at
    assert lines(world, id_)[2].sent_at is None


def test_it_ends_once(world: World) -> None:
    id_ = begun(world)
    assert finish(world, id_, line(world))
    assert not finish(world, id_, line(world), line(world, "c2"))
    with store.writing(world.engine) as connection:
        assert not rehearsed.fail(connection, id_, "internal_error")
        assert not rehearsed.advance(connection, id_, seen=1, total=2)
        assert rehearsed.take(connection, id_) is None
    assert (run(world, id_).asked, len(lines(world, id_))) == (1, 1)


def test_it_is_about_the_rule_as_it_was_when_it_began_to_run(world: World) -> None:
    id_ = begun(world)
    changed = add_rule(world, delay="2 days", enabled=False)
    with store.writing(world.engine) as connection:
        assert rehearsed.take(connection, id_) is not None
    assert run(world, id_).fingerprint == rulebook.fingerprint(changed)
    assert rulebook.fingerprint(changed) == rulebook.fingerprint(
        add_rule(world, delay="2 days", title="Other")
    )


def test_who_is_erased_stands_in_no_line(world: World) -> None:
    id_ = begun(world)
    finish(world, id_, line(world), line(world, "c2"), line(world, "c1", no=No("blocked")))
    with store.writing(world.engine) as connection:
        assert rehearsed.leave_out(connection, "ws2", "c1") == 0
        assert rehearsed.leave_out(connection, WORKSPACE, "c1") == 2
    assert [one.contact_id for one in lines(world, id_)] == ["c2"]


def test_who_is_erased_while_it_runs_is_written_down_nowhere(world: World) -> None:
    id_ = begun(world)
    read = (line(world), line(world, "c2"), line(world, "c3"))
    with store.writing(world.engine) as connection:
        rehearsed.leave_out(connection, WORKSPACE, "c1")
        rehearsed.follow(connection, WORKSPACE, "c3", "c4")
    finish(world, id_, *read)
    assert [one.contact_id for one in lines(world, id_)] == ["c2"]
    assert run(world, id_).asked == 1
    with store.reading(world.engine) as connection:
        assert "c1" not in connection.execute(sa.select(rehearsals.c.left_out)).scalar_one()


def test_what_is_about_a_merged_contact_is_erased_with_who_remains(world: World) -> None:
    id_ = begun(world)
    finish(world, id_, line(world), line(world, "c2"))
    with store.writing(world.engine) as connection:
        rehearsed.follow(connection, WORKSPACE, "c1", "c9")
        assert rehearsed.leave_out(connection, WORKSPACE, "c9") == 1


def test_it_is_forgotten_after_a_day_whatever_its_state(world: World) -> None:
    id_ = begun(world)
    finish(world, id_, line(world))
    add_rule(world, "other")
    begun(world, "other")
    world.let_time_pass(hours=23)
    assert rehearsed.forget(world.services) == 0
    world.let_time_pass(hours=2)
    assert rehearsed.forget(world.services) == 2
    assert (world.count(rehearsals), world.count(rehearsal_lines)) == (0, 0)


def test_the_clock_forgets_it(world: World) -> None:
    world.intercom_knows_us()
    begun(world)
    world.let_time_pass(hours=25)
    world.tick("reconcile")
    assert world.count(rehearsals) == 0
    with store.reading(world.engine) as connection:
        assert rulestore.find(connection, "closed") is not None
