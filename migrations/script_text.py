"""Runs SQL text inside a migration, the same online and offline.

`sa.text()` would take `:name` for a bind parameter even in comments, and plain execution trips over `%`;
a `DDL` element with doubled percent signs is exact in both modes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import sqlalchemy as sa
from alembic import op


def run_sql_text(sql: str) -> None:
    """Execute a script of one or more statements."""
    op.execute(sa.DDL(sql.replace("%", "%%")))  # type: ignore[no-untyped-call]


def run_sql_file(path: Path, *, sha256: str) -> None:
    """Execute a generated file.

    Args:
        path: The file.
        sha256: Hash that it had when it was generated.

    Raises:
        ValueError: It was changed since.
    """
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"{path.name} was changed after it was generated: its sha256 is not {sha256}")
    run_sql_text(data.decode())
