"""Looking for interviews: what is found by what, a page at a time, and along an index."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.interviews import inbound, search, story
from canvas_app.interviews.search import Filter, Place
from canvas_app.interviews.tables import interviews
from tests.interviews import many
from tests.interviews.asks import NOW
from tests.support.plans import watched
from tests.support.world import WORKSPACE, full_settings


def found(engine: Engine, which: Filter, *, most: int = 1000) -> list[str]:
    with store.reading(engine) as connection:
        return [row.id for row in search.page(connection, WORKSPACE, which, most=most).rows]


def ids(*numbers: int) -> list[str]:
    return [many.id_of(number) for number in numbers]


class TestPages:
    def test_each_interview_stands_on_one_page_the_newest_first(self, engine: Engine) -> None:
        many.fill(engine, interviews_=200)
        seen: list[str] = []
        after: Place | None = None
        with store.reading(engine) as connection:
            while True:
                page = search.page(connection, WORKSPACE, Filter(), after=after, most=7)
                seen += [row.id for row in page.rows]
                after = page.next
                if after is None:
                    break
                assert len(page.rows) == 7
            expected = connection.execute(
                sa.select(interviews.c.id)
                .where(interviews.c.workspace_id == WORKSPACE)
                .order_by(interviews.c.created_at.desc(), interviews.c.id.desc())
            ).scalars()
            assert seen == list(expected)
        assert len(seen) == 196

    def test_one_that_is_asked_for_meanwhile_moves_nothing(self, engine: Engine) -> None:
        many.fill(engine, interviews_=10)
        with store.writing(engine) as connection:
            first = search.page(connection, WORKSPACE, Filter(), most=3)
            newer = many.interview(900, created_at=NOW + timedelta(hours=1))
            connection.execute(sa.insert(interviews).values(**newer))
            second = search.page(connection, WORKSPACE, Filter(), after=first.next, most=3)
        assert not {row.id for row in first.rows} & {row.id for row in second.rows}

    def test_a_last_page_that_is_full_has_none_behind_it(self, engine: Engine) -> None:
        many.fill(engine, interviews_=4)
        with store.reading(engine) as connection:
            assert search.page(connection, WORKSPACE, Filter(), most=3).next is None

    def test_all_of_them_are_read_in_batches(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        many.fill(engine, interviews_=100)
        monkeypatch.setattr(search, "BATCH", 9)
        rows = list(search.every(engine, WORKSPACE, Filter()))
        assert len({row.id for row in rows}) == len(rows) == 98


@pytest.mark.parametrize("text", ["mia", "PERSON1", "c7", "customer", "nobody", many.id_of(33)])
@pytest.mark.parametrize("which", [Filter(), Filter(state="failed"), Filter(study="leaving")])
def test_whether_many_begin_like_that_changes_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, text: str, which: Filter
) -> None:
    many.fill(engine, interviews_=600)
    few = found(engine, replace(which, text=text), most=20)
    monkeypatch.setattr(search, "_MANY", 0)
    assert found(engine, replace(which, text=text), most=20) == few


class TestFilter:
    @pytest.mark.parametrize(
        ("which", "picks"),
        [
            (Filter(state="failed"), lambda row: row["state"] == "failed"),
            (Filter(study="default"), lambda row: row["study"] == "default"),
            (Filter(origin="api"), lambda row: row["origin"] == "api"),
            (Filter(teammate="991"), lambda row: row["asked_by_id"] == "991"),
            (
                Filter(since=NOW - timedelta(minutes=60), before=NOW - timedelta(minutes=30)),
                lambda row: NOW - timedelta(minutes=60) <= row["created_at"] < NOW - timedelta(minutes=30),
            ),
            (
                Filter(state="expired", origin="rule", study="leaving"),
                lambda row: (row["state"], row["origin"], row["study"]) == ("expired", "rule", "leaving"),
            ),
            (Filter(text="mia"), lambda row: (row["contact_name"] or "").lower().startswith("mia")),
        ],
    )
    def test_picks_those_and_no_others(self, engine: Engine, which: Filter, picks: object) -> None:
        assert callable(picks)
        many.fill(engine, interviews_=150)
        rows = [many.interview(number) for number in range(150)]
        expected = {row["id"] for row in rows if row["workspace_id"] == WORKSPACE and picks(row)}
        assert expected
        assert set(found(engine, which)) == expected

    @pytest.mark.parametrize(
        ("text", "numbers"),
        [
            ("person11@", (11,)),
            ("PERSON11@EXAMPLE.COM", (11,)),
            ("c13", (13,)),
            ("14", (14,)),
            ("koji-15", (15,)),
            (many.id_of(16), (16,)),
            (many.id_of(16).upper(), (16,)),
            ("100%", (12, 5)),
            ("o'", (11, 4)),
            ("%", ()),
            ("_", ()),
            ("erson11@", ()),
            ("c1", (1,)),
        ],
    )
    def test_text_is_how_something_begins_or_a_whole_id(
        self, engine: Engine, text: str, numbers: tuple[int, ...]
    ) -> None:
        many.fill(engine, interviews_=18)
        assert sorted(found(engine, Filter(text=text))) == sorted(ids(*numbers))

    def test_another_workspace_s_are_not_found_by_anything(self, engine: Engine) -> None:
        many.fill(engine, interviews_=10)
        for text in ("c0", "0", "koji-0", many.id_of(0), "person0@"):
            assert found(engine, Filter(text=text)) == []

    def test_those_who_have_asked_are_listed_by_name(self, engine: Engine) -> None:
        many.fill(engine, interviews_=60)
        with store.reading(engine) as connection:
            assert search.teammates(connection, WORKSPACE) == [
                ("990", "Rep 0"),
                ("991", "Rep 1"),
                ("992", "Rep 2"),
            ]
            assert search.teammates(connection, "nobodys") == []


class TestPlans:
    """That no query reads a large table from its beginning to its end."""

    def test_lists_and_stories_go_along_an_index(self, engine: Engine, database_url: str) -> None:
        many.fill(engine, interviews_=20_000, deliveries_=40_000)
        settings = full_settings(database_url)
        place = Place(NOW - timedelta(minutes=9_000), many.id_of(9_000))
        since, before = NOW - timedelta(days=3), NOW - timedelta(days=2)
        filters = [
            Filter(),
            Filter(state="failed"),
            Filter(study="leaving"),
            Filter(study="nowhere"),
            Filter(origin="card"),
            Filter(teammate="991"),
            Filter(teammate="nobody"),
            Filter(since=since, before=before),
            Filter(state="cancelled", since=since, before=before),
            Filter(text="mia"),
            Filter(text="person77"),
            Filter(text="nobody at all"),
            Filter(text=many.id_of(77), state="failed"),
        ]
        inbounds = [
            inbound.Filter(),
            inbound.Filter(state="failed"),
            inbound.Filter(state="stored"),
            inbound.Filter(door="intercom"),
            inbound.Filter(door="intercom", state="failed"),
            inbound.Filter(since=since, before=before),
        ]
        with watched(engine) as plans, store.reading(engine) as connection:
            for which in filters:
                for after in (None, place):
                    search.page(connection, WORKSPACE, which, after=after, most=50)
            search.teammates(connection, WORKSPACE)
            for one in inbounds:
                for after in (None, place):
                    inbound.page(connection, one, after=after, most=50)
            inbound.failed_reasons(connection)
            assert story.read(connection, settings, WORKSPACE, many.id_of(77)) is not None
        assert len(plans.queries) > 40
        scans = plans.whole_reads(engine)
        assert not scans, "\n\n".join(scans)
