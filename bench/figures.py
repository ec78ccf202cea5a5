"""What a benchmark has found, and how it stands against what is to be reached. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Database = Literal["sqlite", "postgresql"]
TITLES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(frozen=True, slots=True)
class Target:
    """``least``: as much or more is to be reached. ``most``: less is, or exactly 0 where it is 0."""

    least: float | None = None
    most: float | None = None

    def reached(self, value: float) -> bool:
        if self.least is not None and value < self.least:
            return False
        if self.most is None:
            return True
        return value == 0 if self.most == 0 else value < self.most


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. Without a target it stands beside others; ``how`` says what else is to be known of it."""

    part: str
    what: str
    value: float
    unit: str = ""
    target: Target | None = None
    database: Database | None = None
    how: str = ""

    @property
    def reached(self) -> bool | None:
        return None if self.target is None else self.target.reached(self.value)

    def document(self) -> dict[str, Any]:
        """The figure as JSON."""
        return {**asdict(self), "reached": self.reached}


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture: bars, or lines over ``labels``. ``name`` is the beginning of its file's name."""

    name: str
    title: str
    unit: str
    series: dict[str, Sequence[float | None]]
    labels: Sequence[str] = ()
    kind: Literal["bars", "lines"] = "bars"


@dataclass(slots=True)
class Found:
    """What a part has found: figures, pictures, and the raw numbers that both were made of."""

    figures: list[Figure] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    # Sentences about what was not measured, and why.
    left_out: list[str] = field(default_factory=list)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that ``share`` of them (0 to 1) do not exceed. ValueError without any."""
    if not values:
        raise ValueError("there is nothing to take a percentile of")
    place = math.ceil(share * len(values)) - 1
    return sorted(values)[min(max(place, 0), len(values) - 1)]


def median(values: Sequence[float]) -> float:
    return percentile(values, 0.5)


def median_and_95(values: Sequence[float]) -> tuple[float, float]:
    """What half and what 95 % of many values do not exceed, between neighbours where it falls there."""
    hundredths = statistics.quantiles(values, n=100)
    return hundredths[49], hundredths[94]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The middle one of the ratios of neighbouring rounds: a machine that is busy in one is so in both."""
    if not ours or len(ours) != len(theirs):
        raise ValueError("each round has two figures")
    return median([mine / other for mine, other in zip(ours, theirs, strict=True)])


def slope(moments: Sequence[float], values: Sequence[float]) -> float:
    """How much the values grow in one unit of time, by least squares; 0 where there are fewer than two."""
    if len(moments) < 2:
        return 0.0
    mean_at, mean = sum(moments) / len(moments), sum(values) / len(values)
    spread = sum((at - mean_at) ** 2 for at in moments)
    together = sum((at - mean_at) * (value - mean) for at, value in zip(moments, values, strict=True))
    return together / spread if spread else 0.0


def table(figures: Iterable[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = ["| What | Database | To reach | Reached | |", "| --- | --- | --- | --- | --- |"]
    for figure in figures:
        verdict = {None: "", True: "yes", False: "**not reached**"}[figure.reached]
        said = f"{shown(figure.value)} {figure.unit}".strip()
        where = TITLES[figure.database] if figure.database else ""
        what = f"{figure.what} ({figure.how})" if figure.how else figure.what
        lines.append(f"| {what} | {where} | {wanted(figure)} | {said} | {verdict} |")
    return "\n".join(lines) + "\n"


def wanted(figure: Figure) -> str:
    """What is to be reached, in words."""
    target = figure.target
    if target is None:
        return ""
    said = []
    if target.least is not None:
        said.append(f"≥ {shown(target.least)}")
    if target.most is not None:
        said.append("0" if target.most == 0 else f"< {shown(target.most)}")
    return f"{', '.join(said)} {figure.unit}".strip()


def shown(value: float) -> str:
    """A number for a person, with three digits that count."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
