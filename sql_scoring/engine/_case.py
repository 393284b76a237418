"""Layout ``case``: one CASE expression per tree.

Few statements, so the first call is bearable and a statement that scores many rows is quick. But PL/pgSQL
keeps the executable form of an expression for one transaction only: the first call of every transaction
builds the state of every node again, visited or not.
"""

from __future__ import annotations

from typing import Protocol

from m2cgen import ast

from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._interpreter import Body, BranchingInputs, Inputs, arms, subtree_sizes
from sql_scoring.engine._trees import Split, TreeSum, leaf_value, splits

_MICROSECONDS_PER_TEST = 0.035


class CaseInterpreter:
    """``v_sum := v_sum + CASE WHEN … THEN … ELSE … END;`` per tree."""

    def interpret(self, model: TreeSum, inputs: Inputs) -> Body:
        """See the class."""
        names = BranchingInputs(model, inputs)
        code = sql.PlpgsqlGenerator()
        tests = 0.0
        for tree in model.trees:
            code.assign("v_sum", f"v_sum {sql.ADD} {tree_expression(names, tree)}")
            tests += sum(1 for _ in splits(tree)).bit_length()
        divided = "" if model.divisor is None else f" {sql.DIVIDE} {sql.float_literal(model.divisor)}"
        code.line(f"RETURN v_sum{divided};")
        start = 0.0 if model.divisor is not None else -0.0
        declarations = [f"v_sum double precision := {sql.float_literal(start)};", *names.declarations]
        return Body(code.text(), _MICROSECONDS_PER_TEST * tests, declarations)


class Conditions(Protocol):
    """How the text asks which way a branch goes."""

    def condition(self, split: Split, *, left: bool) -> str:
        """Text that is true exactly for the inputs that take the left (or the right) branch."""


def tree_expression(names: Conditions, tree: ast.Expr) -> str:
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
                pending += [arm.body, f" WHEN {names.condition(arm.split, left=arm.left)} THEN "]
            pending.append("CASE")
        else:
            parts.append(sql.float_literal(leaf_value(item)))
    return "".join(parts)
