"""Layout ``nested_if``: statements within statements, one per node, as m2cgen's imperative languages do.

The plainest reading of the model and the reference for the others. Every node becomes an expression that
PL/pgSQL plans individually: fast once warm, expensive on a connection's first call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from m2cgen import ast

from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._interpreter import (
    Body,
    BranchingInputs,
    Inputs,
    arms,
    balanced_comparisons,
    return_statement,
    subtree_sizes,
    sum_declaration,
)
from sql_scoring.engine._trees import TreeSum, leaf_value

_MICROSECONDS_PER_COMPARISON = 0.15


def interpret_nested_if(model: TreeSum, inputs: Inputs) -> Body:
    """Write ``IF … THEN … ELSIF … ELSE … END IF;`` per tree; the value of the exit leaf is added to the sum."""
    conditions = BranchingInputs(model, inputs)
    code = sql.PlpgsqlGenerator()
    for number, tree in enumerate(model.trees, start=1):
        code.line(f"-- tree {number}")
        _write_tree(code, conditions, tree)
    code.line(return_statement(model))
    return Body(
        code.text(),
        _MICROSECONDS_PER_COMPARISON * balanced_comparisons(model),
        [sum_declaration(model), *conditions.declarations],
    )


def _write_tree(code: sql.PlpgsqlGenerator, conditions: BranchingInputs, tree: ast.Expr) -> None:
    sizes = subtree_sizes(tree)
    pending: list[Callable[[], None] | ast.Expr] = [
        tree
    ]  # nodes and lines that are still to be written, last first
    while pending:
        item = pending.pop()
        if not isinstance(item, ast.Expr):
            item()
        elif isinstance(item, ast.IfExpr):
            chain, last = arms(item, sizes)
            pending += [partial(code.close, "END IF;"), last, partial(code.reopen, "ELSE")]
            for arm in reversed(chain):
                condition = conditions.condition(arm.split, left=arm.left)
                is_first = arm is chain[0]
                start = (
                    partial(code.open, f"IF {condition} THEN")
                    if is_first
                    else partial(code.reopen, f"ELSIF {condition} THEN")
                )
                pending += [arm.body, start]
        else:
            code.assign("v_sum", f"v_sum {sql.ADD} {sql.float_literal(leaf_value(item))}")
