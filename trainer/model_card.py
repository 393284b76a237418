"""A model's card: its training data, its metrics on later rows, and its plots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sql_scoring.engine import TreeModel
from sql_scoring.registry import ModelRecord
from trainer.evaluation import Evaluation

TEMPLATE = Path(__file__).parent / "model_card.template.md"


def write_model_card(
    path: Path,
    record: ModelRecord,
    evaluation: Evaluation,
    model: Any,
    scores: NDArray[np.float64],
    is_fraud: NDArray[np.bool_],
) -> None:
    """Write the card, and `plots.png` next to it.

    Args:
        path: File of the card.
        record: The model's registry record.
        evaluation: Its metrics on later rows.
        model: The candidate, for its feature importance.
        scores: Scores of the evaluation rows, shape (rows,).
        is_fraud: Their labels, shape (rows,).
    """
    from trainer.plots import plot_model

    path.parent.mkdir(parents=True, exist_ok=True)
    importance = sorted(
        zip(record.feature_names, _importances(model), strict=True), key=lambda pair: -pair[1]
    )
    path.write_text(
        TEMPLATE.read_text().format(
            record=record,
            evaluation=evaluation,
            precision="no alerts" if evaluation.precision is None else f"{evaluation.precision:.3f}",
            origin=_origin(record, evaluation),
            parameters="\n".join(f"| {k} | {v} |" for k, v in record.metrics["parameters"].items()),
            importance="\n".join(f"| `{name}` | {value:.3f} |" for name, value in importance),
            libraries=", ".join(f"{name} {version}" for name, version in record.library_versions.items()),
        )
    )
    plot_model(path.with_name("plots.png"), record.threshold, importance, scores, is_fraud)


def _importances(model: Any) -> NDArray[np.float64]:
    """Impurity decrease of a forest; of a boosted model the part of all comparisons that a feature has."""
    if isinstance(model, TreeModel):
        return model.comparison_fractions()
    importances: NDArray[np.float64] = model.feature_importances_
    return importances


def _origin(record: ModelRecord, evaluation: Evaluation) -> str:
    """What was fitted on which rows."""
    start = record.metrics["evaluated_from"]
    evaluated = f"{evaluation.rows:,} rows with {evaluation.frauds:,} frauds from {start} on"
    source = record.metrics.get("source")
    if source is None:
        return (
            f"A model with the same parameters was fitted on the rows before {record.metrics['fit_until']} and "
            f"evaluated on\n{evaluated}, which it was not fitted on. The days in between are left out: their labels "
            "were\nnot known yet. The deployed model is fitted on all rows."
        )
    known = record.metrics["fitted_until"]
    return f"It was fitted elsewhere and registered from `{source}`. It was evaluated on {evaluated}.\n" + (
        f"By what was stated, it was fitted on rows before {known}."
        if known
        else "**It may have been fitted on these rows**: the end of its training data was not stated, so its metrics "
        "may be too good."
    )
