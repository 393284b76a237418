SELECT d.feature_values
FROM
    features.live_feature_values(
        row(
            %(user_id)s::bigint,
            %(amount)s::numeric,
            %(occurred_at)s::timestamptz,
            %(merchant_id)s::bigint,
            %(location)s::text
        )::scoring.scoring_request
    ) AS d
