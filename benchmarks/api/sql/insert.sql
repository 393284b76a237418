INSERT INTO public.transactions (
    user_id, amount, merchant_id, location, occurred_at, received_at, fraud_flag, fraud_probability, model_version,
    scored_at, feature_values
)
VALUES (
    %(user_id)s::bigint,
    %(amount)s::numeric,
    %(merchant_id)s::bigint,
    %(location)s::text,
    %(occurred_at)s::timestamptz,
    %(occurred_at)s::timestamptz,
    %(flag)s::text,
    %(fraud_probability)s::double precision,
    %(model_version)s::text,
    %(occurred_at)s::timestamptz,
    %(values)s::real []
)
RETURNING transaction_id
