-- Every transaction has its features exactly once, of its instant, and as many as the list has. Payments go on while
-- this is built: what arrived or was changed since the build began is the next build's.
-- A count and a checksum of 64 bits say of most builds that nothing is missing; otherwise the rows are compared.
-- depends_on: {{ ref('training_set') }}
SELECT
    t.user_id,
    t.transaction_id
FROM {{ ref('stg_transactions') }} AS t
LEFT JOIN {{ ref('training_features') }} AS f
    ON t.user_id = f.user_id AND t.transaction_id = f.transaction_id
WHERE EXISTS (
        SELECT
        FROM ({{ counted_instants(ref('stg_transactions')) }}) AS s
        INNER JOIN ({{ counted_instants(ref('training_features')) }}) AS b
            ON s.row_count <> b.row_count OR s.checksum <> b.checksum
    )
    {%- if var('row_versions') %}
    -- Written by a transaction that had ended when the build began; one that was open may have committed since.
    AND age(t.row_version) > (SELECT age(n.boundary::xid) FROM {{ seen_note('training') }} AS n)
    AND (f.user_id IS NULL OR f.occurred_at <> t.occurred_at)
    {%- else %}
    AND t.received_at < '{{ run_started_at.isoformat() }}'::timestamptz
    AND f.user_id IS NULL
    {%- endif %}
UNION ALL
SELECT
    f.user_id,
    f.transaction_id
FROM {{ ref('training_features') }} AS f
WHERE cardinality(f.feature_values) <> {{ feature_names() | length }}
