"""One read of the user's rows for each INSERT."""

from __future__ import annotations

from pathlib import Path

from migrations.script_text import run_sql_file

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

HERE = Path(__file__).parent


def upgrade() -> None:
    run_sql_file(HERE / "0009_one_read.upgrade.sql")


def downgrade() -> None:
    run_sql_file(HERE / "0009_one_read.downgrade.sql")
