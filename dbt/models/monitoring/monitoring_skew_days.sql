{%- set names = feature_list() | rejectattr('measure', 'equalto', 'label') | map(attribute='name') | list %}
-- Live rows of the current feature list whose values are not those that training says they saw, by day.
SELECT
    r.event_day,
    r.model_version,
    count(*) AS compared,
    count(*) FILTER (
        WHERE {{ compared_values('r', names) }} IS DISTINCT FROM {{ compared_values('f', names) }}
    ) AS skewed
FROM {{ ref('monitoring_rows') }} AS r
INNER JOIN {{ ref('training_features') }} AS f ON r.user_id = f.user_id AND r.transaction_id = f.transaction_id
INNER JOIN {{ source('scoring', 'models') }} AS m ON r.model_version = m.version
WHERE m.feature_hash = '{{ feature_hash() }}'
GROUP BY r.event_day, r.model_version
