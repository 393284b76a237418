"""How scores and features were distributed in training: what monitoring compares live rows with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from trainer.forest import fraud_probability

SAMPLED_ROWS = 100_000
# Scores crowd near zero, and what matters happens in the last hundredth.
SCORE_QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
FEATURE_QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def reference_distribution(
    names: tuple[str, ...], features: NDArray[np.float32], forest: RandomForestClassifier
) -> dict[str, Any]:
    """Bins and shares as small JSON, of a sample of the training rows.

    The scores are the very forest's that will decide: most are close to zero and follow from its own leaves, so
    another forest's would fall into other bins, though nothing has drifted.

    Args:
        features: the training rows, shape (rows, features), NaN where missing.
    """
    if len(features) > SAMPLED_ROWS:
        features = features[np.random.default_rng(0).choice(len(features), SAMPLED_ROWS, replace=False)]
    return {
        "rows": len(features),
        "score": _bins(fraud_probability(forest, features), SCORE_QUANTILES),
        "features": [
            {"name": name, **_bins(features[:, at].astype(np.float64), FEATURE_QUANTILES)}
            for at, name in enumerate(names)
        ],
    }


def _bins(values: NDArray[np.float64], quantiles: tuple[float, ...]) -> dict[str, Any]:
    """Bin i holds the values with exactly i edges at or below them, as width_bucket() counts. The shares of the
    bins and the share of missing values sum to 1."""
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
