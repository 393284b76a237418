{#- Relations stand without the database's name: the body is text, and must survive a restore elsewhere. -#}
-- For the trigger: the feature values and the user's last row, from which the new row's running totals continue.
DECLARE
    v scoring.insert_decision;
BEGIN
    {{ live_query(
        ref('stg_transactions').include(database=false),
        ref('stg_users').include(database=false),
        {'merchant': ref('merchant_risk').include(database=false), 'user': ref('user_risk').include(database=false)},
        feature_hash()[:8],
        with_last_row=true,
    ) }}
    INTO v.feature_values, v.last_at, v.txns_with_last, v.amount_with_last, v.amount_squares_with_last;
    v.knows_last_row := true;
    IF v.feature_values IS NULL THEN
        v.feature_values := features.row_scan_feature_values_{{ feature_hash()[:8] }}(
            p_user_id, p_amount, p_merchant_id, p_location, p_occurred_at
        );
    END IF;
    RETURN v;
END
