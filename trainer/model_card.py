"""A model's card: its training data, its metrics on later rows, and its plots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from sql_scoring.registry import ModelRecord
from trainer.evaluation import Evaluation

TEMPLATE = Path(__file__).parent / "model_card.template.md"


def write_model_card(
    path: Path,
    record: ModelRecord,
    evaluation: Evaluation,
    forest: RandomForestClassifier,
    scores: NDArray[np.float64],
    is_fraud: NDArray[np.bool_],
) -> None:
    """Write the card, and `plots.png` next to it.

    Args:
        path: File of the card.
        record: The model's registry record.
        evaluation: Its metrics on later rows.
        forest: The candidate, for its feature importance.
        scores: Scores of the evaluation rows, shape (rows,).
        is_fraud: Their labels, shape (rows,).
    """
    from trainer.plots import plot_model

    path.parent.mkdir(parents=True, exist_ok=True)
    importance = sorted(
        zip(record.feature_names, forest.feature_importances_, strict=True), key=lambda pair: -pair[1]
    )
    path.write_text(
        TEMPLATE.read_text().format(
            record=record,
            evaluation=evaluation,
            precision="no alerts" if evaluation.precision is None else f"{evaluation.precision:.3f}",
            fit_until=record.metrics["fit_until"],
            evaluated_from=record.metrics["evaluated_from"],
            parameters="\n".join(f"| {k} | {v} |" for k, v in record.metrics["parameters"].items()),
            importance="\n".join(f"| `{name}` | {value:.3f} |" for name, value in importance),
            libraries=", ".join(f"{name} {version}" for name, version in record.library_versions.items()),
        )
    )
    plot_model(path.with_name("plots.png"), record.threshold, importance, scores, is_fraud)
