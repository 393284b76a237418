"""Dividing the inputs into cells in which most of a forest's questions are answered already.

Where it is known that ``x <= t``, every branch on ``x`` with a cut of ``t`` or more is decided. A few such
facts, asked once per row, spare each tree its questions again: eight cells take about a third of all tests
off a forest, at the price of one smaller copy of the forest per cell.

The next question is the one that most branches wait for: the feature whose branches are reached most often,
at the median of its cuts, each weighted by how often training rows came by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from m2cgen import ast

from sql_scoring.engine._assembler import same_leaf
from sql_scoring.engine._trees import Split, split_of

MICROSECONDS_PER_TEST = 0.013
MICROSECONDS_PER_NODE = 6.0  # parse, plan and set up one branch, once per statement (or worker)
_MOST_CELLS = 64


@dataclass
class Cell:
    """The trees as they are within one cell, or the question that divides it further.

    ``low`` holds where ``feature <= cut``, ``high`` where it is greater; neither where it is missing.
    """

    trees: list[ast.Expr]
    share: float
    feature: int | None = None
    cut: float = 0.0
    low: Cell | None = None
    high: Cell | None = None


def divide(trees: list[ast.Expr], *, rows: int, node_budget: int) -> Cell:
    """Cells for a statement that scores so many rows: dividing goes on while it pays for its own set-up."""
    root = Cell(trees, 1.0)
    nodes = sum(map(_size, trees))
    open_cells = [(_most_asked(root.trees), root)]
    while len(open_cells) < _MOST_CELLS:
        open_cells.sort(key=lambda item: item[0].saving * item[1].share)
        question, cell = open_cells.pop()
        if question.saving <= 0:
            break
        low = Cell(_pruned(cell.trees, question.feature, question.cut, below=True), cell.share / 2)
        high = Cell(_pruned(cell.trees, question.feature, question.cut, below=False), cell.share / 2)
        added = sum(map(_size, low.trees + high.trees)) - sum(map(_size, cell.trees))
        saved = question.saving * cell.share * rows * MICROSECONDS_PER_TEST
        if saved < added * MICROSECONDS_PER_NODE or nodes + added > node_budget:
            break
        nodes += added
        cell.feature, cell.cut, cell.low, cell.high = question.feature, question.cut, low, high
        cell.trees = []
        open_cells += [(_most_asked(low.trees), low), (_most_asked(high.trees), high)]
    return root


def cell_features(cell: Cell) -> set[int]:
    """Features that the cells ask for."""
    found, pending = set(), [cell]
    while pending:
        here = pending.pop()
        if here.feature is not None and here.low and here.high:
            found.add(here.feature)
            pending += (here.low, here.high)
    return found


def expected_tests(trees: list[ast.Expr]) -> float:
    """Comparisons that one row meets on its way through all trees, if it is like the training rows."""
    total = 0.0
    for tree in trees:
        for _, reach in _reached(tree):
            total += reach
    return total


@dataclass(frozen=True)
class _Question:
    feature: int
    cut: float
    saving: float  # tests spared per row


def _most_asked(trees: list[ast.Expr]) -> _Question:
    asked: dict[int, list[tuple[float, float]]] = {}
    for tree in trees:
        for split, reach in _reached(tree):
            if abs(split.cut) != float("inf"):
                asked.setdefault(split.feature, []).append((split.cut, reach))
    best = _Question(-1, 0.0, 0.0)
    for feature in sorted(asked):
        cuts = sorted(asked[feature])
        weight = sum(reach for _, reach in cuts)
        if len({cut for cut, _ in cuts}) == 1 or weight / 2 - 1 <= best.saving:
            if weight - 1 > best.saving and len({cut for cut, _ in cuts}) == 1:
                best = _Question(feature, cuts[0][0], weight - 1)
            continue
        passed = 0.0
        for cut, reach in cuts:
            passed += reach
            if passed >= weight / 2:
                best = _Question(feature, cut, weight / 2 - 1)
                break
    return best


def _reached(tree: ast.Expr) -> list[tuple[Split, float]]:
    """Every branch with the share of rows that come by."""
    found, pending = [], [(tree, 1.0)]
    while pending:
        node, reach = pending.pop()
        if isinstance(node, ast.IfExpr):
            split = split_of(node)
            found.append((split, reach))
            share = node.test.left_share
            pending += ((node.orelse, reach * (1 - share)), (node.body, reach * share))
    return found


def _pruned(trees: list[ast.Expr], feature: int, cut: float, *, below: bool) -> list[ast.Expr]:
    def decided(split: Split) -> bool | None:
        if split.feature != feature:
            return None
        if below:
            return True if split.cut >= cut else None
        return False if split.cut <= cut else None

    return [prune(tree, decided) for tree in trees]


def prune(tree: ast.Expr, decided: Callable[[Split], bool | None]) -> ast.Expr:
    """The tree without the branches whose answer is known (true: left); untouched parts are shared."""
    done: dict[int, ast.Expr] = {}
    pending: list[tuple[ast.Expr, bool]] = [(tree, False)]
    while pending:
        node, children_done = pending.pop()
        if not isinstance(node, ast.IfExpr):
            done[id(node)] = node
            continue
        answer = decided(split_of(node))
        if answer is not None:
            child = node.body if answer else node.orelse
            if children_done:
                done[id(node)] = done[id(child)]
            else:
                pending += ((node, True), (child, False))
        elif not children_done:
            pending += ((node, True), (node.orelse, False), (node.body, False))
        else:
            body, orelse = done[id(node.body)], done[id(node.orelse)]
            if same_leaf(body, orelse):
                done[id(node)] = body
            elif body is node.body and orelse is node.orelse:
                done[id(node)] = node
            else:
                done[id(node)] = ast.IfExpr(node.test, body, orelse)
    return done[id(tree)]


def _size(tree: ast.Expr) -> int:
    count, pending = 0, [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.IfExpr):
            count += 1
            pending += (node.body, node.orelse)
    return count
