"""The text of the schema: its files, in the order in which they build a database."""

from __future__ import annotations

import re
from importlib.resources import files

from rowguard.declaration import Declaration
from rowguard.queries import in_own_schema
from rowguard.slots import fill_slots

SQL_DIR = files("sql_scoring") / "sql"

# An explicit list: the order matters, and a test finds a file that is missing here.
BUILD_ORDER = (
    "roles/roles.sql",
    "tables/schemas.sql",
    "functions/reject_value.sql",
    "functions/may_load_history.sql",
    "functions/remove_amount_noise.sql",
    "types/domains.sql",
    "types/scoring_request.sql",
    "types/decision.sql",
    "types/shadow_score.sql",
    "types/fraud_score.sql",
    "types/outcome.sql",
    "tables/references.sql",
    "tables/transactions.sql",
    "tables/fraud_labels.sql",
    "tables/rescored_transactions.sql",
    "tables/models.sql",
    "tables/model_state_changes.sql",
    "tables/model_revisions.sql",
    "tables/explanations.sql",
    "tables/explanation_features.sql",
    "tables/explanation_nodes.sql",
    "tables/explanation_conditions.sql",
    "tables/explanation_masks.sql",
    "tables/explanation_states.sql",
    "tables/gate_reports.sql",
    "tables/control_rates.sql",
    "tables/settings.sql",
    "tables/retention_runs.sql",
    "tables/rule_sets.sql",
    "tables/rules.sql",
    "tables/rule_set_revisions.sql",
    "tables/rule_drafts.sql",
    "tables/rule_exceptions.sql",
    "tables/lists.sql",
    "tables/list_entries.sql",
    "tables/audit_events.sql",
    "tables/review_cases.sql",
    "tables/review_case_transactions.sql",
    "views/model_versions.sql",
    "views/unscored_transactions.sql",
    "functions/lock_keys.sql",
    "functions/lock_user.sql",
    "functions/check_transaction.sql",
    "functions/margin_to_probability.sql",
    "functions/decide_transaction.sql",
    "functions/decide_from_features.sql",
    "functions/shadow_score.sql",
    "functions/uses_outcomes.sql",
    "functions/unpack_rule_codes.sql",
    "functions/map_features.sql",
    "functions/remap_features.sql",
    "functions/combine_outcome.sql",
    "functions/rule_set_0.sql",
    "functions/find_lists.sql",
    "functions/decide_outcome.sql",
    "functions/bind_outcomes.sql",
    "functions/set_rule_set.sql",
    "functions/list_key_hash.sql",
    "functions/normalize_list_keys.sql",
    "functions/create_list.sql",
    "functions/add_list_entries.sql",
    "functions/remove_list_entries.sql",
    "functions/add_rule_exception.sql",
    "functions/end_rule_exception.sql",
    "functions/replay_outcome.sql",
    "views/outcome_differences.sql",
    "views/rule_matches_daily.sql",
    "views/rule_exception_usage.sql",
    "functions/to_fraud_score.sql",
    "functions/score_features.sql",
    "functions/score_transaction.sql",
    "functions/apply_failure_policy.sql",
    "functions/refuse_past_row.sql",
    "functions/totals_before.sql",
    "functions/continue_totals.sql",
    "functions/score_on_insert.sql",
    "functions/set_failure_policy.sql",
    "functions/totals_pending_from.sql",
    "functions/recompute_user_totals.sql",
    "functions/recompute_totals.sql",
    "functions/invalidate_totals.sql",
    "functions/invalidate_totals_on_delete.sql",
    "functions/invalidate_totals_on_update.sql",
    "functions/record_reference_change.sql",
    "functions/record_model_state.sql",
    "functions/warm_scoring.sql",
    "functions/insert_transactions.sql",
    "functions/drop_explanation.sql",
    "functions/load_explanation.sql",
    "functions/build_explanation_masks.sql",
    "functions/build_explanation_states.sql",
    "functions/build_explanation.sql",
    "functions/get_explanation.sql",
    "functions/check_feature_values.sql",
    "functions/get_decision.sql",
    "functions/multiply.sql",
    "functions/sum_leaf_contributions.sql",
    "functions/unpack_contributions.sql",
    "functions/additivity_error.sql",
    "functions/compute_contributions.sql",
    "functions/compute_contributions_of_rows.sql",
    "functions/format_number.sql",
    "functions/phrase_reason.sql",
    "functions/describe_contributions.sql",
    "functions/summarize_reasons.sql",
    "functions/explanation_document.sql",
    "functions/base_value.sql",
    "functions/explain_features.sql",
    "functions/explain_transaction.sql",
    "functions/explain_transactions.sql",
    "functions/explanation.sql",
    "functions/explain_score_features.sql",
    "functions/explain_score_transaction.sql",
    "functions/passing_changes.sql",
    "functions/get_reason_codes.sql",
    "functions/set_alert_reasons.sql",
    "functions/set_reasons_on_alerts.sql",
    "functions/explain_alerts.sql",
    "functions/replay_decision.sql",
    "functions/reject_change.sql",
    "functions/record_audit.sql",
    "functions/open_review_cases.sql",
    "functions/lock_review_case.sql",
    "functions/claim_review_case.sql",
    "functions/release_review_case.sql",
    "functions/decide_review_cases.sql",
    "functions/reopen_review_case.sql",
    "triggers/transactions.sql",
    "triggers/references.sql",
    "triggers/models.sql",
    "triggers/audit_events.sql",
    "roles/grants.sql",
)


def read_schema_file(name: str, declaration: Declaration | None = None) -> str:
    """Return the text of one file of `BUILD_ORDER`.

    Args:
        name: Its path below `sql`.
        declaration: The columns that fill its slots; None leaves the slots, which are comments.
    """
    text = SQL_DIR.joinpath(name).read_text(encoding="utf-8")
    return in_own_schema(text if declaration is None else fill_slots(text, declaration))


def has_slots(name: str) -> bool:
    """Return whether the text of a file depends on the declared columns."""
    return "/* for each " in SQL_DIR.joinpath(name).read_text(encoding="utf-8")


def schema_objects(declaration: Declaration) -> list[str]:
    """Return the qualified names of all tables, views, types, sequences and functions of the schema."""
    created = re.compile(
        r'^CREATE (?:OR REPLACE )?(?:TABLE|VIEW|TYPE|DOMAIN|SEQUENCE|FUNCTION) ("?\w+"?\.\w+)',
        re.MULTILINE,
    )
    return [name for file in BUILD_ORDER for name in created.findall(read_schema_file(file, declaration))]
