"""PL/pgSQL text only: this module imports no model and no expression tree.

Names are pinned to ``pg_catalog``, because the function is called with the caller's ``search_path``. A ``SET
search_path`` clause would pin it once, but it costs a save and restore on every call. ``float`` and
``integer`` are grammar keywords that always mean the types of ``pg_catalog``.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence

import numpy as np

MAX_IDENTIFIER_BYTES = 63
BODY_TAG = "$rowguard$"

ADD = "OPERATOR(pg_catalog.+)"
DIVIDE = "OPERATOR(pg_catalog./)"
AT_MOST = "OPERATOR(pg_catalog.<=)"
ABOVE = "OPERATOR(pg_catalog.>)"
LESS = "OPERATOR(pg_catalog.<)"
EQUAL = "OPERATOR(pg_catalog.=)"
DIFFERS = "OPERATOR(pg_catalog.<>)"
BIT_AND = "OPERATOR(pg_catalog.&)"
CONCATENATE = "OPERATOR(pg_catalog.||)"
SUBTRACT = "OPERATOR(pg_catalog.-)"
NAN = "float 'NaN'"

# What a function body may consist of; everything else is foreign code.
_SIGNATURE = r"""\(
  "features" real\[\]
\)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
COST \d+
"""
_WORD = re.compile(r"[^\W\d]\w*|[\"$]")
_OWN_WORD = re.compile(
    "DECLARE|BEGIN|END|IF|THEN|ELSE|ELSIF|CASE|WHEN|LOOP|FOR|IN|BY|IS|NOT|TRUE|RETURN|RAISE|EXCEPTION|USING|ERRCODE"
    "|ARRAY|OPERATOR|COALESCE|AND|OR|FALSE|X|double|precision|float|real|integer|bigint|bit|varying|text|pg_catalog"
    r"|width_bucket|substring|mod|encode|decode|array_dims|v_(sum|mask|column|input|bit|turn)|v\d+"
)


def quote_identifier(name: str) -> str:
    """Quote a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def float_text(value: float) -> str:
    """Shortest text that PostgreSQL parses to the same float8."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    text = repr(float(value))
    return text.removesuffix(".0")


def float_literal(value: float) -> str:
    """A float8 constant. A bare decimal would be numeric, which compares and adds differently."""
    return f"float '{float_text(value)}'"


def real_text(value: float) -> str:
    """Shortest text that PostgreSQL parses to the same float4."""
    return float_text(float(str(np.float32(value))))


def real_literal(value: float) -> str:
    """A float4 constant."""
    return f"real '{real_text(value)}'"


def float_array_literal(values: Iterable[float]) -> str:
    """A float8 array constant."""
    return "'{" + ",".join(map(float_text, values)) + "}'::float[]"


def list_literal(values: Sequence[object], kind: str, *, first: int) -> str:
    """An array constant whose subscripts start at ``first``."""
    bounds = "" if first == 1 else f"[{first}:{first + len(values) - 1}]="
    return f"'{bounds}{{{','.join(map(str, values))}}}'::{kind}[]"


def table_literal(rows: Sequence[Sequence[object]], kind: str, *, first: tuple[int, int]) -> str:
    """A two-dimensional array constant whose subscripts start at ``first``."""
    ends = (first[0] + len(rows) - 1, first[1] + len(rows[0]) - 1)
    bounds = "".join(f"[{low}:{high}]" for low, high in zip(first, ends, strict=True))
    body = ",".join("{" + ",".join(map(str, row)) + "}" for row in rows)
    return f"'{bounds}={{{body}}}'::{kind}[]"


def bit_literal(packed: bytes) -> str:
    """A bit string constant of whole bytes, first bit first, in the shorter of two forms.

    PL/pgSQL and the plan cache keep five copies of the text, so a long one is base64, which the planner turns into
    the constant: all four functions are immutable.
    """
    plain = f"X'{packed.hex()}'"
    encoded = base64.b64encode(packed).decode()
    dense = (
        f"('x' {CONCATENATE} pg_catalog.encode(pg_catalog.decode('{encoded}', 'base64'), 'hex'))::bit varying"
    )
    return min(plain, dense, key=len)


def add_to_sum(expression: str) -> str:
    """The line that adds an expression to ``v_sum``."""
    return f"v_sum := v_sum {ADD} {expression};"


def indented(lines: Iterable[str]) -> str:
    """The lines of a function body, indented by the words that open and close blocks."""
    depth, text = 1, []
    for line in lines:
        depth -= line.startswith(("ELSE", "ELSIF ", "END "))
        text.append(f"{'  ' * depth}{line}\n")
        depth += line.endswith(("ELSE", " THEN", " LOOP"))
    return "".join(text)


def function_statement(
    *, name: Sequence[str], arguments: Sequence[tuple[str, str]], language: str, cost: int, body: str
) -> str:
    """The whole ``CREATE FUNCTION``. ``arguments`` are pairs of name and type text."""
    signature = ",\n".join(f"  {quote_identifier(arg)} {kind}" for arg, kind in arguments)
    return (
        f"CREATE FUNCTION {'.'.join(map(quote_identifier, name))}(\n{signature}\n)\n"
        "RETURNS double precision\n"
        f"LANGUAGE {language} IMMUTABLE PARALLEL SAFE\n"
        f"COST {cost}\n"
        f"AS {BODY_TAG}\n{body}{BODY_TAG};\n"
    )


def is_function_statement(text: str, name: Sequence[str]) -> bool:
    """Return whether the text is one ``CREATE FUNCTION`` of this name as written here, of no words but its own."""
    head, _, rest = text.partition(f"AS {BODY_TAG}\n")
    body, end, after = rest.partition(f"{BODY_TAG};\n")
    signature = re.escape("CREATE FUNCTION " + ".".join(map(quote_identifier, name))) + _SIGNATURE
    code = re.sub(r"--[^\n]*|'[^']*'|\$\d+", " ", body)
    has_own_words = (
        all(map(_OWN_WORD.fullmatch, _WORD.findall(code))) and "\\" not in body and "/*" not in body
    )
    return bool(end and not after and re.fullmatch(signature, head) and has_own_words)
