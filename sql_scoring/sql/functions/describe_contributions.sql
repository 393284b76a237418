-- Contributions as rows with their words, most important first. The words follow the value's place among rows that
-- passed, not the sign of its contribution.
CREATE OR REPLACE FUNCTION scoring.describe_contributions(
    p_model scoring.explanations,
    p_values real[],
    p_contributions double precision[],
    p_top integer,
    p_language text
)
RETURNS TABLE (
    rank integer,
    feature text,
    value double precision,
    contribution double precision,
    reason_code text,
    reason text
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_catalog jsonb := p_model.catalogs -> p_language;
BEGIN
    IF p_top < 1 THEN
        RAISE EXCEPTION 'top is %; it is a number of features, at least 1', p_top
            USING ERRCODE = 'numeric_value_out_of_range', COLUMN = 'top';
    END IF;
    IF v_catalog IS NULL THEN
        RAISE EXCEPTION 'language: model % has no texts in %', p_model.version, coalesce(p_language, 'no language')
            USING
                ERRCODE = 'invalid_parameter_value', COLUMN = 'language',
                HINT = format('It has: %s', (SELECT string_agg(k, ', ') FROM jsonb_object_keys(p_model.catalogs) AS k));
    END IF;
    RETURN QUERY
    SELECT
        (row_number() OVER w)::integer, f.name, v.value, p_contributions[f.position],
        format('%s_%s', v_catalog -> 'features' -> f.name ->> 'theme', x.place),
        scoring.phrase_reason(v_catalog, f.name, x.place, v.value, f.usual_low, f.usual_high)
    FROM scoring.explanation_features AS f
    CROSS JOIN LATERAL (
        SELECT nullif(p_values[f.position], 'NaN')::double precision AS value
    ) AS v
    CROSS JOIN LATERAL (
        SELECT
            CASE
                WHEN v.value IS NULL THEN 'missing'
                WHEN v.value < f.usual_low THEN 'low'
                WHEN v.value > f.usual_high THEN 'high'
                ELSE 'usual'
            END AS place
    ) AS x
    WHERE f.model_id = p_model.model_id
    WINDOW w AS (ORDER BY abs(p_contributions[f.position]) DESC, f.position)
    ORDER BY 1
    LIMIT p_top;
END
$$;
