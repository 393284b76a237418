-- Puts the decisions on their rows and keeps what the rows said before. A row that was decided in the meantime is
-- left alone: what was decided stays decided.
WITH waiting AS (
    SELECT
        t.user_id,
        t.transaction_id,
        t.unscored_reason,
        t.is_history,
        s.fraud_probability
    FROM rescored_now AS s
    INNER JOIN public.transactions AS t ON s.user_id = t.user_id AND s.transaction_id = t.transaction_id
    WHERE t.model_version IS NULL
    FOR UPDATE OF t
),

decided AS (
    UPDATE public.transactions AS t
    SET
        fraud_probability = w.fraud_probability,
        fraud_flag = CASE
            WHEN w.fraud_probability >= %(threshold)s::double precision THEN 'FRAUD'
            ELSE 'LEGITIMATE'
        END,
        model_version = %(version)s,
        scored_at = clock_timestamp(),
        feature_values = f.feature_values,
        unscored_reason = NULL
    FROM waiting AS w
    INNER JOIN features.training_set AS f ON w.user_id = f.user_id AND w.transaction_id = f.transaction_id
    WHERE t.user_id = w.user_id AND t.transaction_id = w.transaction_id
    RETURNING t.user_id, t.transaction_id, w.unscored_reason, t.fraud_flag
),

kept AS (
    INSERT INTO scoring.rescored_transactions (user_id, transaction_id, unscored_reason, model_version)
    SELECT
        d.user_id,
        d.transaction_id,
        d.unscored_reason,
        %(version)s
    FROM decided AS d
)

SELECT
    count(*),
    count(*) FILTER (WHERE d.fraud_flag = 'FRAUD')
FROM decided AS d
