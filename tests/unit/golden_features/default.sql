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
                (w.user_txn_count_7d)::real,
                (w.user_amount_mean_30d)::real,
                (w.user_amount_stddev_7d)::real,
                (w.user_amount_stddev_30d)::real,
                (p.user_location_minutes_since_last)::real,
                (merchant_risk.merchant_fraud_rate_1d)::real,
                (merchant_risk.merchant_fraud_rate_3d)::real,
                (merchant_risk.merchant_fraud_rate_7d)::real,
                (merchant_risk.merchant_fraud_rate_14d)::real,
                (merchant_risk.merchant_fraud_rate_21d)::real,
                (merchant_risk.merchant_fraud_rate_28d)::real,
                (c.amount::double precision / nullif(w.user_amount_mean_30d, 0))::real,
                ((c.amount::double precision - w.user_amount_mean_30d) / nullif(w.user_amount_stddev_30d, 0))::real,
                (w.user_amount_stddev_7d / nullif(w.user_amount_mean_30d, 0))::real,
                (w.user_amount_stddev_30d / nullif(w.user_amount_mean_30d, 0))::real,
                ((c.location = c.home_location)::integer)::real
            ]
        END,
        c.home_location,
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
            (SELECT u.home_location FROM {{ source('public', 'users').include(database=false) }} AS u WHERE u.user_id = p_request.user_id) AS home_location
    ) AS c
    -- No row for a user without transactions: a second statement computes their first features.
    CROSS JOIN LATERAL (
        SELECT
            e.occurred_at AS last_occurred_at,
            e.user_txns_before + 1 AS txns_through,
            e.user_amount_before + e.amount AS amount_through,
            e.user_amount_squares_before + e.amount * e.amount AS amount_squares_through,
            e.location AS last_location,
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
            s.windows[2][1] AS user_txn_count_7d,
            s.windows[3][2] AS user_amount_mean_30d,
            s.windows[2][3] AS user_amount_stddev_7d,
            s.windows[3][3] AS user_amount_stddev_30d
        FROM (
            -- A row per window, in the order of the windows (a nested loop keeps it), a column per aggregate. Expressions
            -- are built once for all windows here; next to each feature's name they would be built for each.
            SELECT ARRAY(
                SELECT ARRAY[
                    coalesce(f.txns, 0)::double precision,
                    f.amount::double precision / nullif(f.txns, 0)::double precision,
                    sqrt((f.txns * f.squares - f.amount * f.amount)::double precision / nullif(f.txns * (f.txns - 1), 0)::double precision)
                ]
                FROM (VALUES (interval '1 hours'), (interval '168 hours'), (interval '720 hours')) AS w (length)
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
                    THEN features.user_location_minutes_since_a594e65a(
                        p_request.user_id, p_request.location, p_request.occurred_at, interval '720 hours'
                    )
            END AS user_location_minutes_since_last
    ) AS p
    LEFT JOIN LATERAL (
        SELECT r.merchant_fraud_rate_1d, r.merchant_fraud_rate_3d, r.merchant_fraud_rate_7d, r.merchant_fraud_rate_14d, r.merchant_fraud_rate_21d, r.merchant_fraud_rate_28d
        FROM {{ ref('merchant_risk').include(database=false) }} AS r
        WHERE r.merchant_id = c.merchant_id AND r.valid_from <= (c.occurred_at AT TIME ZONE 'UTC')::date
        ORDER BY r.valid_from DESC
        LIMIT 1
    ) AS merchant_risk ON true
    INTO
        d.feature_values, d.home_location, d.last_occurred_at, d.txns_through_last, d.amount_through_last,
        d.amount_squares_through_last;
    IF NOT FOUND THEN
        -- The user's first row.
        SELECT
            ARRAY[
                (c.amount::double precision)::real,
                (w.user_txn_minutes_since_last)::real,
                (w.user_txn_count_1h)::real,
                (w.user_txn_count_7d)::real,
                (w.user_amount_mean_30d)::real,
                (w.user_amount_stddev_7d)::real,
                (w.user_amount_stddev_30d)::real,
                (w.user_location_minutes_since_last)::real,
                (merchant_risk.merchant_fraud_rate_1d)::real,
                (merchant_risk.merchant_fraud_rate_3d)::real,
                (merchant_risk.merchant_fraud_rate_7d)::real,
                (merchant_risk.merchant_fraud_rate_14d)::real,
                (merchant_risk.merchant_fraud_rate_21d)::real,
                (merchant_risk.merchant_fraud_rate_28d)::real,
                (c.amount::double precision / nullif(w.user_amount_mean_30d, 0))::real,
                ((c.amount::double precision - w.user_amount_mean_30d) / nullif(w.user_amount_stddev_30d, 0))::real,
                (w.user_amount_stddev_7d / nullif(w.user_amount_mean_30d, 0))::real,
                (w.user_amount_stddev_30d / nullif(w.user_amount_mean_30d, 0))::real,
                ((c.location = c.home_location)::integer)::real
            ],
            c.home_location
        FROM (
            SELECT
                p_request.user_id AS user_id,
                p_request.amount AS amount,
                p_request.occurred_at AS occurred_at,
                p_request.merchant_id AS merchant_id,
                p_request.location AS location,
                (SELECT u.home_location FROM {{ source('public', 'users').include(database=false) }} AS u WHERE u.user_id = p_request.user_id) AS home_location
        ) AS c
        CROSS JOIN (
            SELECT NULL::double precision AS user_txn_minutes_since_last, 0::double precision AS user_txn_count_1h, 0::double precision AS user_txn_count_7d, NULL::double precision AS user_amount_mean_30d, NULL::double precision AS user_amount_stddev_7d, NULL::double precision AS user_amount_stddev_30d, NULL::double precision AS user_location_minutes_since_last
            OFFSET 0
        ) AS w
        LEFT JOIN LATERAL (
            SELECT r.merchant_fraud_rate_1d, r.merchant_fraud_rate_3d, r.merchant_fraud_rate_7d, r.merchant_fraud_rate_14d, r.merchant_fraud_rate_21d, r.merchant_fraud_rate_28d
            FROM {{ ref('merchant_risk').include(database=false) }} AS r
            WHERE r.merchant_id = c.merchant_id AND r.valid_from <= (c.occurred_at AT TIME ZONE 'UTC')::date
            ORDER BY r.valid_from DESC
            LIMIT 1
        ) AS merchant_risk ON true
        INTO d.feature_values, d.home_location;
        d.last_occurred_at := '-infinity';
        d.txns_through_last := 0;
        d.amount_through_last := 0;
        d.amount_squares_through_last := 0;
    ELSIF d.feature_values IS NULL THEN
        d.feature_values := features.row_scan_feature_values_a594e65a(p_request);
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
            (w.user_txn_count_7d)::real,
            (w.user_amount_mean_30d)::real,
            (w.user_amount_stddev_7d)::real,
            (w.user_amount_stddev_30d)::real,
            (w.user_location_minutes_since_last)::real,
            (merchant_risk.merchant_fraud_rate_1d)::real,
            (merchant_risk.merchant_fraud_rate_3d)::real,
            (merchant_risk.merchant_fraud_rate_7d)::real,
            (merchant_risk.merchant_fraud_rate_14d)::real,
            (merchant_risk.merchant_fraud_rate_21d)::real,
            (merchant_risk.merchant_fraud_rate_28d)::real,
            (c.amount::double precision / nullif(w.user_amount_mean_30d, 0))::real,
            ((c.amount::double precision - w.user_amount_mean_30d) / nullif(w.user_amount_stddev_30d, 0))::real,
            (w.user_amount_stddev_7d / nullif(w.user_amount_mean_30d, 0))::real,
            (w.user_amount_stddev_30d / nullif(w.user_amount_mean_30d, 0))::real,
            ((c.location = c.home_location)::integer)::real
        ]
    INTO v_feature_values
    FROM (
        SELECT
            p_request.user_id AS user_id,
            p_request.amount AS amount,
            p_request.occurred_at AS occurred_at,
            p_request.merchant_id AS merchant_id,
            p_request.location AS location,
            (SELECT u.home_location FROM {{ source('public', 'users').include(database=false) }} AS u WHERE u.user_id = p_request.user_id) AS home_location
    ) AS c
    CROSS JOIN LATERAL (
        SELECT
            date_part('epoch', c.occurred_at - max(e.occurred_at) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours')) / 60 AS user_txn_minutes_since_last,
            coalesce(count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '1 hours'), 0)::double precision AS user_txn_count_1h,
            coalesce(count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours'), 0)::double precision AS user_txn_count_7d,
            sum(e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours')::double precision / nullif(count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours'), 0)::double precision AS user_amount_mean_30d,
            sqrt((count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours') * sum(e.amount * e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours') - sum(e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours') * sum(e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours'))::double precision / nullif(count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours') * (count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours') - 1), 0)::double precision) AS user_amount_stddev_7d,
            sqrt((count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours') * sum(e.amount * e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours') - sum(e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours') * sum(e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours'))::double precision / nullif(count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours') * (count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours') - 1), 0)::double precision) AS user_amount_stddev_30d,
            CASE WHEN c.location IS NOT NULL THEN date_part('epoch', c.occurred_at - max(e.occurred_at) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours' AND e.location = c.location)) / 60 END AS user_location_minutes_since_last
        FROM {{ source('public', 'transactions').include(database=false) }} AS e
        WHERE e.user_id = c.user_id
            AND e.occurred_at > c.occurred_at - interval '720 hours'
            AND e.occurred_at <= c.occurred_at
    ) AS w
    LEFT JOIN LATERAL (
        SELECT r.merchant_fraud_rate_1d, r.merchant_fraud_rate_3d, r.merchant_fraud_rate_7d, r.merchant_fraud_rate_14d, r.merchant_fraud_rate_21d, r.merchant_fraud_rate_28d
        FROM {{ ref('merchant_risk').include(database=false) }} AS r
        WHERE r.merchant_id = c.merchant_id AND r.valid_from <= (c.occurred_at AT TIME ZONE 'UTC')::date
        ORDER BY r.valid_from DESC
        LIMIT 1
    ) AS merchant_risk ON true;
    RETURN v_feature_values;
