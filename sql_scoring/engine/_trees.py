"""Reading the expression tree that the assemblers build: sums of trees, their splits, their leaves.

Nothing here recurses: an expression tree may be as deep as the model is.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from m2cgen import ast

Pieces = tuple[tuple[float, float], ...]  # a union of intervals (low, high], ascending and disjoint


@dataclass(frozen=True)
class Split(ast.BoolExpr):  # type: ignore[misc]
    """The condition of a branch: ``feature <= cut``, or missing and ``missing_left``, leads to ``body``.

    A split of categories has ``pieces`` instead: what lies in one of them leads to ``body``, and ``cut`` is the end
    of the last. ``left_fraction`` of the training rows that reach the branch go left, and ``left_weight`` of their
    weight where that differs. Both are no part of the meaning: planning uses the first, explanations the second.
    """

    feature: int
    cut: float
    missing_left: bool
    left_fraction: float = field(default=0.5, compare=False)
    pieces: Pieces = ()
    left_weight: float | None = field(default=None, compare=False)

    def weight(self, *, left: bool) -> float:
        """The part of the training weight that goes to one side."""
        part = self.left_fraction if self.left_weight is None else self.left_weight
        return part if left else 1.0 - part

    def accepted(self, *, left: bool) -> Pieces:
        """The numbers that lead to one side."""
        pieces = self.pieces or ((-math.inf, self.cut),)
        return pieces if left else complement(pieces)


def complement(pieces: Pieces) -> Pieces:
    """The numbers outside of a union."""
    bounds = [-math.inf, *(bound for piece in pieces for bound in piece), math.inf]
    gaps = zip(bounds[::2], bounds[1::2], strict=True)
    return tuple((low, high) for low, high in gaps if low < high)


def union(pieces: Iterable[tuple[float, float]]) -> Pieces:
    """The same numbers in ascending pieces that do not touch."""
    merged: list[tuple[float, float]] = []
    for low, high in sorted(pieces):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        elif low < high:
            merged.append((low, high))
    return tuple(merged)


@dataclass(frozen=True)
class Steps:
    """A step function: ``values[n]`` from ``bounds[n - 1]`` on; one value more than bounds, which ascend."""

    bounds: tuple[float, ...]
    values: tuple[float, ...]

    def apply(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Compute the value of each score.

        Args:
            scores: Shape (rows,).

        Returns:
            Shape (rows,).
        """
        result: npt.NDArray[np.float64] = np.array(self.values)[
            np.searchsorted(self.bounds, scores, side="right")
        ]
        return result


@dataclass(frozen=True)
class TreeSum:
    """A model as the interpreters take it: ``start``, then one tree after the other, then the end.

    Attributes:
        trees: In the order in which they are added.
        divisor: The sum is divided by it at the end.
        start: What the first tree is added to. By default 0.0, as in a forest, and for a single tree nothing.
        bias: Added to the sum at the end.
        is_real: Values are added as float32.
        steps: What the value goes through at the very end, if it is calibrated.
    """

    trees: list[ast.Expr]
    divisor: float | None = None
    start: float | None = None
    bias: float | None = None
    is_real: bool = False
    steps: Steps | None = None

    @property
    def first_term(self) -> float:
        """``start``, or its default: minus zero changes no bit of a single tree."""
        default = -0.0 if self.divisor is None else 0.0
        return default if self.start is None else self.start

    @property
    def skip_zero_leaves(self) -> bool:
        """Whether adding zero never changes the sum: it does only where the sum is minus zero."""
        return math.copysign(1.0, self.first_term) > 0 or self.first_term != 0


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

    An infinite bound is none: minus infinity passes ``low`` and infinity passes ``high``. After splits of
    categories, ``gaps`` are the intervals in between that do not reach the leaf.
    """

    low: float = -math.inf
    high: float = math.inf
    missing: bool = True
    gaps: Pieces = ()

    @classmethod
    def of(cls, pieces: Pieces, *, missing: bool) -> Interval:
        """The condition that a union of intervals is."""
        if not pieces:
            return cls(math.inf, math.inf, missing)
        gaps = tuple((before[1], after[0]) for before, after in itertools.pairwise(pieces))
        return cls(pieces[0][0], pieces[-1][1], missing, gaps)

    @property
    def pieces(self) -> Pieces:
        """The numbers that pass."""
        bounds = [self.low, *(bound for gap in self.gaps for bound in gap), self.high]
        pairs = zip(bounds[::2], bounds[1::2], strict=True)
        return tuple((low, high) for low, high in pairs if low < high)

    @property
    def bounds(self) -> tuple[float, ...]:
        """All bounds, of which some may be infinite."""
        return (self.low, self.high, *(bound for gap in self.gaps for bound in gap))

    def narrowed(self, split: Split, *, left: bool) -> Interval:
        """This interval after one more comparison."""
        missing = self.missing and split.missing_left == left
        if self.gaps or split.pieces:
            allowed = split.accepted(left=left)
            common = (
                (max(low, other_low), min(high, other_high))
                for low, high in self.pieces
                for other_low, other_high in allowed
            )
            return Interval.of(union(common), missing=missing)
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
