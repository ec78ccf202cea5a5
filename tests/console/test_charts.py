"""The charts: what they show, however somebody looks at them, and nothing that a page may not hold."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from datetime import date, timedelta
from xml.etree import ElementTree as ET

import pytest

from canvas_app.console import charts
from canvas_app.console.charts import Chart
from canvas_app.interviews import figures
from canvas_app.interviews.figures import Closer, Figures, Funnel, Theme, Week

HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"
WEEKS = [
    Week(date(2026, 1, 5) + timedelta(weeks=number), dict(zip(figures.SENTIMENTS, counts, strict=True)))
    for number, counts in enumerate([(3, 1, 0, 2), (0, 0, 0, 0), (1, 0, 4, 0)])
]
CLOSER = Closer(
    read=20,
    with_themes=10,
    themes=[Theme(HOSTILE, 7, 0.7), Theme("A theme whose name is far too long for a chart", 2, 0.2)],
    waits=[1, 2, 3, 0, 0, 4],
    to_answer=timedelta(hours=5),
    to_intercom=timedelta(seconds=9),
)
FULL = Figures(
    Funnel((12, 10, 8, 5, 4, 3)), {}, WEEKS, 11, {1: 0, 2: 1, 3: 2, 4: 5, 5: 3}, unscored=2, closer=CLOSER
)
EMPTY = Figures(
    Funnel(), {}, [Week(date(2026, 1, 5), dict.fromkeys(figures.SENTIMENTS, 0))], 0, {}, 0, Closer()
)


def drawn(found: Figures = FULL) -> dict[str, Chart]:
    return {chart.id: chart for chart in charts.all_of(found, "planted-nonce")}


def root(chart: Chart) -> ET.Element:
    assert chart.svg is not None
    return ET.fromstring(str(chart.svg))  # noqa: S314 -- made here


def texts(chart: Chart) -> list[str]:
    return [element.text or "" for element in root(chart).iter() if element.tag.endswith("}text")]


def bars(chart: Chart) -> list[ET.Element]:
    rects = (element for element in root(chart).iter() if element.tag.endswith("}rect"))
    return [element for element in rects if "reactive" in element.get("class", "")]


@pytest.mark.parametrize("name", ["funnel", "sentiment", "themes", "quality", "waits"])
class TestEachChart:
    def test_has_a_style_of_this_page_alone_and_no_script(self, name: str) -> None:
        svg = str(drawn()[name].svg)
        assert (
            len(re.findall("<style", svg)) == len(re.findall('<style[^>]* nonce="planted-nonce"', svg)) == 1
        )
        svg = re.sub(r"(?s)<style.*?</style>", "", svg)
        for forbidden in ("<script", "javascript:", "onload", "onclick", ' style="', "xlink", "<!--", "href"):
            assert forbidden not in svg, forbidden
        assert "://" not in svg.replace("http://www.w3.org/2000/svg", "")

    def test_is_told_in_words_to_whoever_cannot_see_it(self, name: str) -> None:
        chart = drawn()[name]
        assert root(chart).get("role") == "img"
        assert (root(chart).get("aria-label") or "").startswith(chart.title)

    def test_has_a_table_of_the_same_numbers(self, name: str) -> None:
        chart = drawn()[name]
        assert chart.rows
        assert all(len(row) == len(chart.columns) for row in chart.rows)

    def test_is_not_drawn_where_there_is_nothing(self, name: str) -> None:
        assert drawn(EMPTY)[name].svg is None

    def test_two_on_a_page_do_not_style_each_other(self, name: str) -> None:
        one, other = (root(drawn()[name]).get("id") for _ in range(2))
        assert one != other


def test_the_funnel_goes_from_sent_to_written_back() -> None:
    chart = drawn()["funnel"]
    assert [text for text in texts(chart) if "·" in text] == [
        "Written back · 3",
        "Analysed · 4",
        "Answered · 5",
        "Opened · 8",
        "Sent · 10",
    ]
    widths = [float(bar.get("width", 0)) for bar in bars(chart)]
    assert widths == sorted(widths)
    assert chart.rows[0] == ("Asked for", "12", "", "")
    assert chart.rows[3] == ("Answered", "5", "62 %", "50 %")


def test_sentiments_are_stacked_by_week() -> None:
    chart = drawn()["sentiment"]
    assert [text for text in texts(chart) if text in ("Positive", "Neutral", "Mixed", "Negative")] == [
        "Positive",
        "Neutral",
        "Mixed",
        "Negative",
    ]
    assert {"5 Jan", "12 Jan", "19 Jan"} <= set(texts(chart))
    assert len(bars(chart)) == 5 + 4, "four of them are the legend's, and no zero has one"
    assert chart.rows[0] == ("2026-01-05", "3", "1", "0", "2")
    assert "Positive: 4" not in (root(chart).get("aria-label") or "")
    assert "positive: 4, neutral: 1, mixed: 4, negative: 2" in (root(chart).get("aria-label") or "")


def test_of_many_weeks_a_few_are_named() -> None:
    year = [
        Week(date(2026, 1, 5) + timedelta(weeks=number), dict.fromkeys(figures.SENTIMENTS, 3))
        for number in range(53)
    ]
    chart = charts.sentiments(year, "n")
    named = [text for text in texts(chart) if re.fullmatch(r"\d+ [A-Z][a-z]{2}", text)]
    assert 4 <= len(named) <= 6
    assert len(chart.rows) == 53


def test_a_theme_is_text_and_is_cut_in_the_chart_alone() -> None:
    chart = drawn()["themes"]
    assert any(text.startswith("<script>alert(1)") for text in texts(chart))
    assert "<script" not in str(chart.svg)
    assert any("… · 20 %" in text for text in texts(chart))
    assert chart.rows[0] == (HOSTILE, "7", "70 %")
    assert chart.rows[1][0] == "A theme whose name is far too long for a chart"


def test_where_only_the_newest_were_read_it_is_said() -> None:
    assert "newest" not in (charts.themes(CLOSER, "n").note or "")
    many = Closer(read=figures.MOST_READ, themes=CLOSER.themes, with_themes=9)
    assert "Of the newest 1,000 results." in (charts.themes(many, "n").note or "")


def test_scores_and_times_are_shares_of_all() -> None:
    found = drawn()
    assert found["quality"].rows[3] == ("4", "5", "45 %")
    assert "2 answers have none" in (found["quality"].note or "")
    assert found["waits"].rows[0] == ("within an hour", "1", "10 %")
    assert "Half of the answers come within 5.0 hours." in (found["waits"].note or "")


@pytest.mark.parametrize(
    ("unscored", "note"),
    [(0, "rounded."), (1, "rounded; 1 answer has none."), (1200, "rounded; 1,200 answers have none.")],
)
def test_how_many_have_no_score_is_said_where_there_are_some(unscored: int, note: str) -> None:
    chart = charts.scores(replace(FULL, unscored=unscored), "n")
    assert (chart.note or "").endswith(note)


def test_what_is_looked_for_first_stands_in_tiles() -> None:
    assert [value for _, value in charts.tiles(FULL)] == ["10", "50 %", "36 %", "5.0 hours"]
    assert [value for _, value in charts.tiles(EMPTY)] == ["0", *["\N{EN DASH}"] * 3]


@pytest.mark.parametrize(
    ("share", "words"),
    [(None, ""), (0, "0 %"), (0.004, "0.4 %"), (0.5, "50 %"), (0.996, "99.6 %"), (1, "100 %")],
)
def test_a_share_that_is_not_all_never_looks_like_all(share: float | None, words: str) -> None:
    assert charts.percent(share) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (9, "9 seconds"),
        (119, "119 seconds"),
        (150, "2.5 minutes"),
        (90_000, "25 hours"),
        (864_000, "10 days"),
    ],
)
def test_a_length_of_time_is_told_in_its_largest_unit(seconds: int, words: str) -> None:
    assert charts.span(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [(1, [0, 1]), (4, [0, 1, 2, 3, 4]), (6, [0, 2, 4, 6]), (43, [0, 10, 20, 30, 40, 50])],
)
def test_an_axis_has_few_whole_numbers(highest: int, ticks: list[int]) -> None:
    assert charts._ticks(highest) == ticks


class TestColours:
    """What people with each kind of colour blindness see, by the matrices of Machado, Oliveira and Fernandes
    (2009, https://doi.org/10.1109/TVCG.2009.113) for the whole of it, on linear light."""

    SIGHT = {  # noqa: RUF012
        "trichromacy": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        "protanopia": (
            (0.152286, 1.052583, -0.204868),
            (0.114503, 0.786281, 0.099216),
            (-0.003882, -0.048116, 1.051998),
        ),
        "deuteranopia": (
            (0.367322, 0.860646, -0.227968),
            (0.280085, 0.672501, 0.047413),
            (-0.011820, 0.042940, 0.968881),
        ),
        "tritanopia": (
            (1.255528, -0.076749, -0.178779),
            (-0.078411, 0.930809, 0.147602),
            (0.004733, 0.691367, 0.303900),
        ),
        "grey": ((0.2126, 0.7152, 0.0722),) * 3,
    }

    @pytest.mark.parametrize("sight", SIGHT)
    def test_any_two_are_told_apart(self, sight: str) -> None:
        for one, other in itertools.combinations(charts.SENTIMENT_COLOURS, 2):
            assert self.difference(one, other, sight) > 20, (one, other)

    def test_all_stand_out_from_the_page_by_themselves_or_by_their_edge(self) -> None:
        assert self.contrast(charts.EDGE, charts.PAGE) > 3
        assert self.contrast(charts.INK, charts.PAGE) > 4.5
        assert self.contrast(charts.ONE_COLOUR, charts.PAGE) > 3

    def linear(self, colour: str) -> list[float]:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]

    def luminance(self, colour: str) -> float:
        red, green, blue = self.linear(colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def contrast(self, one: str, other: str) -> float:
        darker, lighter = sorted((self.luminance(one), self.luminance(other)))
        return (lighter + 0.05) / (darker + 0.05)

    def lab(self, colour: str, sight: str) -> tuple[float, float, float]:
        seen = [
            max(sum(a * b for a, b in zip(row, self.linear(colour), strict=True)), 0.0)
            for row in self.SIGHT[sight]
        ]
        to_xyz = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
        white = (0.95047, 1.0, 1.08883)
        x, y, z = (
            value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116
            for value in (
                sum(a * b for a, b in zip(row, seen, strict=True)) / part
                for row, part in zip(to_xyz, white, strict=True)
            )
        )
        return 116 * y - 16, 500 * (x - y), 200 * (y - z)

    def difference(self, one: str, other: str, sight: str) -> float:
        pairs = zip(self.lab(one, sight), self.lab(other, sight), strict=True)
        return float(sum((a - b) ** 2 for a, b in pairs) ** 0.5)
