"""A boosted model in the one exact form, whichever library fitted it.

A loader per library (``_sklearn_boosting``, ``_xgboost``, ``_lightgbm``, ``_catboost``) reads the object or the
library's own file. All branches compare the unrounded float64 input, so a model's type of input is in its cuts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from m2cgen import ast

from sql_scoring.engine._trees import Split, TreeSum, branch, nodes, splits
from sql_scoring.engine.errors import UnsupportedModelError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TreeModel:
    """A boosted binary classifier.

    Attributes:
        kind: Class name of the library's own classifier.
        library: Name and version of what fitted it, as the model holds it.
        sum: Its trees and how they add up to the margin.
        n_features_in_: Number of features.
        feature_names_in_: Their names, empty where the model does not know them.
        accepts_missing: Whether the library accepts missing values.
        notes: What a user should know of how the file was read.
    """

    kind: str
    library: str
    sum: TreeSum
    n_features_in_: int
    feature_names_in_: tuple[str, ...] = ()
    accepts_missing: bool = True
    notes: tuple[str, ...] = field(default=())

    def __reduce__(self) -> Any:
        # Flat, as pickle recurses and a tree may be deeper than its limit.
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        trees = [_flat(tree) for tree in self.sum.trees]
        return _restore, (values | {"sum": replace(self.sum, trees=[])}, trees)

    def comparison_fractions(self) -> Floats:
        """Compute which part of all comparisons each feature has, weighted by the training rows that reach them.

        Returns:
            Shape (features,).
        """
        result = np.zeros(self.n_features_in_)
        for tree in self.sum.trees:
            pending = [(tree, 1.0)]
            while pending:
                node, reach = pending.pop()
                if isinstance(node, ast.IfExpr):
                    left = node.test.left_fraction
                    result[node.test.feature] += reach
                    pending += ((node.body, reach * left), (node.orelse, reach * (1 - left)))
        return result / max(float(result.sum()), np.finfo(float).tiny)

    @property
    def is_margin(self) -> bool:
        """Whether its value is a margin; a forest's is a probability, and a calibrated model's."""
        return self.is_boosted and self.sum.steps is None

    @property
    def is_boosted(self) -> bool:
        """Whether its trees add up to a margin."""
        return self.sum.start is not None

    def matched(self, names: Sequence[str]) -> TreeModel:
        """Return the model on another list of features, matched by name.

        Args:
            names: The list. Features that the model does not know are not compared.

        Raises:
            ValueError: The list lacks a feature.
        """
        positions = [list(names).index(name) for name in self.feature_names_in_]
        trees = [_with_features(tree, positions) for tree in self.sum.trees]
        return replace(
            self,
            sum=replace(self.sum, trees=trees),
            n_features_in_=len(names),
            feature_names_in_=tuple(names),
        )

    def margins(self, rows: Floats) -> Floats:
        """Compute the value in numpy, in the order and type of the library: the margin, or the probability.

        Args:
            rows: Shape (rows, features), NaN where missing.

        Returns:
            Shape (rows,).
        """
        kind = np.dtype(np.float32 if self.sum.is_real else np.float64)
        total: npt.NDArray[Any] = np.full(len(rows), self.sum.first_term, dtype=kind)
        columns = np.asfortranarray(rows)
        for tree in self.sum.trees:
            total = total + _tree_values(tree, columns).astype(kind)
        if self.sum.bias is not None:
            total = total + kind.type(self.sum.bias)
        result: Floats = total.astype(np.float64)
        if self.sum.divisor is not None:
            result = result / self.sum.divisor
        return result if self.sum.steps is None else self.sum.steps.apply(result)

    def probabilities(self, margins: Floats) -> Floats:
        """Compute the probabilities of margins, in the type of the library.

        Args:
            margins: Shape (rows,).

        Returns:
            Shape (rows,).
        """
        # The C library's exp(), as the libraries call it; numpy's differs in the last bit.
        powers = np.array([math.exp(min(-margin, 709.0)) for margin in margins.tolist()], dtype=np.float64)
        if not self.sum.is_real:
            return 1.0 / (1.0 + powers)
        real = np.minimum(powers, math.exp(88.7)).astype(np.float32)
        return (np.float32(1.0) / (real + np.float32(1.0))).astype(np.float64)

    def cuts(self) -> list[Floats]:
        """The distinct finite bounds of each feature's branches, ascending."""
        bounds: list[set[float]] = [set() for _ in range(self.n_features_in_)]
        for tree in self.sum.trees:
            for split in splits(tree):
                bounds[split.feature].update(bound for piece in split.accepted(left=True) for bound in piece)
        return [np.array(sorted(filter(math.isfinite, own)), dtype=np.float64) for own in bounds]


