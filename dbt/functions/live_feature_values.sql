{#- Relations stand without the database's name: the body is text, and must survive a restore elsewhere. -#}
-- The features of a transaction that is being inserted or only asked about: a few rows of indexes of its user.
DECLARE
    v_feature_values real[];
BEGIN
    {{ live_query(
        ref('stg_transactions').include(database=false),
        ref('stg_users').include(database=false),
        {'merchant': ref('merchant_risk').include(database=false), 'user': ref('user_risk').include(database=false)},
        feature_hash()[:8],
    ) }}
    INTO v_feature_values;
    IF v_feature_values IS NULL THEN
        v_feature_values := features.row_scan_feature_values_{{ feature_hash()[:8] }}(
            p_user_id, p_amount, p_merchant_id, p_location, p_occurred_at
        );
    END IF;
    RETURN v_feature_values;
END
