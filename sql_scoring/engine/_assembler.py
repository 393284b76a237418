"""Fitted scikit-learn model to expression tree: m2cgen's assemblers, made exact.

Differences from m2cgen 0.10, each of which would cost the last bit or the right branch:

* leaf values are ``tree_.value`` unchanged (m2cgen divides them by their sum again);
* the forest is the sum in tree order, then one division by the number of trees (m2cgen multiplies by the
  rounded reciprocal);
* a comparison includes where a missing value goes (m2cgen drops ``missing_go_to_left``);
* a threshold is stored as the float64 cut that is equivalent to rounding the input to float32 (see ``_cuts``);
* trees are assembled from the leaves up in a loop, so any depth works (m2cgen recurses).

A branch whose two children are the same leaf value is replaced by that leaf. scikit-learn grows such
branches, because it splits on the training weights and not on the leaf values.
"""

from __future__ import annotations

import struct
from typing import Any

from m2cgen import ast
from m2cgen.assemblers import RandomForestModelAssembler, TreeModelAssembler
from m2cgen.assemblers.utils import add, div

from sql_scoring.engine._cuts import cut_point

POSITIVE_CLASS = 1  # the column of predict_proba that the function returns


class MissingAwareCompExpr(ast.CompExpr):  # type: ignore[misc]
    """``left <= right``, true also when the left operand is missing and ``missing_left``.

    ``left_fraction`` of the training rows that reach the branch go left. It is no part of the meaning; planning
    uses it.
    """

    def __init__(
        self, left: ast.Expr, right: ast.Expr, *, missing_left: bool, left_fraction: float = 0.5
    ) -> None:
        super().__init__(left, right, ast.CompOpType.LTE)
        self.missing_left = missing_left
        self.left_fraction = left_fraction

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, MissingAwareCompExpr)
            and bool(super().__eq__(other))
            and self.missing_left == other.missing_left
        )

    def __hash__(self) -> int:
        return hash((self.left, self.right, self.op, self.missing_left))


class ExactTreeAssembler(TreeModelAssembler):  # type: ignore[misc]
    """One fitted classification tree as ``IfExpr`` over ``MissingAwareCompExpr`` and ``NumVal``."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        tree = model.tree_
        # Every access of an attribute of tree_ builds a new array: fetch each once.
        self._left = tree.children_left.tolist()
        self._right = tree.children_right.tolist()
        self._feature = tree.feature.tolist()
        self._threshold = tree.threshold.tolist()
        self._missing_left = [bool(flag) for flag in tree.missing_go_to_left]
        self._value = tree.value[:, 0, POSITIVE_CLASS].tolist()
        self._rows = tree.n_node_samples.tolist()

    def assemble(self) -> ast.Expr:
        """Build the tree's expression; its value is ``predict_proba(x)[:, 1]`` of this one tree."""
        nodes: list[ast.Expr | None] = [None] * len(self._left)
        for node in reversed(_parents_first(self._left, self._right)):
            left, right = self._left[node], self._right[node]
            if left == right:  # both are TREE_LEAF
                nodes[node] = self._assemble_leaf(node)
            else:
                body, orelse = nodes[left], nodes[right]
                assert body is not None and orelse is not None
                nodes[node] = (
                    body if same_leaf(body, orelse) else ast.IfExpr(self._assemble_cond(node), body, orelse)
                )
                nodes[left] = nodes[right] = None
        return nodes[0]

    def _assemble_leaf(self, node_id: int) -> ast.Expr:
        return ast.NumVal(self._value[node_id])

    def _assemble_cond(self, node_id: int) -> ast.Expr:
        return MissingAwareCompExpr(
            ast.FeatureRef(self._feature[node_id]),
            ast.NumVal(cut_point(self._threshold[node_id])),
            missing_left=self._missing_left[node_id],
            left_fraction=self._rows[self._left[node_id]] / self._rows[node_id],
        )


class ExactForestAssembler(RandomForestModelAssembler):  # type: ignore[misc]
    """``(((0 + tree) + tree) + …) / number of trees``, in the order of ``estimators_``."""

    def assemble(self) -> ast.Expr:
        """Build the forest's expression; its value is ``predict_proba(x)[:, 1]`` with ``n_jobs=1``."""
        trees = self.model.estimators_
        total: ast.Expr = ast.NumVal(0.0)
        for tree in trees:
            total = add(total, ExactTreeAssembler(tree).assemble())
        return div(total, ast.NumVal(float(len(trees))))


def _parents_first(left: list[int], right: list[int]) -> list[int]:
    order, pending = [], [0]
    while pending:
        node = pending.pop()
        order.append(node)
        if left[node] != right[node]:
            pending += (left[node], right[node])
    return order


def same_leaf(left: ast.Expr, right: ast.Expr) -> bool:
    """Whether both are leaves of the same value, bit for bit."""
    if not (isinstance(left, ast.NumVal) and isinstance(right, ast.NumVal)):
        return False
    return struct.pack("<d", left.value) == struct.pack("<d", right.value)
