"""Failure policy and time budget of scoring; features that cannot be are refused by name."""

from __future__ import annotations

from pathlib import Path

from migrations.script_text import run_sql_file

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None

HERE = Path(__file__).parent


def upgrade() -> None:
    run_sql_file(HERE / "0006_failure_policy.upgrade.sql")
    run_sql_file(HERE / "0006_failure_policy.trigger.sql")


def downgrade() -> None:
    run_sql_file(HERE / "0006_failure_policy.downgrade.sql")
