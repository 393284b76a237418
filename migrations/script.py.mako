"""${message}"""

from __future__ import annotations

from migrations.script_text import reject_downgrade, run_sql_text

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    run_sql_text(...)


downgrade = reject_downgrade
