"""Runs a frozen `.sql` file inside a migration, the same online and offline.

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


def run_sql_file(path: Path, *, sha256: str | None = None) -> None:
    """Execute the file.

    Raises:
        ValueError: the file's hash is not `sha256`; it was changed after it was written.
    """
    data = path.read_bytes()
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"{path.name} was changed after it was generated: its sha256 is not {sha256}")
    run_sql_text(data.decode())
