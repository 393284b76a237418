{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['user_id', 'transaction_id'],
    on_schema_change='fail',
    indexes=[{'columns': ['transaction_id', 'user_id'], 'unique': True}],
    post_hook=['{{ delete_incomplete_rows(this) }}', 'ANALYZE {{ this }}'],
) }}
{%- set rows = ref('int_training_rows') %}
{%- set columns = [
    'user_id', 'transaction_id', 'occurred_at', 'received_at', 'is_history', 'amount', 'merchant_id', 'location',
] %}
{%- set is_unbuilt -%}
NOT EXISTS (
            SELECT FROM {{ this }} AS b WHERE b.user_id = r.user_id AND b.transaction_id = r.transaction_id
        )
{%- endset %}
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
    FROM {{ rows }} AS r
    {%- if is_incremental() %}
    WHERE r.occurred_at >= {{ rebuild_from_at() }} - interval '{{ longest_window_hours() }} hours'
        AND r.user_id IN (
            SELECT h.user_id
            FROM {{ rows }} AS h
            WHERE NOT h.is_logged AND h.occurred_at >= {{ rebuild_from_at() }}
        )
    {%- endif %}
),

framed AS (
    {{ window_frame_features('reachable') }}
),

row_scanned AS (
    SELECT {{ columns | join(', ') }}
    FROM framed
    WHERE is_computed AND needs_row_scan
    {%- if is_incremental() %}
    UNION ALL
    SELECT {{ columns | join(', ') }}
    FROM {{ rows }} AS r
    WHERE r.is_complete AND NOT r.is_history AND NOT r.is_logged AND r.occurred_at < {{ rebuild_from_at() }}
        AND {{ is_unbuilt }}
    {%- endif %}
),

windowed AS (
    SELECT
        {{ columns | join(', ') }},
        {{ windowed_features() | map(attribute='name') | join(', ') }}
    FROM framed
    WHERE is_computed AND NOT needs_row_scan
    UNION ALL
    {{ row_scan_query('row_scanned', columns) }}
)

{{ point_in_time_values('windowed') }}
UNION ALL
SELECT
    r.user_id,
    r.transaction_id,
    r.occurred_at,
    r.is_history,
    r.feature_values,
    '{{ built_at() }}'::timestamptz AS built_at
FROM {{ rows }} AS r
WHERE r.is_complete AND r.is_logged
    {%- if is_incremental() %}
    AND {{ is_unbuilt }}
    {%- endif %}
