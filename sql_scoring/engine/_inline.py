"""Layout ``inline``: the forest as one SQL expression, which the planner inlines into the calling statement.

For bulk scoring. There is no function call left and no PL/pgSQL: the executor evaluates one expression over
the row's columns. A statement spends some microseconds per branch on setting it up, so one call per
transaction is expensive.

The inputs are divided into cells (see ``_cells``) with a smaller forest each. A row with a missing value in a
feature that divides the cells, or a NaN where that matters, takes a last copy of the forest, which allows for
missing values everywhere.
"""

from __future__ import annotations

from functools import partial

from m2cgen import ast

from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._branching import Condition, case_expression, comparison
from sql_scoring.engine._cells import (
    MICROSECONDS_PER_COMPARISON,
    Cell,
    expected_comparisons,
    partition_inputs,
)
from sql_scoring.engine._interpreter import Body, Inputs, ended, leaf_literal
from sql_scoring.engine._trees import Split, TreeSum, splits

# A larger expression would not fit a processor's cache and would be slower although each row's path is shorter.
NODE_BUDGET = 24_000


def interpret_inline(model: TreeSum, inputs: Inputs, *, rows: int) -> Body:
    """Write ``COALESCE(CASE WHEN x <= t THEN sum of trees WHEN x > t THEN … END, sum of trees)``."""
    every_split = [split for tree in model.trees for split in splits(tree)]
    root = partition_inputs(model.trees, rows=rows, node_budget=max(NODE_BUDGET, len(every_split)))

    def without_nan(split: Split, left: bool) -> str:
        return comparison(inputs.read(split.feature), split, left, _cut)

    def with_nan(split: Split, left: bool) -> str:  # PostgreSQL sorts NaN above all numbers
        return comparison(inputs.read(split.feature), split, left, _cut, is_never_nan=False)

    def in_cells(cell: Cell) -> str:
        if not cell.halves:
            return _sum(model, cell.trees, without_nan)
        name, cut = inputs.read(cell.feature), _cut(cell.cut)
        low, high = map(in_cells, cell.halves)
        return (
            f"CASE WHEN {name} {sql.AT_MOST} {cut} THEN\n{low}\n"
            f"WHEN {name} {sql.ABOVE} {cut} THEN\n{high}\nEND"
        )

    text = _sum(model, model.trees, with_nan)
    divided = root.divided()
    nan_features = {cell.feature for cell in divided}
    nan_features |= {split.feature for split in every_split if split.missing_left}
    if nan_features:
        is_nan = " OR ".join(
            f"{inputs.read(feature)} {sql.EQUAL} {sql.NAN}" for feature in sorted(nan_features)
        )
        text = f"COALESCE(CASE WHEN {is_nan} THEN NULL ELSE\n{in_cells(root)}\nEND,\n{text})"
    return Body(
        text,
        MICROSECONDS_PER_COMPARISON * expected_comparisons(model.trees),
        notes=[f"cells: {len(divided) + 1}, for statements of about {rows} rows"],
    )


def _sum(model: TreeSum, trees: list[ast.Expr], condition: Condition) -> str:
    leaf = partial(leaf_literal, model)
    terms = [case_expression(tree, condition, leaf) for tree in trees]
    if model.divisor is None and model.start is None:
        return ended(model, terms[0])
    # Operators of one kind group from the left: the sum runs in tree order, the division comes last.
    total = f"\n{sql.ADD} ".join([leaf(model.first_term), *terms])
    return ended(model, f"({total})\n" if model.divisor is not None else total)


def _cut(value: float) -> str:
    """A constant without a type, which PostgreSQL infers: looking one up takes a twelfth of the planning."""
    return f"'{sql.float_text(value)}'"
