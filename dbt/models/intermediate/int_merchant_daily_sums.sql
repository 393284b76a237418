-- Sums per merchant, date of the event and date on which it was known: what rollups are made of. A transaction counts
-- from when it was received, a fraud from when its label was. A withdrawn label counts against the one before it.
SELECT
    t.merchant_id,
    t.event_date,
    t.known_date,
    -- integer: sums of it are bigint, which are far faster than numeric
    count(*)::integer AS txns,
    0 AS frauds,
    sum(t.amount) AS amount
FROM {{ ref('stg_transactions') }} AS t
WHERE t.merchant_id IS NOT NULL
GROUP BY t.merchant_id, t.event_date, t.known_date
UNION ALL
SELECT
    t.merchant_id,
    t.event_date,
    greatest(l.known_date, t.known_date) AS known_date,
    0 AS txns,
    sum(l.fraud_change)::integer AS frauds,
    0::numeric AS amount
FROM {{ ref('int_label_changes') }} AS l
INNER JOIN {{ ref('stg_transactions') }} AS t ON l.user_id = t.user_id AND l.transaction_id = t.transaction_id
WHERE t.merchant_id IS NOT NULL
GROUP BY t.merchant_id, t.event_date, greatest(l.known_date, t.known_date)
