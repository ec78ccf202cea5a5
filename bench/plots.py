"""Pictures of what was found, as SVG without a script."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import pygal
from pygal.style import Style

from bench.figures import TITLES, Plot

COLOURS = ("#2a78c2", "#e08a1e", "#3c9d5b", "#b0413e", "#7a5ea8", "#5b6770")


def grouped(found: Iterable[tuple[str, Plot]]) -> list[Plot]:
    """Plots of the same name as one, with the database in the name of each series."""
    by_name: dict[str, list[tuple[str, Plot]]] = {}
    for database, plot in found:
        by_name.setdefault(plot.name, []).append((database, plot))
    together = []
    for plots in by_name.values():
        first = plots[0][1]
        series: dict[str, Sequence[float | None]] = {}
        for database, plot in plots:
            for name, values in plot.series.items():
                series[f"{name}, {TITLES[database]}"] = values
        # Of runs of different lengths the one with more points names them.
        labels = max((plot.labels for _, plot in plots), key=len)
        together.append(Plot(first.name, first.title, first.unit, series, labels, first.kind))
    return together


def drawn(plot: Plot) -> str:
    """The picture as SVG."""
    kinds: dict[str, Any] = {"bars": pygal.Bar, "lines": pygal.Line}
    many = len(plot.series) > 8
    kind = pygal.HorizontalBar if many else kinds[plot.kind]
    chart = kind(
        style=Style(
            background="white",
            plot_background="white",
            colors=COLOURS,
            opacity="1",
            opacity_hover="1",
            transition="none",
            font_family="system-ui, sans-serif",
        ),
        js=[],
        title=plot.title,
        width=900,
        height=max(420, 26 * len(plot.series)) if many else 420,
        legend_at_bottom=not many,
        legend_at_bottom_columns=2,
        show_legend=not many,
        truncate_legend=-1,
        truncate_label=-1,
        x_label_rotation=30 if len(plot.labels) > 8 else 0,
        include_x_axis=True,
        print_values=many or plot.kind == "bars",
        value_formatter=lambda value: f"{value:,.4g}" if value is not None else "",
        dots_size=2,
        disable_xml_declaration=True,
    )
    if many:
        # One bar with a name beside it; pygal begins at the bottom.
        names = list(reversed(plot.series))
        chart.x_labels = names
        chart.add(plot.unit, [plot.series[name][0] for name in names])
        return _without_script(chart.render(is_unicode=True))
    chart.y_title = plot.unit
    chart.x_labels = plot.labels
    for name, values in plot.series.items():
        chart.add(name, values)
    return _without_script(chart.render(is_unicode=True))


def _without_script(svg: str) -> str:
    """pygal puts its settings into a script, also where no script reads them."""
    return re.sub(r"<script\b.*?</script>", "", svg, flags=re.DOTALL)
