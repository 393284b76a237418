-- Numbers the states of each group: each feature has a few patterns of conditions that hold, and a code for each. Keeps
-- them in a temporary table for build_explanation_states, and stores for each rank of a feature its codes of all groups.
CREATE OR REPLACE FUNCTION scoring.build_explanation_masks(p_model_id integer, p_group_count integer)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DROP TABLE IF EXISTS pg_temp.explanation_patterns;
    CREATE TEMP TABLE explanation_patterns ON COMMIT DROP AS
    WITH positions AS (
        SELECT c.leaf_group, c.feature, max(max(c.slot)) OVER (PARTITION BY c.leaf_group) + 1 AS leaves
        FROM scoring.explanation_conditions AS c
        WHERE c.model_id = p_model_id AND c.component = 1
        GROUP BY c.leaf_group, c.feature
    ),

    -- 16 bits for each leaf of the group, of which bit `step` from the right is the condition.
    patterns AS (
        SELECT
            p.leaf_group, p.feature, r.rank,
            bit_or(
                set_bit(repeat('0', 16 * p.leaves)::bit varying, 16 * c.slot + 16 - c.step, (c.ranks @> r.rank)::integer)
            ) AS leaf_bits
        FROM positions AS p
        INNER JOIN scoring.explanation_features AS f ON f.model_id = p_model_id AND p.feature = f.position
        CROSS JOIN generate_series(-1, cardinality(f.cuts)) AS r (rank)
        INNER JOIN scoring.explanation_conditions AS c
            ON
                c.model_id = p_model_id
                AND c.component = 1
                AND p.leaf_group = c.leaf_group
                AND p.feature = c.feature
        GROUP BY p.leaf_group, p.feature, r.rank
    ),

    codes AS (
        SELECT
            p.leaf_group, p.feature, p.leaf_bits, array_agg(p.rank) AS ranks,
            row_number() OVER (PARTITION BY p.leaf_group, p.feature ORDER BY p.leaf_bits) - 1 AS code
        FROM patterns AS p
        GROUP BY p.leaf_group, p.feature, p.leaf_bits
    ),

    widths AS (
        SELECT
            c.leaf_group, c.feature, length(ltrim(max(c.code)::integer::bit(16)::text, '0')) AS width,
            row_number() OVER (PARTITION BY c.leaf_group ORDER BY c.feature) AS ordinal
        FROM codes AS c
        GROUP BY c.leaf_group, c.feature
    ),

    shifts AS (
        SELECT w.*, sum(w.width) OVER (PARTITION BY w.leaf_group ORDER BY w.ordinal) - w.width AS shift
        FROM widths AS w
    )

    SELECT
        c.leaf_group, c.feature, s.ordinal::integer AS ordinal, c.leaf_bits, c.ranks,
        (c.code::integer << s.shift::integer) AS shifted_code
    FROM codes AS c
    INNER JOIN shifts AS s ON c.leaf_group = s.leaf_group AND c.feature = s.feature;
    ANALYZE pg_temp.explanation_patterns;

    INSERT INTO scoring.explanation_masks (model_id, feature, rank, mask)
    SELECT
        p_model_id, p.feature, r.rank,
        bit_or(
            overlay(
                repeat('0', 16 * p_group_count)::bit varying PLACING p.shifted_code::bit(16) FROM 16 * p.leaf_group + 1
            )
        )
    FROM pg_temp.explanation_patterns AS p
    CROSS JOIN unnest(p.ranks) AS r (rank)
    GROUP BY p.feature, r.rank;
END
$$;
