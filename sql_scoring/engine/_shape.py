"""How large a model is, without writing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sql_scoring.engine._supported import check_supported


@dataclass(frozen=True)
class ForestShape:
    """``trees``, ``nodes`` (branches and leaves), ``leaves``, greatest ``depth``, ``features``."""

    trees: int
    nodes: int
    leaves: int
    depth: int
    features: int


def forest_shape(model: Any) -> ForestShape:
    """Count a fitted model as scikit-learn holds it; raises UnsupportedModelError as ``transpile`` does."""
    check_supported(model)
    trees = [tree.tree_ for tree in getattr(model, "estimators_", [model])]
    return ForestShape(
        trees=len(trees),
        nodes=sum(int(tree.node_count) for tree in trees),
        leaves=sum(int(tree.n_leaves) for tree in trees),
        depth=max(int(tree.max_depth) for tree in trees),
        features=int(model.n_features_in_),
    )
