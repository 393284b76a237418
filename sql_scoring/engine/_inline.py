"""Layout ``inline``: the forest as one SQL expression, which the planner inlines into the calling statement.

For bulk scoring. There is no function call left and no PL/pgSQL: the executor evaluates one expression over
the row's columns. A statement spends some microseconds per branch on setting it up, so one call per
transaction is expensive.

The inputs are divided into cells (see ``_cells``) with a smaller forest each. A row with a missing value in a
feature that divides the cells, or a NaN where that matters, takes a last copy of the forest, which allows for
missing values everywhere.
"""

from __future__ import annotations

from m2cgen import ast

from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._case import tree_expression
from sql_scoring.engine._cells import (
    MICROSECONDS_PER_COMPARISON,
    Cell,
    expected_comparisons,
    partition_inputs,
)
from sql_scoring.engine._interpreter import Body, Conditions, Inputs, comparison
from sql_scoring.engine._trees import Split, TreeSum, splits

# A larger expression would not fit a processor's cache and would be slower although each row's path is shorter.
NODE_BUDGET = 24_000
_NAN = sql.float_literal(float("nan"))


class _NonMissingConditions:
    """Conditions for rows without NaN in features where it matters; NULL fails every comparison."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs

    def condition(self, split: Split, *, left: bool) -> str:
        """As ``Conditions.condition``."""
        return comparison(self._inputs.read(split.feature), _cut(split.cut), split, left=left)


class _NanAwareConditions(_NonMissingConditions):
    """Conditions for every row: NaN, which PostgreSQL sorts above all numbers, is tested for."""

    def condition(self, split: Split, *, left: bool) -> str:
        """As ``Conditions.condition``."""
        if not split.missing_left:
            return super().condition(split, left=left)
        name = self._inputs.read(split.feature)
        above = f"{name} {sql.ABOVE} {_cut(split.cut)} AND {name} {sql.LESS} {_NAN}"
        return f"({above}) IS NOT TRUE" if left else above


def interpret_inline(model: TreeSum, inputs: Inputs, *, rows: int) -> Body:
    """Write ``COALESCE(CASE WHEN x <= t THEN sum of trees WHEN x > t THEN … END, sum of trees)``."""
    every_split = [split for tree in model.trees for split in splits(tree)]
    root = partition_inputs(model.trees, rows=rows, node_budget=max(NODE_BUDGET, len(every_split)))
    left_missing = {split.feature for split in every_split if split.missing_left}
    text = _sum(_NanAwareConditions(inputs), model.trees, model.divisor)
    nan_features = sorted({cell.feature for cell in root.inner()} | left_missing)
    if nan_features:
        is_nan = " OR ".join(f"{inputs.read(feature)} {sql.EQUAL} {_NAN}" for feature in nan_features)
        inner = _cell_expression(_NonMissingConditions(inputs), inputs, root, model.divisor)
        text = f"COALESCE(CASE WHEN {is_nan} THEN NULL ELSE\n{inner}\nEND,\n{text})"
    return Body(
        text,
        MICROSECONDS_PER_COMPARISON * expected_comparisons(model.trees),
        notes=[f"cells: {len(root.inner()) + 1}, for statements of about {rows} rows"],
    )


def _cell_expression(conditions: Conditions, inputs: Inputs, cell: Cell, divisor: float | None) -> str:
    if cell.low is None or cell.high is None:
        return _sum(conditions, cell.trees, divisor)
    name, cut = inputs.read(cell.feature), _cut(cell.cut)
    low = _cell_expression(conditions, inputs, cell.low, divisor)
    high = _cell_expression(conditions, inputs, cell.high, divisor)
    return (
        f"CASE WHEN {name} {sql.AT_MOST} {cut} THEN\n{low}\nWHEN {name} {sql.ABOVE} {cut} THEN\n{high}\nEND"
    )


def _sum(conditions: Conditions, trees: list[ast.Expr], divisor: float | None) -> str:
    terms = [tree_expression(conditions, tree) for tree in trees]
    if divisor is None:
        return terms[0]
    # Operators of one kind group from the left: the sum runs in tree order, the division comes last.
    total = f"\n{sql.ADD} ".join([sql.float_literal(0.0), *terms])
    return f"({total})\n{sql.DIVIDE} {sql.float_literal(divisor)}"


def _cut(value: float) -> str:
    """A constant without a type, of which PostgreSQL takes the other side's (float8).

    Looking a type's name up for each takes a twelfth of the planning.
    """
    return f"'{sql.float_text(value)}'"
