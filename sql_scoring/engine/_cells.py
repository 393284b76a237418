"""Dividing the inputs into cells in which most of a forest's comparisons are already decided.

Where ``x <= t`` is known, every branch on ``x`` with a cut of ``t`` or more is decided. A few such
comparisons, made once per row, spare each tree its own: eight cells take about a third of all comparisons off
a forest, for one smaller copy of the forest per cell.

The next split is on the feature whose branches are reached most often, at the median of its cuts, each
weighted by the fraction of training rows that reach it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from m2cgen import ast

from sql_scoring.engine._trees import Split, branch, nodes, splits

MICROSECONDS_PER_COMPARISON = 0.013
MICROSECONDS_PER_NODE = 6.0  # parse, plan and set up one branch, once per statement (or worker)
_MAX_CELLS = 64


@dataclass
class Cell:
    """The trees of a cell with its best split, and if it is divided there, the two halves.

    The first half is where ``feature <= cut``, the second where it is greater; a missing value is in neither.
    ``saving`` is the comparisons that dividing spares per row.
    """

    trees: list[ast.Expr]
    fraction: float
    feature: int = -1
    cut: float = 0.0
    saving: float = 0.0
    halves: tuple[Cell, ...] = ()

    def __post_init__(self) -> None:
        cuts_by_feature: dict[int, list[tuple[float, float]]] = {}
        for split, reach in _reached(self.trees):
            if abs(split.cut) != float("inf") and not split.pieces:
                cuts_by_feature.setdefault(split.feature, []).append((split.cut, reach))
        for feature, cuts in sorted(cuts_by_feature.items()):
            weight = sum(reach for _, reach in sorted(cuts))
            # One cut decides all of the feature's branches; the median of several decides half of them.
            decided = weight if len({cut for cut, _ in cuts}) == 1 else weight / 2
            if decided - 1 > self.saving:
                self.feature, self.cut, self.saving = feature, _median(sorted(cuts), weight), decided - 1

    def divided(self) -> list[Cell]:
        """The cells that are divided further, this one included."""
        return [self, *(cell for half in self.halves for cell in half.divided())] if self.halves else []


def partition_inputs(trees: list[ast.Expr], *, rows: int, node_budget: int) -> Cell:
    """Divide the inputs for a statement over ``rows`` rows, as long as dividing saves more than its setup costs."""
    root = Cell(trees, 1.0)
    node_count = _branch_count(trees)
    open_cells = [root]
    while len(open_cells) < _MAX_CELLS:
        open_cells.sort(key=lambda cell: cell.saving * cell.fraction)
        cell = open_cells.pop()
        if cell.saving <= 0:
            break
        halves = tuple(
            Cell([_simplified(tree, cell, below=below) for tree in cell.trees], cell.fraction / 2)
            for below in (True, False)
        )
        added = sum(_branch_count(half.trees) for half in halves) - _branch_count(cell.trees)
        saved = cell.saving * cell.fraction * rows * MICROSECONDS_PER_COMPARISON
        if saved < added * MICROSECONDS_PER_NODE or node_count + added > node_budget:
            break
        node_count += added
        cell.halves, cell.trees = halves, []
        open_cells += halves
    return root


def expected_comparisons(trees: list[ast.Expr]) -> float:
    """Comparisons on one row's paths through all trees, if it is like the training rows."""
    return sum(reach for _, reach in _reached(trees))


def _median(cuts: list[tuple[float, float]], weight: float) -> float:
    """The first of the ascending cuts up to which half of the weight is passed."""
    passed = itertools.accumulate(reach for _, reach in cuts)
    return next(
        cut for (cut, _), weight_so_far in zip(cuts, passed, strict=True) if weight_so_far >= weight / 2
    )


def _reached(trees: list[ast.Expr]) -> Iterator[tuple[Split, float]]:
    """Every branch with the fraction of training rows that reach it."""
    for tree in trees:
        pending = [(tree, 1.0)]
        while pending:
            node, reach = pending.pop()
            if isinstance(node, ast.IfExpr):
                yield node.test, reach
                fraction = node.test.left_fraction
                pending += ((node.orelse, reach * (1 - fraction)), (node.body, reach * fraction))


def _simplified(tree: ast.Expr, known: Cell, *, below: bool) -> ast.Expr:
    """The tree without the branches that one half of ``known`` decides; untouched parts are shared."""
    results: dict[int, ast.Expr] = {}
    for node in reversed(nodes(tree)):
        result = node
        if isinstance(node, ast.IfExpr):
            split, body, orelse = node.test, results[id(node.body)], results[id(node.orelse)]
            is_decided = split.cut >= known.cut if below else split.cut <= known.cut
            if split.feature == known.feature and is_decided and not split.pieces:
                result = body if below else orelse
            elif body is not node.body or orelse is not node.orelse:
                result = branch(split, body, orelse)
        results[id(node)] = result
    return results[id(tree)]


def _branch_count(trees: list[ast.Expr]) -> int:
    return sum(1 for tree in trees for _ in splits(tree))
