"""Runs SQL text inside a migration, the same online and offline.

`sa.text()` would take `:name` for a bind parameter even in comments, and plain execution trips over `%`;
a `DDL` element with doubled percent signs is exact in both modes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


def run_sql_text(sql: str) -> None:
    """Execute a script of one or more statements."""
    op.execute(sa.DDL(sql.replace("%", "%%")))  # type: ignore[no-untyped-call]
