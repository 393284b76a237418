{#
  Sums per entity, date of the event and date on which it was known: what rollups are made of.

  A transaction counts from when it was received, a fraud from when its label was. A label that is withdrawn counts
  against the one before it.

  Arguments:
    entity (string): 'merchant' or 'user'.
    transactions (relation): stg_transactions.
    labels (relation): int_label_changes.
  Returns: a SELECT of <entity>_id, event_date, known_date, txns, frauds and amount.
#}
{% macro daily_sums(entity, transactions, labels) -%}
SELECT
    t.{{ entity }}_id,
    t.event_date,
    t.known_date,
    -- integer: sums of it are bigint, which are far faster than numeric
    count(*)::integer AS txns,
    0 AS frauds,
    sum(t.amount) AS amount
FROM {{ transactions }} AS t
WHERE t.{{ entity }}_id IS NOT NULL
GROUP BY t.{{ entity }}_id, t.event_date, t.known_date
UNION ALL
SELECT
    t.{{ entity }}_id,
    t.event_date,
    greatest(l.known_date, t.known_date) AS known_date,
    0 AS txns,
    sum(l.fraud_change)::integer AS frauds,
    0::numeric AS amount
FROM {{ labels }} AS l
INNER JOIN {{ transactions }} AS t ON l.user_id = t.user_id AND l.transaction_id = t.transaction_id
WHERE t.{{ entity }}_id IS NOT NULL
GROUP BY t.{{ entity }}_id, t.event_date, greatest(l.known_date, t.known_date)
{%- endmacro %}