END

-- models/marts/training_features.sql
{{ config(
    alias='training_features_a594e65a',
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
        coalesce((count(*) OVER user_7d - 1), 0)::double precision AS user_txn_count_7d,
        (sum(c.amount) OVER user_30d - c.amount)::double precision / nullif((count(*) OVER user_30d - 1), 0)::double precision AS user_amount_mean_30d,
        sqrt(((count(*) OVER user_7d - 1) * (sum(c.amount * c.amount) OVER user_7d - c.amount * c.amount) - (sum(c.amount) OVER user_7d - c.amount) * (sum(c.amount) OVER user_7d - c.amount))::double precision / nullif((count(*) OVER user_7d - 1) * ((count(*) OVER user_7d - 1) - 1), 0)::double precision) AS user_amount_stddev_7d,
        sqrt(((count(*) OVER user_30d - 1) * (sum(c.amount * c.amount) OVER user_30d - c.amount * c.amount) - (sum(c.amount) OVER user_30d - c.amount) * (sum(c.amount) OVER user_30d - c.amount))::double precision / nullif((count(*) OVER user_30d - 1) * ((count(*) OVER user_30d - 1) - 1), 0)::double precision) AS user_amount_stddev_30d,
        CASE WHEN c.location IS NOT NULL THEN CASE WHEN lag(c.occurred_at) OVER by_user_location > c.occurred_at - interval '720 hours' THEN date_part('epoch', c.occurred_at - lag(c.occurred_at) OVER by_user_location) / 60 END END AS user_location_minutes_since_last
    FROM reachable AS c
    WINDOW
        by_user AS (PARTITION BY c.user_id ORDER BY c.occurred_at, c.transaction_id),
        before AS (by_user ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
        by_user_location AS (PARTITION BY c.user_id, c.location ORDER BY c.occurred_at, c.transaction_id),
        user_1h AS (
            PARTITION BY c.user_id ORDER BY c.occurred_at
            RANGE BETWEEN (interval '1 hours' - interval '1 microsecond') PRECEDING AND CURRENT ROW
        ),
        user_7d AS (
            PARTITION BY c.user_id ORDER BY c.occurred_at
            RANGE BETWEEN (interval '168 hours' - interval '1 microsecond') PRECEDING AND CURRENT ROW
        ),
        user_30d AS (
            PARTITION BY c.user_id ORDER BY c.occurred_at
            RANGE BETWEEN (interval '720 hours' - interval '1 microsecond') PRECEDING AND CURRENT ROW
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
        home_location,
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
        home_location,
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
        home_location,
        is_scored_live,
        user_txn_minutes_since_last,
        user_txn_count_1h,
        user_txn_count_7d,
        user_amount_mean_30d,
        user_amount_stddev_7d,
        user_amount_stddev_30d,
        user_location_minutes_since_last
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
        c.home_location,
        c.is_scored_live,
        w.user_txn_minutes_since_last,
        w.user_txn_count_1h,
        w.user_txn_count_7d,
        w.user_amount_mean_30d,
        w.user_amount_stddev_7d,
        w.user_amount_stddev_30d,
        w.user_location_minutes_since_last
    FROM row_scanned AS c
    CROSS JOIN LATERAL (
        SELECT
            date_part('epoch', c.occurred_at - max(e.occurred_at) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours')) / 60 AS user_txn_minutes_since_last,
            coalesce(count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '1 hours'), 0)::double precision AS user_txn_count_1h,
            coalesce(count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours'), 0)::double precision AS user_txn_count_7d,
            sum(e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours')::double precision / nullif(count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours'), 0)::double precision AS user_amount_mean_30d,
            sqrt((count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours') * sum(e.amount * e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours') - sum(e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours') * sum(e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours'))::double precision / nullif(count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours') * (count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '168 hours') - 1), 0)::double precision) AS user_amount_stddev_7d,
            sqrt((count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours') * sum(e.amount * e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours') - sum(e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours') * sum(e.amount) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours'))::double precision / nullif(count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours') * (count(*) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours') - 1), 0)::double precision) AS user_amount_stddev_30d,
            CASE WHEN c.location IS NOT NULL THEN date_part('epoch', c.occurred_at - max(e.occurred_at) FILTER (WHERE e.occurred_at > c.occurred_at - interval '720 hours' AND e.location = c.location)) / 60 END AS user_location_minutes_since_last
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
        (c.user_txn_count_7d)::real,
        (c.user_amount_mean_30d)::real,
        (c.user_amount_stddev_7d)::real,
        (c.user_amount_stddev_30d)::real,
        (c.user_location_minutes_since_last)::real,
        (merchant_risk.merchant_fraud_rate_1d)::real,
        (merchant_risk.merchant_fraud_rate_3d)::real,
        (merchant_risk.merchant_fraud_rate_7d)::real,
        (merchant_risk.merchant_fraud_rate_14d)::real,
        (merchant_risk.merchant_fraud_rate_21d)::real,
        (merchant_risk.merchant_fraud_rate_28d)::real,
        (c.amount::double precision / nullif(c.user_amount_mean_30d, 0))::real,
        ((c.amount::double precision - c.user_amount_mean_30d) / nullif(c.user_amount_stddev_30d, 0))::real,
        (c.user_amount_stddev_7d / nullif(c.user_amount_mean_30d, 0))::real,
        (c.user_amount_stddev_30d / nullif(c.user_amount_mean_30d, 0))::real,
        ((c.location = c.home_location)::integer)::real
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
        w.is_scored_live,
        CASE WHEN w.is_scored_live THEN w.home_location ELSE users_then.home_location END AS home_location,
        w.user_txn_minutes_since_last,
        w.user_txn_count_1h,
        w.user_txn_count_7d,
        w.user_amount_mean_30d,
        w.user_amount_stddev_7d,
        w.user_amount_stddev_30d,
        w.user_location_minutes_since_last
    FROM windowed AS w
    LEFT JOIN {{ ref('int_users_history') }} AS users_then
        ON w.user_id = users_then.user_id
        AND NOT w.is_scored_live
        AND CASE WHEN w.is_history THEN users_then.history_valid_from ELSE users_then.valid_from END
        <= CASE WHEN w.is_history THEN w.occurred_at ELSE w.received_at END
        AND CASE WHEN w.is_history THEN w.occurred_at ELSE w.received_at END < users_then.valid_to
) AS c
LEFT JOIN LATERAL (
    SELECT r.merchant_fraud_rate_1d, r.merchant_fraud_rate_3d, r.merchant_fraud_rate_7d, r.merchant_fraud_rate_14d, r.merchant_fraud_rate_21d, r.merchant_fraud_rate_28d
    FROM {{ ref('merchant_risk') }} AS r
    WHERE r.merchant_id = c.merchant_id AND r.valid_from <= (c.occurred_at AT TIME ZONE 'UTC')::date
    ORDER BY r.valid_from DESC
    LIMIT 1
) AS merchant_risk ON true
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
    alias='merchant_risk_a594e65a',
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
        m.sign * d.amount AS amount
    FROM {{ ref('int_merchant_daily_sums') }} AS d
    CROSS JOIN LATERAL (
        VALUES
        (7, 0, 1, greatest(d.event_date + 8, d.known_date + 1)),
        (7, 1, -1, d.event_date + 9),
        (7, 3, -1, d.event_date + 11),
        (7, 7, -1, d.event_date + 15),
        (7, 14, -1, d.event_date + 22),
        (7, 21, -1, d.event_date + 29),
        (7, 28, -1, d.event_date + 36)
    ) AS m (delay, window_days, sign, valid_from)
    WHERE d.event_date >= date '{{ rebuild_from() }}' - 36
),

-- Rows of one date are peers: each holds the sums of all of them, and all but one are left out below. What became known
-- after a window had passed never enters it.
sums AS (
    SELECT
        c.merchant_id,
        c.valid_from,
        coalesce(sum(c.txns) FILTER (
            WHERE c.delay = 7 AND c.window_days IN (0, 1) AND c.known_after < 8
        ) OVER so_far, 0) AS txns_1d_delayed_7d,
        coalesce(sum(c.frauds) FILTER (
            WHERE c.delay = 7 AND c.window_days IN (0, 1) AND c.known_after < 8
        ) OVER so_far, 0) AS frauds_1d_delayed_7d,
        coalesce(sum(c.txns) FILTER (
            WHERE c.delay = 7 AND c.window_days IN (0, 3) AND c.known_after < 10
        ) OVER so_far, 0) AS txns_3d_delayed_7d,
        coalesce(sum(c.frauds) FILTER (
            WHERE c.delay = 7 AND c.window_days IN (0, 3) AND c.known_after < 10
        ) OVER so_far, 0) AS frauds_3d_delayed_7d,
        coalesce(sum(c.txns) FILTER (
            WHERE c.delay = 7 AND c.window_days IN (0, 7) AND c.known_after < 14
        ) OVER so_far, 0) AS txns_7d_delayed_7d,
        coalesce(sum(c.frauds) FILTER (
            WHERE c.delay = 7 AND c.window_days IN (0, 7) AND c.known_after < 14
        ) OVER so_far, 0) AS frauds_7d_delayed_7d,
        coalesce(sum(c.txns) FILTER (
            WHERE c.delay = 7 AND c.window_days IN (0, 14) AND c.known_after < 21
        ) OVER so_far, 0) AS txns_14d_delayed_7d,
        coalesce(sum(c.frauds) FILTER (
            WHERE c.delay = 7 AND c.window_days IN (0, 14) AND c.known_after < 21
        ) OVER so_far, 0) AS frauds_14d_delayed_7d,
        coalesce(sum(c.txns) FILTER (
            WHERE c.delay = 7 AND c.window_days IN (0, 21) AND c.known_after < 28
        ) OVER so_far, 0) AS txns_21d_delayed_7d,
        coalesce(sum(c.frauds) FILTER (
            WHERE c.delay = 7 AND c.window_days IN (0, 21) AND c.known_after < 28
        ) OVER so_far, 0) AS frauds_21d_delayed_7d,
        coalesce(sum(c.txns) FILTER (
            WHERE c.delay = 7 AND c.window_days IN (0, 28) AND c.known_after < 35
        ) OVER so_far, 0) AS txns_28d_delayed_7d,
        coalesce(sum(c.frauds) FILTER (
            WHERE c.delay = 7 AND c.window_days IN (0, 28) AND c.known_after < 35
        ) OVER so_far, 0) AS frauds_28d_delayed_7d
    FROM changes AS c
    WINDOW so_far AS (PARTITION BY c.merchant_id ORDER BY c.valid_from)
),

valued AS (
    SELECT
        s.merchant_id,
        s.valid_from,
        (s.frauds_1d_delayed_7d::double precision / nullif(s.txns_1d_delayed_7d, 0)::double precision)::real AS merchant_fraud_rate_1d,
        (s.frauds_3d_delayed_7d::double precision / nullif(s.txns_3d_delayed_7d, 0)::double precision)::real AS merchant_fraud_rate_3d,
        (s.frauds_7d_delayed_7d::double precision / nullif(s.txns_7d_delayed_7d, 0)::double precision)::real AS merchant_fraud_rate_7d,
        (s.frauds_14d_delayed_7d::double precision / nullif(s.txns_14d_delayed_7d, 0)::double precision)::real AS merchant_fraud_rate_14d,
        (s.frauds_21d_delayed_7d::double precision / nullif(s.txns_21d_delayed_7d, 0)::double precision)::real AS merchant_fraud_rate_21d,
        (s.frauds_28d_delayed_7d::double precision / nullif(s.txns_28d_delayed_7d, 0)::double precision)::real AS merchant_fraud_rate_28d
    FROM sums AS s
),

compared AS (
    SELECT
        v.*,
        lag(ARRAY[v.merchant_fraud_rate_1d, v.merchant_fraud_rate_3d, v.merchant_fraud_rate_7d, v.merchant_fraud_rate_14d, v.merchant_fraud_rate_21d, v.merchant_fraud_rate_28d]::double precision[], 1, ARRAY[NULL, NULL, NULL, NULL, NULL, NULL]::double precision[]) OVER (
            PARTITION BY v.merchant_id ORDER BY v.valid_from
        ) AS previous_values
    FROM valued AS v
)

SELECT
    c.merchant_id,
    c.valid_from,
    c.merchant_fraud_rate_1d,
    c.merchant_fraud_rate_3d,
    c.merchant_fraud_rate_7d,
    c.merchant_fraud_rate_14d,
    c.merchant_fraud_rate_21d,
    c.merchant_fraud_rate_28d
FROM compared AS c
WHERE c.valid_from >= '{{ rebuild_from() }}' AND ARRAY[c.merchant_fraud_rate_1d, c.merchant_fraud_rate_3d, c.merchant_fraud_rate_7d, c.merchant_fraud_rate_14d, c.merchant_fraud_rate_21d, c.merchant_fraud_rate_28d]::double precision[] IS DISTINCT FROM c.previous_values
-- Dates that transactions read today lie together on the pages.
ORDER BY c.valid_from

