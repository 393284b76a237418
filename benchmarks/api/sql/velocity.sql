SELECT
    features.live_feature_values(
        %(user_id)s::bigint,
        %(amount)s::numeric,
        %(merchant_id)s::bigint,
        %(location)s::text,
        %(occurred_at)s::timestamptz
    )
