SELECT s.prediction, s.probability, s.flag, s.fraud_probability, s.model_version
FROM public.score_transaction(
    user_id => %(user_id)s::bigint,
    amount => %(amount)s::numeric,
    merchant_id => %(merchant_id)s::bigint,
    location => %(location)s::text,
    occurred_at => coalesce(%(occurred_at)s::timestamptz, now())
) AS s
