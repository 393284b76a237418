{%- set user_windows = windowed_features() | selectattr('entity', 'equalto', 'user') | list -%}
{{ config(
    materialized='replaced_view',
    pre_hook='DROP VIEW IF EXISTS {{ this }}',
    post_hook="{{ comment_features(this, windowed_features() | selectattr('entity', 'equalto', 'user')) }}",
) }}
-- Dropped first: its columns are the list's, and a view that is replaced in place may only gain some at its end.
-- Velocity of every user as of now, under the names of the list, for readers and monitors.
SELECT
    c.user_id,
    c.occurred_at AS as_of,
    {%- for feature in user_windows %}
    w.{{ feature.name }}{{ ',' if not loop.last }}
    {%- endfor %}
FROM (
    SELECT
        known.user_id,
        NULL::bigint AS merchant_id,
        NULL::text AS location,
        now() AS occurred_at
    FROM (
        SELECT u.user_id FROM {{ ref('stg_users') }} AS u
        UNION
        SELECT t.user_id FROM {{ ref('stg_transactions') }} AS t
    ) AS known
) AS c
CROSS JOIN LATERAL (
    {{ window_scan(user_windows, ref('stg_transactions')) }}
) AS w
