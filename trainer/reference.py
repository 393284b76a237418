"""The training distribution of scores and features, which monitoring compares live rows with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.forest import predict_fraud_probability

SAMPLED_ROWS = 100_000
# Most scores are near zero, and the alerts are in the last hundredth.
SCORE_QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
FEATURE_QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def reference_distribution(
    names: tuple[str, ...], features: NDArray[np.float32], model: Any
) -> dict[str, Any]:
    """Compute bins and their fractions of a sample of the training rows.

    The scores are those of the deployed model: another model's scores would fall into other bins without drift.

    Args:
        names: Feature list in model order.
        features: Training rows, shape (rows, features), NaN where missing.
        model: The candidate.

    Returns:
        A small JSON document.
    """
    if len(features) > SAMPLED_ROWS:
        features = features[np.random.default_rng(0).choice(len(features), SAMPLED_ROWS, replace=False)]
    return {
        "rows": len(features),
        "score": _bins(predict_fraud_probability(model, features), SCORE_QUANTILES),
        "features": [
            {"name": name, **_bins(features[:, column].astype(np.float64), FEATURE_QUANTILES)}
            for column, name in enumerate(names)
        ],
    }


def _bins(values: NDArray[np.float64], quantiles: tuple[float, ...]) -> dict[str, Any]:
    """Bin i holds the values with exactly i edges at or below them, as width_bucket() counts."""
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, quantiles)) if len(known) else np.empty(0)
    counts = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    total = max(len(values), 1)
    return {
        "edges": [float(edge) for edge in edges],
        "shares": [round(float(count) / total, 6) for count in counts],
        "missing": round(1 - len(known) / total, 6),
        "mean": float(known.mean()) if len(known) else None,
    }
