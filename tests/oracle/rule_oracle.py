"""Random rule sets, and what they decide, in plain Python: three-valued logic over condition trees, no SQL and no tables."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

Row = dict[str, Any]
TEXTS = ("DE", "FR", "D", "DEX", "", "zz", "Zürich", "d'e", 'q"uote', "back\\slash")
UUIDS = tuple(str(UUID(int=number)) for number in (0, 1, 2**64, 2**127 + 5))
NUMBERS = ("0", "1", "7", "-3", "0.1", "99.99", "100", "100.5", "1000000", "16777217")
NUMERIC = {
    "amount": Decimal,
    "merchant_id": int,
    "latitude": float,
    "speed": float,
    "fraud_probability": float,
}
LISTS = ("watched", "trusted")


@dataclass(frozen=True)
class Node:
    """A part of a condition: an operator, and names, constants or parts."""

    operator: str
    parts: tuple[Any, ...]


def random_condition(source: random.Random, depth: int = 2) -> Node:
    """Return a condition: mostly conjunctions, as people write them."""
    if depth and source.random() < 0.75:
        operator = source.choices(["AND", "OR", "NOT"], [6, 2, 1])[0]
        count = 1 if operator == "NOT" else source.randint(2, 3)
        return Node(operator, tuple(random_condition(source, depth - 1) for _ in range(count)))
    kind = source.choice(["number", "number", "number", "text", "boolean", "uuid", "list", "null", "sum"])
    if kind == "number":
        name = source.choice(list(NUMERIC))
        operator = source.choice(["<", "<=", "=", "<>", ">=", ">", "BETWEEN", "IN", "flipped <"])
        count = {"BETWEEN": 2, "IN": source.randint(1, 3)}.get(operator, 1)
        return Node(operator, (name, *(source.choice(NUMBERS) for _ in range(count))))
    if kind == "text":
        operator = source.choice(["=", "<>", "IN"])
        return Node(
            f"text {operator}",
            ("location", *(source.choice(TEXTS) for _ in range(2 if operator == "IN" else 1))),
        )
    if kind == "uuid":
        return Node("text =", ("device", source.choice(UUIDS)))
    if kind == "boolean":
        return Node(
            source.choice(["", "IS TRUE", "IS NOT TRUE", "IS FALSE", "IS NOT FALSE", "IS UNKNOWN"]),
            ("is_abroad",),
        )
    if kind == "list":
        return Node("list", (source.choice(LISTS),))
    if kind == "null":
        name = source.choice([*NUMERIC, "location", "device", "is_abroad"])
        return Node(source.choice(["IS NULL", "IS NOT NULL"]), (name,))
    return Node("sum", (source.choice(["merchant_id", "latitude"]), source.choice(NUMBERS)))


def to_sql(node: Node) -> str:
    """Return the condition as SQL."""
    operator, parts = node.operator, node.parts
    if operator in ("AND", "OR"):
        return "(" + f" {operator} ".join(map(to_sql, parts)) + ")"
    if operator == "NOT":
        return f"NOT ({to_sql(parts[0])})"
    if operator == "list":
        return f"list.{parts[0]}"
    if operator == "sum":
        return f"{parts[0]} + 1 > {parts[1]}"
    if operator == "BETWEEN":
        return f"{parts[0]} BETWEEN {parts[1]} AND {parts[2]}"
    if operator == "IN":
        return f"{parts[0]} IN ({', '.join(parts[1:])})"
    if operator == "flipped <":
        return f"{parts[1]} < {parts[0]}"
    if operator.startswith("text "):
        values = ["'" + text.replace("'", "''") + "'" for text in parts[1:]]
        right = f"({', '.join(values)})" if operator == "text IN" else values[0]
        return f"{parts[0]} {operator[5:]} {right}"
    if len(parts) == 1:
        return f"{parts[0]} {operator}".strip()
    return f"{parts[0]} {operator} {parts[1]}"


def evaluate(node: Node, row: Row, lists: set[str]) -> bool | None:
    """Return true, false or, as SQL's NULL, None."""
    operator, parts = node.operator, node.parts
    if operator in ("AND", "OR"):
        values = [evaluate(part, row, lists) for part in parts]
        decisive = operator == "OR"
        if decisive in values:
            return decisive
        return None if None in values else not decisive
    if operator == "NOT":
        value = evaluate(parts[0], row, lists)
        return None if value is None else not value
    if operator == "list":
        return bool(parts[0] in lists)
    value = row[parts[0]]
    if operator == "IS NULL":
        return value is None
    if operator == "IS NOT NULL":
        return value is not None
    if parts[0] == "is_abroad":
        known: dict[str, bool | None] = {
            "": value,
            "IS TRUE": value is True,
            "IS NOT TRUE": value is not True,
            "IS FALSE": value is False,
            "IS NOT FALSE": value is not False,
            "IS UNKNOWN": value is None,
        }
        return known[operator]
    if value is None:
        return None
    if operator.startswith("text "):
        return (value in parts[1:]) != (operator == "text <>")
    if operator == "sum":
        return _compare(value + 1, _cast(parts[1], value)) > 0
    results = [_compare(value, _cast(constant, value)) for constant in parts[1:]]
    holds: dict[str, bool] = {
        "<": results[0] < 0,
        "<=": results[0] <= 0,
        "=": results[0] == 0,
        "<>": results[0] != 0,
        ">=": results[0] >= 0,
        ">": results[0] > 0,
        "flipped <": results[0] > 0,
        "IN": 0 in results,
        "BETWEEN": results[0] >= 0 and results[-1] <= 0,
    }
    return holds[operator]


def random_row(source: random.Random) -> Row:
    """Return a row of awkward values: on a constant, one float next to it, missing, not a number, infinite."""

    def number(type_: Any) -> Any:
        if source.random() < 0.15:
            return None
        constant = source.choice(NUMBERS)
        if type_ is int:
            return int(float(constant)) + source.choice([-1, 0, 0, 1])
        if type_ is Decimal:
            return max(
                Decimal(0),
                Decimal(constant) + source.choice([Decimal(0), Decimal("0.0001"), Decimal("-0.0001")]),
            )
        special = source.choice([math.nan, math.inf, -math.inf, -0.0])
        near = source.choice([-math.inf, math.inf])
        return source.choice(
            [float(constant), math.nextafter(float(constant), near), special, source.uniform(-5, 200)]
        )

    return {
        **{name: number(type_) for name, type_ in NUMERIC.items()},
        "amount": number(Decimal) or Decimal(5),
        "location": source.choice([None, *TEXTS, "DE\u00e9", "E"]),
        "device": source.choice([None, *UUIDS]),
        "is_abroad": source.choice([None, True, False]),
    }


def _cast(constant: str, value: Any) -> Any:
    return float(constant) if isinstance(value, float) else Decimal(constant)


def _compare(left: Any, right: Any) -> int:
    """As PostgreSQL does: NaN equals itself and is greater than everything else."""
    left_nan, right_nan = left != left, right != right
    if left_nan or right_nan:
        return int(left_nan) - int(right_nan)
    return int(left > right) - int(left < right)
