INSERT INTO public.fraud_labels (user_id, transaction_id, is_fraud, labelled_at, source)
VALUES (
    %(user_id)s::bigint,
    %(transaction_id)s::bigint,
    %(is_fraud)s::boolean,
    coalesce(%(labelled_at)s::timestamptz, now()),
    %(source)s::text
)
RETURNING label_id, user_id, transaction_id, is_fraud, labelled_at, source
