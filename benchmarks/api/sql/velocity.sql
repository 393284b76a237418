SELECT d.feature_values
FROM
    features.live_feature_values(
        row(
            %(user_id)s::bigint,
            %(amount)s::numeric,
            %(merchant_id)s::bigint,
            %(location)s::text,
            %(occurred_at)s::timestamptz
        )::scoring.scoring_request
    ) AS d
