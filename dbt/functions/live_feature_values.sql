{#- Relations are rendered without the database's name: the body is text, and must survive a restore elsewhere. Tables,
    not views: restrict_nonsystem_relation_kind, which any session can set, would make every row unscored. -#}
-- The features of a transaction that is being inserted or only scored: a few index lookups of its user. The user's
-- last row comes with them, which the new row's running totals continue from.
DECLARE
    d scoring.decision;
BEGIN
    {{ live_query(
        source('public', 'transactions').include(database=false),
        source('public', 'users').include(database=false),
        ref('merchant_risk').include(database=false),
        feature_hash()[:8],
    ) }}
    INTO
        d.feature_values, d.last_occurred_at, d.txns_through_last, d.amount_through_last, d.amount_squares_through_last;
    IF d.feature_values IS NULL THEN
        IF NOT FOUND THEN
            d.last_occurred_at := '-infinity';
            d.txns_through_last := 0;
            d.amount_through_last := 0;
            d.amount_squares_through_last := 0;
        END IF;
        d.feature_values := features.row_scan_feature_values_{{ feature_hash()[:8] }}(p_request);
    END IF;
    RETURN d;
END
