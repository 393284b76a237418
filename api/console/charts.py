"""Charts as SVG geometry; the templates draw it in the colors of the page, light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 560, 170, 46, 22, 10


@dataclass(frozen=True)
class Mark:
    """A bar or a point with its text for readers and screen readers."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    text: str


@dataclass(frozen=True)
class Chart:
    """Marks, lines and ticks in a box of `width` by `height`."""

    width: int
    height: int
    bars: list[Mark]
    lines: list[tuple[str, str, str]]
    points: list[Mark]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    summary: str
    legend: list[tuple[str, str]]


def stacked_bars(
    rows: Sequence[dict[str, Any]], series: Sequence[tuple[str, str]], label: str, summary: str
) -> Chart:
    """Return bars by row, one color for each series.

    Args:
        rows: In order from left to right.
        series: Keys of the values, with the names of the legend.
        label: Key of the text below each bar.
        summary: The chart in words.
    """
    highest = max((sum(float(row[key] or 0) for key, _ in series) for row in rows), default=0) or 1
    step = (WIDTH - LEFT) / max(len(rows), 1)
    bars = []
    for number, row in enumerate(rows):
        top = float(HEIGHT - BOTTOM)
        for place, (key, name) in enumerate(series):
            value = float(row[key] or 0)
            height = value / highest * (HEIGHT - BOTTOM - TOP)
            top -= height
            if value:
                bars.append(
                    Mark(
                        LEFT + step * number + step * 0.1, top, step * 0.8, height, f"s{place}",
                        f"{row[label]}: {value:,.6g} {name}",
                    )
                )  # fmt: skip
    return _chart(
        bars=bars,
        x_ticks=_labels([str(row[label]) for row in rows], lambda number: LEFT + step * (number + 0.5)),
        y_ticks=_scale(highest),
        summary=summary,
        legend=[(f"s{place}", name) for place, (_, name) in enumerate(series)],
    )


def lines(
    series: Sequence[tuple[str, Sequence[tuple[str, float | None]]]],
    summary: str,
    highest: float | None = None,
) -> Chart:
    """Return lines over named positions, as days.

    Args:
        series: Name, and position with value; positions are sorted by their text.
        summary: The chart in words.
        highest: Top of the scale; by default the greatest value.
    """
    names = sorted({name for _, points in series for name, _ in points})
    known = [value for _, points in series for _, value in points if value is not None]
    top = highest or (max(known, default=0) * 1.1) or 1
    step = (WIDTH - LEFT) / max(len(names), 1)
    drawn, marks = [], []
    for place, (title, points) in enumerate(series):
        path = [
            (
                LEFT + step * (names.index(name) + 0.5),
                _y(min(value, top), top),
                f"{name}: {title} {value:.4g}",
            )
            for name, value in points
            if value is not None
        ]
        drawn.append((" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in path), f"s{place}", title))
        marks += [Mark(x, y, 0, 0, f"s{place}", text) for x, y, text in path]
    return _chart(
        lines=drawn,
        points=marks,
        x_ticks=_labels(names, lambda number: LEFT + step * (number + 0.5)),
        y_ticks=_scale(top),
        summary=summary,
        legend=[(f"s{place}", title) for place, (title, _) in enumerate(series)],
    )


def timeline(rows: Sequence[dict[str, Any]], summary: str) -> Chart:
    """Return transactions as points: time to the right, amount up.

    Args:
        rows: With `occurred_at`, `amount`, `kind` and `text`.
        summary: The chart in words.
    """
    if not rows:
        return _chart(summary=summary)
    first, last = min(row["occurred_at"] for row in rows), max(row["occurred_at"] for row in rows)
    span = (last - first).total_seconds() or 1.0
    highest = max(float(row["amount"]) for row in rows) or 1.0
    width = WIDTH - LEFT - 16
    points = [
        Mark(
            LEFT + 8 + (row["occurred_at"] - first).total_seconds() / span * width,
            _y(float(row["amount"]), highest), 0, 0, row["kind"], row["text"],
        )
        for row in rows
    ]  # fmt: skip
    ticks = [(LEFT + 30.0, f"{first:%d %b %H:%M}")]
    if last > first:
        ticks.append((WIDTH - 40.0, f"{last:%d %b %H:%M}"))
    return _chart(points=points, x_ticks=ticks, y_ticks=_scale(highest), summary=summary)


def signed_bars(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return contributions with the geometry of their bars: 100 units on each side of zero.

    Args:
        rows: With `contribution`.
    """
    largest = max((abs(row["contribution"]) for row in rows), default=0) or 1.0
    bars = []
    for row in rows:
        length = 100 * abs(row["contribution"]) / largest
        raises = row["contribution"] >= 0
        bars.append(row | {"x": 100 if raises else 100 - length, "length": length, "raises": raises})
    return bars


def _chart(**parts: Any) -> Chart:
    empty: dict[str, Any] = {
        "bars": [],
        "lines": [],
        "points": [],
        "x_ticks": [],
        "y_ticks": [],
        "legend": [],
    }
    return Chart(WIDTH, HEIGHT, **(empty | parts))


def _y(value: float, highest: float) -> float:
    return HEIGHT - BOTTOM - value / highest * (HEIGHT - BOTTOM - TOP)


def _scale(highest: float) -> list[tuple[float, str]]:
    return [(_y(part * highest, highest), f"{part * highest:,.4g}") for part in (0, 0.5, 1)]


def _labels(names: Sequence[str], x: Any) -> list[tuple[float, str]]:
    step = -(-len(names) // 6) or 1
    return [(x(number), names[number]) for number in range(0, len(names), step)]
