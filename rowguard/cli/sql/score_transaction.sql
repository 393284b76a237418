SELECT s.fraud_probability, s.flag
FROM public.score_transaction(
    user_id => %(user_id)s::bigint,
    amount => %(amount)s::numeric,
    merchant_id => %(merchant_id)s::bigint,
    location => %(location)s::text,
    occurred_at => %(occurred_at)s::timestamptz
) AS s
