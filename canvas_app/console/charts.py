"""Charts as SVG in the page: no script, one style element with the page's nonce, and a table behind each.

Colours are told apart by lightness as well as by hue, so that they are in any colour blindness and in grey;
what is light has a dark edge, so that it stands out from the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

# It reads what pygal has drawn here, and nothing else.
from xml.etree import ElementTree as ET  # nosec B405

import pygal
from markupsafe import Markup
from pygal.style import Style

from canvas_app.interviews import figures
from canvas_app.interviews.figures import Closer, Figures, Funnel, Week

# By figures.SENTIMENTS: blue, light grey, amber, dark red.
SENTIMENT_COLOURS: Final = ("#2472b8", "#e6e8eb", "#dd9a12", "#75160a")
ONE_COLOUR: Final = "#1f6fb5"
EDGE: Final = "#343a40"
INK: Final = "#212529"
PAGE: Final = "#ffffff"

STAGE_NAMES: Final = {
    "asked": "Asked for",
    "sent": "Sent",
    "opened": "Opened",
    "completed": "Answered",
    "analysed": "Analysed",
    "written_back": "Written back",
}

_NOTHING: Final = "\N{EN DASH}"
# Small enough to be read when a telephone shows it at three quarters of its size.
_WIDTH: Final = 480
_HEIGHT: Final = 280
_FONT: Final = 15
_LONGEST_LABEL: Final = 26
_MOST_TICKS: Final = 5
# With more weeks than this not every one is named.
_MOST_NAMED: Final = 6
_SVG: Final = "{http://www.w3.org/2000/svg}"
_KEPT_ATTRIBUTES: Final = frozenset(
    {"x", "y", "rx", "ry", "width", "height", "d", "class", "transform", "viewBox", "id", "type"}
)
# What is for pygal's own script, which is not there: texts that it would show under the pointer.
_UNUSED: Final = frozenset({"script", "desc", "title"})


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart; ``columns`` and ``rows`` are the table of the same numbers, ``note`` what to know of them.

    ``svg`` is None where there is nothing to draw.
    """

    id: str
    title: str
    svg: Markup | None
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str | None = None


def all_of(found: Figures, nonce: str) -> list[Chart]:
    """The overview's charts, in their order."""
    return [
        funnel(found.funnel, nonce),
        sentiments(found.weeks, nonce),
        themes(found.closer, nonce),
        scores(found, nonce),
        waits(found.closer, nonce),
    ]


def tiles(found: Figures) -> list[tuple[str, str]]:
    """What is looked for first, as names and values."""
    said = {name: sum(week.sentiments[name] for week in found.weeks) for name in figures.SENTIMENTS}
    positive = said["positive"] / sum(said.values()) if sum(said.values()) else None
    return [
        ("Sent", f"{found.funnel.counts[1]:,}"),
        ("Answered, of those sent", percent(found.funnel.of_sent(3)) or _NOTHING),
        ("Positive, of the results", percent(positive) or _NOTHING),
        ("Half answer within", span(found.closer.to_answer) if found.closer.to_answer else _NOTHING),
    ]


def funnel(counts: Funnel, nonce: str) -> Chart:
    """How far interviews came, from sent to written back."""
    stages = list(enumerate(figures.STAGES))
    drawn = [
        (STAGE_NAMES[name], f"{counts.counts[stage]:,}", counts.counts[stage]) for stage, name in stages[1:]
    ]
    rows = [
        (
            STAGE_NAMES[name],
            f"{counts.counts[stage]:,}",
            percent(counts.of_before(stage)) if stage else "",
            percent(counts.of_sent(stage)) if stage > 1 else "",
        )
        for stage, name in stages
    ]
    return Chart(
        "funnel",
        "From sent to written back",
        _bars("From sent to written back", drawn, nonce) if counts.counts[1] else None,
        ("Stage", "Interviews", "Of the stage before", "Of those sent"),
        rows,
        "Of the interviews that were asked for in this time, however far they have come until now.",
    )


