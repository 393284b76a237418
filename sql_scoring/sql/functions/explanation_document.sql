-- An explanation as one document, as the API and the command line return it. It names the base and the texts.
CREATE OR REPLACE FUNCTION scoring.explanation_document(
    p_model scoring.explanations, p_values real[], p_top integer, p_language text
)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_contributions double precision[] := scoring.compute_contributions(p_model, p_values);
BEGIN
    RETURN jsonb_build_object(
        'model_version', p_model.version,
        'output', p_model.output,
        'is_calibrated', p_model.step_values IS NOT NULL,
        'background', p_model.background,
        'base', format(p_model.catalogs -> p_language -> 'texts' ->> 'base', p_model.background),
        'base_value', p_model.base_value,
        'language', p_language,
        'catalog', p_model.catalogs -> p_language ->> 'version',
        'reasons', coalesce(
            (
                SELECT jsonb_agg(to_jsonb(r) ORDER BY r.rank)
                FROM scoring.summarize_reasons(p_model, p_values, v_contributions, p_language) AS r
            ),
            '[]'
        ),
        'contributions', (
            SELECT jsonb_agg(to_jsonb(d) ORDER BY d.rank)
            FROM scoring.describe_contributions(p_model, p_values, v_contributions, p_top, p_language) AS d
        )
    );
END
$$;
