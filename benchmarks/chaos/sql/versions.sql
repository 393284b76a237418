SELECT DISTINCT t.model_version, m.function_name
FROM public.transactions AS t
INNER JOIN scoring.models AS m ON t.model_version = m.version
