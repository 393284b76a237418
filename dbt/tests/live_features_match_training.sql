-- A few rows may differ for reasons that nobody can mend afterwards (a home that changed, or history that was loaded,
-- in the very moment of an INSERT; an INSERT under REPEATABLE READ): they are reported. Many are a defect.
{{ config(warn_if='>0', error_if='>100') }}
-- What the trigger saw on live rows of the current list is what the training set says they saw.
{%- set names = feature_list() | rejectattr('delay_days', 'defined') | map(attribute='name') | list %}
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
    AND {{ compared_values('t', names) }} IS DISTINCT FROM {{ compared_values('f', names) }}
