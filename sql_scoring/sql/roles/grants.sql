-- Least privilege: PUBLIC gets nothing, each role what its work needs.
REVOKE ALL ON SCHEMA scoring, features FROM public;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA scoring FROM public;

REVOKE ALL ON FUNCTION public.score_transaction(double precision, double precision, integer, boolean)
FROM public;

REVOKE ALL ON FUNCTION public.score_transaction(bigint, numeric, bigint, text, timestamptz)
FROM public;

-- Applications insert and read. They may name decision columns in an INSERT (the trigger drops the values),
-- but there is no UPDATE and no DELETE.
GRANT INSERT, SELECT ON public.transactions TO rowguard_app, rowguard_api;

GRANT USAGE ON SEQUENCE public.transactions_transaction_id_seq TO rowguard_app, rowguard_api;

GRANT INSERT, SELECT ON public.users TO rowguard_app, rowguard_api;

GRANT UPDATE (home_location, updated_at) ON public.users TO rowguard_app, rowguard_api;

GRANT INSERT, SELECT ON public.fraud_labels TO rowguard_api, rowguard_trainer;

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

GRANT SELECT ON scoring.models, scoring.model_state_changes, scoring.model_revisions, scoring.settings,
scoring.retention_runs
TO rowguard_trainer, rowguard_readonly;
