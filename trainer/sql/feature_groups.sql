-- The features in model order, each with the group that the backtest can leave out; 'transaction' is what is never
-- left out, the transaction's own columns. A derived feature of several kinds belongs to the first that fits.
SELECT
    d.name,
    CASE
        WHEN d.entity = 'merchant' THEN 'merchant-risk'
        WHEN d.entity = 'user' AND d.delay_days IS NOT NULL THEN 'user-risk'
        WHEN d.entity = 'user_location' OR d.expression ~ '\mlocation\M' THEN 'location'
        WHEN d.entity IS NOT NULL THEN 'user-windows'
        WHEN d.expression ~ '\moccurred_at\M' THEN 'calendar'
        WHEN EXISTS (
            SELECT FROM features.feature_definitions AS other WHERE d.expression ~ ('\m' || other.name || '\M')
        ) THEN 'derived'
        ELSE 'transaction'
    END AS feature_group
FROM features.feature_definitions AS d
ORDER BY d.position
