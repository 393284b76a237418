"""Rows on their way to the database: one JSON document holds those of a statement.

One parameter costs less than an array for each column, here and in the server. Every value stays exact: numbers are
written with all their digits, and json_to_recordset() hands their text to the type of the column.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]

# Decimals and instants as text, which PostgreSQL reads as it would a parameter of theirs.
_encode = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, separators=(",", ":"), default=str
).encode


def document(rows: Sequence[Row]) -> Row:
    """The parameter `rows` of a statement: a list of objects with the columns' names, and `place` in the list."""
    return {"rows": _encode([row | {"place": place} for place, row in enumerate(rows)])}
