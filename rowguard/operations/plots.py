"""The report's plots, as one SVG. Figure without pyplot keeps no global state and needs no display."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sql_scoring.registry import ModelRecord

SHOWN_FEATURES = 28
PSI_AT_FULL_COLOR = 0.5
GREY = "#b8c0c8"

Row = dict[str, Any]
Tables = dict[str, list[Row]]


def draw(tables: Tables, champion: ModelRecord | None, min_rows: int) -> Markup:
    """Draw every plot of the report.

    Args:
        tables: Rows of the monitoring queries by name.
        champion: The deployed model, if there is one.
        min_rows: Rows that a PSI of 7 days needs; a day with less than a seventh is grey.

    Returns:
        The text of one SVG; the same rows give the same text.
    """
    # Text stays text: smaller, and can be searched for.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "rowguard", "font.size": 8}):
        names = _drifting_names(tables["distributions_daily"])
        map_height = 1.2 + 0.17 * len(names)
        figure = Figure(figsize=(11, 9.6 + map_height), layout="constrained")
        FigureCanvasSVG(figure)
        grid = figure.add_gridspec(5, 2, height_ratios=[2.4, 2.4, 2.4, 2.4, map_height])
        axes = [figure.add_subplot(grid[row, column]) for row in range(4) for column in range(2)]
        _money(axes[0], axes[1], tables["money_daily"])
        _volume(axes[2], axes[3], tables["scores_daily"], champion)
        _scores(axes[4], axes[5], tables["scores_daily"], tables["drift"], champion, min_rows)
        _outcomes(axes[6], axes[7], tables["outcomes_daily"], champion)
        _drift(figure.add_subplot(grid[4, :]), tables["distributions_daily"], names, min_rows)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return Markup(text.getvalue()[text.getvalue().index("<svg") :])  # noqa: S704 - matplotlib escapes its texts


class _Days:
    """Positions of the days between the first and the last that have data."""

    def __init__(self, rows: Iterable[Row]) -> None:
        days = {row["event_date"] for row in rows}
        first, last = min(days), max(days)
        self.days = [first + timedelta(days=number) for number in range((last - first).days + 1)]

    def of(self, rows: Iterable[Row]) -> list[int]:
        return [(row["event_date"] - self.days[0]).days for row in rows]

    def label(self, axis: Axes) -> None:
        step = -(-len(self.days) // 7)
        axis.set_xticks(range(0, len(self.days), step), [f"{day:%d %b}" for day in self.days[::step]])
        axis.set_xlim(-0.5, len(self.days) - 0.5)


def _money(amounts: Axes, counts: Axes, rows: list[Row]) -> None:
    amounts.set_title("Amounts by day")
    counts.set_title("Alerts by day")
    if not _has_data(rows, amounts, counts, missing="no alerts and no known frauds yet"):
        return
    days = _Days(rows)
    for axis, series in (
        (amounts, (("fraud caught", "caught_amount", "C2"), ("fraud missed", "missed_amount", "C3"))),
        (counts, (("open", "open_alerts", "C1"), ("fraud", "caught", "C2"), ("false", "false_alerts", GREY))),
    ):
        bottom = np.zeros(len(rows))
        for label, name, color in series:
            values = np.array([float(row[name]) for row in rows])
            axis.bar(days.of(rows), values, bottom=bottom, label=label, color=color)
            bottom += values
        axis.set_ylim(0, 1.15 * axis.dataLim.ymax or 1)
        days.label(axis)
        axis.legend(fontsize=7)
    counts.yaxis.set_major_locator(MaxNLocator(integer=True))


def _volume(counts: Axes, rate: Axes, rows: list[Row], champion: ModelRecord | None) -> None:
    counts.set_title("Transactions")
    rate.set_title("Flagged (%)")
    if not _has_data(rows, counts, rate, missing="no live rows yet"):
        return
    days = _Days(rows)
    for version, own in _by_version(rows).items():
        counts.plot(days.of(own), [row["row_count"] for row in own], "o-", label=version or "unscored")
        if version:
            rate.plot(days.of(own), [100 * row["alert_rate"] for row in own], "o-", label=version)
    if champion is not None:
        rate.axhline(100 * champion.metrics["alert_rate"], color="grey", ls="--", label="in evaluation")
    for axis in (counts, rate):
        axis.set_ylim(0, 1.15 * axis.dataLim.ymax or 1)
        days.label(axis)
        axis.legend(fontsize=7)


def _scores(
    quantiles: Axes,
    bins: Axes,
    rows: list[Row],
    drift: list[Row],
    champion: ModelRecord | None,
    min_rows: int,
) -> None:
    quantiles.set_title("Fraud probability of the champion by day")
    bins.set_title("Score in the bins of training")
    own = [
        row
        for row in rows
        if champion and row["model_version"] == champion.version and row["score_quantiles"]
    ]
    if _has_data(own, quantiles, missing="the champion has scored no live rows yet"):
        days = _Days(own)
        for index, label in enumerate(("median", "90 %", "99 %")):
            quantiles.plot(days.of(own), [row["score_quantiles"][index] for row in own], "o-", label=label)
        quantiles.set_ylim(0, 1)
        days.label(quantiles)
        quantiles.legend(fontsize=7)
    scores = [row for row in drift if row["name"] == "score"]
    if _has_data(scores, bins, missing="the champion has scored no live rows yet"):
        live, reference = (
            scores[0][f"{side}_fractions"][1:] for side in ("live", "reference")
        )  # never missing
        position = np.arange(len(live))
        bins.bar(position - 0.2, reference, 0.4, label="training")
        label, color = f"last 7 days, {scores[0]['row_count']:,} rows", "C1"
        if scores[0]["row_count"] < min_rows:
            label, color = f"{label} of {min_rows:,}", GREY
        bins.bar(position + 0.2, live, 0.4, label=label, color=color)
        bins.set(
            title=f"Score in the bins of training (PSI {scores[0]['psi']:.3f})", xlabel="bin", xticks=position
        )
        bins.legend(fontsize=7)


def _outcomes(precision: Axes, recall: Axes, rows: list[Row], champion: ModelRecord | None) -> None:
    """Precision and recall as far as labels are known; hollow while the label delay is not over."""
    for axis, name in ((precision, "precision"), (recall, "recall")):
        axis.set_title(f"{name.capitalize()} by day")
        known = [row for row in rows if row[name] is not None]
        if not _has_data(known, axis, missing="no labels yet"):
            continue
        days = _Days(known)
        for number, (version, own) in enumerate(_by_version(known).items()):
            for is_mature, face, label in (
                (True, f"C{number}", version),
                (False, "white", f"{version}, labels due"),
            ):
                some = [row for row in own if row["is_mature"] is is_mature]
                values = [row[name] for row in some]
                axis.plot(days.of(some), values, "o", color=f"C{number}", markerfacecolor=face, label=label)
        if champion is not None and champion.metrics[name] is not None:
            axis.axhline(champion.metrics[name], color="grey", ls="--", label="in evaluation")
        axis.set_ylim(-0.02, 1.02)
        days.label(axis)
        axis.legend(fontsize=7)


def _drifting_names(rows: list[Row]) -> list[str]:
    """Return the score and the features that drifted most."""
    highest: dict[str, float] = defaultdict(float)
    for row in rows:
        highest[row["name"]] = max(highest[row["name"]], row["psi"])
    return sorted(highest, key=lambda name: (name != "score", -highest[name]))[: SHOWN_FEATURES + 1]


def _drift(axis: Axes, rows: list[Row], names: list[str], min_rows: int) -> None:
    """PSI by day, as a map; a day with too few rows is grey, because chance alone gives it a high PSI."""
    axis.set_title(f"Drift against training: PSI by day (grey: fewer than {min_rows // 7:,} rows)")
    if not _has_data(rows, axis, missing="no live rows yet"):
        return
    days = _Days(rows)
    values = np.full((len(names), len(days.days)), np.nan)
    for row, day in zip(rows, days.of(rows), strict=True):
        if row["name"] in names and row["row_count"] >= min_rows // 7:
            values[names.index(row["name"]), day] = row["psi"]
    axis.set_facecolor(GREY)
    image = axis.imshow(values, aspect="auto", cmap="YlOrRd", vmin=0, vmax=PSI_AT_FULL_COLOR)
    assert axis.figure is not None
    axis.figure.colorbar(image, ax=axis)
    axis.set_yticks(range(len(names)), names)
    days.label(axis)


def _by_version(rows: list[Row]) -> dict[str, list[Row]]:
    result: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        result[row["model_version"]].append(row)
    return result


def _has_data(rows: list[Row], *axes: Axes, missing: str) -> bool:
    """Return whether there are rows; if not, the axes say so instead of showing a scale."""
    for axis in axes if not rows else ():
        axis.text(0.5, 0.5, missing, ha="center", color="grey", transform=axis.transAxes)
        axis.set_xticks([])
        axis.set_yticks([])
    return bool(rows)
