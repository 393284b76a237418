"""The public entry: model in, one CREATE FUNCTION statement out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._bitmask import interpret_bitmask
from sql_scoring.engine._case import interpret_case
from sql_scoring.engine._interpreter import Body, Inputs
from sql_scoring.engine._names import check_feature_names, function_name_parts
from sql_scoring.engine._nested_if import interpret_nested_if
from sql_scoring.engine._supported import assemble, check_supported, forest_shape
from sql_scoring.engine._trees import tree_sum
from sql_scoring.engine.errors import UnsupportedModelError

Layout = Literal["bitmask", "case", "nested_if"]
Arguments = Literal["auto", "columns", "array", "real_array"]

LAYOUTS: tuple[Layout, ...] = ("bitmask", "case", "nested_if")
ARGUMENTS: tuple[Arguments, ...] = ("auto", "columns", "array", "real_array")
DEFAULT_SIZE_BUDGET_BYTES = 64 * 1024 * 1024
DEFAULT_MEMORY_WEIGHT = 0.02
FORMAT_VERSION = 4  # of the generated text; raised whenever the same model would be written differently

MAX_FUNCTION_ARGUMENTS = 100  # PostgreSQL's FUNC_MAX_ARGS, fixed when it is compiled
# What one microsecond is in planner cost: cpu_operator_cost is about the cost of a 20 ns operator.
_COST_PER_MICROSECOND = 50


def transpile(
    model: Any,
    *,
    feature_names: Sequence[str],
    function_name: str,
    layout: Layout = "bitmask",
    size_budget_bytes: int = DEFAULT_SIZE_BUDGET_BYTES,
    arguments: Arguments = "auto",
    memory_weight: float = DEFAULT_MEMORY_WEIGHT,
) -> str:
    """Write a fitted classifier as one ``CREATE FUNCTION … RETURNS double precision``.

    The function's value is ``model.predict_proba(X)[:, 1]`` with ``n_jobs=1``, bit for bit, for every float64
    input. NULL and NaN are missing values and follow ``missing_go_to_left`` in every node; scikit-learn stores
    that for trees fitted without missing values too. Inputs that round to an infinite float32 (scikit-learn
    rejects them) count as that infinity. The value is never NULL.

    Args:
        model: A fitted binary classifier of ``SUPPORTED_MODELS``.
        feature_names: One per column of the model, in the order of its fit; they name the arguments.
        function_name: ``name`` or ``schema.name``, taken literally.
        layout: ``bitmask`` for speed, ``case`` and ``nested_if`` as plain references.
        size_budget_bytes: Longest text that is not rejected, in bytes.
        arguments: ``columns`` (one ``double precision`` argument per feature), ``array`` (one ``double
            precision[]``), ``real_array`` (one ``real[]``), or ``auto``: columns, and past PostgreSQL's 100
            arguments an array. The function rejects an array of another length than the number of features.
        memory_weight: Microseconds per call that one megabyte of a backend's memory is worth; the ``bitmask``
            layout divides its masks by it (0 is the fastest call at any size).

    Returns:
        The statement, the same text for the same arguments.

    Raises:
        UnsupportedModelError: The model or a name cannot be written exactly; states what to change.
    """
    check_supported(model)
    if layout not in LAYOUTS:
        raise UnsupportedModelError(f"layout {layout!r} is unknown; there are: {', '.join(LAYOUTS)}")
    names = check_feature_names(model, feature_names)
    name = function_name_parts(function_name)
    inputs, parameters = _arguments(names, arguments)
    total = tree_sum(assemble(model))
    if layout == "bitmask":
        body = interpret_bitmask(total, inputs, text_budget=size_budget_bytes, memory_weight=memory_weight)
    else:
        body = interpret_case(total, inputs) if layout == "case" else interpret_nested_if(total, inputs)
    text = sql.function_statement(
        name=name,
        arguments=parameters,
        header=header_lines(model, layout, body),
        declarations=body.declarations,
        body=_array_check(inputs) + body.text,
        cost=planner_cost(body),
    )
    return within_budget(text, size_budget_bytes)


def header_lines(model: Any, layout: str, body: Body) -> list[str]:
    """Comment lines at the head of the function."""
    shape = forest_shape(model)
    return [
        f"Probability of the second class, as {type(model).__name__}.predict_proba(X)[:, 1]",
        f"trees: {shape.trees}, leaves: {shape.leaves}, features: {shape.features}, layout: {layout}",
        *body.notes,
        "NULL and NaN are missing values. Inputs are compared unrounded with the cuts that float32 rounding "
        "amounts to.",
        f"Written by rowguard's transpiler, format {FORMAT_VERSION}. Do not edit: transpile the model again.",
    ]


def planner_cost(body: Body) -> int:
    """The function's COST clause, in units of ``cpu_operator_cost``."""
    return max(1, math.ceil(body.microseconds * _COST_PER_MICROSECOND))


def within_budget(text: str, size_budget_bytes: int) -> str:
    """Return the text unchanged, or raise UnsupportedModelError when it is too long."""
    size = len(text.encode())
    if size > size_budget_bytes:
        raise UnsupportedModelError(
            f"the text of this model takes {size:,} bytes, the budget is {size_budget_bytes:,}: "
            "fit fewer trees, or with a smaller max_depth or max_leaf_nodes, or raise size_budget_bytes"
        )
    return text


def _arguments(names: list[str], arguments: Arguments) -> tuple[Inputs, list[tuple[str, str]]]:
    if arguments not in ARGUMENTS:
        raise UnsupportedModelError(f"arguments {arguments!r} is unknown; there are: {', '.join(ARGUMENTS)}")
    if arguments == "auto":
        arguments = "columns" if len(names) <= MAX_FUNCTION_ARGUMENTS else "array"
    if arguments == "columns":
        check_argument_count(names, "use arguments='array'")
        return Inputs(len(names)), column_arguments(names)
    real = arguments == "real_array"
    kind = "real[]" if real else "double precision[]"
    return Inputs(len(names), array=True, real=real), [("features", kind)]


def column_arguments(names: list[str]) -> list[tuple[str, str]]:
    """One ``double precision`` argument per feature, as pairs of name and type."""
    return [(name, "double precision") for name in names]


def check_argument_count(names: list[str], advice: str) -> None:
    """Raise UnsupportedModelError past PostgreSQL's 100 arguments."""
    if len(names) > MAX_FUNCTION_ARGUMENTS:
        raise UnsupportedModelError(
            f"PostgreSQL functions take at most {MAX_FUNCTION_ARGUMENTS} arguments, the model has "
            f"{len(names)} features: {advice}"
        )


def _array_check(inputs: Inputs) -> str:
    """An array of another shape would be scored with its tail taken for missing: reject it."""
    if not inputs.array:
        return ""
    expected = f"'[1:{inputs.count}]'::pg_catalog.text"
    return (
        f"  IF (pg_catalog.array_dims($1) OPERATOR(pg_catalog.=) {expected}) IS NOT TRUE THEN\n"
        f"    RAISE EXCEPTION 'this model takes an array of {inputs.count} features'\n"
        "      USING ERRCODE = 'array_subscript_error';\n"
        "  END IF;\n"
    )
