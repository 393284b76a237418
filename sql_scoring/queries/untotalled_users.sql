-- Users with a row whose running totals are not known, in the order in which settle_totals locks them.
SELECT DISTINCT
    t.user_id,
    hashint8(t.user_id) & 4095 AS bucket
FROM public.transactions AS t
WHERE t.user_txns_before IS NULL
ORDER BY bucket, t.user_id
