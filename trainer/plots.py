"""The plots of model card, tuning and trade-off.

matplotlib is imported inside: it takes most of a second. A Figure without pyplot needs no display.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from trainer.tradeoff import CostLimit, TradeoffResult
from trainer.tuning import DEFAULT_TRIAL, SearchResult

TOP_FEATURES = 12


def plot_model(
    path: Path,
    threshold: float,
    importance: list[tuple[str, float]],
    scores: NDArray[np.float64],
    is_fraud: NDArray[np.bool_],
) -> None:
    """Write a PNG of precision and recall, scores, feature importance, and recall over alert rate.

    Args:
        path: The file.
        threshold: The decision threshold.
        importance: Features with their importance, most important first.
        scores: Scores of the evaluation rows, shape (rows,).
        is_fraud: Their labels, shape (rows,).
    """
    figure = _figure(11, 8)
    curve, histogram, features, budget = figure.subplots(2, 2).ravel()

    precision, recall, thresholds = precision_recall_curve(is_fraud, scores)
    position = min(int(np.searchsorted(thresholds, threshold)), len(thresholds) - 1)
    curve.plot(recall, precision)
    curve.plot(recall[position], precision[position], "o", label=f"threshold {threshold:.3f}")
    curve.set(xlabel="recall", ylabel="precision", title="Precision and recall on later rows", ylim=(0, 1.02))
    curve.legend(loc="lower left")

    bins = np.linspace(0, 1, 41)
    histogram.hist(scores[~is_fraud], bins=bins, alpha=0.6, label="legitimate")
    histogram.hist(scores[is_fraud], bins=bins, alpha=0.6, label="fraud")
    histogram.axvline(threshold, color="black", linestyle="--", linewidth=1)
    histogram.set(yscale="log", xlabel="fraud probability", ylabel="transactions", title="Scores")
    histogram.legend(loc="upper right")

    top = importance[:TOP_FEATURES][::-1]
    features.barh([name for name, _ in top], [value for _, value in top])
    features.set(title="Feature importance")

    order = np.argsort(-scores, kind="stable")
    alert_rate = np.arange(1, len(scores) + 1) / len(scores)
    budget.plot(alert_rate, np.cumsum(is_fraud[order]) / max(int(is_fraud.sum()), 1))
    budget.set(xscale="log", xlabel="alert rate", ylabel="recall", title="Recall at an alert budget")
    figure.savefig(path, dpi=110)


def plot_tuning(result: SearchResult, path: Path) -> None:
    """Write an SVG of average precision per outer fold: trials thin, default and selections bold.

    Args:
        result: Trials and selections.
        path: The file.
    """
    figure = _figure(7, 4)
    axes = figure.subplots()
    folds = range(len(result.selections))
    for trial in result.trials:
        values = [fold.average_precision for fold in trial.results[result.outer :]]
        if trial.trial.name == DEFAULT_TRIAL:
            axes.plot(folds, values, "o-", color="tab:blue", label="default", zorder=2)
        else:
            axes.plot(folds, values, "-", color="lightgrey", zorder=1)
    selected = [selection.result.average_precision for selection in result.selections]
    axes.plot(folds, selected, "s--", color="tab:orange", label="selected on earlier weeks", zorder=3)
    axes.set(title="Average precision of weeks not used for the selection", xlabel="training from")
    axes.set_xticks(folds, [f"{selection.result.start:%d %b}" for selection in result.selections])
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})


def plot_tradeoff(result: TradeoffResult, limit: CostLimit, path: Path) -> None:
    """Write a PNG of average precision over cost, one line per number of leaves.

    Args:
        result: The grid and its best forest.
        limit: Drawn as a line.
        path: The file.
    """
    figure = _figure(8, 5)
    axes = figure.subplots()
    for leaves in sorted({point.max_leaf_nodes for point in result.grid}):
        line = [point for point in result.grid if point.max_leaf_nodes == leaves]
        axes.plot(
            [point.microseconds for point in line],
            [point.average_precision for point in line],
            marker="o",
            label=f"{leaves} leaves",
        )
    best = result.best
    axes.plot(best.microseconds, best.average_precision, marker="*", markersize=18, color="black", zorder=5)
    if limit.microseconds is not None:
        axes.axvline(limit.microseconds, color="grey", linestyle="--")
    axes.set(
        xscale="log",
        xlabel="microseconds per call (predicted)",
        ylabel="average precision on later rows",
        title=f"★ {best.n_estimators} trees × {best.max_leaf_nodes} leaves, "
        f"{best.megabytes:.1f} MB per connection",
    )
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