def sentiments(weeks: Sequence[Week], nonce: str) -> Chart:
    """What the results of each week say."""
    title = "Sentiment by week"
    svg = None
    if any(sum(week.sentiments.values()) for week in weeks):
        chart = _chart(pygal.StackedBar, SENTIMENT_COLOURS, show_legend=True)
        highest = max(sum(week.sentiments.values()) for week in weeks)
        chart.y_labels = _ticks(highest)
        named = _named(len(weeks))
        chart.x_labels = [
            f"{week.monday.day} {week.monday:%b}" if index in named else ""
            for index, week in enumerate(weeks)
        ]
        for name in figures.SENTIMENTS:
            chart.add(name.capitalize(), [week.sentiments[name] or None for week in weeks])
        total = {name: sum(week.sentiments[name] for week in weeks) for name in figures.SENTIMENTS}
        svg = _drawn(chart, f"{title}, {len(weeks)} weeks. {_listed(total.items())}", nonce)
    return Chart(
        "sentiment",
        title,
        svg,
        ("Week from", *(name.capitalize() for name in figures.SENTIMENTS)),
        [
            (week.monday.isoformat(), *(f"{week.sentiments[name]:,}" for name in figures.SENTIMENTS))
            for week in weeks
        ],
        "The first and the last week may be incomplete.",
    )


def themes(closer: Closer, nonce: str) -> Chart:
    """What results name most."""
    title = "Top themes"
    drawn = [(_short(theme.name), percent(theme.share), theme.number) for theme in closer.themes]
    return Chart(
        "themes",
        title,
        _bars(title, drawn, nonce) if drawn else None,
        ("Theme", "Results", "Share"),
        [(theme.name, f"{theme.number:,}", percent(theme.share)) for theme in closer.themes],
        f"Shares of {closer.with_themes:,} results that name themes. {_of_newest(closer)}",
    )


def scores(found: Figures, nonce: str) -> Chart:
    """How Koji has scored the answers."""
    title = "Quality"
    total = sum(found.scores.values())
    drawn = [(f"Score {score}", f"{number:,}", number) for score, number in found.scores.items()]
    rows = [
        (str(score), f"{number:,}", percent(number / total if total else None))
        for score, number in found.scores.items()
    ]
    return Chart(
        "quality",
        title,
        _bars(title, drawn, nonce) if total else None,
        ("Score", "Answers", "Share"),
        rows,
        f"Koji's score from 1 to 5, rounded{_without_a_score(found.unscored)}.",
    )


def _without_a_score(number: int) -> str:
    if number == 0:
        return ""
    return f"; {number:,} {'answer has' if number == 1 else 'answers have'} none"


def waits(closer: Closer, nonce: str) -> Chart:
    """How long it takes from the message to the answer."""
    title = "From sending to answer"
    total = sum(closer.waits)
    names = [name for _, name in figures.WAITS]
    drawn = [(name, f"{number:,}", number) for name, number in zip(names, closer.waits, strict=True)]
    medians = [
        f"Half of the answers come within {span(closer.to_answer)}." if closer.to_answer is not None else "",
        f"Half are in Intercom {span(closer.to_intercom)} later." if closer.to_intercom is not None else "",
        _of_newest(closer),
    ]
    return Chart(
        "waits",
        title,
        _bars(title, drawn, nonce) if total else None,
        ("Time", "Answers", "Share"),
        [
            (name, f"{number:,}", percent(number / total if total else None))
            for name, number in zip(names, closer.waits, strict=True)
        ],
        " ".join(filter(None, medians)),
    )


def percent(share: float | None) -> str:
    """``42 %``; nothing where there is no share."""
    if share is None:
        return ""
    return f"{share * 100:.0f} %" if share in (0, 1) or 0.01 <= share <= 0.99 else f"{share * 100:.1f} %"


def span(time: timedelta) -> str:
    """A length of time for a person: ``40 seconds``, ``3.5 hours``, ``12 days``."""
    seconds = time.total_seconds()
    for name, length in (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0)):
        number = seconds / length
        if number >= 2:
            return f"{number:.1f} {name}" if number < 10 else f"{number:.0f} {name}"
    return f"{seconds:.0f} seconds"


