"""The current text of the schema: which files there are and in what order they build a database.

Migrations never read these files: each has its own frozen copy, and a drift test compares a database after
all migrations with one built from here.
"""

from __future__ import annotations

from pathlib import Path

SQL_DIR = Path(__file__).resolve().parent / "sql"

# An explicit list: the order matters, and a file that is not named here is a mistake that a test finds.
BUILD_ORDER = (
    "roles/roles.sql",
    "tables/schemas.sql",
    "tables/users.sql",
    "tables/user_home_history.sql",
    "tables/transactions.sql",
    "tables/fraud_labels.sql",
    "tables/rescored_transactions.sql",
    "tables/models.sql",
    "tables/model_state_changes.sql",
    "tables/model_revisions.sql",
    "tables/gate_reports.sql",
    "tables/let_through_shares.sql",
    "tables/settings.sql",
    "tables/retention_runs.sql",
    "types/decision.sql",
    "types/insert_decision.sql",
    "types/fraud_score.sql",
    "functions/score_candidate.sql",
    "functions/decide_insert.sql",
    "functions/score_basic.sql",
    "functions/to_fraud_score.sql",
    "functions/check_transaction.sql",
    "functions/score_transaction_features.sql",
    "functions/score_transaction.sql",
    "functions/decide_failure.sql",
    "functions/score_on_insert.sql",
    "functions/rebuild_totals.sql",
    "functions/settle_totals.sql",
    "functions/fold_late_row.sql",
    "functions/forget_totals.sql",
    "functions/shadow_on_insert.sql",
    "functions/set_policy.sql",
    "functions/distribute.sql",
    "functions/keep_history_undecided.sql",
    "functions/record_home_change.sql",
    "functions/record_model_state.sql",
    "functions/warm_scoring.sql",
    "functions/insert_transactions.sql",
    "triggers/transactions.sql",
    "triggers/users.sql",
    "triggers/models.sql",
    "views/model_versions.sql",
    "views/unscored_transactions.sql",
    "roles/grants.sql",
)


def current_schema_sql() -> str:
    """The whole schema as one script, in build order."""
    return "\n".join((SQL_DIR / name).read_text() for name in BUILD_ORDER)
