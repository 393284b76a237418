"""Layout ``inline``: the forest as one SQL expression, which the planner puts into the calling statement.

For statements that score many rows. There is no function call left and no PL/pgSQL: the executor walks one
expression over the row's columns. Setting it up costs the statement some microseconds per branch, so a call in
a transaction of its own is dear.

The inputs are divided into cells (see ``_cells``) with a smaller forest each. A row that a cell's question
finds a missing value in, and one with a NaN where that matters, takes a last copy of the forest, which allows
for missing values everywhere.
"""

from __future__ import annotations

from m2cgen import ast

from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._case import tree_expression
from sql_scoring.engine._cells import (
    MICROSECONDS_PER_TEST,
    Cell,
    cell_features,
    divide,
    expected_tests,
)
from sql_scoring.engine._interpreter import Body, Inputs
from sql_scoring.engine._trees import Split, TreeSum, splits

# More of them would not stay in a processor's cache, and the way through would be longer for being shorter.
NODE_BUDGET = 24_000
_NAN = sql.float_literal(float("nan"))


class _PresentNames:
    """Conditions for rows of which every NaN has been sent elsewhere; NULL fails every comparison."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs

    def condition(self, split: Split, *, left: bool) -> str:
        """As ``BranchingInputs.condition``."""
        name, cut = self._inputs.read(split.feature), _cut(split.cut)
        at_most, above = f"{name} {sql.AT_MOST} {cut}", f"{name} {sql.ABOVE} {cut}"
        if left:
            return f"({above}) IS NOT TRUE" if split.missing_left else at_most
        return above if split.missing_left else f"({at_most}) IS NOT TRUE"


class _AnyNames(_PresentNames):
    """Conditions for every row: NaN, which PostgreSQL puts above all numbers, is tested for."""

    def condition(self, split: Split, *, left: bool) -> str:
        """As ``BranchingInputs.condition``."""
        if not split.missing_left:
            return super().condition(split, left=left)
        name, cut = self._inputs.read(split.feature), _cut(split.cut)
        above = f"{name} {sql.ABOVE} {cut} AND {name} {sql.LESS} {_NAN}"
        return f"({above}) IS NOT TRUE" if left else above


class InlineInterpreter:
    """``COALESCE(CASE WHEN x <= t THEN sum of trees WHEN x > t THEN … END, sum of trees)``."""

    def __init__(self, *, rows: int) -> None:
        self._rows = rows

    def interpret(self, model: TreeSum, inputs: Inputs) -> Body:
        """See the class."""
        nodes = sum(1 for tree in model.trees for _ in splits(tree))
        cells = divide(model.trees, rows=self._rows, node_budget=max(NODE_BUDGET, nodes))
        left_missing = {split.feature for tree in model.trees for split in splits(tree) if split.missing_left}
        general = self._sum(_AnyNames(inputs), model.trees, model.divisor)
        asked = sorted(cell_features(cells) | left_missing)
        if asked:
            names = _PresentNames(inputs)
            is_nan = " OR ".join(f"{inputs.read(feature)} {sql.EQUAL} {_NAN}" for feature in asked)
            inner = self._cell(names, inputs, cells, model.divisor)
            text = f"COALESCE(CASE WHEN {is_nan} THEN NULL ELSE\n{inner}\nEND,\n{general})"
        else:
            text = general
        return Body(
            text,
            MICROSECONDS_PER_TEST * expected_tests(model.trees),
            notes=[f"cells: {_count(cells)}, for statements of about {self._rows} rows"],
        )

    def _cell(self, names: _PresentNames, inputs: Inputs, cell: Cell, divisor: float | None) -> str:
        if cell.feature is None or cell.low is None or cell.high is None:
            return self._sum(names, cell.trees, divisor)
        name, cut = inputs.read(cell.feature), _cut(cell.cut)
        low = self._cell(names, inputs, cell.low, divisor)
        high = self._cell(names, inputs, cell.high, divisor)
        return f"CASE WHEN {name} {sql.AT_MOST} {cut} THEN\n{low}\nWHEN {name} {sql.ABOVE} {cut} THEN\n{high}\nEND"

    @staticmethod
    def _sum(names: _PresentNames, trees: list[ast.Expr], divisor: float | None) -> str:
        terms = [tree_expression(names, tree) for tree in trees]
        if divisor is None:
            return terms[0]
        # Operators of one kind group from the left: the sum runs in tree order, the division comes last.
        total = f"\n{sql.ADD} ".join([sql.float_literal(0.0), *terms])
        return f"({total})\n{sql.DIVIDE} {sql.float_literal(divisor)}"


def _cut(value: float) -> str:
    """A constant to compare a float8 with: of a literal without a type PostgreSQL takes the other side's.

    A type's name would be looked up for each, which is a twelfth of all that planning takes.
    """
    return f"'{sql.float_text(value)}'"


def _count(cell: Cell) -> int:
    if cell.low is None or cell.high is None:
        return 1
    return _count(cell.low) + _count(cell.high)
