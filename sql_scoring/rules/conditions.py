"""What a condition implies about one value: rules whose value lies elsewhere need no evaluation.

Only conditions that hold for every match are taken from a rule, so leaving a rule out is always right. A rule that is
left in is evaluated as it is written. Numbers are compared as float8: the cast of a column keeps their order, so a
bound that is cast the same way never leaves out a match.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pglast import ast
from pglast.enums.parsenodes import A_Expr_Kind
from pglast.enums.primnodes import BoolExprType, BoolTestType, NullTestType

from sql_scoring.features.expressions import parse_expression
from sql_scoring.rules.names import Kind, Name

INFINITY = math.inf
Point = float | str
LISTS = "list"
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "<>": "<>"}


@dataclass(frozen=True)
class Allowed:
    """The values with which a condition can hold: closed intervals, and whether NULL is among them.

    `anything` is every value that is not NULL. Of texts intervals are single values.
    """

    intervals: tuple[tuple[Point, Point], ...] = ()
    is_null_allowed: bool = False
    anything: bool = False

    def union(self, other: Allowed) -> Allowed:
        """Return the values of either."""
        return Allowed(
            self.intervals + other.intervals,
            self.is_null_allowed or other.is_null_allowed,
            self.anything or other.anything,
        )


def implied_conditions(condition: str, names: Mapping[str, Name]) -> list[tuple[str, Allowed]]:
    """Return what a condition implies about single values, by name; `LISTS` where a list must have the row.

    Args:
        condition: A rule's, checked.
        names: What rules may name.
    """
    implied = []
    for node in _conjuncts(parse_expression(condition)):
        found = _implied(node, names)
        if found is not None:
            implied.append(found)
    return implied


def _conjuncts(node: Any) -> list[Any]:
    if type(node) is ast.BoolExpr and node.boolop == BoolExprType.AND_EXPR:
        return [part for argument in node.args or () for part in _conjuncts(argument)]
    return [node]


def _implied(node: Any, names: Mapping[str, Name]) -> tuple[str, Allowed] | None:
    if isinstance(node, ast.BoolExpr):
        return _implied_by_boolean(node, names)
    if isinstance(node, ast.ColumnRef):
        parts = _parts(node)
        if parts[0] == "list" and len(parts) == 2:
            return LISTS, Allowed()
        return _boolean(node, names, 1.0)
    if isinstance(node, ast.BooleanTest):
        kind = node.booltesttype
        value = 1.0 if kind in (BoolTestType.IS_TRUE, BoolTestType.IS_NOT_FALSE) else 0.0
        if kind in (BoolTestType.IS_UNKNOWN, BoolTestType.IS_NOT_UNKNOWN):
            return None
        found = _boolean(node.arg, names, value)
        if found is None:
            return None
        nullable = kind in (BoolTestType.IS_NOT_TRUE, BoolTestType.IS_NOT_FALSE)
        return found[0], Allowed(found[1].intervals, nullable)
    if isinstance(node, ast.NullTest):
        name = _name(node.arg, names)
        is_null = node.nulltesttype == NullTestType.IS_NULL
        return None if name is None else (name, Allowed((), is_null, not is_null))
    if isinstance(node, ast.A_Expr):
        return _implied_by_comparison(node, names)
    return None


def _implied_by_boolean(node: Any, names: Mapping[str, Name]) -> tuple[str, Allowed] | None:
    if node.boolop == BoolExprType.NOT_EXPR:
        argument = node.args[0]
        is_list = isinstance(argument, ast.ColumnRef) and len(_parts(argument)) == 2
        return None if is_list else _boolean(argument, names, 0.0)
    if node.boolop != BoolExprType.OR_EXPR:
        return None
    parts = [_implied(argument, names) for argument in node.args]
    first = parts[0]
    if first is None or any(part is None or part[0] != first[0] for part in parts):
        return None
    allowed = first[1]
    for part in parts[1:]:
        assert part is not None
        allowed = allowed.union(part[1])
    return first[0], allowed


def _implied_by_comparison(node: Any, names: Mapping[str, Name]) -> tuple[str, Allowed] | None:
    operator = node.name[0].sval
    left, right = node.lexpr, node.rexpr
    if node.kind == A_Expr_Kind.AEXPR_OP:
        if isinstance(left, ast.A_Const):
            left, right, operator = right, left, _FLIPPED.get(operator, "")
        name = _name(left, names)
        return None if name is None else _compared(name, names[name], operator, right)
    name = _name(left, names)
    if name is None:
        return None
    if node.kind == A_Expr_Kind.AEXPR_IN and operator == "=":
        points = [_constant(item, names[name]) for item in right]
        if any(point is None for point in points):
            return None
        return name, Allowed(tuple((point, point) for point in points if point is not None))
    if node.kind == A_Expr_Kind.AEXPR_BETWEEN and names[name].kind == "number":
        low, high = (_constant(item, names[name]) for item in right)
        return None if low is None or high is None else (name, Allowed(((low, high),)))
    return None


def _compared(name: str, named: Name, operator: str, constant: Any) -> tuple[str, Allowed] | None:
    point = _constant(constant, named)
    if point is None:
        return None
    if operator == "=":
        return name, Allowed(((point, point),))
    if operator in ("<>", "!="):
        return name, Allowed(anything=True)
    if named.kind != "number":
        return None
    if operator in (">", ">="):
        return name, Allowed(((point, INFINITY),))
    if operator in ("<", "<="):
        return name, Allowed(((-INFINITY, point),))
    return None


def _boolean(node: Any, names: Mapping[str, Name], value: float) -> tuple[str, Allowed] | None:
    name = _name(node, names)
    if name is None or names[name].kind != "boolean":
        return None
    return name, Allowed(((value, value),))


def _name(node: Any, names: Mapping[str, Name]) -> str | None:
    if not isinstance(node, ast.ColumnRef) or len(parts := _parts(node)) != 1:
        return None
    name = parts[0]
    return name if name in names and names[name].kind is not None else None


def _parts(column: ast.ColumnRef) -> list[str]:
    return [str(getattr(part, "sval", "*")) for part in column.fields or ()]


def _constant(node: Any, named: Name) -> Point | None:
    """The constant as a value of the ranks' order; None where it is none, or has another type."""
    if not isinstance(node, ast.A_Const) or node.val is None:
        return None
    value: Any = node.val
    kind: Kind | None = named.kind
    if kind == "boolean":
        return float(bool(value.boolval)) if isinstance(value, ast.Boolean) else None
    if kind == "number":
        text = value.ival if isinstance(value, ast.Integer) else getattr(value, "fval", None)
        try:
            return None if text is None else float(text)
        except ValueError:
            return None  # such as 0x1f, which Python reads otherwise
    text = getattr(value, "sval", None)
    if text is None:
        return None
    if named.type == "uuid":
        try:
            return str(UUID(text))
        except ValueError:
            return None
    # Byte order is the same in every encoding for these only.
    return text if text.isascii() and text.isprintable() else None
