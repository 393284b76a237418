-- The features of a transaction that is being inserted or only asked about: one indexed range of its user.
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
            (SELECT u.home_location FROM {{ ref('stg_users') }} AS u WHERE u.user_id = p_user_id) AS home_location
    ) AS c
    CROSS JOIN LATERAL (
        {{ windowed_features(ref('stg_transactions')) }}
    ) AS w;
    RETURN v_feature_values;
END
