"""The report's plots, as SVG text. Figure without pyplot keeps no global state and needs no display."""

from __future__ import annotations

import io
from collections import defaultdict
from datetime import date
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from sql_scoring.registry import ModelRecord

SHOWN_FEATURES = 28
PSI_AT_FULL_COLOR = 0.5

Row = dict[str, Any]


def volume(days: list[Row], champion: ModelRecord | None) -> Markup:
    """Rows by day and version, and the alert rate.

    Args:
        days: Rows per day and version.
        champion: Current champion, or None.
    """
    figure, (rows, rate) = _figure(2)
    for version, version_rows in _by_version(days).items():
        dates = [row["event_date"] for row in version_rows]
        rows.plot(dates, [row["row_count"] for row in version_rows], "o-", label=version or "unscored")
        if version:
            rate.plot(dates, [100 * row["alert_rate"] for row in version_rows], "o-", label=version)
    if champion is not None:
        rate.axhline(
            100 * champion.metrics["alert_rate"], color="grey", linestyle="--", label="in evaluation"
        )
    rows.set(title="Transactions", ylim=(0, None))
    rate.set(title="Flagged (%)", ylim=(0, None))
    return _svg(figure, rows, rate)


def scores(days: list[Row], drift: list[Row], champion: ModelRecord | None) -> Markup:
    """Quantiles of the score by day, and its bins against training.

    Args:
        days: Rows per day and version.
        drift: Fractions of the score bins.
        champion: Current champion, or None.
    """
    figure, (quantiles, bins) = _figure(2)
    own = [row for row in days if champion is not None and row["model_version"] == champion.version]
    for index, name in enumerate(("median", "90 %", "99 %")):
        values = [(row["score_quantiles"] or [None] * 3)[index] for row in own]
        quantiles.plot([row["event_date"] for row in own], values, "o-", label=name)
    quantiles.set(title="Fraud probability of the champion by day", ylim=(0, 1))
    score = next((row for row in drift if row["name"] == "score"), None)
    if score is not None:
        position = np.arange(len(score["live_fractions"]) - 1)  # a score is never missing
        bins.bar(position - 0.2, score["reference_fractions"][1:], 0.4, label="training")
        bins.bar(position + 0.2, score["live_fractions"][1:], 0.4, label="last 7 days")
        bins.set(
            title=f"Score in the bins of training (PSI {score['psi']:.3f})", xlabel="bin", xticks=position
        )
    return _svg(figure, quantiles, bins, dates=(quantiles,))


def outcomes(days: list[Row], champion: ModelRecord | None) -> Markup:
    """Precision and recall as far as labels are known; hollow while the label delay is not over.

    Args:
        days: Rows per day and version.
        champion: Current champion, or None.
    """
    figure, axes = _figure(2)
    for axis, name in zip(axes, ("precision", "recall"), strict=True):
        for number, (version, version_rows) in enumerate(_by_version(days).items()):
            for mature, face in ((True, f"C{number}"), (False, "white")):
                plotted = [
                    row for row in version_rows if row["is_mature"] is mature and row[name] is not None
                ]
                axis.plot(
                    [row["event_date"] for row in plotted],
                    [row[name] for row in plotted],
                    "o",
                    color=f"C{number}",
                    markerfacecolor=face,
                    label=version if mature else f"{version}, labels still to come",
                )
        if champion is not None and champion.metrics[name] is not None:
            axis.axhline(champion.metrics[name], color="grey", linestyle="--", label="in evaluation")
        axis.set(title=f"{name.capitalize()} by day", ylim=(-0.02, 1.02))
    return _svg(figure, *axes)


def drift(days: list[Row]) -> Markup:
    """PSI of score and features by day, as a map."""
    by_name: dict[str, dict[date, float]] = defaultdict(dict)
    for row in days:
        by_name[row["name"]][row["event_date"]] = row["psi"]
    dates = sorted({row["event_date"] for row in days})
    names = sorted(by_name, key=lambda name: (name != "score", -max(by_name[name].values())))
    names = names[: SHOWN_FEATURES + 1]
    figure = Figure(figsize=(11, 1.2 + 0.24 * max(len(names), 4)), layout="constrained")
    FigureCanvasSVG(figure)
    axis = figure.subplots()
    if names:
        values = np.array([[by_name[name].get(day, np.nan) for day in dates] for name in names])
        shown = axis.imshow(values, aspect="auto", cmap="YlOrRd", vmin=0, vmax=PSI_AT_FULL_COLOR)
        figure.colorbar(shown, label="PSI by day")
        step = max(1, len(dates) // 12)
        axis.set_xticks(range(0, len(dates), step), [f"{day:%d %b}" for day in dates[::step]])
        axis.set_yticks(range(len(names)), names, fontsize=8)
    else:
        axis.text(0.5, 0.5, "no live rows yet", ha="center")
        axis.set_axis_off()
    return _svg(figure)


def _figure(columns: int) -> tuple[Figure, Any]:
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.subplots(1, columns)


def _by_version(days: list[Row]) -> dict[str, list[Row]]:
    result: dict[str, list[Row]] = defaultdict(list)
    for row in days:
        result[row["model_version"]].append(row)
    return result


def _svg(figure: Figure, *legends: Any, dates: tuple[Any, ...] | None = None) -> Markup:
    for axis in legends:
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=7)
    for axis in legends if dates is None else dates:
        axis.tick_params(axis="x", rotation=30, labelsize=8)
    text = io.StringIO()
    # Text stays text: smaller, and can be searched for. Without the date the same rows give the same file.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "rowguard"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return Markup(text.getvalue()[text.getvalue().index("<svg") :])  # noqa: S704 - matplotlib escapes its texts
