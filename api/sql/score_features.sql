SELECT s.prediction, s.probability, s.flag, s.fraud_probability, s.model_version
FROM public.score_transaction(
    transaction_amount => %(transaction_amount)s::double precision,
    time_since_last_txn => %(time_since_last_txn)s::double precision,
    num_txns_last_hour => %(num_txns_last_hour)s::integer,
    user_location_match => %(user_location_match)s::boolean
) AS s
