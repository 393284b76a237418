"""Leaves of a fitted model as conditions on threshold ranks, with the weights that an absent feature has.

A leaf adds its value to the output when all of its conditions hold, one for each feature on its path. The weight of a
condition is the fraction of the training weight that follows it from parents to children: what path-dependent
TreeSHAP puts in the place of a feature that is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from m2cgen import ast
from numpy.typing import NDArray

from sql_scoring.engine import Interval, Steps, TreeModel

MISSING = -1  # the rank of a missing value


Ranges = tuple[tuple[int, int], ...]  # first and last ranks, ascending


@dataclass(frozen=True)
class Condition:
    """Ranks of one feature that lead towards a leaf.

    Attributes:
        feature: Position in the feature list, from 0.
        ranges: Ranks that pass; a rank is the number of cuts below the value. A split of categories has several.
        missing: Whether a missing value passes.
        weight: Fraction of the training weight that passes, along the path.
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
        rounding: How far the library's own sum may be from the exact one.
        steps: What the sum goes through to become the model's value, of a calibrated one.
    """

    cuts: tuple[tuple[float, ...], ...]
    leaves: tuple[PathLeaf, ...]
    start: float = 0.0
    output: Literal["probability", "margin"] = "probability"
    rounding: float = 0.0
    steps: Steps | None = None

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


def read_leaves(model: TreeModel) -> PathModel:
    """Read a model in the engine's form.

    Args:
        model: As the engine's `as_form` returns it.

    Returns:
        Its leaves; those of a forest are divided by the number of trees, so that the sum is the probability.
    """
    cuts = tuple(tuple(own.tolist()) for own in model.cuts())
    ranks = [
        {-math.inf: -1, **{cut: rank for rank, cut in enumerate(own)}, math.inf: len(own)} for own in cuts
    ]
    divisor = 1.0 if model.sum.divisor is None else model.sum.divisor
    trees = [_tree_leaves(number, tree, ranks, divisor) for number, tree in enumerate(model.sum.trees)]
    leaves = tuple(leaf for tree in trees for leaf in tree)
    if not model.is_boosted:
        return PathModel(cuts, leaves, steps=model.sum.steps)
    start = model.sum.first_term + (model.sum.bias or 0.0)
    largest_sum = abs(start) + sum(max(abs(leaf.value) for leaf in tree) for tree in trees)
    precision = np.finfo(np.float32 if model.sum.is_real else np.float64).epsneg
    rounding = float((len(trees) + 1) * precision * largest_sum)
    return PathModel(cuts, leaves, start, "margin", rounding, model.sum.steps)


def _tree_leaves(
    number: int, tree: ast.Expr, ranks: Sequence[Mapping[float, int]], divisor: float
) -> list[PathLeaf]:
    leaves: list[PathLeaf] = []
    pending: list[tuple[ast.Expr, dict[int, tuple[Interval, float]]]] = [(tree, {})]
    while pending:
        node, box = pending.pop()
        if not isinstance(node, ast.IfExpr):
            conditions = tuple(
                Condition(
                    feature,
                    tuple((ranks[feature][low] + 1, ranks[feature][high]) for low, high in interval.pieces),
                    interval.missing,
                    weight,
                )
                for feature, (interval, weight) in sorted(box.items())
            )
            leaves.append(PathLeaf(number, float(node.value) / divisor, conditions))
            continue
        split = node.test
        interval, weight = box.get(split.feature, (Interval(), 1.0))
        for child, is_left in ((node.orelse, False), (node.body, True)):
            after = interval.narrowed(split, left=is_left)
            part = weight * split.weight(left=is_left)
            if part or not after.is_empty:
                pending.append((child, {**box, split.feature: (after, part)}))
    return leaves
