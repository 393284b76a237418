-- The contributions of one row, by position of the feature: the sum over the model's groups of leaves. Planned once per
-- connection, as a plan for the very number of groups costs more than it saves.
CREATE OR REPLACE FUNCTION scoring.compute_contributions(p_model scoring.explanations, p_values real[])
RETURNS double precision[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_bits bit varying;
    v_packed numeric;
BEGIN
    IF p_model.group_count IS NULL THEN
        v_packed := scoring.sum_leaf_contributions(p_model.model_id, p_values);
    ELSE
        v_bits := (
            SELECT bit_or(k.mask)
            FROM scoring.explanation_features AS f
            INNER JOIN scoring.explanation_masks AS k
                ON
                    k.model_id = p_model.model_id
                    AND f.position = k.feature
                    AND k.rank = coalesce(
                        width_bucket(nullif(p_values[f.position], 'NaN')::double precision, f.cuts), -1
                    )
            WHERE f.model_id = p_model.model_id
        );
        v_packed := (
            -- The last three bits of the group's state are the place in the row.
            SELECT sum(s.packed[1 + substring(v_bits FROM ((s.block_key >> 13) << 4) + 14 FOR 3)::bit(3)::integer])
            FROM scoring.explanation_states AS s
            WHERE
                s.model_id = p_model.model_id
                AND s.block_key = ANY(
                    ARRAY(
                        SELECT (g.n << 13) | substring(v_bits FROM (g.n << 4) + 1 FOR 13)::bit(13)::integer
                        FROM generate_series(0, p_model.group_count - 1) AS g (n)
                    )
                )
        );
    END IF;
    RETURN scoring.unpack_contributions(coalesce(v_packed, 0), p_model.packed_bias, p_model.slots);
END
$$;
