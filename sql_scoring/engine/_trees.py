"""Reading the expression tree that the assemblers build: sums of trees, their splits, their leaves.

Nothing here recurses: an expression tree may be as deep as the model is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from m2cgen import ast

from sql_scoring.engine._assembler import MissingAwareCompExpr


@dataclass(frozen=True)
class TreeSum:
    """A model as the interpreters take it: ``sum(trees) / divisor``, or one tree when ``divisor`` is None."""

    trees: list[ast.Expr]
    divisor: float | None


@dataclass(frozen=True)
class Split:
    """The parts of one branch: ``feature <= cut``, or missing and ``missing_left``, leads to ``body``."""

    feature: int
    cut: float
    missing_left: bool


def tree_sum(expr: ast.Expr) -> TreeSum:
    """Take an assembled model apart into its trees, in the order in which they are added."""
    if not isinstance(expr, ast.BinNumExpr):
        return TreeSum([expr], None)
    if expr.op is not ast.BinNumOpType.DIV or not isinstance(expr.right, ast.NumVal):
        raise TypeError(f"not a sum of trees over a constant: {type(expr).__name__} {expr.op}")
    trees: list[ast.Expr] = []
    term = expr.left
    while isinstance(term, ast.BinNumExpr) and term.op is ast.BinNumOpType.ADD:
        trees.append(term.right)
        term = term.left
    if not (isinstance(term, ast.NumVal) and term.value == 0.0):
        raise TypeError("a sum of trees starts from 0.0")
    trees.reverse()
    return TreeSum(trees, float(expr.right.value))


def split_of(branch: ast.IfExpr) -> Split:
    """The condition of a branch; raises TypeError for any other kind of condition."""
    test = branch.test
    if not (
        isinstance(test, MissingAwareCompExpr)
        and isinstance(test.left, ast.FeatureRef)
        and isinstance(test.right, ast.NumVal)
    ):
        raise TypeError(f"unexpected condition: {type(test).__name__}")
    return Split(int(test.left.index), float(test.right.value), test.missing_left)


def leaf_value(leaf: ast.Expr) -> float:
    """The value of a leaf; raises TypeError for anything but a number."""
    if not isinstance(leaf, ast.NumVal):
        raise TypeError(f"unexpected leaf: {type(leaf).__name__}")
    return float(leaf.value)


def splits(tree: ast.Expr) -> Iterator[Split]:
    """Every branch of a tree, parents before children."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.IfExpr):
            yield split_of(node)
            pending += (node.orelse, node.body)


@dataclass(frozen=True)
class Interval:
    """A leaf's condition on one feature: ``low < x <= high``, and whether a missing value may reach the leaf.

    ``None`` is no bound on that side (no float next to an infinite input can express that).
    """

    low: float | None = None
    high: float | None = None
    missing: bool = True

    def narrowed(self, split: Split, *, left: bool) -> Interval:
        """This interval after one more comparison."""
        missing = self.missing and split.missing_left == left
        if left:
            high = split.cut if self.high is None else min(self.high, split.cut)
            return Interval(self.low, high, missing)
        low = split.cut if self.low is None else max(self.low, split.cut)
        return Interval(low, self.high, missing)

    @property
    def is_empty(self) -> bool:
        """Whether no value passes, neither a number nor a missing one."""
        if self.missing or self.low is None:
            return False
        return self.low == math.inf or (self.high is not None and self.low >= self.high)


@dataclass(frozen=True)
class Leaf:
    """One leaf with the box of inputs that reaches it; features that are not listed are free.

    ``fraction`` of the training rows of its tree ended here.
    """

    value: float
    box: dict[int, Interval] = field(default_factory=dict)
    fraction: float = 0.0


def leaves(tree: ast.Expr) -> list[Leaf]:
    """The reachable leaves of a tree, left to right."""
    reachable: list[Leaf] = []
    pending: list[tuple[ast.Expr, dict[int, Interval], float]] = [(tree, {}, 1.0)]
    while pending:
        node, box, fraction = pending.pop()
        if not isinstance(node, ast.IfExpr):
            reachable.append(Leaf(leaf_value(node), box, fraction))
            continue
        split = split_of(node)
        before = box.get(split.feature, Interval())
        went_left = node.test.left_fraction
        for child, is_left, part in ((node.orelse, False, 1 - went_left), (node.body, True, went_left)):
            after = before.narrowed(split, left=is_left)
            if not after.is_empty:
                pending.append((child, {**box, split.feature: after}, fraction * part))
    return reachable
