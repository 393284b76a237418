"""Checks SQL expressions by their parse tree, and binds their names to the places where the values are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from itertools import accumulate
from typing import Any, NamedTuple

from pglast import ast, parse_sql, visitors
from pglast.parser import ParseError, scan

# Immutable functions of PostgreSQL that an expression may call. Time zones must be named: AT TIME ZONE.
FUNCTIONS = frozenset(
    # A word each would take pages.
    [
        "abs",
        "acos",
        "asin",
        "atan",
        "atan2",
        "btrim",
        "ceil",
        "ceiling",
        "char_length",
        "concat_op",
        "cos",
        "date_part",
        "date_trunc",
        "degrees",
        "div",
        "exp",
        "extract",
        "floor",
        "host",
        "initcap",
        "left",
        "length",
        "ln",
        "log",
        "lower",
        "ltrim",
        "masklen",
        "mod",
        "network",
        "octet_length",
        "position",
        "power",
        "radians",
        "replace",
        "right",
        "round",
        "rtrim",
        "sign",
        "sin",
        "split_part",
        "sqrt",
        "starts_with",
        "strpos",
        "substr",
        "substring",
        "tan",
        "timezone",
        "trim_scale",
        "trunc",
        "upper",
        "width_bucket",
    ]
)
# Node kinds that compute from values alone. Whatever is not here is refused by name.
NODES = frozenset(
    {
        "ColumnRef",
        "A_Const",
        "A_Expr",
        "A_ArrayExpr",
        "BoolExpr",
        "BooleanTest",
        "CaseExpr",
        "CaseWhen",
        "CoalesceExpr",
        "FuncCall",
        "MinMaxExpr",
        "NullTest",
        "TypeCast",
        "TypeName",
        "String",
        "Integer",
        "Float",
        "Boolean",
        "BitString",
    }
)
# Comparison, arithmetic, concatenation, networks. Not ~: a regular expression may run without end.
OPERATORS = frozenset(
    # A word each would take pages.
    [
        "=",
        "<>",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        "||",
        "<<",
        "<<=",
        ">>",
        ">>=",
        "&&",
    ]
)
LIKE_OPERATORS = frozenset({"~~", "!~~", "~~*", "!~~*"})
MAX_LIKE_WILDCARDS = 4
# Functions and operators whose result may grow without bound: not for rules, whose authors are many.
UNBOUNDED = frozenset({"power", "exp", "replace", "^"})
# As times they are the current one, at the moment when a session plans the expression.
_CURRENT_TIMES = frozenset({"now", "today", "tomorrow", "yesterday"})
_REFUSALS = {
    "SubLink": "reads a table",
    "SQLValueFunction": "calls a function that depends on the session",
    "ParamRef": "has a parameter",
}
MAX_LENGTH = 4_000
_PREFIX = "SELECT (\n"


class ExpressionError(ValueError):
    """An expression is refused; the message says why."""


class Reference(NamedTuple):
    """A name in an expression: its parts, and its position in the text."""

    parts: tuple[str, ...]
    start: int


def find_names(expression: str, *, excluded: Set[str] = frozenset()) -> list[Reference]:
    """Check an expression by its parse tree and return the columns that it names.

    Args:
        expression: SQL, without a final semicolon.
        excluded: Functions and operators that are not allowed here.

    Returns:
        Its names, in the order of the text.

    Raises:
        ExpressionError: It is not one expression, reads a table, or calls a function that is not allowed.
    """
    target = parse_expression(expression)
    names: list[Reference] = []

    def visit(_: Any, node: Any) -> None:
        _check_node(node, excluded)
        if type(node).__name__ == "ColumnRef":
            parts = tuple(getattr(field, "sval", "*") for field in node.fields)
            names.append(Reference(parts, node.location - len(_PREFIX)))

    try:
        _Walk(visit)(target)
    except RecursionError:
        raise ExpressionError("is nested too deeply") from None
    return sorted(names, key=lambda name: name.start)


def parse_expression(expression: str) -> Any:
    """Return the parse tree of one expression, whose nodes are not checked.

    Args:
        expression: SQL, without a final semicolon.

    Raises:
        ExpressionError: It is not one expression.
    """
    if len(expression) > MAX_LENGTH:
        raise ExpressionError(f"is longer than {MAX_LENGTH} characters")
    if any(mark in expression for mark in ("{{", "{%", "{#", "$rowguard$")):
        raise ExpressionError("has a mark of dbt's templates")
    try:
        statements: Any = parse_sql(f"{_PREFIX}{expression}\n)")
    except ParseError as error:
        raise ExpressionError(f"is not SQL: {' '.join(str(error.args[0]).split())}") from None
    tokens = [token.name for token in scan(expression)]
    if "SQL_COMMENT" in tokens or "C_COMMENT" in tokens:
        raise ExpressionError("has a comment")
    # `x) LIMIT (1` would end the parenthesis that it is parsed in, and again where it is rendered.
    steps = ({"ASCII_40": 1, "ASCII_41": -1}.get(name, 0) for name in tokens)
    if min(accumulate(steps), default=0) < 0:
        raise ExpressionError("is not one expression")
    select: Any = statements[0].stmt
    if (
        len(statements) != 1
        or not isinstance(select, ast.SelectStmt)
        or len(targets := select.targetList or ()) != 1
        or select.fromClause
        or select.whereClause
        or targets[0].name
    ):
        raise ExpressionError("is not one expression")
    return targets[0].val


def bind_names(
    expression: str, bind: Callable[[tuple[str, ...]], str], *, excluded: Set[str] = frozenset()
) -> str:
    """Return the expression with every name replaced by other SQL.

    Args:
        expression: SQL, as of find_names.
        bind: Returns the SQL for the parts of a name.
        excluded: As of find_names.

    Returns:
        The bound expression.

    Raises:
        ExpressionError: See find_names; or `bind` raises it for a name that is not declared.
    """
    text, position = "", 0
    for name in find_names(expression, excluded=excluded):
        text += expression[position : name.start] + bind(name.parts)
        position = name.start + _written_length(expression, name)
    return text + expression[position:]


def bind_to(
    columns: Mapping[str, str], previous: Mapping[str, str] | None = None
) -> Callable[[tuple[str, ...]], str]:
    """Return a `bind` for bind_names: of column names, and of `previous.name`.

    Args:
        columns: SQL by name.
        previous: SQL by name of the user's previous row; None where it cannot be read.
    """

    def bind(parts: tuple[str, ...]) -> str:
        if len(parts) == 1 and parts[0] in columns:
            return columns[parts[0]]
        if len(parts) == 2 and parts[0] == "previous" and previous is not None:
            if parts[1] in previous:
                return previous[parts[1]]
            raise ExpressionError(f"names `previous.{parts[1]}`, but no column `{parts[1]}` is declared")
        raise ExpressionError(f"names `{'.'.join(parts)}`, which is not declared")

    return bind


class _Walk(visitors.Visitor):
    def __init__(self, on_node: Callable[[Any, Any], None]) -> None:
        self.visit = on_node


def _check_node(node: Any, excluded: Set[str]) -> None:
    kind = type(node).__name__
    if kind not in NODES:
        raise ExpressionError(_REFUSALS.get(kind, f"has a part of kind {kind}, which is not allowed"))
    if kind == "FuncCall":
        name = ".".join(part.sval for part in node.funcname if part.sval != "pg_catalog")
        if name not in FUNCTIONS or name in excluded:
            raise ExpressionError(f"calls {name}(), which is not among the allowed functions")
        if node.agg_order or node.agg_filter or node.agg_star or node.agg_distinct or node.over:
            raise ExpressionError(f"uses {name}() as an aggregate")
    if kind == "ColumnRef" and not all(isinstance(field, ast.String) for field in node.fields):
        raise ExpressionError("has a *")
    if kind == "A_Expr":
        _check_operator(node, excluded)
    if kind == "A_Const" and getattr(node.val, "sval", "").strip().lower() in _CURRENT_TIMES:
        raise ExpressionError(f"has the text {node.val.sval!r}, which as a time is the current one")
    if kind == "TypeName" and [part.sval for part in node.names[:-1]] not in ([], ["pg_catalog"]):
        raise ExpressionError("names the schema of a type")
    if kind == "TypeCast" and node.typeName.names[-1].sval not in _TYPES:
        raise ExpressionError(
            f"casts to {node.typeName.names[-1].sval}, which is not among the allowed types"
        )


def _check_operator(node: Any, excluded: Set[str]) -> None:
    if len(node.name) > 1:
        raise ExpressionError("names the schema of an operator")
    name = node.name[0].sval
    if name in LIKE_OPERATORS:
        pattern = getattr(getattr(node.rexpr, "val", None), "sval", None)
        if pattern is None or pattern.count("%") > MAX_LIKE_WILDCARDS:
            raise ExpressionError(f"has a LIKE without a constant pattern of at most {MAX_LIKE_WILDCARDS} %")
    elif name.startswith(("BETWEEN", "NOT BETWEEN")):
        pass
    elif name not in OPERATORS or name in excluded:
        raise ExpressionError(f"has the operator {name}, which is not allowed")


_TYPES = frozenset(
    # A word each would take pages.
    [
        "bool",
        "int2",
        "int4",
        "int8",
        "float4",
        "float8",
        "numeric",
        "text",
        "varchar",
        "bpchar",
        "uuid",
        "inet",
        "interval",
        "timestamptz",
        "timestamp",
        "date",
    ]
)


def _written_length(expression: str, name: Reference) -> int:
    """Return how many characters a name takes in the text, with quotes and the white space around its dots."""
    position = name.start
    for index, _ in enumerate(name.parts):
        while expression[position : position + 1].isspace():
            position += 1
        if expression[position] == '"':
            position += 1
            while expression[position] != '"' or expression[position : position + 2] == '""':
                position += 2 if expression[position : position + 2] == '""' else 1
            position += 1
        else:
            while position < len(expression) and (
                expression[position].isalnum() or expression[position] in "_$"
            ):
                position += 1
        if index < len(name.parts) - 1:
            position = expression.index(".", position) + 1
    return position - name.start
