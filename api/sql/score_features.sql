-- One row a question, in their order.
SELECT s.prediction, s.probability, s.flag, s.fraud_probability, s.model_version
FROM
    json_to_recordset(%(rows)s::json) AS q (
        transaction_amount double precision,
        time_since_last_txn double precision,
        num_txns_last_hour integer,
        user_location_match boolean,
        place integer
    )
CROSS JOIN
    LATERAL public.score_transaction(
        transaction_amount => q.transaction_amount,
        time_since_last_txn => q.time_since_last_txn,
        num_txns_last_hour => q.num_txns_last_hour,
        user_location_match => q.user_location_match
    ) AS s
ORDER BY q.place
