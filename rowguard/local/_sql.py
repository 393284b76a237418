"""The local stack's SQL texts, one statement or script a file in `sql/`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import LiteralString

from psycopg import sql


@lru_cache
def _text(name: str) -> LiteralString:
    # Shipped with the package: as trustworthy as a literal in the code.
    text: LiteralString = (Path(__file__).parent / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    return text


def load_sql(name: str, /, **parts: sql.Composable) -> sql.Composed | sql.SQL:
    """The statement in `sql/<name>.sql`, with names and literals put in where it has `{placeholders}`."""
    return sql.SQL(_text(name)).format(**parts) if parts else sql.SQL(_text(name))
