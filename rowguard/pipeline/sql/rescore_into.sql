CREATE TABLE {table} AS
SELECT
    s.user_id,
    s.transaction_id,
    s.occurred_at,
    s.fraud_probability,
    CASE WHEN s.fraud_probability >= {threshold}::double precision THEN 'FRAUD' ELSE 'LEGITIMATE' END AS fraud_flag,
    {version}::text AS model_version,
    clock_timestamp() AS scored_at
FROM (
{scores}
) AS s
