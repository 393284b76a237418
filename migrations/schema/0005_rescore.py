"""Decisions made up for later, and warm connections."""

from __future__ import annotations

from pathlib import Path

from migrations.script_text import run_sql_file

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

HERE = Path(__file__).parent


def upgrade() -> None:
    run_sql_file(HERE / "0005_rescore.upgrade.sql")


def downgrade() -> None:
    run_sql_file(HERE / "0005_rescore.downgrade.sql")
