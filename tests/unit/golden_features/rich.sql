-- functions/live_feature_values.sql
-- The features of a transaction that is being inserted or only scored: a few index lookups. The user's last row
-- comes with them, which the new row's running totals continue from.
DECLARE
    d scoring.decision;
BEGIN
    SELECT
        CASE
            WHEN l.last_occurred_at > c.occurred_at OR l.totals_pending THEN NULL
            ELSE ARRAY[
                (c.amount::double precision)::real,
                (p.user_txn_minutes_since_last)::real,
                (w.user_txn_count_1h)::real,
                (w.user_txn_count_10m)::real,
                (user_rows.user_amount_max_7d)::real,
                (user_rows.user_amount_min_7d)::real,
                (user_rows.user_device_distinct_30d)::real,
                (user_rows.user_online_share_30d)::real,
                (user_rows.user_declined_count_1d)::real,
                (user_rows.user_fee_mean_7d)::real,
                (user_rows.user_latitude_stddev_7d)::real,
                (CASE WHEN user_first_525600m.occurred_at > c.occurred_at - interval '8760 hours' THEN date_part('epoch', c.occurred_at - user_first_525600m.occurred_at) / 60 END)::real,
                (CASE WHEN l.last_occurred_at > c.occurred_at - interval '720 hours' THEN l.last_amount::numeric::double precision END)::real,
                (p.user_location_minutes)::real,
                (device_rows.device_txn_count_10m)::real,
                (device_rows.device_txn_count_30d)::real,
                (device_rows.device_users_1d)::real,
                (device_rows_3.device_amount_sum_1h)::real,
                (CASE WHEN device_previous.occurred_at > c.occurred_at - interval '720 hours' THEN date_part('epoch', c.occurred_at - device_previous.occurred_at) / 60 END)::real,
                (CASE WHEN device_first_129600m.occurred_at > c.occurred_at - interval '2160 hours' THEN date_part('epoch', c.occurred_at - device_first_129600m.occurred_at) / 60 END)::real,
                (CASE WHEN device_previous.occurred_at > c.occurred_at - interval '720 hours' THEN device_previous.amount::numeric::double precision END)::real,
                (user_device_rows.user_device_count_30d)::real,
                (p.user_device_minutes)::real,
                (card_rows.card_txn_count_1h)::real,
                (ip_rows.ip_cards_1h)::real,
                (merchant_risk.merchant_fraud_rate_7d)::real,
                (merchant_risk.merchant_online_rate_7d)::real,
                ((mcc_risk.mcc_fraud_rate_28d_frauds + 20.0 * overall_risk.mcc_fraud_rate_28d) / (mcc_risk.mcc_fraud_rate_28d_txns + 20.0))::real,
                (CASE WHEN c.mcc IS NOT NULL THEN coalesce(mcc_risk.mcc_fraud_count_28d, 0::real) END)::real,
                (merchant_risk.merchant_amount_mean_7d)::real,
                (sqrt((c.latitude - l.last_latitude) ^ 2 + (c.longitude - l.last_longitude) ^ 2))::real,
                (date_part('epoch', c.occurred_at - l.last_occurred_at) / 3600)::real,
                ((date_part('hour', c.occurred_at AT TIME ZONE 'UTC') < 6)::integer)::real,
                (date_part('epoch', c.occurred_at - c.merchant_opened_at) / 86400)::real,
                ((c.merchant_category = 'grocery')::integer)::real,
                (date_part('year', c.occurred_at AT TIME ZONE 'UTC') - c.birth_year)::real,
                ((c.location = c.home_location)::integer)::real,
                (w.user_txn_count_1h / nullif(device_rows.device_txn_count_10m, 0))::real
            ]
        END,
        c.home_location,
        c.birth_year,
        c.merchant_category,
        c.merchant_opened_at,
        CASE WHEN NOT l.totals_pending THEN l.last_occurred_at END,
        l.txns_through,
        l.amount_through,
        l.amount_squares_through
    FROM (
        SELECT
            p_request.user_id AS user_id,
            p_request.amount AS amount,
            p_request.occurred_at AS occurred_at,
            p_request.merchant_id AS merchant_id,
            p_request.location AS location,
            p_request.device_id AS device_id,
            p_request.ip AS ip,
            p_request.mcc AS mcc,
            p_request.channel AS channel,
            p_request.latitude AS latitude,
            p_request.longitude AS longitude,
            p_request.card_id AS card_id,
            p_request.status AS status,
            p_request.fee AS fee,
            p_request.is_recurring AS is_recurring,
            p_request.card_opened_at AS card_opened_at,
            (SELECT u.home_location FROM {{ source('public', 'users').include(database=false) }} AS u WHERE u.user_id = p_request.user_id) AS home_location,
            (SELECT u.birth_year FROM {{ source('public', 'users').include(database=false) }} AS u WHERE u.user_id = p_request.user_id) AS birth_year,
            (SELECT u.merchant_category FROM {{ source('public', 'merchants').include(database=false) }} AS u WHERE u.merchant_id = p_request.merchant_id) AS merchant_category,
            (SELECT u.merchant_opened_at FROM {{ source('public', 'merchants').include(database=false) }} AS u WHERE u.merchant_id = p_request.merchant_id) AS merchant_opened_at
    ) AS c
    -- No row for a user without transactions: a second statement computes their first features.
    CROSS JOIN LATERAL (
        SELECT
            e.occurred_at AS last_occurred_at,
            e.user_txns_before + 1 AS txns_through,
            e.user_amount_before + e.amount AS amount_through,
            e.user_amount_squares_before + e.amount * e.amount AS amount_squares_through,
            e.amount AS last_amount,
            e.location AS last_location,
            e.device_id AS last_device_id,
            e.latitude AS last_latitude,
            e.longitude AS last_longitude,
            EXISTS (
                SELECT FROM {{ source('public', 'transactions').include(database=false) }} AS n WHERE n.user_id = p_request.user_id AND n.user_txns_before IS NULL
            ) AS totals_pending
        FROM {{ source('public', 'transactions').include(database=false) }} AS e
        WHERE e.user_id = p_request.user_id
        ORDER BY e.occurred_at DESC, e.user_txns_before DESC
        LIMIT 1
    ) AS l
    CROSS JOIN LATERAL (
        -- Both OFFSETs keep the planner from copying these expressions into each derived feature.
        SELECT
            s.windows[1][1] AS user_txn_count_1h,
            s.windows[2][1] AS user_txn_count_10m
        FROM (
            -- A row per window, in the order of the windows (a nested loop keeps it), a column per aggregate. Expressions
            -- are built once for all windows here; next to each feature's name they would be built for each.
            SELECT ARRAY(
                SELECT ARRAY[
                    coalesce(f.txns, 0)::double precision
                ]
                FROM (VALUES (interval '1 hours'), (interval '10 minutes')) AS w (length)
                LEFT JOIN LATERAL (
                    SELECT
                        l.txns_through - e.user_txns_before AS txns,
                        l.amount_through - e.user_amount_before AS amount,
                        l.amount_squares_through - e.user_amount_squares_before AS squares
                    FROM {{ source('public', 'transactions').include(database=false) }} AS e
                    WHERE e.user_id = p_request.user_id AND e.occurred_at > p_request.occurred_at - w.length
                    ORDER BY e.occurred_at, e.user_txns_before
                    LIMIT 1
                ) AS f ON true
            ) AS windows
            OFFSET 0
        ) AS s
        OFFSET 0
    ) AS w
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN l.last_occurred_at > c.occurred_at - interval '720 hours' THEN date_part('epoch', c.occurred_at - l.last_occurred_at) / 60 END AS user_txn_minutes_since_last,
            CASE
                WHEN l.last_location = c.location THEN CASE WHEN l.last_occurred_at > c.occurred_at - interval '720 hours' THEN date_part('epoch', c.occurred_at - l.last_occurred_at) / 60 END
                WHEN c.location IS NOT NULL
                    THEN features.user_location_minutes_since_2dfd4fa1(
                        p_request.user_id, p_request.location, p_request.occurred_at, interval '720 hours'
                    )
            END AS user_location_minutes,
            CASE
                WHEN l.last_device_id = c.device_id THEN CASE WHEN l.last_occurred_at > c.occurred_at - interval '168 hours' THEN date_part('epoch', c.occurred_at - l.last_occurred_at) / 60 END
                WHEN c.device_id IS NOT NULL
                    THEN features.user_device_minutes_since_2dfd4fa1(
                        p_request.user_id, p_request.device_id, p_request.occurred_at, interval '168 hours'
                    )
            END AS user_device_minutes
    ) AS p
    LEFT JOIN LATERAL (
        SELECT e.occurred_at
        FROM {{ source('public', 'transactions').include(database=false) }} AS e
        WHERE e.user_id = p_request.user_id
            AND e.occurred_at > p_request.occurred_at - interval '8760 hours'
            AND e.occurred_at <= p_request.occurred_at
        ORDER BY e.occurred_at, e.transaction_id
        LIMIT 1
    ) AS user_first_525600m ON true
    LEFT JOIN LATERAL (
        SELECT e.occurred_at, e.amount
        FROM {{ source('public', 'transactions').include(database=false) }} AS e
        WHERE e.device_id = p_request.device_id
            AND e.occurred_at <= p_request.occurred_at
        ORDER BY e.occurred_at DESC, e.transaction_id DESC
        LIMIT 1
    ) AS device_previous ON true
    LEFT JOIN LATERAL (
        SELECT e.occurred_at
        FROM {{ source('public', 'transactions').include(database=false) }} AS e
        WHERE e.device_id = p_request.device_id
            AND e.occurred_at > p_request.occurred_at - interval '2160 hours'
            AND e.occurred_at <= p_request.occurred_at
        ORDER BY e.occurred_at, e.transaction_id
        LIMIT 1
    ) AS device_first_129600m ON true
    CROSS JOIN LATERAL (
        SELECT
            (max(e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours'))::double precision AS user_amount_max_7d,
            (min(e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours'))::double precision AS user_amount_min_7d,
            (count(DISTINCT e.device_id))::double precision AS user_device_distinct_30d,
            (count(*) FILTER (WHERE (e.channel = 'online')))::double precision / nullif((count(*))::double precision, 0) AS user_online_share_30d,
            (count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '24 hours' AND (e.status = 'declined')))::double precision AS user_declined_count_1d,
            (sum(e.fee) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours'))::double precision / nullif((count(e.fee) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')), 0)::double precision AS user_fee_mean_7d,
            sqrt(((count(e.latitude) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) * (sum(e.latitude::numeric * e.latitude::numeric) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) - (sum(e.latitude::numeric) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) * (sum(e.latitude::numeric) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')))::double precision / nullif((count(e.latitude) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) * ((count(e.latitude) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) - 1), 0)::double precision) AS user_latitude_stddev_7d
        FROM (
            SELECT e.occurred_at, e.amount, e.device_id, e.channel, e.status, e.fee, e.latitude
            FROM {{ source('public', 'transactions').include(database=false) }} AS e
            WHERE e.user_id = p_request.user_id
                AND e.occurred_at > p_request.occurred_at - interval '720 hours'
                AND e.occurred_at <= p_request.occurred_at
            ORDER BY e.occurred_at DESC, e.transaction_id DESC
            LIMIT 1000
        ) AS e
    ) AS user_rows
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN c.device_id IS NOT NULL THEN (count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '10 minutes'))::double precision END AS device_txn_count_10m,
            CASE WHEN c.device_id IS NOT NULL THEN (count(*))::double precision END AS device_txn_count_30d,
            CASE WHEN c.device_id IS NOT NULL THEN (count(DISTINCT e.user_id) FILTER (WHERE e.occurred_at > c.occurred_at - interval '24 hours'))::double precision END AS device_users_1d
        FROM (
            SELECT e.occurred_at, e.user_id
            FROM {{ source('public', 'transactions').include(database=false) }} AS e
            WHERE e.device_id = p_request.device_id
                AND e.occurred_at > p_request.occurred_at - interval '720 hours'
                AND e.occurred_at <= p_request.occurred_at
            ORDER BY e.occurred_at DESC, e.transaction_id DESC
            LIMIT 1000
        ) AS e
    ) AS device_rows
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN c.device_id IS NOT NULL THEN coalesce((sum(e.amount)), 0)::double precision END AS device_amount_sum_1h
        FROM (
            SELECT e.occurred_at, e.amount
            FROM {{ source('public', 'transactions').include(database=false) }} AS e
            WHERE e.device_id = p_request.device_id
                AND e.occurred_at > p_request.occurred_at - interval '1 hours'
                AND e.occurred_at <= p_request.occurred_at
            ORDER BY e.occurred_at DESC, e.transaction_id DESC
            LIMIT 3
        ) AS e
    ) AS device_rows_3
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN c.device_id IS NOT NULL THEN (count(*))::double precision END AS user_device_count_30d
        FROM (
            SELECT e.occurred_at
            FROM {{ source('public', 'transactions').include(database=false) }} AS e
            WHERE e.user_id = p_request.user_id
                AND e.device_id = p_request.device_id
                AND e.occurred_at > p_request.occurred_at - interval '720 hours'
                AND e.occurred_at <= p_request.occurred_at
            ORDER BY e.occurred_at DESC, e.transaction_id DESC
            LIMIT 1000
        ) AS e
    ) AS user_device_rows
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN c.card_id IS NOT NULL THEN (count(*))::double precision END AS card_txn_count_1h
        FROM (
            SELECT e.occurred_at
            FROM {{ source('public', 'transactions').include(database=false) }} AS e
            WHERE e.card_id = p_request.card_id
                AND e.occurred_at > p_request.occurred_at - interval '1 hours'
                AND e.occurred_at <= p_request.occurred_at
            ORDER BY e.occurred_at DESC, e.transaction_id DESC
            LIMIT 1000
        ) AS e
    ) AS card_rows
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN c.ip IS NOT NULL THEN (count(DISTINCT e.card_id))::double precision END AS ip_cards_1h
        FROM (
            SELECT e.occurred_at, e.card_id
            FROM {{ source('public', 'transactions').include(database=false) }} AS e
            WHERE e.ip = p_request.ip
                AND e.occurred_at > p_request.occurred_at - interval '1 hours'
                AND e.occurred_at <= p_request.occurred_at
            ORDER BY e.occurred_at DESC, e.transaction_id DESC
            LIMIT 1000
        ) AS e
    ) AS ip_rows
    LEFT JOIN LATERAL (
        SELECT r.mcc_fraud_rate_28d
        FROM {{ ref('overall_risk').include(database=false) }} AS r
        WHERE r.valid_from <= (c.occurred_at AT TIME ZONE 'UTC')::date
        ORDER BY r.valid_from DESC
        LIMIT 1
    ) AS overall_risk ON true
    LEFT JOIN LATERAL (
        SELECT r.merchant_fraud_rate_7d, r.merchant_online_rate_7d, r.merchant_amount_mean_7d
        FROM {{ ref('merchant_risk').include(database=false) }} AS r
        WHERE r.merchant_id = c.merchant_id AND r.valid_from <= (c.occurred_at AT TIME ZONE 'UTC')::date
        ORDER BY r.valid_from DESC
        LIMIT 1
    ) AS merchant_risk ON true
    LEFT JOIN LATERAL (
        SELECT r.mcc_fraud_rate_28d_frauds, r.mcc_fraud_rate_28d_txns, r.mcc_fraud_count_28d
        FROM {{ ref('mcc_risk').include(database=false) }} AS r
        WHERE r.mcc = c.mcc AND r.valid_from <= (c.occurred_at AT TIME ZONE 'UTC')::date
        ORDER BY r.valid_from DESC
        LIMIT 1
    ) AS mcc_risk ON true
    INTO
        d.feature_values, d.home_location, d.birth_year, d.merchant_category, d.merchant_opened_at, d.last_occurred_at, d.txns_through_last, d.amount_through_last,
        d.amount_squares_through_last;
    IF NOT FOUND THEN
        -- The user's first row.
        SELECT
            ARRAY[
                (c.amount::double precision)::real,
                (w.user_txn_minutes_since_last)::real,
                (w.user_txn_count_1h)::real,
                (w.user_txn_count_10m)::real,
                (user_rows.user_amount_max_7d)::real,
                (user_rows.user_amount_min_7d)::real,
                (user_rows.user_device_distinct_30d)::real,
                (user_rows.user_online_share_30d)::real,
                (user_rows.user_declined_count_1d)::real,
                (user_rows.user_fee_mean_7d)::real,
                (user_rows.user_latitude_stddev_7d)::real,
                (CASE WHEN user_first_525600m.occurred_at > c.occurred_at - interval '8760 hours' THEN date_part('epoch', c.occurred_at - user_first_525600m.occurred_at) / 60 END)::real,
                (CASE WHEN user_previous.occurred_at > c.occurred_at - interval '720 hours' THEN user_previous.amount::numeric::double precision END)::real,
                (w.user_location_minutes)::real,
                (device_rows.device_txn_count_10m)::real,
                (device_rows.device_txn_count_30d)::real,
                (device_rows.device_users_1d)::real,
                (device_rows_3.device_amount_sum_1h)::real,
                (CASE WHEN device_previous.occurred_at > c.occurred_at - interval '720 hours' THEN date_part('epoch', c.occurred_at - device_previous.occurred_at) / 60 END)::real,
                (CASE WHEN device_first_129600m.occurred_at > c.occurred_at - interval '2160 hours' THEN date_part('epoch', c.occurred_at - device_first_129600m.occurred_at) / 60 END)::real,
                (CASE WHEN device_previous.occurred_at > c.occurred_at - interval '720 hours' THEN device_previous.amount::numeric::double precision END)::real,
                (user_device_rows.user_device_count_30d)::real,
                (w.user_device_minutes)::real,
                (card_rows.card_txn_count_1h)::real,
                (ip_rows.ip_cards_1h)::real,
                (merchant_risk.merchant_fraud_rate_7d)::real,
                (merchant_risk.merchant_online_rate_7d)::real,
                ((mcc_risk.mcc_fraud_rate_28d_frauds + 20.0 * overall_risk.mcc_fraud_rate_28d) / (mcc_risk.mcc_fraud_rate_28d_txns + 20.0))::real,
                (CASE WHEN c.mcc IS NOT NULL THEN coalesce(mcc_risk.mcc_fraud_count_28d, 0::real) END)::real,
                (merchant_risk.merchant_amount_mean_7d)::real,
                (sqrt((c.latitude - user_previous.latitude) ^ 2 + (c.longitude - user_previous.longitude) ^ 2))::real,
                (date_part('epoch', c.occurred_at - user_previous.occurred_at) / 3600)::real,
                ((date_part('hour', c.occurred_at AT TIME ZONE 'UTC') < 6)::integer)::real,
                (date_part('epoch', c.occurred_at - c.merchant_opened_at) / 86400)::real,
                ((c.merchant_category = 'grocery')::integer)::real,
                (date_part('year', c.occurred_at AT TIME ZONE 'UTC') - c.birth_year)::real,
                ((c.location = c.home_location)::integer)::real,
                (w.user_txn_count_1h / nullif(device_rows.device_txn_count_10m, 0))::real
            ],
            c.home_location,
            c.birth_year,
            c.merchant_category,
            c.merchant_opened_at
        FROM (
            SELECT
                p_request.user_id AS user_id,
                p_request.amount AS amount,
                p_request.occurred_at AS occurred_at,
                p_request.merchant_id AS merchant_id,
                p_request.location AS location,
                p_request.device_id AS device_id,
                p_request.ip AS ip,
                p_request.mcc AS mcc,
                p_request.channel AS channel,
                p_request.latitude AS latitude,
                p_request.longitude AS longitude,
                p_request.card_id AS card_id,
                p_request.status AS status,
                p_request.fee AS fee,
                p_request.is_recurring AS is_recurring,
                p_request.card_opened_at AS card_opened_at,
                (SELECT u.home_location FROM {{ source('public', 'users').include(database=false) }} AS u WHERE u.user_id = p_request.user_id) AS home_location,
                (SELECT u.birth_year FROM {{ source('public', 'users').include(database=false) }} AS u WHERE u.user_id = p_request.user_id) AS birth_year,
                (SELECT u.merchant_category FROM {{ source('public', 'merchants').include(database=false) }} AS u WHERE u.merchant_id = p_request.merchant_id) AS merchant_category,
                (SELECT u.merchant_opened_at FROM {{ source('public', 'merchants').include(database=false) }} AS u WHERE u.merchant_id = p_request.merchant_id) AS merchant_opened_at
        ) AS c
        CROSS JOIN (
            SELECT NULL::double precision AS user_txn_minutes_since_last, 0::double precision AS user_txn_count_1h, 0::double precision AS user_txn_count_10m, NULL::double precision AS user_location_minutes, NULL::double precision AS user_device_minutes
            OFFSET 0
        ) AS w
        LEFT JOIN LATERAL (
            SELECT e.occurred_at
            FROM {{ source('public', 'transactions').include(database=false) }} AS e
            WHERE e.user_id = p_request.user_id
                AND e.occurred_at > p_request.occurred_at - interval '8760 hours'
                AND e.occurred_at <= p_request.occurred_at
            ORDER BY e.occurred_at, e.transaction_id
            LIMIT 1
        ) AS user_first_525600m ON true
        LEFT JOIN LATERAL (
            SELECT e.occurred_at, e.amount, e.latitude, e.longitude
            FROM {{ source('public', 'transactions').include(database=false) }} AS e
            WHERE e.user_id = p_request.user_id
                AND e.occurred_at <= p_request.occurred_at
            ORDER BY e.occurred_at DESC, e.transaction_id DESC
            LIMIT 1
        ) AS user_previous ON true
        LEFT JOIN LATERAL (
            SELECT e.occurred_at, e.amount
            FROM {{ source('public', 'transactions').include(database=false) }} AS e
            WHERE e.device_id = p_request.device_id
                AND e.occurred_at <= p_request.occurred_at
            ORDER BY e.occurred_at DESC, e.transaction_id DESC
            LIMIT 1
        ) AS device_previous ON true
        LEFT JOIN LATERAL (
            SELECT e.occurred_at
            FROM {{ source('public', 'transactions').include(database=false) }} AS e
            WHERE e.device_id = p_request.device_id
                AND e.occurred_at > p_request.occurred_at - interval '2160 hours'
                AND e.occurred_at <= p_request.occurred_at
            ORDER BY e.occurred_at, e.transaction_id
            LIMIT 1
        ) AS device_first_129600m ON true
        CROSS JOIN LATERAL (
            SELECT
                (max(e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours'))::double precision AS user_amount_max_7d,
                (min(e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours'))::double precision AS user_amount_min_7d,
                (count(DISTINCT e.device_id))::double precision AS user_device_distinct_30d,
                (count(*) FILTER (WHERE (e.channel = 'online')))::double precision / nullif((count(*))::double precision, 0) AS user_online_share_30d,
                (count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '24 hours' AND (e.status = 'declined')))::double precision AS user_declined_count_1d,
                (sum(e.fee) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours'))::double precision / nullif((count(e.fee) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')), 0)::double precision AS user_fee_mean_7d,
                sqrt(((count(e.latitude) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) * (sum(e.latitude::numeric * e.latitude::numeric) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) - (sum(e.latitude::numeric) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) * (sum(e.latitude::numeric) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')))::double precision / nullif((count(e.latitude) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) * ((count(e.latitude) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) - 1), 0)::double precision) AS user_latitude_stddev_7d
            FROM (
                SELECT e.occurred_at, e.amount, e.device_id, e.channel, e.status, e.fee, e.latitude
                FROM {{ source('public', 'transactions').include(database=false) }} AS e
                WHERE e.user_id = p_request.user_id
                    AND e.occurred_at > p_request.occurred_at - interval '720 hours'
                    AND e.occurred_at <= p_request.occurred_at
                ORDER BY e.occurred_at DESC, e.transaction_id DESC
                LIMIT 1000
            ) AS e
        ) AS user_rows
        CROSS JOIN LATERAL (
            SELECT
                CASE WHEN c.device_id IS NOT NULL THEN (count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '10 minutes'))::double precision END AS device_txn_count_10m,
                CASE WHEN c.device_id IS NOT NULL THEN (count(*))::double precision END AS device_txn_count_30d,
                CASE WHEN c.device_id IS NOT NULL THEN (count(DISTINCT e.user_id) FILTER (WHERE e.occurred_at > c.occurred_at - interval '24 hours'))::double precision END AS device_users_1d
            FROM (
                SELECT e.occurred_at, e.user_id
                FROM {{ source('public', 'transactions').include(database=false) }} AS e
                WHERE e.device_id = p_request.device_id
                    AND e.occurred_at > p_request.occurred_at - interval '720 hours'
                    AND e.occurred_at <= p_request.occurred_at
                ORDER BY e.occurred_at DESC, e.transaction_id DESC
                LIMIT 1000
            ) AS e
        ) AS device_rows
        CROSS JOIN LATERAL (
            SELECT
                CASE WHEN c.device_id IS NOT NULL THEN coalesce((sum(e.amount)), 0)::double precision END AS device_amount_sum_1h
            FROM (
                SELECT e.occurred_at, e.amount
                FROM {{ source('public', 'transactions').include(database=false) }} AS e
                WHERE e.device_id = p_request.device_id
                    AND e.occurred_at > p_request.occurred_at - interval '1 hours'
                    AND e.occurred_at <= p_request.occurred_at
                ORDER BY e.occurred_at DESC, e.transaction_id DESC
                LIMIT 3
            ) AS e
        ) AS device_rows_3
        CROSS JOIN LATERAL (
            SELECT
                CASE WHEN c.device_id IS NOT NULL THEN (count(*))::double precision END AS user_device_count_30d
            FROM (
                SELECT e.occurred_at
                FROM {{ source('public', 'transactions').include(database=false) }} AS e
                WHERE e.user_id = p_request.user_id
                    AND e.device_id = p_request.device_id
                    AND e.occurred_at > p_request.occurred_at - interval '720 hours'
                    AND e.occurred_at <= p_request.occurred_at
                ORDER BY e.occurred_at DESC, e.transaction_id DESC
                LIMIT 1000
            ) AS e
        ) AS user_device_rows
        CROSS JOIN LATERAL (
            SELECT
                CASE WHEN c.card_id IS NOT NULL THEN (count(*))::double precision END AS card_txn_count_1h
            FROM (
                SELECT e.occurred_at
                FROM {{ source('public', 'transactions').include(database=false) }} AS e
                WHERE e.card_id = p_request.card_id
                    AND e.occurred_at > p_request.occurred_at - interval '1 hours'
                    AND e.occurred_at <= p_request.occurred_at
                ORDER BY e.occurred_at DESC, e.transaction_id DESC
                LIMIT 1000
            ) AS e
        ) AS card_rows
        CROSS JOIN LATERAL (
            SELECT
                CASE WHEN c.ip IS NOT NULL THEN (count(DISTINCT e.card_id))::double precision END AS ip_cards_1h
            FROM (
                SELECT e.occurred_at, e.card_id
                FROM {{ source('public', 'transactions').include(database=false) }} AS e
                WHERE e.ip = p_request.ip
                    AND e.occurred_at > p_request.occurred_at - interval '1 hours'
                    AND e.occurred_at <= p_request.occurred_at
                ORDER BY e.occurred_at DESC, e.transaction_id DESC
                LIMIT 1000
            ) AS e
        ) AS ip_rows
        LEFT JOIN LATERAL (
            SELECT r.mcc_fraud_rate_28d
            FROM {{ ref('overall_risk').include(database=false) }} AS r
            WHERE r.valid_from <= (c.occurred_at AT TIME ZONE 'UTC')::date
            ORDER BY r.valid_from DESC
            LIMIT 1
        ) AS overall_risk ON true
        LEFT JOIN LATERAL (
            SELECT r.merchant_fraud_rate_7d, r.merchant_online_rate_7d, r.merchant_amount_mean_7d
            FROM {{ ref('merchant_risk').include(database=false) }} AS r
            WHERE r.merchant_id = c.merchant_id AND r.valid_from <= (c.occurred_at AT TIME ZONE 'UTC')::date
            ORDER BY r.valid_from DESC
            LIMIT 1
        ) AS merchant_risk ON true
        LEFT JOIN LATERAL (
            SELECT r.mcc_fraud_rate_28d_frauds, r.mcc_fraud_rate_28d_txns, r.mcc_fraud_count_28d
            FROM {{ ref('mcc_risk').include(database=false) }} AS r
            WHERE r.mcc = c.mcc AND r.valid_from <= (c.occurred_at AT TIME ZONE 'UTC')::date
            ORDER BY r.valid_from DESC
            LIMIT 1
        ) AS mcc_risk ON true
        INTO d.feature_values, d.home_location, d.birth_year, d.merchant_category, d.merchant_opened_at;
        d.last_occurred_at := '-infinity';
        d.txns_through_last := 0;
        d.amount_through_last := 0;
        d.amount_squares_through_last := 0;
    ELSIF d.feature_values IS NULL THEN
        d.feature_values := features.row_scan_feature_values_2dfd4fa1(p_request);
    END IF;
    RETURN d;
END

-- functions/row_scan_feature_values.sql
-- The same features from every row of the user's longest window: the slow path for a late-arriving transaction, and for
-- a user whose totals are pending.
DECLARE
    v_feature_values real[];
BEGIN
    SELECT
        ARRAY[
            (c.amount::double precision)::real,
            (w.user_txn_minutes_since_last)::real,
            (w.user_txn_count_1h)::real,
            (w.user_txn_count_10m)::real,
            (user_rows.user_amount_max_7d)::real,
            (user_rows.user_amount_min_7d)::real,
            (user_rows.user_device_distinct_30d)::real,
            (user_rows.user_online_share_30d)::real,
            (user_rows.user_declined_count_1d)::real,
            (user_rows.user_fee_mean_7d)::real,
            (user_rows.user_latitude_stddev_7d)::real,
            (CASE WHEN user_first_525600m.occurred_at > c.occurred_at - interval '8760 hours' THEN date_part('epoch', c.occurred_at - user_first_525600m.occurred_at) / 60 END)::real,
            (CASE WHEN user_previous.occurred_at > c.occurred_at - interval '720 hours' THEN user_previous.amount::numeric::double precision END)::real,
            (w.user_location_minutes)::real,
            (device_rows.device_txn_count_10m)::real,
            (device_rows.device_txn_count_30d)::real,
            (device_rows.device_users_1d)::real,
            (device_rows_3.device_amount_sum_1h)::real,
            (CASE WHEN device_previous.occurred_at > c.occurred_at - interval '720 hours' THEN date_part('epoch', c.occurred_at - device_previous.occurred_at) / 60 END)::real,
            (CASE WHEN device_first_129600m.occurred_at > c.occurred_at - interval '2160 hours' THEN date_part('epoch', c.occurred_at - device_first_129600m.occurred_at) / 60 END)::real,
            (CASE WHEN device_previous.occurred_at > c.occurred_at - interval '720 hours' THEN device_previous.amount::numeric::double precision END)::real,
            (user_device_rows.user_device_count_30d)::real,
            (w.user_device_minutes)::real,
            (card_rows.card_txn_count_1h)::real,
            (ip_rows.ip_cards_1h)::real,
            (merchant_risk.merchant_fraud_rate_7d)::real,
            (merchant_risk.merchant_online_rate_7d)::real,
            ((mcc_risk.mcc_fraud_rate_28d_frauds + 20.0 * overall_risk.mcc_fraud_rate_28d) / (mcc_risk.mcc_fraud_rate_28d_txns + 20.0))::real,
            (CASE WHEN c.mcc IS NOT NULL THEN coalesce(mcc_risk.mcc_fraud_count_28d, 0::real) END)::real,
            (merchant_risk.merchant_amount_mean_7d)::real,
            (sqrt((c.latitude - user_previous.latitude) ^ 2 + (c.longitude - user_previous.longitude) ^ 2))::real,
            (date_part('epoch', c.occurred_at - user_previous.occurred_at) / 3600)::real,
            ((date_part('hour', c.occurred_at AT TIME ZONE 'UTC') < 6)::integer)::real,
            (date_part('epoch', c.occurred_at - c.merchant_opened_at) / 86400)::real,
            ((c.merchant_category = 'grocery')::integer)::real,
            (date_part('year', c.occurred_at AT TIME ZONE 'UTC') - c.birth_year)::real,
            ((c.location = c.home_location)::integer)::real,
            (w.user_txn_count_1h / nullif(device_rows.device_txn_count_10m, 0))::real
        ]
    INTO v_feature_values
    FROM (
        SELECT
            p_request.user_id AS user_id,
            p_request.amount AS amount,
            p_request.occurred_at AS occurred_at,
            p_request.merchant_id AS merchant_id,
            p_request.location AS location,
            p_request.device_id AS device_id,
            p_request.ip AS ip,
            p_request.mcc AS mcc,
            p_request.channel AS channel,
            p_request.latitude AS latitude,
            p_request.longitude AS longitude,
            p_request.card_id AS card_id,
            p_request.status AS status,
            p_request.fee AS fee,
            p_request.is_recurring AS is_recurring,
            p_request.card_opened_at AS card_opened_at,
            (SELECT u.home_location FROM {{ source('public', 'users').include(database=false) }} AS u WHERE u.user_id = p_request.user_id) AS home_location,
            (SELECT u.birth_year FROM {{ source('public', 'users').include(database=false) }} AS u WHERE u.user_id = p_request.user_id) AS birth_year,
            (SELECT u.merchant_category FROM {{ source('public', 'merchants').include(database=false) }} AS u WHERE u.merchant_id = p_request.merchant_id) AS merchant_category,
            (SELECT u.merchant_opened_at FROM {{ source('public', 'merchants').include(database=false) }} AS u WHERE u.merchant_id = p_request.merchant_id) AS merchant_opened_at
    ) AS c
    CROSS JOIN LATERAL (
        SELECT
            date_part('epoch', c.occurred_at - max(e.occurred_at) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours')) / 60 AS user_txn_minutes_since_last,
            coalesce(count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '1 hours'), 0)::double precision AS user_txn_count_1h,
            coalesce(count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '10 minutes'), 0)::double precision AS user_txn_count_10m,
            CASE WHEN c.location IS NOT NULL THEN date_part('epoch', c.occurred_at - max(e.occurred_at) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours' AND e.location = c.location)) / 60 END AS user_location_minutes,
            CASE WHEN c.device_id IS NOT NULL THEN date_part('epoch', c.occurred_at - max(e.occurred_at) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours' AND e.device_id = c.device_id)) / 60 END AS user_device_minutes
        FROM {{ source('public', 'transactions').include(database=false) }} AS e
        WHERE e.user_id = c.user_id
            AND e.occurred_at > c.occurred_at - interval '720 hours'
            AND e.occurred_at <= c.occurred_at
    ) AS w
    LEFT JOIN LATERAL (
        SELECT e.occurred_at
        FROM {{ source('public', 'transactions').include(database=false) }} AS e
        WHERE e.user_id = p_request.user_id
            AND e.occurred_at > p_request.occurred_at - interval '8760 hours'
            AND e.occurred_at <= p_request.occurred_at
        ORDER BY e.occurred_at, e.transaction_id
        LIMIT 1
    ) AS user_first_525600m ON true
    LEFT JOIN LATERAL (
        SELECT e.occurred_at, e.amount, e.latitude, e.longitude
        FROM {{ source('public', 'transactions').include(database=false) }} AS e
        WHERE e.user_id = p_request.user_id
            AND e.occurred_at <= p_request.occurred_at
        ORDER BY e.occurred_at DESC, e.transaction_id DESC
        LIMIT 1
    ) AS user_previous ON true
    LEFT JOIN LATERAL (
        SELECT e.occurred_at, e.amount
        FROM {{ source('public', 'transactions').include(database=false) }} AS e
        WHERE e.device_id = p_request.device_id
            AND e.occurred_at <= p_request.occurred_at
        ORDER BY e.occurred_at DESC, e.transaction_id DESC
        LIMIT 1
    ) AS device_previous ON true
    LEFT JOIN LATERAL (
        SELECT e.occurred_at
        FROM {{ source('public', 'transactions').include(database=false) }} AS e
        WHERE e.device_id = p_request.device_id
            AND e.occurred_at > p_request.occurred_at - interval '2160 hours'
            AND e.occurred_at <= p_request.occurred_at
        ORDER BY e.occurred_at, e.transaction_id
        LIMIT 1
    ) AS device_first_129600m ON true
    CROSS JOIN LATERAL (
        SELECT
            (max(e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours'))::double precision AS user_amount_max_7d,
            (min(e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours'))::double precision AS user_amount_min_7d,
            (count(DISTINCT e.device_id))::double precision AS user_device_distinct_30d,
            (count(*) FILTER (WHERE (e.channel = 'online')))::double precision / nullif((count(*))::double precision, 0) AS user_online_share_30d,
            (count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '24 hours' AND (e.status = 'declined')))::double precision AS user_declined_count_1d,
            (sum(e.fee) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours'))::double precision / nullif((count(e.fee) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')), 0)::double precision AS user_fee_mean_7d,
            sqrt(((count(e.latitude) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) * (sum(e.latitude::numeric * e.latitude::numeric) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) - (sum(e.latitude::numeric) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) * (sum(e.latitude::numeric) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')))::double precision / nullif((count(e.latitude) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) * ((count(e.latitude) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) - 1), 0)::double precision) AS user_latitude_stddev_7d
        FROM (
            SELECT e.occurred_at, e.amount, e.device_id, e.channel, e.status, e.fee, e.latitude
            FROM {{ source('public', 'transactions').include(database=false) }} AS e
            WHERE e.user_id = p_request.user_id
                AND e.occurred_at > p_request.occurred_at - interval '720 hours'
                AND e.occurred_at <= p_request.occurred_at
            ORDER BY e.occurred_at DESC, e.transaction_id DESC
            LIMIT 1000
        ) AS e
    ) AS user_rows
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN c.device_id IS NOT NULL THEN (count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '10 minutes'))::double precision END AS device_txn_count_10m,
            CASE WHEN c.device_id IS NOT NULL THEN (count(*))::double precision END AS device_txn_count_30d,
            CASE WHEN c.device_id IS NOT NULL THEN (count(DISTINCT e.user_id) FILTER (WHERE e.occurred_at > c.occurred_at - interval '24 hours'))::double precision END AS device_users_1d
        FROM (
            SELECT e.occurred_at, e.user_id
            FROM {{ source('public', 'transactions').include(database=false) }} AS e
            WHERE e.device_id = p_request.device_id
                AND e.occurred_at > p_request.occurred_at - interval '720 hours'
                AND e.occurred_at <= p_request.occurred_at
            ORDER BY e.occurred_at DESC, e.transaction_id DESC
            LIMIT 1000
        ) AS e
    ) AS device_rows
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN c.device_id IS NOT NULL THEN coalesce((sum(e.amount)), 0)::double precision END AS device_amount_sum_1h
        FROM (
            SELECT e.occurred_at, e.amount
            FROM {{ source('public', 'transactions').include(database=false) }} AS e
            WHERE e.device_id = p_request.device_id
                AND e.occurred_at > p_request.occurred_at - interval '1 hours'
                AND e.occurred_at <= p_request.occurred_at
            ORDER BY e.occurred_at DESC, e.transaction_id DESC
            LIMIT 3
        ) AS e
    ) AS device_rows_3
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN c.device_id IS NOT NULL THEN (count(*))::double precision END AS user_device_count_30d
        FROM (
            SELECT e.occurred_at
            FROM {{ source('public', 'transactions').include(database=false) }} AS e
            WHERE e.user_id = p_request.user_id
                AND e.device_id = p_request.device_id
                AND e.occurred_at > p_request.occurred_at - interval '720 hours'
                AND e.occurred_at <= p_request.occurred_at
            ORDER BY e.occurred_at DESC, e.transaction_id DESC
            LIMIT 1000
        ) AS e
    ) AS user_device_rows
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN c.card_id IS NOT NULL THEN (count(*))::double precision END AS card_txn_count_1h
        FROM (
            SELECT e.occurred_at
            FROM {{ source('public', 'transactions').include(database=false) }} AS e
            WHERE e.card_id = p_request.card_id
                AND e.occurred_at > p_request.occurred_at - interval '1 hours'
                AND e.occurred_at <= p_request.occurred_at
            ORDER BY e.occurred_at DESC, e.transaction_id DESC
            LIMIT 1000
        ) AS e
    ) AS card_rows
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN c.ip IS NOT NULL THEN (count(DISTINCT e.card_id))::double precision END AS ip_cards_1h
        FROM (
            SELECT e.occurred_at, e.card_id
            FROM {{ source('public', 'transactions').include(database=false) }} AS e
            WHERE e.ip = p_request.ip
                AND e.occurred_at > p_request.occurred_at - interval '1 hours'
                AND e.occurred_at <= p_request.occurred_at
            ORDER BY e.occurred_at DESC, e.transaction_id DESC
            LIMIT 1000
        ) AS e
    ) AS ip_rows
    LEFT JOIN LATERAL (
        SELECT r.mcc_fraud_rate_28d
        FROM {{ ref('overall_risk').include(database=false) }} AS r
        WHERE r.valid_from <= (c.occurred_at AT TIME ZONE 'UTC')::date
        ORDER BY r.valid_from DESC
        LIMIT 1
    ) AS overall_risk ON true
    LEFT JOIN LATERAL (
        SELECT r.merchant_fraud_rate_7d, r.merchant_online_rate_7d, r.merchant_amount_mean_7d
        FROM {{ ref('merchant_risk').include(database=false) }} AS r
        WHERE r.merchant_id = c.merchant_id AND r.valid_from <= (c.occurred_at AT TIME ZONE 'UTC')::date
        ORDER BY r.valid_from DESC
        LIMIT 1
    ) AS merchant_risk ON true
    LEFT JOIN LATERAL (
        SELECT r.mcc_fraud_rate_28d_frauds, r.mcc_fraud_rate_28d_txns, r.mcc_fraud_count_28d
        FROM {{ ref('mcc_risk').include(database=false) }} AS r
        WHERE r.mcc = c.mcc AND r.valid_from <= (c.occurred_at AT TIME ZONE 'UTC')::date
        ORDER BY r.valid_from DESC
        LIMIT 1
    ) AS mcc_risk ON true;
    RETURN v_feature_values;
END

-- models/marts/training_features.sql
{{ config(
    alias='training_features_2dfd4fa1',
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['user_id', 'transaction_id'],
    on_schema_change='fail',
    indexes=[{'columns': ['transaction_id', 'user_id'], 'unique': True}],
    post_hook=['{{ delete_incomplete_rows(this) }}', 'ANALYZE {{ this }}'],
) }}
-- Rows that the deployed list decided keep what the model saw ("log and wait"); all others are computed, by window
-- frames where they can, and with a row scan where they cannot.
WITH
reachable AS (
    SELECT
        r.*,
        r.is_complete AND NOT r.is_logged
        {%- if is_incremental() %}
        AND r.occurred_at >= {{ rebuild_from_at() }}
        {%- endif %} AS is_computed
    FROM {{ ref('int_training_rows') }} AS r
    {%- if is_incremental() %}
    WHERE r.occurred_at >= {{ rebuild_from_at() }} - interval '720 hours'
        AND r.user_id IN (
            SELECT h.user_id
            FROM {{ ref('int_training_rows') }} AS h
            WHERE NOT h.is_logged AND h.occurred_at >= {{ rebuild_from_at() }}
        )
    {%- endif %}
),

framed AS (
    SELECT
        c.*,
        (
            coalesce(lag(c.occurred_at) OVER by_user = c.occurred_at, false)
            OR coalesce(lead(c.occurred_at) OVER by_user = c.occurred_at, false)
            OR (NOT c.is_history AND coalesce(max(c.received_at) OVER before >= c.received_at, false))
        ) AS needs_row_scan,
        CASE WHEN lag(c.occurred_at) OVER by_user > c.occurred_at - interval '720 hours' THEN date_part('epoch', c.occurred_at - lag(c.occurred_at) OVER by_user) / 60 END AS user_txn_minutes_since_last,
        coalesce((count(*) OVER user_1h - 1), 0)::double precision AS user_txn_count_1h,
        coalesce((count(*) OVER user_10m - 1), 0)::double precision AS user_txn_count_10m,
        CASE WHEN c.location IS NOT NULL THEN CASE WHEN lag(c.occurred_at) OVER by_user_location > c.occurred_at - interval '720 hours' THEN date_part('epoch', c.occurred_at - lag(c.occurred_at) OVER by_user_location) / 60 END END AS user_location_minutes,
        CASE WHEN c.device_id IS NOT NULL THEN CASE WHEN lag(c.occurred_at) OVER by_user_device > c.occurred_at - interval '168 hours' THEN date_part('epoch', c.occurred_at - lag(c.occurred_at) OVER by_user_device) / 60 END END AS user_device_minutes
    FROM reachable AS c
    WINDOW
        by_user AS (PARTITION BY c.user_id ORDER BY c.occurred_at, c.transaction_id),
        before AS (by_user ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
        by_user_location AS (PARTITION BY c.user_id, c.location ORDER BY c.occurred_at, c.transaction_id),
        by_user_device AS (PARTITION BY c.user_id, c.device_id ORDER BY c.occurred_at, c.transaction_id),
        user_1h AS (
            PARTITION BY c.user_id ORDER BY c.occurred_at
            RANGE BETWEEN (interval '1 hours' - interval '1 microsecond') PRECEDING AND CURRENT ROW
        ),
        user_10m AS (
            PARTITION BY c.user_id ORDER BY c.occurred_at
            RANGE BETWEEN (interval '10 minutes' - interval '1 microsecond') PRECEDING AND CURRENT ROW
        )
),

row_scanned AS (
    SELECT
        user_id,
        transaction_id,
        occurred_at,
        received_at,
        is_history,
        amount,
        merchant_id,
        location,
        device_id,
        ip,
        mcc,
        channel,
        latitude,
        longitude,
        card_id,
        status,
        fee,
        is_recurring,
        card_opened_at,
        home_location,
        birth_year,
        merchant_category,
        merchant_opened_at,
        is_scored_live
    FROM framed
    WHERE is_computed AND needs_row_scan
    {%- if is_incremental() %}
    UNION ALL
    SELECT
        user_id,
        transaction_id,
        occurred_at,
        received_at,
        is_history,
        amount,
        merchant_id,
        location,
        device_id,
        ip,
        mcc,
        channel,
        latitude,
        longitude,
        card_id,
        status,
        fee,
        is_recurring,
        card_opened_at,
        home_location,
        birth_year,
        merchant_category,
        merchant_opened_at,
        is_scored_live
    FROM {{ ref('int_training_rows') }} AS r
    WHERE r.is_complete AND NOT r.is_history AND NOT r.is_logged AND r.occurred_at < {{ rebuild_from_at() }}
        AND NOT EXISTS (
            SELECT FROM {{ this }} AS b WHERE b.user_id = r.user_id AND b.transaction_id = r.transaction_id
        )
    {%- endif %}
),

windowed AS (
    SELECT
        user_id,
        transaction_id,
        occurred_at,
        received_at,
        is_history,
        amount,
        merchant_id,
        location,
        device_id,
        ip,
        mcc,
        channel,
        latitude,
        longitude,
        card_id,
        status,
        fee,
        is_recurring,
        card_opened_at,
        home_location,
        birth_year,
        merchant_category,
        merchant_opened_at,
        is_scored_live,
        user_txn_minutes_since_last,
        user_txn_count_1h,
        user_txn_count_10m,
        user_location_minutes,
        user_device_minutes
    FROM framed
    WHERE is_computed AND NOT needs_row_scan
    UNION ALL
    SELECT
        c.user_id,
        c.transaction_id,
        c.occurred_at,
        c.received_at,
        c.is_history,
        c.amount,
        c.merchant_id,
        c.location,
        c.device_id,
        c.ip,
        c.mcc,
        c.channel,
        c.latitude,
        c.longitude,
        c.card_id,
        c.status,
        c.fee,
        c.is_recurring,
        c.card_opened_at,
        c.home_location,
        c.birth_year,
        c.merchant_category,
        c.merchant_opened_at,
        c.is_scored_live,
        w.user_txn_minutes_since_last,
        w.user_txn_count_1h,
        w.user_txn_count_10m,
        w.user_location_minutes,
        w.user_device_minutes
    FROM row_scanned AS c
    CROSS JOIN LATERAL (
        SELECT
            date_part('epoch', c.occurred_at - max(e.occurred_at) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours')) / 60 AS user_txn_minutes_since_last,
            coalesce(count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '1 hours'), 0)::double precision AS user_txn_count_1h,
            coalesce(count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '10 minutes'), 0)::double precision AS user_txn_count_10m,
            CASE WHEN c.location IS NOT NULL THEN date_part('epoch', c.occurred_at - max(e.occurred_at) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours' AND e.location = c.location)) / 60 END AS user_location_minutes,
            CASE WHEN c.device_id IS NOT NULL THEN date_part('epoch', c.occurred_at - max(e.occurred_at) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours' AND e.device_id = c.device_id)) / 60 END AS user_device_minutes
        FROM {{ ref('stg_transactions') }} AS e
        WHERE e.user_id = c.user_id
            AND e.occurred_at > c.occurred_at - interval '720 hours'
            AND e.occurred_at <= c.occurred_at
            AND CASE
                WHEN c.is_history THEN (e.occurred_at, e.transaction_id) < (c.occurred_at, c.transaction_id)
                ELSE e.received_at < c.received_at
            END
    ) AS w
)

SELECT
    c.user_id,
    c.transaction_id,
    c.occurred_at,
    c.is_history,
    ARRAY[
        (c.amount::double precision)::real,
        (c.user_txn_minutes_since_last)::real,
        (c.user_txn_count_1h)::real,
        (c.user_txn_count_10m)::real,
        (user_rows.user_amount_max_7d)::real,
        (user_rows.user_amount_min_7d)::real,
        (user_rows.user_device_distinct_30d)::real,
        (user_rows.user_online_share_30d)::real,
        (user_rows.user_declined_count_1d)::real,
        (user_rows.user_fee_mean_7d)::real,
        (user_rows.user_latitude_stddev_7d)::real,
        (CASE WHEN user_first_525600m.occurred_at > c.occurred_at - interval '8760 hours' THEN date_part('epoch', c.occurred_at - user_first_525600m.occurred_at) / 60 END)::real,
        (CASE WHEN user_previous.occurred_at > c.occurred_at - interval '720 hours' THEN user_previous.amount::numeric::double precision END)::real,
        (c.user_location_minutes)::real,
        (device_rows.device_txn_count_10m)::real,
        (device_rows.device_txn_count_30d)::real,
        (device_rows.device_users_1d)::real,
        (device_rows_3.device_amount_sum_1h)::real,
        (CASE WHEN device_previous.occurred_at > c.occurred_at - interval '720 hours' THEN date_part('epoch', c.occurred_at - device_previous.occurred_at) / 60 END)::real,
        (CASE WHEN device_first_129600m.occurred_at > c.occurred_at - interval '2160 hours' THEN date_part('epoch', c.occurred_at - device_first_129600m.occurred_at) / 60 END)::real,
        (CASE WHEN device_previous.occurred_at > c.occurred_at - interval '720 hours' THEN device_previous.amount::numeric::double precision END)::real,
        (user_device_rows.user_device_count_30d)::real,
        (c.user_device_minutes)::real,
        (card_rows.card_txn_count_1h)::real,
        (ip_rows.ip_cards_1h)::real,
        (merchant_risk.merchant_fraud_rate_7d)::real,
        (merchant_risk.merchant_online_rate_7d)::real,
        ((mcc_risk.mcc_fraud_rate_28d_frauds + 20.0 * overall_risk.mcc_fraud_rate_28d) / (mcc_risk.mcc_fraud_rate_28d_txns + 20.0))::real,
        (CASE WHEN c.mcc IS NOT NULL THEN coalesce(mcc_risk.mcc_fraud_count_28d, 0::real) END)::real,
        (merchant_risk.merchant_amount_mean_7d)::real,
        (sqrt((c.latitude - user_previous.latitude) ^ 2 + (c.longitude - user_previous.longitude) ^ 2))::real,
        (date_part('epoch', c.occurred_at - user_previous.occurred_at) / 3600)::real,
        ((date_part('hour', c.occurred_at AT TIME ZONE 'UTC') < 6)::integer)::real,
        (date_part('epoch', c.occurred_at - c.merchant_opened_at) / 86400)::real,
        ((c.merchant_category = 'grocery')::integer)::real,
        (date_part('year', c.occurred_at AT TIME ZONE 'UTC') - c.birth_year)::real,
        ((c.location = c.home_location)::integer)::real,
        (c.user_txn_count_1h / nullif(device_rows.device_txn_count_10m, 0))::real
    ] AS feature_values,
    '{{ run_started_at }}'::timestamptz AS built_at
FROM (
    SELECT
        w.user_id,
        w.transaction_id,
        w.occurred_at,
        w.received_at,
        w.is_history,
        w.amount,
        w.merchant_id,
        w.location,
        w.device_id,
        w.ip,
        w.mcc,
        w.channel,
        w.latitude,
        w.longitude,
        w.card_id,
        w.status,
        w.fee,
        w.is_recurring,
        w.card_opened_at,
        w.is_scored_live,
        CASE WHEN w.is_scored_live THEN w.home_location ELSE users_then.home_location END AS home_location,
        CASE WHEN w.is_scored_live THEN w.birth_year ELSE users_then.birth_year END AS birth_year,
        CASE WHEN w.is_scored_live THEN w.merchant_category ELSE merchants_then.merchant_category END AS merchant_category,
        CASE WHEN w.is_scored_live THEN w.merchant_opened_at ELSE merchants_then.merchant_opened_at END AS merchant_opened_at,
        w.user_txn_minutes_since_last,
        w.user_txn_count_1h,
        w.user_txn_count_10m,
        w.user_location_minutes,
        w.user_device_minutes
    FROM windowed AS w
    LEFT JOIN {{ ref('int_users_history') }} AS users_then
        ON w.user_id = users_then.user_id
        AND NOT w.is_scored_live
        AND CASE WHEN w.is_history THEN users_then.history_valid_from ELSE users_then.valid_from END
        <= CASE WHEN w.is_history THEN w.occurred_at ELSE w.received_at END
        AND CASE WHEN w.is_history THEN w.occurred_at ELSE w.received_at END < users_then.valid_to
    LEFT JOIN {{ ref('int_merchants_history') }} AS merchants_then
        ON w.merchant_id = merchants_then.merchant_id
        AND NOT w.is_scored_live
        AND CASE WHEN w.is_history THEN merchants_then.history_valid_from ELSE merchants_then.valid_from END
        <= CASE WHEN w.is_history THEN w.occurred_at ELSE w.received_at END
        AND CASE WHEN w.is_history THEN w.occurred_at ELSE w.received_at END < merchants_then.valid_to
) AS c
LEFT JOIN LATERAL (
    SELECT e.occurred_at
    FROM {{ ref('stg_transactions') }} AS e
    WHERE e.user_id = c.user_id
        AND e.occurred_at > c.occurred_at - interval '8760 hours'
        AND e.occurred_at <= c.occurred_at
        AND CASE
            WHEN c.is_history THEN (e.occurred_at, e.transaction_id) < (c.occurred_at, c.transaction_id)
            ELSE e.received_at < c.received_at
        END
    ORDER BY e.occurred_at, e.transaction_id
    LIMIT 1
) AS user_first_525600m ON true
LEFT JOIN LATERAL (
    SELECT e.occurred_at, e.amount, e.latitude, e.longitude
    FROM {{ ref('stg_transactions') }} AS e
    WHERE e.user_id = c.user_id
        AND e.occurred_at <= c.occurred_at
        AND CASE
            WHEN c.is_history THEN (e.occurred_at, e.transaction_id) < (c.occurred_at, c.transaction_id)
            ELSE e.received_at < c.received_at
        END
    ORDER BY e.occurred_at DESC, e.transaction_id DESC
    LIMIT 1
) AS user_previous ON true
LEFT JOIN LATERAL (
    SELECT e.occurred_at, e.amount
    FROM {{ ref('stg_transactions') }} AS e
    WHERE e.device_id = c.device_id
        AND e.occurred_at <= c.occurred_at
        AND CASE
            WHEN c.is_history THEN (e.occurred_at, e.transaction_id) < (c.occurred_at, c.transaction_id)
            ELSE e.received_at < c.received_at
        END
    ORDER BY e.occurred_at DESC, e.transaction_id DESC
    LIMIT 1
) AS device_previous ON true
LEFT JOIN LATERAL (
    SELECT e.occurred_at
    FROM {{ ref('stg_transactions') }} AS e
    WHERE e.device_id = c.device_id
        AND e.occurred_at > c.occurred_at - interval '2160 hours'
        AND e.occurred_at <= c.occurred_at
        AND CASE
            WHEN c.is_history THEN (e.occurred_at, e.transaction_id) < (c.occurred_at, c.transaction_id)
            ELSE e.received_at < c.received_at
        END
    ORDER BY e.occurred_at, e.transaction_id
    LIMIT 1
) AS device_first_129600m ON true
CROSS JOIN LATERAL (
    SELECT
        (max(e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours'))::double precision AS user_amount_max_7d,
        (min(e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours'))::double precision AS user_amount_min_7d,
        (count(DISTINCT e.device_id))::double precision AS user_device_distinct_30d,
        (count(*) FILTER (WHERE (e.channel = 'online')))::double precision / nullif((count(*))::double precision, 0) AS user_online_share_30d,
        (count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '24 hours' AND (e.status = 'declined')))::double precision AS user_declined_count_1d,
        (sum(e.fee) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours'))::double precision / nullif((count(e.fee) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')), 0)::double precision AS user_fee_mean_7d,
        sqrt(((count(e.latitude) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) * (sum(e.latitude::numeric * e.latitude::numeric) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) - (sum(e.latitude::numeric) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) * (sum(e.latitude::numeric) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')))::double precision / nullif((count(e.latitude) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) * ((count(e.latitude) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours')) - 1), 0)::double precision) AS user_latitude_stddev_7d
    FROM (
        SELECT e.occurred_at, e.amount, e.device_id, e.channel, e.status, e.fee, e.latitude
        FROM {{ ref('stg_transactions') }} AS e
        WHERE e.user_id = c.user_id
            AND e.occurred_at > c.occurred_at - interval '720 hours'
            AND e.occurred_at <= c.occurred_at
            AND CASE
                WHEN c.is_history THEN (e.occurred_at, e.transaction_id) < (c.occurred_at, c.transaction_id)
                ELSE e.received_at < c.received_at
            END
        ORDER BY e.occurred_at DESC, e.transaction_id DESC
        LIMIT 1000
    ) AS e
) AS user_rows
CROSS JOIN LATERAL (
    SELECT
        CASE WHEN c.device_id IS NOT NULL THEN (count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '10 minutes'))::double precision END AS device_txn_count_10m,
        CASE WHEN c.device_id IS NOT NULL THEN (count(*))::double precision END AS device_txn_count_30d,
        CASE WHEN c.device_id IS NOT NULL THEN (count(DISTINCT e.user_id) FILTER (WHERE e.occurred_at > c.occurred_at - interval '24 hours'))::double precision END AS device_users_1d
    FROM (
        SELECT e.occurred_at, e.user_id
        FROM {{ ref('stg_transactions') }} AS e
        WHERE e.device_id = c.device_id
            AND e.occurred_at > c.occurred_at - interval '720 hours'
            AND e.occurred_at <= c.occurred_at
            AND CASE
                WHEN c.is_history THEN (e.occurred_at, e.transaction_id) < (c.occurred_at, c.transaction_id)
                ELSE e.received_at < c.received_at
            END
        ORDER BY e.occurred_at DESC, e.transaction_id DESC
        LIMIT 1000
    ) AS e
) AS device_rows
CROSS JOIN LATERAL (
    SELECT
        CASE WHEN c.device_id IS NOT NULL THEN coalesce((sum(e.amount)), 0)::double precision END AS device_amount_sum_1h
    FROM (
        SELECT e.occurred_at, e.amount
        FROM {{ ref('stg_transactions') }} AS e
        WHERE e.device_id = c.device_id
            AND e.occurred_at > c.occurred_at - interval '1 hours'
            AND e.occurred_at <= c.occurred_at
            AND CASE
                WHEN c.is_history THEN (e.occurred_at, e.transaction_id) < (c.occurred_at, c.transaction_id)
                ELSE e.received_at < c.received_at
            END
        ORDER BY e.occurred_at DESC, e.transaction_id DESC
        LIMIT 3
    ) AS e
) AS device_rows_3
CROSS JOIN LATERAL (
    SELECT
        CASE WHEN c.device_id IS NOT NULL THEN (count(*))::double precision END AS user_device_count_30d
    FROM (
        SELECT e.occurred_at
        FROM {{ ref('stg_transactions') }} AS e
        WHERE e.user_id = c.user_id
            AND e.device_id = c.device_id
            AND e.occurred_at > c.occurred_at - interval '720 hours'
            AND e.occurred_at <= c.occurred_at
            AND CASE
                WHEN c.is_history THEN (e.occurred_at, e.transaction_id) < (c.occurred_at, c.transaction_id)
                ELSE e.received_at < c.received_at
            END
        ORDER BY e.occurred_at DESC, e.transaction_id DESC
        LIMIT 1000
    ) AS e
) AS user_device_rows
CROSS JOIN LATERAL (
    SELECT
        CASE WHEN c.card_id IS NOT NULL THEN (count(*))::double precision END AS card_txn_count_1h
    FROM (
        SELECT e.occurred_at
        FROM {{ ref('stg_transactions') }} AS e
        WHERE e.card_id = c.card_id
            AND e.occurred_at > c.occurred_at - interval '1 hours'
            AND e.occurred_at <= c.occurred_at
            AND CASE
                WHEN c.is_history THEN (e.occurred_at, e.transaction_id) < (c.occurred_at, c.transaction_id)
                ELSE e.received_at < c.received_at
            END
        ORDER BY e.occurred_at DESC, e.transaction_id DESC
        LIMIT 1000
    ) AS e
) AS card_rows
CROSS JOIN LATERAL (
    SELECT
        CASE WHEN c.ip IS NOT NULL THEN (count(DISTINCT e.card_id))::double precision END AS ip_cards_1h
    FROM (
        SELECT e.occurred_at, e.card_id
        FROM {{ ref('stg_transactions') }} AS e
        WHERE e.ip = c.ip
            AND e.occurred_at > c.occurred_at - interval '1 hours'
            AND e.occurred_at <= c.occurred_at
            AND CASE
                WHEN c.is_history THEN (e.occurred_at, e.transaction_id) < (c.occurred_at, c.transaction_id)
                ELSE e.received_at < c.received_at
            END
        ORDER BY e.occurred_at DESC, e.transaction_id DESC
        LIMIT 1000
    ) AS e
) AS ip_rows
LEFT JOIN LATERAL (
    SELECT r.mcc_fraud_rate_28d
    FROM {{ ref('overall_risk') }} AS r
    WHERE r.valid_from <= (c.occurred_at AT TIME ZONE 'UTC')::date
    ORDER BY r.valid_from DESC
    LIMIT 1
) AS overall_risk ON true
LEFT JOIN LATERAL (
    SELECT r.merchant_fraud_rate_7d, r.merchant_online_rate_7d, r.merchant_amount_mean_7d
    FROM {{ ref('merchant_risk') }} AS r
    WHERE r.merchant_id = c.merchant_id AND r.valid_from <= (c.occurred_at AT TIME ZONE 'UTC')::date
    ORDER BY r.valid_from DESC
    LIMIT 1
) AS merchant_risk ON true
LEFT JOIN LATERAL (
    SELECT r.mcc_fraud_rate_28d_frauds, r.mcc_fraud_rate_28d_txns, r.mcc_fraud_count_28d
    FROM {{ ref('mcc_risk') }} AS r
    WHERE r.mcc = c.mcc AND r.valid_from <= (c.occurred_at AT TIME ZONE 'UTC')::date
    ORDER BY r.valid_from DESC
    LIMIT 1
) AS mcc_risk ON true
UNION ALL
SELECT
    r.user_id,
    r.transaction_id,
    r.occurred_at,
    r.is_history,
    r.feature_values,
    '{{ run_started_at }}'::timestamptz AS built_at
FROM {{ ref('int_training_rows') }} AS r
WHERE r.is_complete AND r.is_logged
    {%- if is_incremental() %}
    AND NOT EXISTS (
            SELECT FROM {{ this }} AS b WHERE b.user_id = r.user_id AND b.transaction_id = r.transaction_id
        )
    {%- endif %}

-- models/marts/merchant_risk.sql
{{ config(
    alias='merchant_risk_2dfd4fa1',
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    indexes=[{'columns': ['merchant_id', 'valid_from'], 'unique': True}],
    pre_hook="{{ delete_rows_to_rebuild(['merchant_id']) }}",
    post_hook=[{'sql': 'VACUUM (ANALYZE) {{ this }}', 'transaction': False}],
) }}
-- Type-2 rows: what happened on `event_date` and became known on `known_date` enters a window when the window's end has
-- passed the first and the current date the second. It leaves when the window's start has passed it.
WITH changes AS (
    -- What each daily sum adds to all windows of a delay (`window_days` 0), and takes from each window again.
    SELECT
        d.merchant_id,
        -- What changed before the first date only counts towards the sums that it starts with.
        greatest(m.valid_from, date '{{ rebuild_from() }}' - 1) AS valid_from,
        m.delay,
        m.window_days,
        d.known_date - d.event_date AS known_after,
        m.sign * d.txns AS txns,
        m.sign * d.frauds AS frauds,
        m.sign * d.amount AS amount,
        m.sign * d.txns_2 AS txns_2,
        m.sign * d.frauds_2 AS frauds_2,
        m.sign * d.amount_2 AS amount_2
    FROM {{ ref('int_merchant_daily_sums') }} AS d
    CROSS JOIN LATERAL (
        VALUES
        (7, 0, 1, greatest(d.event_date + 8, d.known_date + 1)),
        (1, 0, 1, greatest(d.event_date + 2, d.known_date + 1)),
        (7, 7, -1, d.event_date + 15),
        (1, 7, -1, d.event_date + 9)
    ) AS m (delay, window_days, sign, valid_from)
    WHERE d.event_date >= date '{{ rebuild_from() }}' - 15
),

-- Rows of one date are peers: each holds the sums of all of them, and all but one are left out below. What became known
-- after a window had passed never enters it.
sums AS (
    SELECT
        c.merchant_id,
        c.valid_from,
        coalesce(sum(c.txns) FILTER (
            WHERE c.delay = 7 AND c.window_days IN (0, 7) AND c.known_after < 14
        ) OVER so_far, 0) AS txns_7d_delayed_7d,
        coalesce(sum(c.frauds) FILTER (
            WHERE c.delay = 7 AND c.window_days IN (0, 7) AND c.known_after < 14
        ) OVER so_far, 0) AS frauds_7d_delayed_7d,
        coalesce(sum(c.txns_2) FILTER (
            WHERE c.delay = 7 AND c.window_days IN (0, 7) AND c.known_after < 14
        ) OVER so_far, 0) AS txns_7d_delayed_7d_2,
        coalesce(sum(c.frauds_2) FILTER (
            WHERE c.delay = 7 AND c.window_days IN (0, 7) AND c.known_after < 14
        ) OVER so_far, 0) AS frauds_7d_delayed_7d_2,
        coalesce(sum(c.txns) FILTER (
            WHERE c.delay = 1 AND c.window_days IN (0, 7) AND c.known_after < 8
        ) OVER so_far, 0) AS txns_7d_delayed_1d,
        coalesce(sum(c.amount) FILTER (
            WHERE c.delay = 1 AND c.window_days IN (0, 7) AND c.known_after < 8
        ) OVER so_far, 0) AS amount_7d_delayed_1d
    FROM changes AS c
    WINDOW so_far AS (PARTITION BY c.merchant_id ORDER BY c.valid_from)
),

valued AS (
    SELECT
        s.merchant_id,
        s.valid_from,
        (s.frauds_7d_delayed_7d::double precision / nullif(s.txns_7d_delayed_7d, 0)::double precision)::real AS merchant_fraud_rate_7d,
        (s.frauds_7d_delayed_7d_2::double precision / nullif(s.txns_7d_delayed_7d_2, 0)::double precision)::real AS merchant_online_rate_7d,
        (s.amount_7d_delayed_1d::double precision / nullif(s.txns_7d_delayed_1d, 0)::double precision)::real AS merchant_amount_mean_7d
    FROM sums AS s
),

compared AS (
    SELECT
        v.*,
        lag(ARRAY[v.merchant_fraud_rate_7d, v.merchant_online_rate_7d, v.merchant_amount_mean_7d]::double precision[], 1, ARRAY[NULL, NULL, NULL]::double precision[]) OVER (
            PARTITION BY v.merchant_id ORDER BY v.valid_from
        ) AS previous_values
    FROM valued AS v
)

SELECT
    c.merchant_id,
    c.valid_from,
    c.merchant_fraud_rate_7d,
    c.merchant_online_rate_7d,
    c.merchant_amount_mean_7d
FROM compared AS c
WHERE c.valid_from >= '{{ rebuild_from() }}' AND ARRAY[c.merchant_fraud_rate_7d, c.merchant_online_rate_7d, c.merchant_amount_mean_7d]::double precision[] IS DISTINCT FROM c.previous_values
-- Dates that transactions read today lie together on the pages.
ORDER BY c.valid_from

