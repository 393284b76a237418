-- The home of each user over time. Loaded history is older than any profile, so the first known home also covers the
-- time before it (`history_valid_from`); rows that were scored live saw no profile then.
SELECT
    h.user_id,
    h.home_location,
    h.valid_from,
    CASE
        WHEN lag(h.valid_from) OVER per_user IS NULL THEN '-infinity'::timestamptz
        ELSE h.valid_from
    END AS history_valid_from,
    coalesce(lead(h.valid_from) OVER per_user, 'infinity'::timestamptz) AS valid_to
FROM {{ source('scoring', 'user_home_history') }} AS h
WINDOW per_user AS (PARTITION BY h.user_id ORDER BY h.valid_from)
