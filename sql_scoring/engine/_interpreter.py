"""What the interpreters share: how a body reads its inputs, what it hands back, the order of branches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from m2cgen import ast

from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._trees import Split, TreeSum, split_of, splits

# Branches nest as the model's do up to here; below, the smaller subtree is always the nested one, so that
# a body's nesting stays within this plus log2(leaves), far from PostgreSQL's stack limit at any depth.
NATURAL_NESTING = 32


@dataclass(frozen=True)
class Inputs:
    """How the body names its features: ``$1, $2, …`` or elements of one array argument."""

    count: int
    array: bool = False
    real: bool = False

    def read(self, feature: int) -> str:
        """Text of feature number ``feature`` (from 0), a float8 that may be NULL or NaN."""
        return self.element(str(feature + 1)) if self.array else f"${feature + 1}"

    def unchanged(self, feature: int) -> str:
        """Text of a feature as the function is given it."""
        return f"$1[{feature + 1}]" if self.array else f"${feature + 1}"

    def element(self, index: str) -> str:
        """Text of an element of the array argument."""
        return f"$1[{index}]" + ("::float" if self.real else "")


@dataclass(frozen=True)
class Body:
    """What an interpreter makes of a model: text without the frame around it, and what it costs to run."""

    text: str
    microseconds: float
    declarations: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Interpreter(Protocol):
    """A layout: turns a sum of trees into the body of a function."""

    def interpret(self, model: TreeSum, inputs: Inputs) -> Body:
        """Write the body; raises UnsupportedModelError when the layout cannot hold the model."""


class BranchingInputs:
    """Feature names for the layouts that compare one feature after another.

    NULL fails every comparison and so takes the right branch by itself, NaN too (PostgreSQL puts it above
    every number). Where some branch sends missing values left, NaN is turned into NULL once, in front.
    """

    def __init__(self, model: TreeSum, inputs: Inputs) -> None:
        used: set[int] = set()
        missing_left: set[int] = set()
        for tree in model.trees:
            for split in splits(tree):
                used.add(split.feature)
                if split.missing_left:
                    missing_left.add(split.feature)
        self.declarations: list[str] = []
        self._names: dict[int, str] = {}
        for feature in sorted(used):
            text = inputs.read(feature)
            if feature in missing_left:
                nan = sql.float_literal(float("nan"))
                text = f"CASE WHEN {text} OPERATOR(pg_catalog.<>) {nan} THEN {text} END"
            if feature in missing_left or inputs.array:
                local = f"v{feature + 1}"
                self.declarations.append(f"{local} double precision := {text};")
                text = local
            self._names[feature] = text

    def condition(self, split: Split, *, left: bool) -> str:
        """Text that is true exactly for the inputs that take the left (or the right) branch.

        Where it is not true it is false or NULL, which IF and CASE treat alike.
        """
        name = self._names[split.feature]
        cut = sql.float_literal(split.cut)
        at_most, above = f"{name} {sql.AT_MOST} {cut}", f"{name} {sql.ABOVE} {cut}"
        if left:
            return f"({above}) IS NOT TRUE" if split.missing_left else at_most
        return above if split.missing_left else f"({at_most}) IS NOT TRUE"


@dataclass(frozen=True)
class Arm:
    """One ``WHEN condition THEN body``."""

    split: Split
    left: bool
    body: ast.Expr


def arms(node: ast.Expr, sizes: dict[int, tuple[int, int]]) -> tuple[list[Arm], ast.Expr]:
    """A branch as a flat chain of arms and the leaf that remains at its end.

    The plain comparison (without ``IS NOT TRUE``) comes first: for a missing value that goes left that is
    the right-hand child.
    """
    chain: list[Arm] = []
    while isinstance(node, ast.IfExpr):
        split = split_of(node)
        left = not split.missing_left
        first, rest = (node.body, node.orelse) if left else (node.orelse, node.body)
        (first_leaves, first_depth), (rest_leaves, _) = sizes[id(first)], sizes[id(rest)]
        if first_depth > NATURAL_NESTING and first_leaves > rest_leaves:
            left, first, rest = not left, rest, first
        chain.append(Arm(split, left, first))
        node = rest
    return chain, node


def subtree_sizes(tree: ast.Expr) -> dict[int, tuple[int, int]]:
    """For every node of a tree, by ``id``: number of leaves and depth below it."""
    order, pending = [], [tree]
    while pending:
        node = pending.pop()
        order.append(node)
        if isinstance(node, ast.IfExpr):
            pending += (node.body, node.orelse)
    sizes: dict[int, tuple[int, int]] = {}
    for node in reversed(order):
        if isinstance(node, ast.IfExpr):
            (one, deep), (other, deeper) = sizes[id(node.body)], sizes[id(node.orelse)]
            sizes[id(node)] = (one + other, 1 + max(deep, deeper))
        else:
            sizes[id(node)] = (1, 0)
    return sizes
