"""A page asks the database few questions, however much there is to be shown."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.interviews import readymade, rehearsed
from tests.console.conftest import Person
from tests.console.test_decisions import put
from tests.support.world import WORKSPACE, World

MOST = 12


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


@pytest.mark.parametrize(
    "path",
    [
        "rules",
        "rules/churn-signal",
        "rules/churn-signal/edit",
        "new-rule",
        "decisions",
        "rehearsals/{run}",
        "studies",
        "studies/exit-3/edit",
        "studies/exit-3/words",
        "new-study",
    ],
)
def test_a_page_of_rules_or_studies_asks_few_questions(world: World, viewer: Person, path: str) -> None:
    with store.writing(world.engine) as connection:
        readymade.plant(connection)
        run = rehearsed.begin(connection, world.services.jobs, WORKSPACE, "churn-signal")
    for number in range(5):
        world.add_study(f"exit-{number}")
        put(world.engine, number, rule="churn-signal")
    engine, asked = world.app.extensions["koji_for_intercom"].engine, []

    def listen(_connection: Any, _cursor: Any, statement: str, *_args: Any) -> None:
        asked.append(statement)

    sa.event.listen(engine, "before_cursor_execute", listen)
    try:
        assert viewer.get(path.format(run=run)).status_code == 200
    finally:
        sa.event.remove(engine, "before_cursor_execute", listen)
    assert 0 < len(asked) <= MOST, asked
