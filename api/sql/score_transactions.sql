-- One row a question, in their order.
SELECT s.prediction, s.probability, s.flag, s.fraud_probability, s.model_version
FROM
    json_to_recordset(%(rows)s::json) AS q (
        user_id bigint,
        amount numeric,
        merchant_id bigint,
        location text,
        occurred_at timestamptz,
        place integer
    )
CROSS JOIN
    LATERAL public.score_transaction(
        user_id => q.user_id,
        amount => q.amount,
        merchant_id => q.merchant_id,
        location => q.location,
        occurred_at => coalesce(q.occurred_at, now())
    ) AS s
ORDER BY q.place
