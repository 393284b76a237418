"""A model's card: what it was trained on, how it did on later rows, and four plots of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import precision_recall_curve

from sql_scoring.registry import ModelRecord
from trainer.evaluation import Evaluation

TEMPLATE = Path(__file__).parent / "model_card.template.md"
TOP_FEATURES = 12


def write_model_card(
    path: Path,
    record: ModelRecord,
    evaluation: Evaluation,
    forest: RandomForestClassifier,
    scores: NDArray[np.float64],
    is_fraud: NDArray[np.bool_],
) -> None:
    """Write `path` and `plots.png` beside it; `scores` and `is_fraud` are the rows of the evaluation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    precision = "nothing was flagged" if evaluation.precision is None else f"{evaluation.precision:.3f}"
    importance = sorted(
        zip(record.feature_names, forest.feature_importances_, strict=True), key=lambda pair: -pair[1]
    )
    path.write_text(
        TEMPLATE.read_text().format(
            record=record,
            evaluation=evaluation,
            precision=precision,
            fit_until=record.metrics["fit_until"],
            evaluated_from=record.metrics["evaluated_from"],
            parameters="\n".join(f"| {k} | {v} |" for k, v in record.metrics["parameters"].items()),
            importance="\n".join(f"| `{name}` | {share:.3f} |" for name, share in importance),
            libraries=", ".join(f"{name} {version}" for name, version in record.library_versions.items()),
        )
    )
    _plot(path.with_name("plots.png"), record, importance, scores, is_fraud)


def _plot(
    path: Path,
    record: ModelRecord,
    importance: list[tuple[str, float]],
    scores: NDArray[np.float64],
    is_fraud: NDArray[np.bool_],
) -> None:
    # Imported here: it takes most of a second, and only a training run draws. Figure without pyplot keeps no
    # global state and needs no display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), layout="constrained")
    FigureCanvasAgg(figure)
    curve, histogram, features, budget = figure.subplots(2, 2).ravel()

    precision, recall, thresholds = precision_recall_curve(is_fraud, scores)
    curve.plot(recall, precision)
    at = min(int(np.searchsorted(thresholds, record.threshold)), len(thresholds) - 1)
    curve.plot(recall[at], precision[at], "o", label=f"threshold {record.threshold:.3f}")
    curve.set(xlabel="recall", ylabel="precision", title="Precision and recall on later rows", ylim=(0, 1.02))
    curve.legend()

    bins = np.linspace(0, 1, 41)
    histogram.hist(scores[~is_fraud], bins=bins, alpha=0.6, label="legitimate")
    histogram.hist(scores[is_fraud], bins=bins, alpha=0.6, label="fraud")
    histogram.axvline(record.threshold, color="black", linestyle="--", linewidth=1)
    histogram.set(yscale="log", xlabel="fraud probability", ylabel="transactions", title="Scores")
    histogram.legend()

    top = importance[:TOP_FEATURES][::-1]
    features.barh([name for name, _ in top], [share for _, share in top])
    features.set(title="Feature importance (impurity)")

    order = np.argsort(-scores, kind="stable")
    share = np.arange(1, len(scores) + 1) / len(scores)
    budget.plot(share, np.cumsum(is_fraud[order]) / max(int(is_fraud.sum()), 1))
    budget.set(
        xscale="log",
        xlabel="share of transactions flagged",
        ylabel="share of frauds caught",
        title="What an alert budget catches",
    )
    figure.savefig(path, dpi=110)
