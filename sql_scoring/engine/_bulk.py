"""One forest for a statement over many rows: a function that the planner inlines into the statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._inline import interpret_inline
from sql_scoring.engine._interpreter import Inputs
from sql_scoring.engine._names import check_feature_names, function_name_parts
from sql_scoring.engine._supported import assemble, check_supported
from sql_scoring.engine._transpile import (
    DEFAULT_SIZE_BUDGET_BYTES,
    check_argument_count,
    column_arguments,
    header_lines,
    planner_cost,
    within_budget,
)
from sql_scoring.engine._trees import tree_sum

DEFAULT_ROWS = 100_000


def transpile_for_bulk(
    model: Any,
    *,
    feature_names: Sequence[str],
    function_name: str,
    expected_rows: int = DEFAULT_ROWS,
    size_budget_bytes: int = DEFAULT_SIZE_BUDGET_BYTES,
) -> str:
    """Write a fitted classifier as one SQL function for bulk scoring.

    Its value equals that of ``transpile``, bit for bit, for every input. It is a single expression, which the
    planner inlines when the arguments are plain columns (unpack an array in a sub-select with ``OFFSET 0``).
    A statement spends some ten milliseconds on its setup before the first row. Turn ``jit`` off where the
    server has it: compiling this takes longer than running it.

    Args:
        model: A fitted binary classifier of ``SUPPORTED_MODELS``.
        feature_names: One per column of the model, in the order of its fit.
        function_name: ``name`` or ``schema.name``, taken literally.
        expected_rows: Rows that one statement will score; more of them justify a longer text with fewer
            comparisons per row.
        size_budget_bytes: Longest text that is not rejected, in bytes.

    Returns:
        The ``CREATE FUNCTION … LANGUAGE sql`` statement.

    Raises:
        UnsupportedModelError: As ``transpile`` does, and past PostgreSQL's 100 arguments.
    """
    check_supported(model)
    names = check_feature_names(model, feature_names)
    check_argument_count(names, "score many rows with layout='case' and an array")
    body = interpret_inline(tree_sum(assemble(model)), Inputs(len(names)), rows=expected_rows)
    text = sql.expression_statement(
        name=function_name_parts(function_name),
        arguments=column_arguments(names),
        header=header_lines(model, "inline", body),
        expression=body.text,
        cost=planner_cost(body),
    )
    return within_budget(text, size_budget_bytes)
