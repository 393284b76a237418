-- Least privilege: PUBLIC gets nothing, each role what its work needs.
REVOKE ALL ON SCHEMA scoring, features FROM public;

-- The default since PostgreSQL 15; databases that come from older versions still let every role create objects here.
REVOKE CREATE ON SCHEMA public FROM public;

GRANT USAGE ON SCHEMA public TO rowguard_app, rowguard_api, rowguard_trainer, rowguard_readonly;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA scoring FROM public;

REVOKE ALL ON FUNCTION
public.score_features(double precision, double precision, integer, boolean),
public.score_transaction(bigint /* key type */, numeric, /* for each column: {type}, */ timestamptz),
public.warm_scoring(),
public.base_value(text),
public.explain_features(real[], text, integer),
public.explain_transaction(bigint /* key type */, bigint, integer),
public.explain_transactions(bigint /* key type */[], bigint[], integer),
public.explanation(bigint /* key type */, bigint, integer, text),
public.explain_score_features(double precision, double precision, integer, boolean),
public.explain_score_transaction(bigint /* key type */, numeric, /* for each column: {type}, */ timestamptz),
public.passing_changes(bigint /* key type */, bigint)
FROM public;

-- The domains of public.transactions call them with the rights of the role that inserts.
GRANT EXECUTE ON FUNCTION
scoring.reject_value(text, text, text), scoring.remove_amount_noise(numeric), scoring.may_load_history()
TO public;

GRANT EXECUTE ON FUNCTION
public.score_features(double precision, double precision, integer, boolean),
public.score_transaction(bigint /* key type */, numeric, /* for each column: {type}, */ timestamptz),
public.warm_scoring()
TO rowguard_app, rowguard_api, rowguard_trainer;

-- They read feature values with their owner's rights. Applications are not among them: reasons may be confidential.
GRANT EXECUTE ON FUNCTION
public.base_value(text),
public.explain_features(real[], text, integer),
public.explain_transaction(bigint /* key type */, bigint, integer),
public.explain_transactions(bigint /* key type */[], bigint[], integer),
public.explanation(bigint /* key type */, bigint, integer, text),
public.explain_score_features(double precision, double precision, integer, boolean),
public.explain_score_transaction(bigint /* key type */, numeric, /* for each column: {type}, */ timestamptz),
public.passing_changes(bigint /* key type */, bigint)
TO rowguard_api, rowguard_trainer, rowguard_readonly;

-- The API asks whether a user's lock is free before it inserts.
GRANT USAGE ON SCHEMA scoring TO rowguard_api;

GRANT EXECUTE ON FUNCTION scoring.user_lock_key(bigint /* key type */) TO rowguard_api;

GRANT USAGE ON SEQUENCE public.transactions_transaction_id_seq TO rowguard_app, rowguard_api;

/* for each reference: {grants} */

GRANT INSERT, SELECT ON public.fraud_labels TO rowguard_trainer;

GRANT USAGE ON SEQUENCE public.fraud_labels_label_id_seq TO rowguard_api, rowguard_trainer;

GRANT SELECT ON public.model_versions, public.unscored_transactions
TO rowguard_app, rowguard_api, rowguard_trainer, rowguard_readonly;

GRANT SELECT ON public.transactions, public.fraud_labels TO rowguard_trainer, rowguard_readonly;

GRANT USAGE ON SCHEMA scoring, features TO rowguard_trainer, rowguard_readonly;

GRANT SELECT ON scoring.models, scoring.model_state_changes, scoring.model_revisions, scoring.gate_reports,
scoring.control_rates, scoring.settings, scoring.retention_runs, scoring.rescored_transactions, scoring.explanations,
scoring.explanation_features, scoring.rule_sets, scoring.rules, scoring.rule_set_revisions, scoring.rule_drafts,
scoring.rule_exceptions, scoring.lists, scoring.list_entries, scoring.rule_matches_daily, scoring.rule_exception_usage
TO rowguard_trainer, rowguard_readonly;

