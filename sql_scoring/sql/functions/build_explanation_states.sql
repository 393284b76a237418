-- Computes the contributions of every state of every group, from the patterns of build_explanation_masks.
--
-- A leaf's contribution to feature j is an integral over t from 0 to 1 of
--     scale * (holds_j - weight_j) * product over the other features i of (t * holds_i + (1 - t) * weight_i),
-- which Gauss-Legendre nodes give exactly: the Shapley weights are beta functions. Products grow condition by condition,
-- for both results of each; a group's state is the sum over its leaves, whose results it implies.
CREATE OR REPLACE FUNCTION scoring.build_explanation_states(p_model_id integer)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_units numeric[] := ARRAY(
        SELECT ('1' || repeat('0', 20 * f.slot))::numeric
        FROM scoring.explanation_features AS f
        WHERE f.model_id = p_model_id
        ORDER BY f.position
    );
BEGIN
    DROP TABLE IF EXISTS pg_temp.explanation_leaf_states;
    CREATE TEMP TABLE explanation_leaf_states ON COMMIT DROP AS
    WITH RECURSIVE products AS (
        SELECT
            c.leaf, c.component, c.steps, n.abscissa, 0 AS step, 0 AS holds, c.scale * n.weight AS product
        FROM scoring.explanation_conditions AS c
        INNER JOIN scoring.explanation_nodes AS n ON n.model_id = p_model_id AND c.steps = n.steps
        WHERE c.model_id = p_model_id AND c.step = 1
        UNION ALL
        SELECT
            p.leaf, p.component, p.steps, p.abscissa, c.step, p.holds | (b.holds << (c.step - 1)),
            p.product * (p.abscissa * b.holds + (1 - p.abscissa) * c.weight)
        FROM products AS p
        INNER JOIN scoring.explanation_conditions AS c
            ON c.model_id = p_model_id AND p.leaf = c.leaf AND p.component = c.component AND p.step + 1 = c.step
        CROSS JOIN (VALUES (0), (1)) AS b (holds)
        -- A factor of zero leaves nothing to any feature.
        WHERE b.holds = 1 OR c.weight > 0
    ),

    contributions AS (
        SELECT
            p.leaf, p.holds, c.feature,
            -- bigint first: a cast to numeric keeps 15 digits of a double.
            sum(
                round(
                    1e17::double precision * p.product * (b.holds - c.weight)
                    / (p.abscissa * b.holds + (1 - p.abscissa) * c.weight)
                )::bigint
            ) AS units
        FROM products AS p
        INNER JOIN scoring.explanation_conditions AS c
            ON c.model_id = p_model_id AND p.leaf = c.leaf AND p.component = c.component
        CROSS JOIN LATERAL (SELECT (p.holds >> (c.step - 1)) & 1 AS holds) AS b
        WHERE p.step = p.steps
        GROUP BY p.leaf, p.holds, c.feature
    )

    SELECT c.leaf, c.holds, sum(c.units * v_units[c.feature]) AS packed
    FROM contributions AS c
    GROUP BY c.leaf, c.holds;
    ANALYZE pg_temp.explanation_leaf_states;

    INSERT INTO scoring.explanation_states (model_id, block_key, packed)
    WITH RECURSIVE states AS (
        SELECT p.leaf_group, p.ordinal, p.shifted_code AS code, p.leaf_bits
        FROM pg_temp.explanation_patterns AS p
        WHERE p.ordinal = 1
        UNION ALL
        SELECT s.leaf_group, p.ordinal, s.code | p.shifted_code, s.leaf_bits | p.leaf_bits
        FROM states AS s
        INNER JOIN pg_temp.explanation_patterns AS p ON s.leaf_group = p.leaf_group AND s.ordinal + 1 = p.ordinal
    ),

    leaves AS (
        SELECT DISTINCT c.leaf_group, c.leaf, c.slot
        FROM scoring.explanation_conditions AS c
        WHERE c.model_id = p_model_id AND c.component = 1
    ),

    sizes AS (
        SELECT p.leaf_group, max(p.ordinal) AS ordinals
        FROM pg_temp.explanation_patterns AS p
        GROUP BY p.leaf_group
    )

    SELECT
        p_model_id,
        (s.leaf_group << 13) | (s.code >> 3),
        ARRAY[
            sum(x.packed) FILTER (WHERE s.code & 7 = 0),
            sum(x.packed) FILTER (WHERE s.code & 7 = 1),
            sum(x.packed) FILTER (WHERE s.code & 7 = 2),
            sum(x.packed) FILTER (WHERE s.code & 7 = 3),
            sum(x.packed) FILTER (WHERE s.code & 7 = 4),
            sum(x.packed) FILTER (WHERE s.code & 7 = 5),
            sum(x.packed) FILTER (WHERE s.code & 7 = 6),
            sum(x.packed) FILTER (WHERE s.code & 7 = 7)
        ]
    FROM sizes AS z
    INNER JOIN states AS s ON z.leaf_group = s.leaf_group AND z.ordinals = s.ordinal
    INNER JOIN leaves AS l ON s.leaf_group = l.leaf_group
    INNER JOIN pg_temp.explanation_leaf_states AS x
        ON
            l.leaf = x.leaf
            AND x.holds = substring(s.leaf_bits FROM 16 * l.slot + 1 FOR 16)::bit(16)::integer
    GROUP BY s.leaf_group, s.code >> 3;
END
$$;
