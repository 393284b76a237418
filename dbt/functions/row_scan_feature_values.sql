-- The same features with a row scan of the longest window: for a late transaction, or a user with pending totals.
DECLARE
    v_feature_values real[];
BEGIN
    SELECT {{ feature_values() }}
    INTO v_feature_values
    FROM (
        SELECT
            p_user_id AS user_id,
            p_amount AS amount,
            p_merchant_id AS merchant_id,
            p_location AS location,
            p_occurred_at AS occurred_at,
            (
                SELECT u.home_location
                FROM {{ ref('stg_users').include(database=false) }} AS u
                WHERE u.user_id = p_user_id
            ) AS home_location
    ) AS c
    {%- if windowed_features() %}
    CROSS JOIN LATERAL (
        {{ window_scan(windowed_features(), ref('stg_transactions').include(database=false)) }}
    ) AS w
    {%- endif %}
    {{- rollup_joins({
        'merchant': ref('merchant_risk').include(database=false), 'user': ref('user_risk').include(database=false)
    }, is_single=true) }};
    RETURN v_feature_values;
END
