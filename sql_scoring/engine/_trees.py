"""Reading the expression tree that the assemblers build: sums of trees, their splits, their leaves.

Nothing here recurses: an expression tree may be as deep as the model is.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from m2cgen import ast


@dataclass(frozen=True)
class Split(ast.BoolExpr):  # type: ignore[misc]
    """The condition of a branch: ``feature <= cut``, or missing and ``missing_left``, leads to ``body``.

    ``left_fraction`` of the training rows that reach the branch go left. It is no part of the meaning; planning
    uses it.
    """

    feature: int
    cut: float
    missing_left: bool
    left_fraction: float = field(default=0.5, compare=False)


@dataclass(frozen=True)
class TreeSum:
    """A model as the interpreters take it: ``sum(trees) / divisor``, or one tree when ``divisor`` is None."""

    trees: list[ast.Expr]
    divisor: float | None


def tree_sum(expr: ast.Expr) -> TreeSum:
    """Take an assembled model apart into its trees, in the order in which they are added."""
    if not isinstance(expr, ast.BinNumExpr):
        return TreeSum([expr], None)
    trees: list[ast.Expr] = []
    term = expr.left
    while isinstance(term, ast.BinNumExpr):
        trees.append(term.right)
        term = term.left
    return TreeSum(trees[::-1], float(expr.right.value))


def branch(split: Split, body: ast.Expr, orelse: ast.Expr) -> ast.Expr:
    """A branch, or the leaf that both children are, bit for bit."""
    are_leaves = isinstance(body, ast.NumVal) and isinstance(orelse, ast.NumVal)
    if are_leaves and struct.pack("<d", body.value) == struct.pack("<d", orelse.value):
        return body
    return ast.IfExpr(split, body, orelse)


def nodes(tree: ast.Expr) -> list[ast.Expr]:
    """Every node of a tree, parents before children."""
    ordered, pending = [], [tree]
    while pending:
        node = pending.pop()
        ordered.append(node)
        if isinstance(node, ast.IfExpr):
            pending += (node.orelse, node.body)
    return ordered


def splits(tree: ast.Expr) -> Iterator[Split]:
    """Every split of a tree, parents before children."""
    return (node.test for node in nodes(tree) if isinstance(node, ast.IfExpr))


@dataclass(frozen=True)
class Interval:
    """A leaf's condition on one feature: ``low < x <= high``, and whether a missing value may reach the leaf.

    An infinite bound is none: minus infinity passes ``low`` and infinity passes ``high``.
    """

    low: float = -math.inf
    high: float = math.inf
    missing: bool = True

    def narrowed(self, split: Split, *, left: bool) -> Interval:
        """This interval after one more comparison."""
        missing = self.missing and split.missing_left == left
        if left:
            return Interval(self.low, min(self.high, split.cut), missing)
        return Interval(max(self.low, split.cut), self.high, missing)

    @property
    def is_empty(self) -> bool:
        """Whether no value passes, neither a number nor a missing one."""
        return self.low >= self.high and not self.missing


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
            reachable.append(Leaf(float(node.value), box, fraction))
            continue
        split = node.test
        before = box.get(split.feature, Interval())
        for child, is_left, part in (
            (node.orelse, False, 1 - split.left_fraction),
            (node.body, True, split.left_fraction),
        ):
            after = before.narrowed(split, left=is_left)
            if not after.is_empty:
                pending.append((child, {**box, split.feature: after}, fraction * part))
    return reachable