-- Applications insert and read; tools that write SQL name every column. What they bring of the trigger's columns is
-- dropped, and there is no UPDATE and no DELETE. Ids come from the sequence: a chosen one would make later INSERTs fail.
GRANT INSERT (
    user_id, occurred_at, received_at, is_history, amount, /* for each column: {name}, */ idempotency_key, fraud_flag,
    fraud_probability, model_version, scored_at, feature_values, /* for each reference column: {name}, */
    unscored_reason, features_caveat,
    user_txns_before, user_amount_before, user_amount_squares_before, is_control, shadow_version, shadow_probability,
    shadow_feature_values, shadow_error, reason_codes, external_id, outcome, outcome_reasons, rule_set_version,
    matched_rules
), SELECT ON public.transactions TO rowguard_app;

-- The API: the columns that its statements name, and no others. insert_transactions draws ids itself.
GRANT INSERT (
    user_id, transaction_id, amount, /* for each column: {name}, */ occurred_at, idempotency_key, external_id
)
ON public.transactions TO rowguard_api;

GRANT SELECT (
    user_id, transaction_id, occurred_at, amount, /* for each column: {name}, */ idempotency_key, external_id,
    fraud_flag, fraud_probability, model_version, unscored_reason, features_caveat, received_at, is_history, is_control,
    reason_codes, feature_values, outcome, outcome_reasons, rule_set_version, matched_rules, /* for each reference column: {name}, */
    scored_at
) ON public.transactions TO rowguard_api;

GRANT INSERT (user_id, transaction_id, is_fraud, labelled_at, source) ON public.fraud_labels TO rowguard_api;

GRANT SELECT ON public.fraud_labels TO rowguard_api;

GRANT EXECUTE ON FUNCTION scoring.insert_transactions(jsonb, boolean) TO rowguard_api;

-- The API reads rules and lists, keeps drafts, and changes lists and exceptions by functions, which record who.
GRANT SELECT ON scoring.settings, scoring.rule_sets, scoring.rules, scoring.rule_set_revisions, scoring.rule_exceptions,
scoring.lists, scoring.list_entries, scoring.rule_matches_daily, scoring.rule_exception_usage
TO rowguard_api;

GRANT SELECT, INSERT, UPDATE ON scoring.rule_drafts TO rowguard_api;

GRANT EXECUTE ON FUNCTION
scoring.create_list(text, text, text, text, text),
scoring.add_list_entries(text, jsonb, text),
scoring.remove_list_entries(text, text[], text),
scoring.add_rule_exception(text, bigint /* key type */, timestamptz, text, text),
scoring.end_rule_exception(bigint, text)
TO rowguard_api;

GRANT EXECUTE ON FUNCTION scoring.unpack_rule_codes(bytea), scoring.list_key_hash(text, text)
TO rowguard_api, rowguard_trainer, rowguard_readonly;

-- Reviews change by functions only, which write the audit trail. The API states who does it.
GRANT SELECT ON scoring.review_cases, scoring.review_case_transactions, scoring.audit_events
TO rowguard_api, rowguard_trainer, rowguard_readonly;

GRANT EXECUTE ON FUNCTION
scoring.record_audit(text, text, text, jsonb),
scoring.open_review_cases(double precision),
scoring.claim_review_case(text, bigint),
scoring.release_review_case(bigint, text, boolean),
scoring.decide_review_cases(bigint[], text, text, text, integer, text, timestamptz),
scoring.reopen_review_case(bigint, text, text, double precision),
scoring.replay_decision(bigint /* key type */, bigint)
TO rowguard_api;

-- What the console's pages read.
GRANT SELECT ON scoring.gate_reports TO rowguard_api;

-- Of the views that dbt builds there, it grants those of monitoring.
GRANT USAGE ON SCHEMA features TO rowguard_api;
