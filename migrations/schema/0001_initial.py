"""The first schema: transactions, users, labels, registry, trigger, score_transaction, roles."""

from __future__ import annotations

from pathlib import Path

from migrations.script_text import run_sql_file

revision = "0001"
down_revision = None
branch_labels = ("schema",)
depends_on = None

HERE = Path(__file__).parent


def upgrade() -> None:
    run_sql_file(HERE / "0001_initial.upgrade.sql")


def downgrade() -> None:
    run_sql_file(HERE / "0001_initial.downgrade.sql")
