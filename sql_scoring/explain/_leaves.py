"""Leaves of a fitted model as conditions on threshold ranks, with the weights that an absent feature has.

A leaf adds its value to the output when all of its conditions hold, one for each feature on its path. The weight of a
condition is the fraction of the training weight that follows it from parents to children: what path-dependent
TreeSHAP puts in the place of a feature that is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sql_scoring.engine import TreeModel, cut_point, tree_leaves

MISSING = -1  # the rank of a missing value


Ranges = tuple[tuple[int, int], ...]  # first and last ranks, ascending


@dataclass(frozen=True)
class Condition:
    """Ranks of one feature that lead towards a leaf.

    Attributes:
        feature: Position in the feature list, from 0.
        ranges: Ranks that pass; a rank is the number of cuts below the value. A split of categories has several.
        missing: Whether a missing value passes.
        weight: Fraction of the training weight that passes, along the path; NaN where the model does not hold it.
    """

    feature: int
    ranges: Ranges
    missing: bool
    weight: float

    def holds(self, ranks: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which ranks pass, `MISSING` among them."""
        passes: NDArray[np.bool_] = (ranks == MISSING) & self.missing
        for low, high in self.ranges:
            passes |= (low <= ranks) & (ranks <= high)
        return passes


@dataclass(frozen=True)
class PathLeaf:
    """A leaf: what it adds to the output, and its conditions in the order of the features."""

    tree: int
    value: float
    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class PathModel:
    """A model as the explanation reads it.

    Attributes:
        cuts: By feature, ascending.
        leaves: Those of all trees, left to right.
        start: What the values of the leaves are added to.
        output: Whether their sum is a probability or a margin.
    """

    cuts: tuple[tuple[float, ...], ...]
    leaves: tuple[PathLeaf, ...]
    start: float = 0.0
    output: Literal["probability", "margin"] = "probability"

    def ranks(self, rows: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the rank of each value.

        Args:
            rows: Shape (rows, features), NaN where missing.

        Returns:
            Same shape; `MISSING` where a value is missing.
        """
        columns = [
            np.where(np.isnan(column), MISSING, np.searchsorted(np.array(cuts), column, side="left"))
            for cuts, column in zip(self.cuts, rows.T, strict=True)
        ]
        return np.stack(columns, axis=1).astype(np.int64)


def read_boosted(model: TreeModel) -> PathModel:
    """Read a boosted model in the engine's form.

    Args:
        model: As the engine's `as_tree_model` returns it.

    Returns:
        Its leaves, without weights: the form does not hold how the training rows were divided.
    """
    cuts = tuple(tuple(own.tolist()) for own in model.cuts())
    ranks = [
        {-math.inf: -1, **{cut: rank for rank, cut in enumerate(own)}, math.inf: len(own)} for own in cuts
    ]
    leaves = [
        PathLeaf(
            number,
            leaf.value,
            tuple(
                Condition(
                    feature,
                    tuple((ranks[feature][low] + 1, ranks[feature][high]) for low, high in interval.pieces),
                    interval.missing,
                    math.nan,
                )
                for feature, interval in sorted(leaf.box.items())
            ),
        )
        for number, tree in enumerate(model.sum.trees)
        for leaf in tree_leaves(tree)
    ]
    return PathModel(cuts, tuple(leaves), model.sum.first_term + (model.sum.bias or 0.0), "margin")


def read_forest(forest: Any) -> PathModel:
    """Read a fitted scikit-learn tree or forest.

    Args:
        forest: A model of the engine's `SUPPORTED_MODELS`.

    Returns:
        Its leaves; a value is divided by the number of trees, so that the sum is the probability.
    """
    trees = [estimator.tree_ for estimator in getattr(forest, "estimators_", [forest])]
    cuts: list[set[float]] = [set() for _ in range(int(forest.n_features_in_))]
    for tree in trees:
        for feature, threshold in zip(tree.feature.tolist(), tree.threshold.tolist(), strict=True):
            if feature >= 0 and math.isfinite(threshold):
                cuts[feature].add(cut_point(threshold))
    ordered = tuple(tuple(sorted(values)) for values in cuts)
    positions = [{cut: rank for rank, cut in enumerate(values)} for values in ordered]
    leaves = [
        leaf for number, tree in enumerate(trees) for leaf in _leaves(number, tree, positions, len(trees))
    ]
    return PathModel(ordered, tuple(leaves))


def _leaves(number: int, tree: Any, positions: list[dict[float, int]], tree_count: int) -> list[PathLeaf]:
    lefts, rights = tree.children_left.tolist(), tree.children_right.tolist()
    features, missing_left = tree.feature.tolist(), tree.missing_go_to_left.tolist()
    cover, values = tree.weighted_n_node_samples.tolist(), tree.value[:, 0, 1].tolist()
    leaf_value = _merged_values(lefts, rights, values)
    leaves: list[PathLeaf] = []
    pending: list[tuple[int, dict[int, Condition]]] = [(0, {})]
    while pending:
        node, box = pending.pop()
        if (value := leaf_value[node]) is not None:
            conditions = tuple(box[feature] for feature in sorted(box))
            leaves.append(PathLeaf(number, value / tree_count, conditions))
            continue
        feature, threshold = features[node], float(tree.threshold[node])
        last = len(positions[feature])
        rank = positions[feature][cut_point(threshold)] if math.isfinite(threshold) else last
        before = box.get(feature, Condition(feature, ((0, last),), True, 1.0))
        for child, is_left in ((rights[node], False), (lefts[node], True)):
            low, high = (0, rank) if is_left else (rank + 1, last)
            after = Condition(
                feature,
                tuple(
                    (max(low, first), min(high, final))
                    for first, final in before.ranges
                    if first <= high and low <= final
                ),
                before.missing and bool(missing_left[node]) == is_left,
                before.weight * (cover[child] / cover[node] if cover[node] else 0.0),
            )
            pending.append((child, {**box, feature: after}))
    return leaves


def _merged_values(lefts: list[int], rights: list[int], values: list[float]) -> list[float | None]:
    """Values of leaves, and of branches whose leaves are all alike: such a branch explains nothing."""
    merged: list[float | None] = [None] * len(lefts)
    for node in reversed(range(len(lefts))):  # scikit-learn numbers parents before their children
        left, right = lefts[node], rights[node]
        if left == right:
            merged[node] = values[node]
        elif merged[left] is not None and merged[left] == merged[right]:
            merged[node] = merged[left]
    return merged
