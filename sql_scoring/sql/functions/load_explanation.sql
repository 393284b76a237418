-- Unpacks a document into features, nodes and conditions. ANALYZE: the build reads them in the same transaction.
CREATE OR REPLACE FUNCTION scoring.load_explanation(p_model_id integer, p_document jsonb)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO scoring.explanation_features (
        model_id, position, name, slot, cuts, below_cuts, above_cuts, usual_low, usual_high
    )
    SELECT
        p_model_id, f.position, f.feature ->> 'name', (f.feature -> 'slot')::integer,
        ARRAY(SELECT c.v::double precision FROM jsonb_array_elements_text(f.feature -> 'cuts') AS c (v)),
        ARRAY(SELECT c.v::real FROM jsonb_array_elements_text(f.feature -> 'below') AS c (v)),
        ARRAY(SELECT c.v::real FROM jsonb_array_elements_text(f.feature -> 'above') AS c (v)),
        (f.feature ->> 'usual_low')::double precision, (f.feature ->> 'usual_high')::double precision
    FROM jsonb_array_elements(p_document -> 'features') WITH ORDINALITY AS f (feature, position);

    INSERT INTO scoring.explanation_nodes (model_id, steps, node, abscissa, weight)
    SELECT p_model_id, n.steps::integer, x.node, x.abscissa::double precision, x.weight::double precision
    FROM jsonb_each(p_document -> 'nodes') AS n (steps, rule)
    CROSS JOIN ROWS FROM (
        jsonb_array_elements_text(n.rule -> 0), jsonb_array_elements_text(n.rule -> 1)
    ) WITH ORDINALITY AS x (abscissa, weight, node);

    INSERT INTO scoring.explanation_conditions (
        model_id, leaf, component, step, leaf_group, slot, steps, scale, feature, ranks, weight
    )
    SELECT
        p_model_id, l.number, p.number, c.step, nullif(l.leaf -> 'group', 'null')::integer,
        -- A document without groups has null in each leaf.
        CASE WHEN l.leaf -> 'group' <> 'null' THEN
            l.number - min(l.number) OVER (PARTITION BY l.leaf -> 'group')
        END,
        jsonb_array_length(l.leaf -> 'features'),
        (l.leaf ->> 'value')::double precision * (p.part ->> 0)::double precision,
        c.feature::integer, c.ranks::int4multirange, c.weight::double precision
    FROM jsonb_array_elements(p_document -> 'leaves') WITH ORDINALITY AS l (leaf, number)
    CROSS JOIN jsonb_array_elements(l.leaf -> 'components') WITH ORDINALITY AS p (part, number)
    CROSS JOIN ROWS FROM (
        jsonb_array_elements_text(l.leaf -> 'features'),
        jsonb_array_elements_text(l.leaf -> 'ranks'),
        jsonb_array_elements_text(p.part -> 1)
    ) WITH ORDINALITY AS c (feature, ranks, weight, step);

    ANALYZE scoring.explanation_features;
    ANALYZE scoring.explanation_nodes;
    ANALYZE scoring.explanation_conditions;
END
$$;
