-- As explain_transaction for many rows in one statement: pairs of user and transaction, each with its features by rank.
-- Rows without a decision, or of a model that is not explained, are left out.
CREATE OR REPLACE FUNCTION public.explain_transactions(
    user_ids bigint /* key type */[],
    transaction_ids bigint[],
    top integer DEFAULT NULL
)
RETURNS TABLE (
    user_id bigint /* key type */,
    transaction_id bigint,
    rank integer,
    feature text,
    value double precision,
    contribution double precision,
    reason_code text,
    reason text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF user_ids IS NULL OR transaction_ids IS NULL OR cardinality(user_ids) <> cardinality(transaction_ids) THEN
        RAISE EXCEPTION 'user_ids and transaction_ids are two arrays of one length, not of % and %',
            coalesce(cardinality(user_ids), 0), coalesce(cardinality(transaction_ids), 0)
            USING ERRCODE = 'array_subscript_error', COLUMN = 'transaction_ids';
    END IF;
    RETURN QUERY
    WITH decisions AS (
        SELECT
            t.model_version, t.user_id, t.transaction_id, t.feature_values,
            row_number() OVER (PARTITION BY t.model_version ORDER BY k.ordinal) AS n
        FROM unnest(user_ids, transaction_ids) WITH ORDINALITY AS k (user_id, transaction_id, ordinal)
        INNER JOIN public.transactions AS t ON k.user_id = t.user_id AND k.transaction_id = t.transaction_id
        WHERE t.model_version IS NOT NULL
    ),

    -- An array of arrays in order of n; unnest flattens it.
    models AS (
        SELECT d.model_version, array_agg(d.feature_values ORDER BY d.n) AS feature_values
        FROM decisions AS d
        GROUP BY d.model_version
    )

    SELECT d.user_id, d.transaction_id, x.*
    FROM models AS m
    INNER JOIN scoring.explanations AS e ON m.model_version = e.version
    CROSS JOIN LATERAL scoring.compute_contributions_of_rows(e, m.feature_values) AS c
    INNER JOIN decisions AS d ON m.model_version = d.model_version AND c.row_number = d.n
    CROSS JOIN LATERAL scoring.describe_contributions(e, d.feature_values, c.contributions, top, 'en') AS x;
END
$$;
