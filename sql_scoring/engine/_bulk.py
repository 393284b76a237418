"""One forest for a statement over many rows: a function that the planner puts into the statement itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rowguard.errors import UnsupportedModelError
from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._inline import InlineInterpreter
from sql_scoring.engine._interpreter import Inputs
from sql_scoring.engine._names import check_feature_names, function_name_parts
from sql_scoring.engine._supported import assemble, check_supported
from sql_scoring.engine._transpile import (
    COST_PER_MICROSECOND,
    DEFAULT_SIZE_BUDGET_BYTES,
    MAX_FUNCTION_ARGUMENTS,
    header_lines,
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
    """Write a fitted classifier as one SQL function for statements that score many rows.

    The same value as that of ``transpile``, bit for bit, for every input. It is a single expression: when the
    arguments are plain columns (unpack an array in a sub-select with ``OFFSET 0``) the planner puts it in the
    place of the call. A statement pays for setting it up before its first row, some ten milliseconds.

    ``expected_rows``: rows that one statement will score; more of them pay for a longer text with a shorter
    way through it. Turn ``jit`` off where the server has it: compiling this takes longer than running it.

    Raises UnsupportedModelError for what ``transpile`` refuses, and past PostgreSQL's 100 arguments.
    """
    check_supported(model)
    names = check_feature_names(feature_names, int(model.n_features_in_))
    if len(names) > MAX_FUNCTION_ARGUMENTS:
        raise UnsupportedModelError(
            f"PostgreSQL functions take at most {MAX_FUNCTION_ARGUMENTS} arguments, the model has "
            f"{len(names)} features: score many rows with layout='case' and an array"
        )
    body = InlineInterpreter(rows=expected_rows).interpret(tree_sum(assemble(model)), Inputs(len(names)))
    text = sql.expression_statement(
        name=function_name_parts(function_name),
        arguments=[(name, "double precision") for name in names],
        header=header_lines(model, "inline", body),
        expression=body.text,
        cost=max(1, math.ceil(body.microseconds * COST_PER_MICROSECOND)),
    )
    return within_budget(text, size_budget_bytes)
