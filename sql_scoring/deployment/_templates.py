"""Reads and fills the templates of generated SQL."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from psycopg import sql


def render(template: str, **values: object) -> str:
    """Return the text of `templates/<template>` with its fields filled."""
    return _read(template).format(**values)


def literal(value: Any) -> str:
    """Return a value as SQL text, quoted by the driver."""
    return sql.Literal(value).as_string(None).strip()


@cache
def _read(name: str) -> str:
    return files("sql_scoring").joinpath("templates", name).read_text(encoding="utf-8")
