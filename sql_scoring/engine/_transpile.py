"""The entries: model in, one CREATE FUNCTION statement out, for one row per call or for many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._bitmask import interpret_bitmask
from sql_scoring.engine._branching import interpret_branches
from sql_scoring.engine._inline import interpret_inline
from sql_scoring.engine._interpreter import Body, Inputs
from sql_scoring.engine._names import check_feature_names, function_name_parts
from sql_scoring.engine._supported import (
    Output,
    as_tree_model,
    assemble,
    boosted_library,
    check_output,
    check_supported,
    forest_shape,
)
from sql_scoring.engine.errors import UnsupportedModelError

Layout = Literal["bitmask", "case", "nested_if"]
Arguments = Literal["columns", "array"]

LAYOUTS: tuple[Layout, ...] = ("bitmask", "case", "nested_if")
ARGUMENTS: tuple[Arguments, ...] = ("columns", "array")
DEFAULT_SIZE_BUDGET_BYTES = 64 * 1024 * 1024
DEFAULT_MEMORY_WEIGHT = 0.02
DEFAULT_ROWS = 100_000
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
    arguments: Arguments = "columns",
    memory_weight: float = DEFAULT_MEMORY_WEIGHT,
    output: Output | None = None,
) -> str:
    """Write a fitted classifier as one ``CREATE FUNCTION … RETURNS double precision``.

    A forest's value is ``model.predict_proba(X)[:, 1]`` with ``n_jobs=1``, a boosted model's is its library's
    margin: bit for bit, for every float64 input. NULL and NaN are missing values and follow the direction that
    each branch has for them; scikit-learn stores one for trees fitted without missing values too. Inputs that round
    to an infinite float32 (scikit-learn rejects them) count as that infinity. The value is never NULL.

    Args:
        model: A fitted binary classifier of ``SUPPORTED_MODELS`` or ``BOOSTED_MODELS``, or a ``TreeModel``.
        feature_names: One per column of the model, in the order of its fit; they name the arguments.
        function_name: ``name`` or ``schema.name``, taken literally.
        layout: ``bitmask`` for speed, ``case`` and ``nested_if`` as plain references.
        size_budget_bytes: Longest text that is not rejected, in bytes.
        arguments: ``columns`` (one ``double precision`` argument per feature, at most PostgreSQL's 100), or
            ``array`` (one ``real[]``, as scikit-learn rounds its inputs). The function rejects an array of
            another length than the number of features.
        memory_weight: Microseconds per call that one megabyte of a backend's memory is worth; the ``bitmask``
            layout divides its masks by it (0 is the fastest call at any size).
        output: ``probability`` (only forests) or ``margin`` (only boosted models); by default the one that it has.

    Returns:
        The statement, the same text for the same arguments.

    Raises:
        UnsupportedModelError: The model or a name cannot be written exactly; states what to change.
    """
    check_supported(model)
    check_output(model, output)
    kind, model = _kind_and_call(model), as_tree_model(model) or model
    _check_known("layout", layout, LAYOUTS)
    _check_known("arguments", arguments, ARGUMENTS)
    names = check_feature_names(model, feature_names)
    if arguments == "columns":
        inputs, parameters = _columns(names, "use arguments='array'")
    else:
        inputs, parameters = Inputs(len(names), array=True), [("features", "real[]")]
    if layout == "bitmask":
        body = interpret_bitmask(
            assemble(model), inputs, text_budget=size_budget_bytes, memory_weight=memory_weight
        )
    else:
        body = interpret_branches(assemble(model), inputs, layout)
    declarations = "".join(f"  {line}\n" for line in body.declarations)
    block = f"DECLARE\n{declarations}BEGIN\n{_array_check(inputs)}{body.text}END\n"
    return _statement(
        model, kind, function_name, layout, "plpgsql", parameters, body, block, size_budget_bytes
    )


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
    kind, model = _kind_and_call(model), as_tree_model(model) or model
    names = check_feature_names(model, feature_names)
    inputs, parameters = _columns(names, "score many rows with layout='case' and an array")
    body = interpret_inline(assemble(model), inputs, rows=expected_rows)
    select = f"SELECT {body.text}\n"
    return _statement(
        model, kind, function_name, "inline", "sql", parameters, body, select, size_budget_bytes
    )


def _kind_and_call(model: Any) -> str:
    """What the function's value is, for its header."""
    if library := boosted_library(model):
        return f"Margin of the second class, as {type(model).__name__}.{library.call}"
    if (boosted := as_tree_model(model)) is not None:
        what = "Margin" if boosted.is_margin else "Probability"
        return f"{what} of the second class, as {boosted.kind} computes it"
    return f"Probability of the second class, as {type(model).__name__}.predict_proba(X)[:, 1]"


def _statement(
    model: Any,
    kind: str,
    function_name: str,
    layout: str,
    language: str,
    parameters: list[tuple[str, str]],
    body: Body,
    code: str,
    size_budget_bytes: int,
) -> str:
    """The whole ``CREATE FUNCTION``; raises UnsupportedModelError when it is too long."""
    shape = forest_shape(model)
    header = [
        kind,
        f"trees: {shape.trees}, leaves: {shape.leaves}, features: {shape.features}, layout: {layout}",
        *body.notes,
        "NULL and NaN are missing values. Inputs are compared unrounded with the cuts that float32 rounding "
        "amounts to.",
        f"Written by rowguard's transpiler, format {FORMAT_VERSION}. Do not edit: transpile the model again.",
    ]
    text = sql.function_statement(
        name=function_name_parts(function_name),
        arguments=parameters,
        language=language,
        cost=max(1, math.ceil(body.microseconds * _COST_PER_MICROSECOND)),
        body="".join(f"-- {line}\n" for line in header) + code,
    )
    size = len(text.encode())
    if size > size_budget_bytes:
        raise UnsupportedModelError(
            f"the text of this model takes {size:,} bytes, the budget is {size_budget_bytes:,}: "
            "fit fewer trees, or with a smaller max_depth or max_leaf_nodes, or raise size_budget_bytes"
        )
    return text


def _check_known(option: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UnsupportedModelError(f"{option} {value!r} is unknown; there are: {', '.join(known)}")


def _columns(names: list[str], advice: str) -> tuple[Inputs, list[tuple[str, str]]]:
    """One ``double precision`` argument per feature; raises UnsupportedModelError past PostgreSQL's 100."""
    if len(names) > MAX_FUNCTION_ARGUMENTS:
        raise UnsupportedModelError(
            f"PostgreSQL functions take at most {MAX_FUNCTION_ARGUMENTS} arguments, the model has "
            f"{len(names)} features: {advice}"
        )
    return Inputs(len(names)), [(name, "double precision") for name in names]


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
