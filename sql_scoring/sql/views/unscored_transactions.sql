-- Unscored live rows, and why; rowguard rescore backfills their decisions.
CREATE VIEW public.unscored_transactions AS
SELECT
    t.user_id,
    t.transaction_id,
    t.occurred_at,
    t.received_at,
    t.amount,
    coalesce(t.unscored_reason, 'no model was deployed') AS reason
FROM public.transactions AS t
WHERE t.model_version IS NULL AND NOT t.is_history;