def _of_newest(closer: Closer) -> str:
    return f"Of the newest {closer.read:,} results." if closer.read == figures.MOST_READ else ""


def _bars(title: str, drawn: Sequence[tuple[str, str, int]], nonce: str) -> Markup:
    """A bar for each name, the first one on top; beside it what is told of it, and how long the bar is."""
    chart = _chart(pygal.HorizontalBar, (ONE_COLOUR,), show_legend=False, height=44 + 36 * len(drawn))
    # pygal begins at the bottom. What is an axis for the eye is called y_labels all the same.
    chart.x_labels = [f"{name} · {told}" for name, told, _ in reversed(drawn)]
    chart.y_labels = [0, max(number for *_, number in drawn) or 1]
    chart.show_x_labels = False
    chart.add("", [number for *_, number in reversed(drawn)])
    return _drawn(chart, f"{title}. {_listed((name, number) for name, _, number in drawn)}", nonce)


def _chart(kind: Any, colours: Sequence[str], *, show_legend: bool, height: int = _HEIGHT) -> Any:
    style = Style(
        background="transparent",
        plot_background="transparent",
        foreground=INK,
        foreground_strong=INK,
        foreground_subtle="#6c757d",
        colors=tuple(colours),
        opacity="1",
        opacity_hover="1",
        transition="none",
        font_family="system-ui, sans-serif",
        label_font_size=_FONT,
        major_label_font_size=_FONT,
        legend_font_size=_FONT,
        guide_stroke_dasharray="2,4",
        guide_stroke_color="#adb5bd",
    )
    return kind(
        style=style,
        js=[],
        width=_WIDTH,
        height=height,
        margin=8,
        spacing=8,
        show_legend=show_legend,
        legend_at_bottom=True,
        legend_at_bottom_columns=4,
        legend_box_size=14,
        truncate_legend=-1,
        truncate_label=-1,
        print_values=False,
        value_formatter=lambda value: f"{value:,.0f}",
        explicit_size=False,
        disable_xml_declaration=True,
    )


def _drawn(chart: Any, description: str, nonce: str) -> Markup:
    """The picture as a part of a page: what it shows in words, and nothing that a page may not hold."""
    root = chart.render_tree()
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag.removeprefix(_SVG) in _UNUSED or _is_empty(child):
                parent.remove(child)
    for element in root.iter():
        for name in list(element.attrib):
            if name not in _KEPT_ATTRIBUTES:
                del element.attrib[name]
    identity = root.get("id")
    for style in (element for element in root.iter() if element.tag.removeprefix(_SVG) == "style"):
        style.set("nonce", nonce)
        edge = f"#{identity} .series rect{{stroke:{EDGE};stroke-width:1}}"
        style.text = f"{style.text or ''}\n{edge}"
    root.set("xmlns", "http://www.w3.org/2000/svg")
    root.set("role", "img")
    root.set("aria-label", description)
    # Serialised with escapes by the standard library, from a tree: nothing in it can be markup by accident.
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704  # nosec B704


def _is_empty(element: ET.Element) -> bool:
    """Whether it is the bar of a zero, whose edge would look like a little."""
    sizes = [element.get(name, "1") for name in ("width", "height")]
    return element.tag.removeprefix(_SVG) == "rect" and any(float(size) < 0.01 for size in sizes)


def _ticks(highest: int) -> list[int]:
    """A few whole numbers from 0 to at least ``highest``."""
    step = next(
        unit * 10**power
        for power in range(20)
        for unit in (1, 2, 5)
        if unit * 10**power * _MOST_TICKS >= highest
    )
    return list(range(0, highest + step, step))


def _named(number: int) -> range:
    return range(0, number, -(-number // _MOST_NAMED))


def _listed(numbers: Any) -> str:
    return ", ".join(f"{name}: {number:,}" for name, number in numbers) + "."


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1].rstrip()}…"
