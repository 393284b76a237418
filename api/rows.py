"""Rows on their way to the database: one JSON document holds all rows of a statement.

One parameter is cheaper than an array for each column. Numbers keep all their digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

Row = dict[str, Any]


def rows_parameter(rows: Sequence[Row]) -> Row:
    """Return the parameter `rows` of a statement; decimals and times are text, as PostgreSQL reads them."""
    return {"rows": to_json(rows).decode()}