def build_tree(
    lefts: Sequence[int], rights: Sequence[int], values: Sequence[float], split: Callable[[int], Split]
) -> ast.Expr:
    """Build a tree from a library's arrays, from the leaves up, so that any depth works.

    Args:
        lefts: Left child of each node, -1 in a leaf. The root is node 0.
        rights: Right child of each node.
        values: Value of each leaf; those of branches are not read.
        split: Returns the condition of a branch.

    Raises:
        UnsupportedModelError: A child is missing or is reached twice: the file is damaged.
    """
    order, pending, seen = [], [0], set()
    while pending:
        node = pending.pop()
        if not 0 <= node < len(lefts) or node in seen:
            raise UnsupportedModelError(f"the tree is damaged: node {node} is missing or is reached twice")
        seen.add(node)
        order.append(node)
        if lefts[node] >= 0:
            pending += (lefts[node], rights[node])
    built: dict[int, ast.Expr] = {}
    for node in reversed(order):
        if lefts[node] < 0:
            built[node] = ast.NumVal(require_finite(values[node]))
        else:
            built[node] = branch(split(node), built.pop(lefts[node]), built.pop(rights[node]))
    return built[0]


def _flat(tree: ast.Expr) -> list[Split | float]:
    """The nodes of a tree, children before parents; a branch is its condition."""
    return [
        node.test if isinstance(node, ast.IfExpr) else float(node.value) for node in reversed(nodes(tree))
    ]


def _restore(values: dict[str, Any], flat: list[list[Split | float]]) -> TreeModel:
    """The model of ``__reduce__``."""
    trees = []
    for items in flat:
        built: list[ast.Expr] = []
        for item in items:
            if isinstance(item, Split):
                body, orelse = built.pop(), built.pop()
                built.append(ast.IfExpr(item, body, orelse))
            else:
                built.append(ast.NumVal(item))
        trees.append(built[0])
    return TreeModel(**values | {"sum": replace(values["sum"], trees=trees)})


def _with_features(tree: ast.Expr, positions: Sequence[int]) -> ast.Expr:
    built: dict[int, ast.Expr] = {}
    for node in reversed(nodes(tree)):
        if isinstance(node, ast.IfExpr):
            split = replace(node.test, feature=positions[node.test.feature])
            built[id(node)] = ast.IfExpr(split, built[id(node.body)], built[id(node.orelse)])
        else:
            built[id(node)] = node
    return built[id(tree)]


def require_finite(value: float) -> float:
    """Return a leaf's value; raises UnsupportedModelError when it is no number."""
    if not math.isfinite(value):
        raise UnsupportedModelError(f"a leaf holds {value}, which is not a finite number")
    return float(value)


def fraction(left: float, right: float) -> float:
    """The part of the training rows that goes left, from what the library counted of both sides."""
    total = left + right
    return min(max(left / total, 0.0), 1.0) if total > 0 and math.isfinite(total) else 0.5


def _tree_values(tree: ast.Expr, columns: Floats) -> Floats:
    """The value of one tree for every row."""
    result = np.empty(len(columns))
    pending: list[tuple[ast.Expr, npt.NDArray[np.intp]]] = [(tree, np.arange(len(columns)))]
    while pending:
        node, rows = pending.pop()
        if not len(rows):
            continue
        if not isinstance(node, ast.IfExpr):
            result[rows] = node.value
            continue
        goes_left = _goes_left(node.test, columns[rows, node.test.feature])
        pending += ((node.body, rows[goes_left]), (node.orelse, rows[~goes_left]))
    return result


def _goes_left(split: Split, values: Floats) -> npt.NDArray[np.bool_]:
    result = np.zeros(len(values), dtype=bool)
    for low, high in split.accepted(left=True):
        result |= ((values > low) | (low == -math.inf)) & (values <= high)
    if split.missing_left:
        result |= np.isnan(values)
    return result
