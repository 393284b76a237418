"""Rows on their way to the database: one JSON document holds all rows of a statement.

One parameter is cheaper than an array for each column. Numbers keep all their digits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]

# Decimals and times as text, which PostgreSQL reads as it would read a parameter of their type.
_encode = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, separators=(",", ":"), default=str
).encode


def rows_parameter(rows: Sequence[Row]) -> Row:
    """Build the parameter `rows` of a statement.

    Args:
        rows: One dictionary of column values per row.

    Returns:
        The rows as a JSON list; each carries its position in the list as `ordinal`.
    """
    return {"rows": _encode([row | {"ordinal": ordinal} for ordinal, row in enumerate(rows)])}
