"""Shorter conditions on the triggers of an INSERT; what a client sent is looked at once."""

from __future__ import annotations

from pathlib import Path

from migrations.script_text import run_sql_file

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

HERE = Path(__file__).parent


def upgrade() -> None:
    run_sql_file(HERE / "0007_shorter_triggers.upgrade.sql")


def downgrade() -> None:
    run_sql_file(HERE / "0007_shorter_triggers.downgrade.sql")
