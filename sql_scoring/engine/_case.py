"""Layout ``case``: one CASE expression per tree.

Few statements, so the first call is bearable and a statement that scores many rows is fast. But PL/pgSQL
keeps the executable form of an expression for one transaction only: the first call of every transaction
builds the state of every node again, visited or not.
"""

from __future__ import annotations

from m2cgen import ast

from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._interpreter import (
    Body,
    BranchingInputs,
    Conditions,
    Inputs,
    arms,
    balanced_comparisons,
    return_statement,
    subtree_sizes,
    sum_declaration,
)
from sql_scoring.engine._trees import TreeSum, leaf_value

_MICROSECONDS_PER_COMPARISON = 0.035


def interpret_case(model: TreeSum, inputs: Inputs) -> Body:
    """Write ``v_sum := v_sum + CASE WHEN … THEN … ELSE … END;`` per tree."""
    conditions = BranchingInputs(model, inputs)
    code = sql.PlpgsqlGenerator()
    for tree in model.trees:
        code.assign("v_sum", f"v_sum {sql.ADD} {tree_expression(conditions, tree)}")
    code.line(return_statement(model))
    return Body(
        code.text(),
        _MICROSECONDS_PER_COMPARISON * balanced_comparisons(model),
        [sum_declaration(model), *conditions.declarations],
    )


def tree_expression(conditions: Conditions, tree: ast.Expr) -> str:
    """One tree as one CASE expression."""
    sizes = subtree_sizes(tree)
    parts: list[str] = []
    pending: list[str | ast.Expr] = [tree]  # what is still to be written, last first
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            parts.append(item)
        elif isinstance(item, ast.IfExpr):
            chain, last = arms(item, sizes)
            pending += [" END", last, " ELSE "]
            for arm in reversed(chain):
                pending += [arm.body, f" WHEN {conditions.condition(arm.split, left=arm.left)} THEN "]
            pending.append("CASE")
        else:
            parts.append(sql.float_literal(leaf_value(item)))
    return "".join(parts)
