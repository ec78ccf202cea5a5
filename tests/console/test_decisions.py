"""What the rules have decided: newest first, filtered, page by page, and each with the interview's page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.console.views import decisions as view
from canvas_app.interviews import decisions as decided
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.search import Place
from canvas_app.interviews.tables import decisions
from tests.console.conftest import Person, person, words
from tests.interviews.asks import NOW
from tests.support.events import add_rule
from tests.support.world import WORKSPACE, World


def put(engine: Engine, number: int, **changes: Any) -> None:
    values = {
        "id": f"{number:032x}",
        "delivery_id": f"d{number}",
        "rule": "low",
        "workspace_id": WORKSPACE,
        "contact_id": f"contact-{number}",
        "conversation_id": f"60{number}",
        "verdict": "skipped",
        "reason": "rating_too_good",
        "detail": "rated 5",
        "decided_at": NOW + timedelta(minutes=number // 2),
        **changes,
    }
    with store.writing(engine) as connection:
        connection.execute(sa.insert(decisions).values(**values))


class TestThePage:
    @pytest.fixture
    def world(self, sqlite_world: World) -> World:
        return sqlite_world

    def test_decisions_are_told_in_words(self, world: World, viewer: Person) -> None:
        add_rule(world, "low", title="After a bad rating")
        put(world.engine, 1)
        put(world.engine, 2, verdict="asked", reason=None, detail=None, interview_id="f" * 32)
        text = viewer.text("decisions")
        assert "The rating was better than the rule asks about. (rated 5)" in text
        assert "After a bad rating Asked" in text
        assert text.index("contact-2") < text.index("contact-1")
        assert "contact-1" in viewer.text("rules/low")

    def test_they_are_filtered(self, world: World, viewer: Person) -> None:
        put(world.engine, 1)
        put(world.engine, 2, rule="other")
        put(world.engine, 3, verdict="planned", reason=None)
        assert "contact-2" not in viewer.text("decisions", rule="low")
        assert "contact-1" not in viewer.text("decisions", verdict="planned")
        assert "Nothing was decided" in viewer.text("decisions", rule="other", verdict="planned")
        assert "contact-3" in viewer.text("decisions", verdict="<script>")
        assert "<script>alert" not in viewer.get("decisions", rule="<script>alert(1)").text

    def test_the_list_goes_on_without_leaving_one_out(
        self, world: World, viewer: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(view, "_ON_A_PAGE", 3)
        for number in range(8):
            put(world.engine, number)
        seen, path = [], "decisions"
        while True:
            html = viewer.client.get(f"/console/{path}", base_url="https://interviews.example.com").text
            seen += [f"contact-{number}" for number in reversed(range(8)) if f"contact-{number}<" in html]
            if "Older ones" not in html:
                break
            path = html.partition("Older ones")[0].rpartition('href="/console/')[2].partition('"')[0]
            path = path.replace("&amp;", "&")
        assert seen == [f"contact-{number}" for number in reversed(range(8))]
        assert "The newest" in words(html)
        assert viewer.get("decisions", before="nonsense").status_code == 200

    def test_another_workspaces_are_not_shown(self, world: World, viewer: Person) -> None:
        put(world.engine, 1, workspace_id="ws2")
        assert "Nothing was decided yet" in viewer.text("decisions")

    @pytest.mark.parametrize("there", [True, False])
    def test_an_interview_is_linked_where_it_has_a_page(
        self, world: World, monkeypatch: pytest.MonkeyPatch, there: bool
    ) -> None:
        if not there:
            monkeypatch.setattr(view, "_INTERVIEW", "console.nowhere_at_all")
        elif view._INTERVIEW not in world.app.view_functions:
            world.app.add_url_rule("/console/interviews/<interview_id>", view._INTERVIEW, lambda **_: "")
        put(world.engine, 1, verdict="asked", interview_id="f" * 32)
        somebody = person(world, Teammate(WORKSPACE, "992", "Bo")).sign_in()
        assert (f"/console/interviews/{'f' * 32}" in somebody.get("decisions").text) == there


@pytest.mark.parametrize("rule", [None, "low"])
@pytest.mark.parametrize("verdict", [None, "skipped"])
def test_a_page_is_read_along_an_index(world: World, rule: str | None, verdict: Any) -> None:
    put(world.engine, 1)
    put(world.engine, 2)
    said: list[tuple[str, Any]] = []

    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_args: Any) -> None:
        said.append((statement, parameters))

    with store.reading(world.engine) as connection:
        if connection.dialect.name == "postgresql":
            # Of two rows, no index is worth its while.
            connection.exec_driver_sql("SET enable_seqscan = off")
            connection.exec_driver_sql("SET enable_sort = off")
        sa.event.listen(world.engine, "before_cursor_execute", listen)
        before = Place(NOW + timedelta(days=1), "0")
        try:
            found = decided.page(connection, WORKSPACE, rule=rule, verdict=verdict, before=before, most=5)
        finally:
            sa.event.remove(world.engine, "before_cursor_execute", listen)
        assert len(found) == 2
        [(statement, parameters)] = said
        explain = "EXPLAIN " if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
        plan = "\n".join(
            str(row[-1]) for row in connection.exec_driver_sql(explain + statement, parameters).all()
        )
    assert "ix_decisions_listed" in plan, plan
    assert "Sort" not in plan, plan
    assert "TEMP B-TREE" not in plan, plan
