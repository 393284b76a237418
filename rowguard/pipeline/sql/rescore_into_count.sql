SELECT
    count(*),
    count(*) FILTER (WHERE b.fraud_flag = 'FRAUD')
FROM {table} AS b
