-- The same for what was known about merchants and users, by whole days. A warning: rows that were decided after
-- midnight and before the nightly build, or before a finding was entered with an earlier date, did not see what
-- training sees.
{{ config(severity='warn') }}
{%- set names = rolled_features() | map(attribute='name') | list %}
SELECT
    t.user_id,
    t.transaction_id,
    t.feature_values AS at_insert,
    f.feature_values AS in_training
FROM {{ source('public', 'transactions') }} AS t
INNER JOIN {{ ref('training_set') }} AS f
    ON t.user_id = f.user_id AND t.transaction_id = f.transaction_id
INNER JOIN {{ source('scoring', 'models') }} AS m ON t.model_version = m.version
WHERE m.feature_hash = '{{ feature_hash() }}'
    {%- if names %}
    AND {{ compared_values('t', names) }} IS DISTINCT FROM {{ compared_values('f', names) }}
    {%- else %}
    AND false
    {%- endif %}
