-- The contributions of many rows of one model, whose values stand one after another: the same bits as
-- compute_contributions, as sums of integers do not depend on the order, by joins that read each state once.
CREATE OR REPLACE FUNCTION scoring.compute_contributions_of_rows(p_model scoring.explanations, p_values real[])
RETURNS TABLE (row_number bigint, contributions double precision[])
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_model.group_count IS NULL THEN
        RETURN QUERY
        SELECT
            r.n,
            scoring.compute_contributions(
                p_model, p_values[(r.n - 1) * p_model.feature_count + 1 : r.n * p_model.feature_count]
            )
        FROM generate_series(1::bigint, cardinality(p_values) / p_model.feature_count) AS r (n);
        RETURN;
    END IF;
    RETURN QUERY
    SELECT
        b.n,
        scoring.unpack_contributions(
            coalesce(sum(s.packed[1 + substring(b.bits FROM (g.n << 4) + 14 FOR 3)::bit(3)::integer]), 0),
            p_model.packed_bias,
            p_model.slots
        )
    FROM (
        SELECT 1 + (v.ordinal - 1) / p_model.feature_count AS n, bit_or(k.mask) AS bits
        FROM unnest(p_values) WITH ORDINALITY AS v (value, ordinal)
        INNER JOIN scoring.explanation_features AS f
            ON f.model_id = p_model.model_id AND f.position = 1 + (v.ordinal - 1) % p_model.feature_count
        LEFT JOIN scoring.explanation_masks AS k
            ON
                k.model_id = p_model.model_id
                AND f.position = k.feature
                AND k.rank = coalesce(width_bucket(nullif(v.value, 'NaN')::double precision, f.cuts), -1)
        GROUP BY 1
    ) AS b
    CROSS JOIN generate_series(0, p_model.group_count - 1) AS g (n)
    LEFT JOIN scoring.explanation_states AS s
        ON
            s.model_id = p_model.model_id
            AND s.block_key = (g.n << 13) | substring(b.bits FROM (g.n << 4) + 1 FOR 13)::bit(13)::integer
    GROUP BY b.n;
END
$$;
