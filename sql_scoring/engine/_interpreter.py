"""What the interpreters share: reading inputs, the frame of the sum, conditions, the order of branches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from m2cgen import ast

from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._trees import Split, TreeSum, split_of, splits

# Branches nest as the model's do up to here; below, the smaller subtree is always the nested one. A body's
# nesting is then at most this plus log2(leaves), far from PostgreSQL's stack limit at any depth.
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
        """Text of a feature in the type of the argument."""
        return f"$1[{feature + 1}]" if self.array else f"${feature + 1}"

    def element(self, index: str) -> str:
        """Text of an element of the array argument."""
        return f"$1[{index}]" + ("::float" if self.real else "")


@dataclass(frozen=True)
class Body:
    """What an interpreter makes of a model: text without the frame around it, and its predicted time per call."""

    text: str
    microseconds: float
    declarations: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Conditions(Protocol):
    """How the text tests which way a branch goes."""

    def condition(self, split: Split, *, left: bool) -> str:
        """Text that is true exactly for the inputs that take the left (or the right) branch.

        Where it is not true it is false or NULL, which IF and CASE treat alike.
        """


class BranchingInputs:
    """Conditions for the layouts that compare one feature after another.

    NULL fails every comparison and so takes the right branch, NaN too (PostgreSQL sorts it above every
    number). Where some branch sends missing values left, NaN is turned into NULL once, in front.
    """

    def __init__(self, model: TreeSum, inputs: Inputs) -> None:
        every_split = [split for tree in model.trees for split in splits(tree)]
        missing_left = {split.feature for split in every_split if split.missing_left}
        self.declarations: list[str] = []
        self._names: dict[int, str] = {}
        for feature in sorted({split.feature for split in every_split}):
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
        """As ``Conditions.condition``."""
        return comparison(self._names[split.feature], sql.float_literal(split.cut), split, left=left)


def comparison(value: str, cut: str, split: Split, *, left: bool) -> str:
    """Text of one branch's condition for a value that is never NaN where missing values go left."""
    at_most, above = f"{value} {sql.AT_MOST} {cut}", f"{value} {sql.ABOVE} {cut}"
    if left:
        return f"({above}) IS NOT TRUE" if split.missing_left else at_most
    return above if split.missing_left else f"({at_most}) IS NOT TRUE"


def sum_declaration(model: TreeSum) -> str:
    """``v_sum`` at its start: scikit-learn's 0.0 for forests, for a single tree the additive identity."""
    return f"v_sum double precision := {sql.float_literal(-0.0 if model.divisor is None else 0.0)};"


def return_statement(model: TreeSum) -> str:
    """The last line of the body."""
    divided = "" if model.divisor is None else f" {sql.DIVIDE} {sql.float_literal(model.divisor)}"
    return f"RETURN v_sum{divided};"


def balanced_comparisons(model: TreeSum) -> int:
    """Comparisons per row if every tree were balanced."""
    return sum(sum(1 for _ in splits(tree)).bit_length() for tree in model.trees)


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
            (left_leaves, left_depth), (right_leaves, right_depth) = (
                sizes[id(node.body)],
                sizes[id(node.orelse)],
            )
            sizes[id(node)] = (left_leaves + right_leaves, 1 + max(left_depth, right_depth))
        else:
            sizes[id(node)] = (1, 0)
    return sizes
