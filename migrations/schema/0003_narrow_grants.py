"""Narrower grants: columns instead of tables for applications and the API; nobody makes things in public."""

from __future__ import annotations

from pathlib import Path

from migrations.script_text import run_sql_file

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

HERE = Path(__file__).parent


def upgrade() -> None:
    run_sql_file(HERE / "0003_narrow_grants.upgrade.sql")


def downgrade() -> None:
    run_sql_file(HERE / "0003_narrow_grants.downgrade.sql")
