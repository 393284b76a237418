-- The same features from every row of the user's longest window: the slow path for a late-arriving transaction and
-- for a user whose totals are pending.
DECLARE
    v_feature_values real[];
BEGIN
    SELECT {{ feature_values() }}
    INTO v_feature_values
    FROM (
        SELECT
            p_request.user_id AS user_id,
            p_request.amount AS amount,
            p_request.merchant_id AS merchant_id,
            p_request.location AS location,
            p_request.occurred_at AS occurred_at,
            (
                SELECT u.home_location
                FROM {{ source('public', 'users').include(database=false) }} AS u
                WHERE u.user_id = p_request.user_id
            ) AS home_location
    ) AS c
    CROSS JOIN LATERAL (
        {{ window_scan(windowed_features(), source('public', 'transactions').include(database=false)) }}
    ) AS w
    {{- rollup_joins(ref('merchant_risk').include(database=false), is_single=true) }};
    RETURN v_feature_values;
END
