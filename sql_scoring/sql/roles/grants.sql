-- Least privilege: PUBLIC gets nothing, each role what its work needs.
REVOKE ALL ON SCHEMA scoring, features FROM public;

-- The default since PostgreSQL 15; databases that come from older versions still let everybody make things here.
REVOKE CREATE ON SCHEMA public FROM public;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA scoring FROM public;

REVOKE ALL ON FUNCTION public.score_transaction(double precision, double precision, integer, boolean)
FROM public;

REVOKE ALL ON FUNCTION public.score_transaction(bigint, numeric, bigint, text, timestamptz)
FROM public;

GRANT USAGE ON SEQUENCE public.transactions_transaction_id_seq TO rowguard_app, rowguard_api;

GRANT INSERT, SELECT ON public.users TO rowguard_app;

GRANT UPDATE (home_location, updated_at) ON public.users TO rowguard_app;

GRANT INSERT, SELECT ON public.fraud_labels TO rowguard_trainer;

GRANT USAGE ON SEQUENCE public.fraud_labels_label_id_seq TO rowguard_api, rowguard_trainer;

GRANT EXECUTE ON FUNCTION public.score_transaction(double precision, double precision, integer, boolean)
TO rowguard_app, rowguard_api, rowguard_trainer;

GRANT EXECUTE ON FUNCTION public.score_transaction(bigint, numeric, bigint, text, timestamptz)
TO rowguard_app, rowguard_api, rowguard_trainer;

GRANT SELECT ON public.model_versions TO rowguard_app, rowguard_api, rowguard_trainer, rowguard_readonly;

GRANT SELECT ON public.unscored_transactions
TO rowguard_app, rowguard_api, rowguard_trainer, rowguard_readonly;

GRANT SELECT ON public.transactions, public.users, public.fraud_labels TO rowguard_trainer, rowguard_readonly;

GRANT USAGE ON SCHEMA scoring, features TO rowguard_trainer, rowguard_readonly;

GRANT SELECT ON scoring.models, scoring.model_state_changes, scoring.model_revisions, scoring.gate_reports,
scoring.let_through_shares, scoring.settings, scoring.retention_runs
TO rowguard_trainer, rowguard_readonly;

-- Applications insert, and read what they inserted and what was decided; the table's own book-keeping is not theirs.
-- They may name decision columns in an INSERT (the trigger drops the values), but there is no UPDATE and no DELETE.
GRANT INSERT ON public.transactions TO rowguard_app;

GRANT SELECT (
    user_id, transaction_id, occurred_at, received_at, amount, merchant_id, location, idempotency_key, fraud_flag,
    fraud_probability, model_version, scored_at, feature_values, unscored_reason
) ON public.transactions TO rowguard_app;

-- The API: the columns that its statements name, and no others.
GRANT INSERT (user_id, amount, merchant_id, location, occurred_at, idempotency_key)
ON public.transactions TO rowguard_api;

GRANT SELECT (
    user_id, transaction_id, occurred_at, amount, merchant_id, location, idempotency_key, fraud_flag,
    fraud_probability, model_version, unscored_reason
) ON public.transactions TO rowguard_api;

GRANT INSERT (user_id, transaction_id, is_fraud, labelled_at, source) ON public.fraud_labels TO rowguard_api;

GRANT SELECT ON public.fraud_labels TO rowguard_api;
