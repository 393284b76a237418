"""A model's life: challenger, gate reports, rollback by steps, random let-through."""

from __future__ import annotations

from pathlib import Path

from migrations.script_text import run_sql_file

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

HERE = Path(__file__).parent


def upgrade() -> None:
    run_sql_file(HERE / "0004_model_life.upgrade.sql")


def downgrade() -> None:
    run_sql_file(HERE / "0004_model_life.downgrade.sql")
