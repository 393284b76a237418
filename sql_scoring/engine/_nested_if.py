"""Layout ``nested_if``: statements within statements, one per node, as m2cgen's imperative languages do.

The plainest reading of the model and the reference for the others. Every node becomes an expression that
PL/pgSQL plans individually: fast once warm, expensive on a connection's first call.
"""

from __future__ import annotations

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


class NestedIfInterpreter:
    """``IF … THEN … ELSIF … ELSE … END IF;`` per tree; the value of the exit leaf is added to the sum."""

    def interpret(self, model: TreeSum, inputs: Inputs) -> Body:
        """Write the body."""
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
    # What is still to be written, last first: (what to do, text or node).
    pending: list[tuple[str, str | ast.Expr]] = [("node", tree)]
    while pending:
        action, item = pending.pop()
        if action == "if":
            code.open_if(str(item))
        elif action == "elsif":
            code.else_if(str(item))
        elif action == "else":
            code.otherwise()
        elif action == "end":
            code.close_if()
        elif isinstance(item, ast.IfExpr):
            chain, last = arms(item, sizes)
            pending += [("end", ""), ("node", last), ("else", "")]
            for arm in reversed(chain):
                word = "if" if arm is chain[0] else "elsif"
                pending += [("node", arm.body), (word, conditions.condition(arm.split, left=arm.left))]
        else:
            code.assign("v_sum", f"v_sum {sql.ADD} {sql.float_literal(leaf_value(item))}")
