"""The public entry: model in, one CREATE FUNCTION statement out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from rowguard.errors import UnsupportedModelError
from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._bitmask import BitmaskInterpreter
from sql_scoring.engine._case import CaseInterpreter
from sql_scoring.engine._interpreter import Body, Inputs, Interpreter
from sql_scoring.engine._names import check_feature_names, function_name_parts
from sql_scoring.engine._nested_if import NestedIfInterpreter
from sql_scoring.engine._shape import forest_shape
from sql_scoring.engine._supported import assemble, check_supported
from sql_scoring.engine._trees import tree_sum

Layout = Literal["bitmask", "case", "nested_if"]
Arguments = Literal["auto", "columns", "array", "real_array"]

LAYOUTS: tuple[Layout, ...] = ("bitmask", "case", "nested_if")
ARGUMENTS: tuple[Arguments, ...] = ("auto", "columns", "array", "real_array")
DEFAULT_SIZE_BUDGET_BYTES = 64 * 1024 * 1024
DEFAULT_MEMORY_WEIGHT = 0.02
FORMAT_VERSION = 4  # of the generated text; raised whenever the same model would be written differently

MAX_FUNCTION_ARGUMENTS = 100  # PostgreSQL's FUNC_MAX_ARGS, fixed when it is compiled
# What one microsecond is in planner cost: cpu_operator_cost is about the price of a 20 ns operator.
COST_PER_MICROSECOND = 50


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

    The function's value is ``model.predict_proba(X)[:, 1]`` with ``n_jobs=1``, bit for bit, for every
    float64 input. NULL and NaN are missing values and take the way that ``missing_go_to_left`` says, in every
    node; scikit-learn stores that for trees fitted without missing values too. Inputs that round to an
    infinite float32 (scikit-learn refuses them) count as that infinity. The value is never NULL.

    ``feature_names``: one per column of the model, in order; they name the arguments.
    ``function_name``: ``name`` or ``schema.name``, taken literally.
    ``layout``: ``bitmask`` for speed, ``case`` and ``nested_if`` as plain references.
    ``size_budget_bytes``: longest text that is not refused.
    ``arguments``: ``columns`` (one ``double precision`` argument per feature), ``array`` (one ``double
    precision[]``), ``real_array`` (one ``real[]``), or ``auto``: columns, and past PostgreSQL's 100
    arguments an array. An array of any other length than the number of features is an error.
    ``memory_weight``: microseconds per call that one megabyte of a backend's memory is worth; the
    ``bitmask`` layout divides its masks by it (0 is the quickest call at any size).

    Raises UnsupportedModelError for what cannot be written exactly, and says what to change.
    """
    check_supported(model)
    if layout not in LAYOUTS:
        raise UnsupportedModelError(f"layout {layout!r} is unknown; there are: {', '.join(LAYOUTS)}")
    names = check_feature_names(feature_names, int(model.n_features_in_))
    name = function_name_parts(function_name)
    inputs, parameters = _arguments(names, arguments)
    interpreter = _interpreter(layout, size_budget_bytes, memory_weight)
    body = interpreter.interpret(tree_sum(assemble(model)), inputs)
    header = header_lines(model, layout, body)
    text = sql.function_statement(
        name=name,
        arguments=parameters,
        header=header,
        declarations=body.declarations,
        body=_array_check(inputs) + body.text,
        cost=max(1, math.ceil(body.microseconds * COST_PER_MICROSECOND)),
    )
    return within_budget(text, size_budget_bytes)


def header_lines(model: Any, layout: str, body: Body) -> list[str]:
    """What the function's first lines say of it."""
    shape = forest_shape(model)
    return [
        f"Probability of the second class, as {type(model).__name__}.predict_proba(X)[:, 1]",
        f"trees: {shape.trees}, leaves: {shape.leaves}, features: {shape.features}, layout: {layout}",
        *body.notes,
        "NULL and NaN are missing values. Inputs are compared unrounded with the cuts that float32 rounding "
        "amounts to.",
        f"Written by rowguard's transpiler, format {FORMAT_VERSION}. Do not edit: transpile the model again.",
    ]


def within_budget(text: str, size_budget_bytes: int) -> str:
    """The text itself, or UnsupportedModelError when it is too long."""
    size = len(text.encode())
    if size > size_budget_bytes:
        raise UnsupportedModelError(
            f"the text of this model takes {size:,} bytes, the budget is {size_budget_bytes:,}: "
            "fit fewer trees, or with a smaller max_depth or max_leaf_nodes, or raise size_budget_bytes"
        )
    return text


def _interpreter(layout: Layout, size_budget_bytes: int, memory_weight: float) -> Interpreter:
    if layout == "bitmask":
        return BitmaskInterpreter(text_budget=size_budget_bytes, memory_weight=memory_weight)
    return CaseInterpreter() if layout == "case" else NestedIfInterpreter()


def _arguments(names: list[str], arguments: Arguments) -> tuple[Inputs, list[tuple[str, str]]]:
    if arguments not in ARGUMENTS:
        raise UnsupportedModelError(f"arguments {arguments!r} is unknown; there are: {', '.join(ARGUMENTS)}")
    if arguments == "auto":
        arguments = "columns" if len(names) <= MAX_FUNCTION_ARGUMENTS else "array"
    if arguments == "columns":
        if len(names) > MAX_FUNCTION_ARGUMENTS:
            raise UnsupportedModelError(
                f"PostgreSQL functions take at most {MAX_FUNCTION_ARGUMENTS} arguments, the model has "
                f"{len(names)} features: use arguments='array'"
            )
        return Inputs(len(names)), [(name, "double precision") for name in names]
    real = arguments == "real_array"
    return Inputs(len(names), array=True, real=real), [
        ("features", "real[]" if real else "double precision[]")
    ]


def _array_check(inputs: Inputs) -> str:
    """An array of another shape would be scored with its tail taken for missing: refuse it."""
    if not inputs.array:
        return ""
    expected = f"'[1:{inputs.count}]'::pg_catalog.text"
    return (
        f"  IF (pg_catalog.array_dims($1) OPERATOR(pg_catalog.=) {expected}) IS NOT TRUE THEN\n"
        f"    RAISE EXCEPTION 'this model takes an array of {inputs.count} features'\n"
        "      USING ERRCODE = 'array_subscript_error';\n"
        "  END IF;\n"
    )
