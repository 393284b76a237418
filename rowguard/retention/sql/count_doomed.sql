SELECT
    (SELECT count(*) FROM doomed),
    (
        SELECT count(*)
        FROM public.fraud_labels AS l
        INNER JOIN doomed AS d ON l.user_id = d.user_id AND l.transaction_id = d.transaction_id
    )
