"""Layout ``nested_if``: statements within statements, one per node, as m2cgen's imperative languages do.

The plainest reading of the model and the reference for the others. Every node becomes an expression of its
own, which PL/pgSQL plans one by one: quick once warm, heavy on a connection's first call.
"""

from __future__ import annotations

from m2cgen import ast

from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._interpreter import Body, BranchingInputs, Inputs, arms, subtree_sizes
from sql_scoring.engine._trees import TreeSum, leaf_value, splits

_MICROSECONDS_PER_TEST = 0.15


class NestedIfInterpreter:
    """``IF … THEN … ELSIF … ELSE … END IF;`` per tree; the leaf that is reached joins the sum."""

    def interpret(self, model: TreeSum, inputs: Inputs) -> Body:
        """See the class."""
        names = BranchingInputs(model, inputs)
        code = sql.PlpgsqlGenerator()
        tests = 0.0
        for number, tree in enumerate(model.trees, start=1):
            code.line(f"-- tree {number}")
            self._write_tree(code, names, tree)
            tests += sum(1 for _ in splits(tree)).bit_length()
        divided = "" if model.divisor is None else f" {sql.DIVIDE} {sql.float_literal(model.divisor)}"
        code.line(f"RETURN v_sum{divided};")
        start = 0.0 if model.divisor is not None else -0.0
        declarations = [f"v_sum double precision := {sql.float_literal(start)};", *names.declarations]
        return Body(code.text(), _MICROSECONDS_PER_TEST * tests, declarations)

    def _write_tree(self, code: sql.PlpgsqlGenerator, names: BranchingInputs, tree: ast.Expr) -> None:
        sizes = subtree_sizes(tree)
        # What is still to be written, last first: (what to do, text or node).
        pending: list[tuple[str, str | ast.Expr]] = [("node", tree)]
        while pending:
            action, what = pending.pop()
            if action == "if":
                code.open_if(str(what))
            elif action == "elsif":
                code.else_if(str(what))
            elif action == "else":
                code.otherwise()
            elif action == "end":
                code.close_if()
            elif isinstance(what, ast.IfExpr):
                chain, last = arms(what, sizes)
                pending += [("end", ""), ("node", last), ("else", "")]
                for arm in reversed(chain):
                    word = "if" if arm is chain[0] else "elsif"
                    pending += [("node", arm.body), (word, names.condition(arm.split, left=arm.left))]
            else:
                code.assign("v_sum", f"v_sum {sql.ADD} {sql.float_literal(leaf_value(what))}")
