"""Running totals of each user on the rows: a velocity read that does not grow with the window."""

from __future__ import annotations

from pathlib import Path

from migrations.script_text import run_sql_file

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

HERE = Path(__file__).parent


def upgrade() -> None:
    run_sql_file(HERE / "0002_running_totals.upgrade.sql")


def downgrade() -> None:
    run_sql_file(HERE / "0002_running_totals.downgrade.sql")
