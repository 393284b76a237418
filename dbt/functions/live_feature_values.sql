{#- Relations stand without the database's name: the body is text, and must survive a restore elsewhere. -#}
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
            (SELECT u.home_location FROM {{ ref('stg_users').include(database=false) }} AS u WHERE u.user_id = p_user_id) AS home_location
    ) AS c
    {{ lateral_features(
        ref('stg_transactions').include(database=false), ref('merchant_days').include(database=false)
    ) }};
    RETURN v_feature_values;
END
