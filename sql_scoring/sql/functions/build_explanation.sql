-- Builds a model's explanation from its document in scoring.models, again if there is one. Returns the number of states;
-- NULL for a model without tables.
CREATE OR REPLACE FUNCTION scoring.build_explanation(p_version text)
RETURNS integer
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_document jsonb;
    v_model_id integer;
    v_group_count integer;
BEGIN
    SELECT m.explanation::jsonb INTO v_document FROM scoring.models AS m WHERE m.version = p_version;
    IF v_document IS NULL THEN
        RAISE EXCEPTION 'the registry holds no explanation of model %', p_version
            USING ERRCODE = 'undefined_object', HINT = 'Train it again: rowguard train';
    END IF;
    IF (v_document -> 'format')::integer <> 1 THEN
        RAISE EXCEPTION 'the explanation of model % has format %, this schema reads 1', p_version, v_document -> 'format'
            USING ERRCODE = 'feature_not_supported', HINT = 'Bring the schema to its head: rowguard migrate';
    END IF;
    PERFORM scoring.drop_explanation(p_version);
    SELECT max((l.leaf -> 'group')::integer) + 1 INTO v_group_count
    FROM jsonb_array_elements(v_document -> 'leaves') AS l (leaf)
    WHERE v_document -> 'states' <> 'null';
    INSERT INTO scoring.explanations (
        version, output, background, base_value, step_bounds, step_values, tolerance, feature_count, group_count, slots,
        packed_bias, catalogs
    )
    SELECT
        p_version, v_document ->> 'output', v_document ->> 'background',
        (v_document ->> 'base_value')::double precision,
        translate(v_document -> 'steps' ->> 0, '[]', '{}')::double precision[],
        translate(v_document -> 'steps' ->> 1, '[]', '{}')::double precision[],
        (v_document ->> 'tolerance')::double precision,
        f.feature_count, v_group_count,
        ARRAY(
            SELECT (x.feature -> 'slot')::integer
            FROM jsonb_array_elements(v_document -> 'features') WITH ORDINALITY AS x (feature, position)
            ORDER BY x.position
        ),
        -- Half of the range of a slot, in every slot.
        repeat('50000000000000000000', f.feature_count)::numeric,
        v_document -> 'catalogs'
    FROM (SELECT jsonb_array_length(v_document -> 'features') AS feature_count) AS f
    RETURNING model_id INTO v_model_id;
    PERFORM scoring.load_explanation(v_model_id, v_document);
    IF v_group_count IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM scoring.build_explanation_masks(v_model_id, v_group_count);
    PERFORM scoring.build_explanation_states(v_model_id);
    DELETE FROM scoring.explanation_conditions AS c WHERE c.model_id = v_model_id;
    DELETE FROM scoring.explanation_nodes AS n WHERE n.model_id = v_model_id;
    -- Without statistics the first explanations are planned for empty tables.
    ANALYZE scoring.explanation_states;
    ANALYZE scoring.explanation_masks;
    ANALYZE scoring.explanation_features;
    RETURN (
        SELECT count(x.packed)
        FROM scoring.explanation_states AS s
        CROSS JOIN LATERAL unnest(s.packed) AS x (packed)
        WHERE s.model_id = v_model_id
    );
END
$$;
