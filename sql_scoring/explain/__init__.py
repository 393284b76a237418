"""Exact Shapley values of every decision, from tables that the deployed model brings with it.

1. ``_leaves`` reads a fitted model as leaves: conditions on threshold ranks, with their weights.
2. ``_groups`` divides the leaves into groups that are looked up together.
3. ``_document`` writes both, the usual ranges and the words of ``reasons`` as one JSON document. It is registered
   with the model and travels in its revision.
4. ``scoring.build_explanation`` computes the tables from the document, in the transaction of the deployment;
   ``additivity`` compares them with the scoring function before it commits.

Serving needs no Python: ``explain_transaction`` and ``explain_features`` are functions of the schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sql_scoring.explain._document import TRAINING, build_document, passed_sample
from sql_scoring.explain._leaves import read_forest
from sql_scoring.explain.reasons import load_catalogs

__all__ = ["explain_forest"]


def explain_forest(
    forest: Any,
    feature_names: Sequence[str],
    passed: NDArray[np.float32],
    *,
    against: Literal["training", "passed"] = "training",
) -> str:
    """Write the document that the database explains a forest from.

    Args:
        forest: A fitted model of the engine's `SUPPORTED_MODELS`.
        feature_names: One per feature, in model order.
        passed: Rows that passed, shape (rows, features), NaN where missing; they give the usual ranges.
        against: What a feature that is left out is replaced with: the training rows along each path, or a fixed
            sample of the rows that passed.

    Returns:
        JSON text; the same arguments give the same text.

    Raises:
        ExplanationError: A feature has no phrases, or a path is too long.
    """
    catalogs = load_catalogs(feature_names)
    background = TRAINING if against == "training" else passed_sample(passed)
    return build_document(read_forest(forest), feature_names, passed, catalogs, background)
