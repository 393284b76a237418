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

from m2cgen import ast
from m2cgen.assemblers import RandomForestModelAssembler, TreeModelAssembler
from m2cgen.assemblers.utils import add, div

from sql_scoring.engine._cuts import cut_point
from sql_scoring.engine._tree_model import fraction
from sql_scoring.engine._trees import Split, branch

POSITIVE_CLASS = 1  # the column of predict_proba that the function returns


class ExactTreeAssembler(TreeModelAssembler):  # type: ignore[misc]
    """One fitted classification tree as ``IfExpr`` over ``Split`` and ``NumVal``."""

    def assemble(self) -> ast.Expr:
        """Build the tree's expression; its value is ``predict_proba(x)[:, 1]`` of this one tree."""
        tree = self.model.tree_
        lefts, rights = tree.children_left.tolist(), tree.children_right.tolist()
        features, thresholds = tree.feature.tolist(), tree.threshold.tolist()
        missing_left, rows = tree.missing_go_to_left.tolist(), tree.n_node_samples.tolist()
        weights = tree.weighted_n_node_samples.tolist()
        nodes: list[ast.Expr] = [ast.NumVal(value) for value in tree.value[:, 0, POSITIVE_CLASS].tolist()]
        for node in reversed(range(len(nodes))):  # scikit-learn numbers parents before their children
            left, right = lefts[node], rights[node]
            if left != right:  # in a leaf both are TREE_LEAF
                cut = cut_point(thresholds[node])
                split = Split(
                    features[node],
                    cut,
                    bool(missing_left[node]),
                    rows[left] / rows[node],
                    left_weight=fraction(weights[left], weights[right]),
                )
                nodes[node] = branch(split, nodes[left], nodes[right])
        return nodes[0]


class ExactForestAssembler(RandomForestModelAssembler):  # type: ignore[misc]
    """``(((0 + tree) + tree) + …) / number of trees``, in the order of ``estimators_``."""

    def assemble(self) -> ast.Expr:
        """Build the forest's expression; its value is ``predict_proba(x)[:, 1]`` with ``n_jobs=1``."""
        total: ast.Expr = ast.NumVal(0.0)
        for tree in self.model.estimators_:
            total = add(total, ExactTreeAssembler(tree).assemble())
        return div(total, ast.NumVal(float(len(self.model.estimators_))))
