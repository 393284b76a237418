"""Running totals hold while several sessions work on one user at once."""

from __future__ import annotations

from pathlib import Path

from migrations.script_text import run_sql_file

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

HERE = Path(__file__).parent


def upgrade() -> None:
    run_sql_file(HERE / "0008_totals_under_races.upgrade.sql")


def downgrade() -> None:
    run_sql_file(HERE / "0008_totals_under_races.downgrade.sql")
