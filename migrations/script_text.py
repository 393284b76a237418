"""What the revisions share: SQL text, run the same online and offline, and no way back.

`sa.text()` would take `:name` for a bind parameter even in comments, and plain execution trips over `%`;
a `DDL` element with doubled percent signs is exact in both modes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError


def run_sql_text(sql: str) -> None:
    """Execute a script of one or more statements."""
    op.execute(sa.DDL(sql.replace("%", "%%")))  # type: ignore[no-untyped-call]


def reject_downgrade() -> None:
    """Revisions go forward only.

    Raises:
        CommandError: Always; names what to do instead.
    """
    raise CommandError(
        "revisions go forward only; for the previous champion run: rowguard rollback; "
        "for an earlier schema restore a backup"
    )
