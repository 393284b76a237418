"""Dividing the inputs into cells in which most of a forest's comparisons are already decided.

Where ``x <= t`` is known, every branch on ``x`` with a cut of ``t`` or more is decided. A few such
comparisons, made once per row, spare each tree its own: eight cells take about a third of all comparisons off
a forest, for one smaller copy of the forest per cell.

The next split is on the feature whose branches are reached most often, at the median of its cuts, each
weighted by the fraction of training rows that reach it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from m2cgen import ast

from sql_scoring.engine._assembler import same_leaf
from sql_scoring.engine._trees import Split, split_of, splits

MICROSECONDS_PER_COMPARISON = 0.013
MICROSECONDS_PER_NODE = 6.0  # parse, plan and set up one branch, once per statement (or worker)
_MAX_CELLS = 64


@dataclass
class Cell:
    """The trees of one cell, or the split that divides it further.

    ``low`` holds where ``feature <= cut``, ``high`` where it is greater; neither where it is missing.
    """

    trees: list[ast.Expr]
    fraction: float
    feature: int = -1
    cut: float = 0.0
    low: Cell | None = None
    high: Cell | None = None

    def inner(self) -> list[Cell]:
        """The cells that are divided further, this one included."""
        if self.low is None or self.high is None:
            return []
        return [self, *self.low.inner(), *self.high.inner()]


@dataclass(frozen=True)
class _CellSplit:
    feature: int
    cut: float
    saving: float  # comparisons spared per row


def partition_inputs(trees: list[ast.Expr], *, rows: int, node_budget: int) -> Cell:
    """Divide the inputs for a statement over ``rows`` rows, as long as dividing saves more than its setup costs."""
    root = Cell(trees, 1.0)
    nodes = _branch_count(trees)
    open_cells = [(_best_cell_split(root.trees), root)]
    while len(open_cells) < _MAX_CELLS:
        open_cells.sort(key=lambda item: item[0].saving * item[1].fraction)
        split, cell = open_cells.pop()
        if split.saving <= 0:
            break
        low = Cell(_simplified(cell.trees, split, below=True), cell.fraction / 2)
        high = Cell(_simplified(cell.trees, split, below=False), cell.fraction / 2)
        added = _branch_count(low.trees + high.trees) - _branch_count(cell.trees)
        saved = split.saving * cell.fraction * rows * MICROSECONDS_PER_COMPARISON
        if saved < added * MICROSECONDS_PER_NODE or nodes + added > node_budget:
            break
        nodes += added
        cell.feature, cell.cut, cell.low, cell.high = split.feature, split.cut, low, high
        cell.trees = []
        open_cells += [(_best_cell_split(low.trees), low), (_best_cell_split(high.trees), high)]
    return root


def expected_comparisons(trees: list[ast.Expr]) -> float:
    """Comparisons on one row's paths through all trees, if it is like the training rows."""
    total = 0.0
    for tree in trees:
        for _, reach in _reached(tree):
            total += reach
    return total


def _best_cell_split(trees: list[ast.Expr]) -> _CellSplit:
    cuts_by_feature: dict[int, list[tuple[float, float]]] = {}
    for tree in trees:
        for split, reach in _reached(tree):
            if abs(split.cut) != float("inf"):
                cuts_by_feature.setdefault(split.feature, []).append((split.cut, reach))
    best = _CellSplit(-1, 0.0, 0.0)
    for feature in sorted(cuts_by_feature):
        cuts = sorted(cuts_by_feature[feature])
        weight = sum(reach for _, reach in cuts)
        # One cut decides all of the feature's branches; the median of several decides half of them.
        decided = weight if cuts[0][0] == cuts[-1][0] else weight / 2
        if decided - 1 <= best.saving:
            continue
        passed = 0.0
        for cut, reach in cuts:
            passed += reach
            if passed >= weight / 2:
                best = _CellSplit(feature, cut, decided - 1)
                break
    return best


def _reached(tree: ast.Expr) -> list[tuple[Split, float]]:
    """Every branch with the fraction of training rows that reach it."""
    reached: list[tuple[Split, float]] = []
    pending = [(tree, 1.0)]
    while pending:
        node, reach = pending.pop()
        if isinstance(node, ast.IfExpr):
            reached.append((split_of(node), reach))
            fraction = node.test.left_fraction
            pending += ((node.orelse, reach * (1 - fraction)), (node.body, reach * fraction))
    return reached


def _simplified(trees: list[ast.Expr], known: _CellSplit, *, below: bool) -> list[ast.Expr]:
    def goes_left(split: Split) -> bool | None:
        if split.feature != known.feature:
            return None
        if below:
            return True if split.cut >= known.cut else None
        return False if split.cut <= known.cut else None

    return [simplify_tree(tree, goes_left) for tree in trees]


def simplify_tree(tree: ast.Expr, goes_left: Callable[[Split], bool | None]) -> ast.Expr:
    """The tree without the branches whose direction is known; untouched parts are shared."""
    results: dict[int, ast.Expr] = {}
    pending: list[tuple[ast.Expr, bool]] = [(tree, False)]
    while pending:
        node, has_children = pending.pop()
        if not isinstance(node, ast.IfExpr):
            results[id(node)] = node
            continue
        direction = goes_left(split_of(node))
        if direction is not None:
            child = node.body if direction else node.orelse
            if has_children:
                results[id(node)] = results[id(child)]
            else:
                pending += ((node, True), (child, False))
        elif not has_children:
            pending += ((node, True), (node.orelse, False), (node.body, False))
        else:
            body, orelse = results[id(node.body)], results[id(node.orelse)]
            if same_leaf(body, orelse):
                results[id(node)] = body
            elif body is node.body and orelse is node.orelse:
                results[id(node)] = node
            else:
                results[id(node)] = ast.IfExpr(node.test, body, orelse)
    return results[id(tree)]


def _branch_count(trees: list[ast.Expr]) -> int:
    return sum(1 for tree in trees for _ in splits(tree))
