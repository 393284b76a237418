-- CREATE on schema public is not given back: no supported version grants it.
REVOKE ALL ON public.transactions FROM rowguard_app, rowguard_api;

REVOKE ALL (
    user_id, transaction_id, occurred_at, received_at, amount, merchant_id, location, idempotency_key, fraud_flag,
    fraud_probability, model_version, scored_at, feature_values, unscored_reason
) ON public.transactions FROM rowguard_app, rowguard_api;

REVOKE ALL ON public.fraud_labels FROM rowguard_api;

GRANT INSERT, SELECT ON public.transactions TO rowguard_app, rowguard_api;

GRANT INSERT, SELECT ON public.users TO rowguard_api;

GRANT UPDATE (home_location, updated_at) ON public.users TO rowguard_api;

GRANT INSERT, SELECT ON public.fraud_labels TO rowguard_api;
