-- The default since PostgreSQL 15; databases that come from older versions still let everybody make things here.
REVOKE CREATE ON SCHEMA public FROM public;

REVOKE ALL ON public.transactions FROM rowguard_app, rowguard_api;

REVOKE ALL ON public.users FROM rowguard_api;

REVOKE UPDATE (home_location, updated_at) ON public.users FROM rowguard_api;

REVOKE ALL ON public.fraud_labels FROM rowguard_api;

-- Applications insert, and read what they inserted and what was decided; the table's own book-keeping is not theirs.
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
