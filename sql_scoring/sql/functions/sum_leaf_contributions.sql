-- The packed contributions of a row for a model without tables: build_explanation_states' formula, on each call. Exact
-- for any depth and slower, as every leaf is visited.
CREATE OR REPLACE FUNCTION scoring.sum_leaf_contributions(p_model_id integer, p_values real[])
RETURNS numeric
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        WITH ranks AS (
            SELECT
                f.position,
                coalesce(width_bucket(nullif(p_values[f.position], 'NaN')::double precision, f.cuts), -1) AS rank
            FROM scoring.explanation_features AS f
            WHERE f.model_id = p_model_id
        ),

        factors AS (
            SELECT
                c.leaf, c.component, c.step, c.feature, c.weight, n.node, c.scale * n.weight AS scale, x.holds,
                n.abscissa * x.holds + (1 - n.abscissa) * c.weight AS factor
            FROM scoring.explanation_conditions AS c
            INNER JOIN scoring.explanation_nodes AS n ON n.model_id = p_model_id AND c.steps = n.steps
            INNER JOIN ranks AS r ON c.feature = r.position
            CROSS JOIN LATERAL (SELECT (c.ranks @> r.rank)::integer AS holds) AS x
            WHERE c.model_id = p_model_id
        ),

        products AS (
            SELECT
                f.*,
                -- The conditions in their order: the same bits under any plan.
                scoring.multiply(f.factor) OVER (
                    PARTITION BY f.leaf, f.component, f.node ORDER BY f.step
                    ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
                ) AS product
            FROM factors AS f
        ),

        contributions AS (
            SELECT
                p.feature,
                sum(
                    round(1e17::double precision * p.scale * p.product * (p.holds - p.weight) / p.factor)::bigint
                ) AS units
            FROM products AS p
            WHERE p.factor > 0
            GROUP BY p.feature
        )

        SELECT sum(c.units * ('1' || repeat('0', 20 * f.slot))::numeric)
        FROM contributions AS c
        INNER JOIN scoring.explanation_features AS f ON f.model_id = p_model_id AND c.feature = f.position
    );
END
$$;
