"""What the console counts, on both databases: how far interviews came, and what their results say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from bench.filled import fill
from canvas_app import store
from canvas_app.interviews import figures, ledger
from canvas_app.interviews.figures import Figures, Funnel
from canvas_app.interviews.tables import interviews
from tests.support.plans import watched

# A Thursday.
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def row(ago: timedelta, **values: Any) -> dict[str, Any]:
    """An interview that was asked for so long ago."""
    id_ = ledger.new_id()
    asked = NOW - ago
    return {
        "id": id_,
        "workspace_id": "ws1",
        "contact_id": id_,
        "study": "default",
        "origin": "card",
        "state": "queued",
        "link_token": id_,
        "send_attempt": 1,
        "created_at": asked,
        "state_since": asked,
        "send_before": asked,
        "result": None,
        **dict.fromkeys(("reason", "sent_at", "opened_at", "completed_at", "written_back_at")),
        **values,
    }


def answered(ago: timedelta, after: timedelta = timedelta(hours=2), **values: Any) -> dict[str, Any]:
    """An interview that was sent so long ago, and answered and written back ``after`` that."""
    sent = NOW - ago
    result = {"sentiment": "positive", "quality": 4.0, "themes": ["Pricing"], "identity": "named"}
    return row(
        ago,
        state="written_back",
        sent_at=sent,
        opened_at=sent,
        completed_at=sent + after,
        written_back_at=sent + after + timedelta(seconds=10),
        result=result | values.pop("result", {}),
        **values,
    )


def put(engine: Engine, *rows: dict[str, Any]) -> None:
    with store.writing(engine) as connection:
        for values in rows:
            connection.execute(sa.insert(interviews).values(**values))


def read(engine: Engine, days: int = 30, **options: Any) -> Figures:
    with store.reading(engine) as connection:
        return figures.read(connection, "ws1", days=days, now=NOW, **{"zone": UTC, **options})


DAY = timedelta(days=1)


class TestFunnel:
    @pytest.mark.parametrize(
        ("values", "stage"),
        [
            ({"state": "queued"}, 0),
            ({"state": "failed", "reason": "too_late"}, 0),
            ({"state": "unknown"}, 0),
            ({"state": "sent", "sent_at": NOW}, 1),
            ({"state": "expired", "sent_at": NOW}, 1),
            ({"state": "cancelled", "sent_at": NOW, "opened_at": NOW}, 2),
            # Whoever has answered has opened it, whatever was noticed of that.
            ({"state": "completed", "sent_at": NOW, "completed_at": NOW}, 3),
            ({"state": "completed", "completed_at": NOW, "result": {"sentiment": None, "quality": None}}, 3),
            ({"state": "not_written", "completed_at": NOW, "result": {"quality": 2.0}}, 4),
            ({"state": "failed", "completed_at": NOW, "result": {"sentiment": "mixed"}}, 4),
            ({"state": "analysed", "completed_at": NOW}, 4),
            ({"state": "written_back", "completed_at": NOW, "written_back_at": NOW}, 5),
            # Corrected, and to be written once more.
            ({"state": "analysed", "completed_at": NOW, "written_back_at": NOW}, 5),
        ],
    )
    def test_an_interview_counts_for_every_stage_that_it_has_reached(
        self, engine: Engine, values: dict[str, Any], stage: int
    ) -> None:
        put(engine, row(DAY, **values))
        expected = tuple(int(number <= stage) for number in range(len(figures.STAGES)))
        assert read(engine).funnel.counts == expected

    def test_the_period_is_counted_from_when_it_was_asked_for(self, engine: Engine) -> None:
        put(engine, *(row(days * DAY) for days in (1, 6, 8, 29, 31, 89, 364, 366)))
        asked = {days: read(engine, days).funnel.counts[0] for days in figures.PERIODS}
        assert asked == {7: 2, 30: 4, 90: 6, 365: 7}

    def test_another_workspace_is_not_counted(self, engine: Engine) -> None:
        put(engine, row(DAY, workspace_id="ws2"), answered(DAY, workspace_id="ws2"))
        found = read(engine)
        assert found.funnel == Funnel()
        assert (found.answered, found.closer.read, found.by_study) == (0, 0, {})

    def test_each_study_has_its_own_and_one_can_be_chosen(self, engine: Engine) -> None:
        put(engine, row(DAY, study="a"), answered(DAY, study="a"), answered(DAY, study="b"))
        found = read(engine, study="a")
        assert {slug: funnel.counts for slug, funnel in found.by_study.items()} == {
            "a": (2, 1, 1, 1, 1, 1),
            "b": (1, 1, 1, 1, 1, 1),
        }
        assert found.funnel.counts == (2, 1, 1, 1, 1, 1)
        assert (found.answered, found.closer.read) == (1, 1)
        assert read(engine).funnel.counts == (3, 2, 2, 2, 2, 2)

    def test_rates_are_shares_of_those_sent_and_of_the_stage_before(self) -> None:
        funnel = Funnel((10, 8, 4, 2, 2, 1))
        assert [funnel.of_sent(stage) for stage in range(6)] == [None, 1.0, 0.5, 0.25, 0.25, 0.125]
        assert [funnel.of_before(stage) for stage in range(6)] == [None, 0.8, 0.5, 0.5, 1.0, 0.5]
        assert Funnel().of_sent(3) is None
        assert Funnel().of_before(3) is None


class TestResults:
    def test_weeks_begin_on_monday_by_the_clocks_of_the_workspace(self, engine: Engine) -> None:
        # 23:30 UTC on a Sunday is Monday in Berlin.
        late = NOW - datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
        put(engine, answered(late, timedelta(0), result={"sentiment": "negative"}))

        def found(zone: Any) -> dict[date, int]:
            weeks = read(engine, 7, zone=zone).weeks
            return {week.monday: week.sentiments["negative"] for week in weeks}

        assert found(UTC) == {date(2026, 11, 16): 1, date(2026, 11, 23): 0}
        assert found(BERLIN) == {date(2026, 11, 16): 0, date(2026, 11, 23): 1}

    def test_every_week_of_the_period_is_there_with_every_sentiment(self, engine: Engine) -> None:
        put(
            engine,
            *(
                answered(weeks * 7 * DAY, result={"sentiment": sentiment})
                for weeks, sentiment in ((1, "positive"), (1, "mixed"), (3, "neutral"), (3, None))
            ),
        )
        weeks = read(engine, 30).weeks
        assert [week.monday for week in weeks] == [date(2026, 10, 26) + 7 * n * DAY for n in range(5)]
        assert [tuple(week.sentiments.values()) for week in weeks] == [
            (0, 0, 0, 0),
            (0, 1, 0, 0),
            (0, 0, 0, 0),
            (1, 0, 1, 0),
            (0, 0, 0, 0),
        ]

    def test_an_answer_that_is_dated_ahead_of_our_clock_is_of_this_week(self, engine: Engine) -> None:
        put(engine, answered(DAY, 9 * DAY))
        assert read(engine, 7).weeks[-1].sentiments["positive"] == 1

    def test_scores_are_rounded_and_those_without_one_are_told(self, engine: Engine) -> None:
        given = (1, 2.4, 2.5, 4, 4, 5, None)
        put(engine, *(answered(DAY, result={"quality": score}) for score in given))
        found = read(engine)
        assert found.scores == {1: 1, 2: 1, 3: 1, 4: 2, 5: 1}
        assert (found.unscored, found.answered) == (1, 7)

    def test_times_from_sending_to_answer_are_grouped_and_have_a_median(self, engine: Engine) -> None:
        hours = (0.5, 2, 3, 30, 400)
        put(engine, *(answered(20 * DAY, timedelta(hours=number)) for number in hours))
        closer = read(engine).closer
        assert list(closer.waits) == [1, 2, 0, 1, 0, 1]
        assert closer.to_answer == timedelta(hours=3)
        assert closer.to_intercom == timedelta(seconds=10)

    def test_an_answer_dated_before_its_message_took_no_time(self, engine: Engine) -> None:
        put(engine, answered(DAY, -timedelta(minutes=1)))
        assert read(engine).closer.to_answer == timedelta(0)

    def test_themes_and_times_are_of_the_newest_results(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(figures, "MOST_READ", 2)
        for days, theme in ((3, "Old"), (2, "New"), (1, "New")):
            put(engine, answered(days * DAY, result={"themes": [theme]}))
        closer = read(engine).closer
        assert [(theme.name, theme.number, theme.share) for theme in closer.themes] == [("New", 2, 1.0)]
        assert closer.read == 2

    def test_nothing_is_nothing(self, engine: Engine) -> None:
        found = read(engine)
        assert found.funnel == Funnel()
        assert found.scores == dict.fromkeys(figures.SCORES, 0)
        assert (found.closer.to_answer, found.closer.themes) == (None, [])
        assert not any(sum(week.sentiments.values()) for week in found.weeks)


class TestThemes:
    def test_a_theme_counts_once_a_result_whatever_its_case(self) -> None:
        found, named = figures.top_themes(
            [["Pricing", "pricing ", "SSO"], ["Pricing"], ["pricing", " "], [], None, [7], "no list"]
        )
        assert [(theme.name, theme.number) for theme in found] == [("Pricing", 3), ("SSO", 1)]
        assert named == 3
        assert [theme.share for theme in found] == [1.0, 1 / 3]

    def test_the_commonest_come_first_and_ties_are_in_order(self) -> None:
        lists = [["b", "c"], ["c"], ["a"]] + [[f"t{number}"] for number in range(30)]
        found, _ = figures.top_themes(lists)
        assert [theme.name for theme in found][:3] == ["c", "a", "b"]
        assert len(found) == figures.MOST_THEMES


@pytest.mark.parametrize("study", [None, "leaving"])
def test_no_query_of_a_period_reads_the_whole_ledger(engine: Engine, study: str | None) -> None:
    fill(engine, workspace="ws1", number=6_000, received=0)
    with store.reading(engine) as connection:
        now = store.now(connection)
        with watched(engine) as plans:
            figures.read(connection, "ws1", days=7, now=now, zone=UTC, study=study)
    assert len(plans.queries) == 3
    for text in plans.texts(engine):
        assert "ix_interviews_funnel" in text or "ix_interviews_answers" in text, text
    assert plans.whole_reads(engine) == []
